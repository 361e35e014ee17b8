//! Training only the last layer, on features that are computed once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use cresset::model::weights;
use cresset::train::MetricsLog;

use crate::support::job::{epochs, kill, wait_for};
use crate::support::{assert_same_bits, color_images, cresset, stderr, text};

/// A folder with photos, weights for another task, and a cache.
struct Place(tempfile::TempDir);

/// A small backbone.
const MODEL: [&str; 6] = ["--model", "resnet9", "--model-options", "width=8", "--image-size", "32"];

impl Place {
    fn new(each: usize) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        color_images(&place.path("photos"), each);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A training command with the photos and a cache of its own.
    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = cresset();
        command.env("XDG_CACHE_HOME", self.path("cache")).env_remove("CRESSET_FEATURE_CACHE_MB");
        command.args(["train", "--data", text(&self.path("photos")), "--threads", "1", "--recipe", "none"]);
        command.args(["--out", text(&self.path(out))]).args(more);
        command
    }

    fn output(&self, out: &str, more: &[&str]) -> Output {
        self.command(out, &[&MODEL[..], &["--head-only"], more].concat()).output().unwrap()
    }

    /// Trains only the head. Returns everything that the program says.
    fn train(&self, out: &str, more: &[&str]) -> String {
        let output = self.output(out, more);
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    }

    /// What a command that must fail says. It leaves no run folder.
    fn refused(&self, more: &[&str]) -> String {
        let output = self.output("refused", more);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(!self.path("refused").exists());
        stderr(&output)
    }

    /// The files in the cache with their contents.
    fn cached(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = self.path("cache/cresset/features");
        let mut files: Vec<_> =
            folder.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    fn run(&self, command: &[&str]) -> String {
        let output = cresset().args(command).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The weights in a checkpoint that are not those of the last layer.
fn backbone(run: &Path) -> cresset::model::Tensors {
    let mut weights = weights::read(&run.join("checkpoints/best.safetensors")).unwrap();
    weights.retain(|name, _| !name.starts_with("fc."));
    weights
}

#[test]
fn the_head_is_fitted_to_cached_features_and_the_run_is_an_ordinary_one() {
    let place = Place::new(20);
    let said = place.train("first", &["--report"]);
    assert!(said.contains("features  48 of "), "{said}");
    assert!(said.contains(", computed in ") && said.contains("linear  regularization=0.01 "), "{said}");
    let run = place.path("first");
    let head = std::fs::read_to_string(run.join("head.csv")).unwrap();
    assert!(head.starts_with("setting,iterations,train_loss,"), "{head}");
    let records = MetricsLog::read(&run.join("metrics.csv")).unwrap();
    assert_eq!((records.len(), head.lines().count()), (9, 10));
    let best = cresset::train::EpochRecord::best(&records).unwrap();
    assert!(said.contains(&format!("with the weights of epoch {})", best.epoch)), "{said}");
    assert_eq!(best.validation_accuracy, 1., "the classes are easy to tell apart");
    for file in ["config.toml", "split.csv", "model.pt", "report.html", "checkpoints/last.safetensors"] {
        assert!(run.join(file).is_file(), "{file}");
    }

    // The exported model is the whole network.
    let evaluated = place.run(&["eval", text(&run)]);
    assert!(evaluated.contains("accuracy                   100.00 %"), "{evaluated}");
    let image = place.path("photos/green/3.png");
    assert!(place.run(&["predict", text(&run.join("model.pt")), text(&image)]).contains("green"));
    place.run(&["inspect", "--verify", text(&run.join("model.pt"))]);
    place.run(&["explain", text(&run.join("model.pt")), text(&image), "--out", text(&place.path("maps"))]);

    // The same again, from the cache.
    let cached = place.cached();
    assert_eq!(cached.len(), 1);
    let said = place.train("second", &["--report"]);
    assert!(said.contains(", read from the cache in "), "{said}");
    assert_same_bits(&run, &place.path("second"));
    assert_eq!(place.cached(), cached);

    // The other layers are unchanged, and a finished run stays as it is.
    let said = place.train("third", &["--head-options", "regularization=5"]);
    assert!(said.contains("read from the cache") && said.contains("regularization=5 "), "{said}");
    assert_eq!(backbone(&place.path("third")), backbone(&run));
    assert_eq!(epochs(&place.path("third")), ["1"]);
    let output = cresset().args(["train", "--resume", text(&run), "--epochs", "50"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("the head is fitted) and was not changed"), "{said}");
    assert_same_bits(&run, &place.path("second"));
}

#[test]
fn features_are_computed_again_where_the_cache_is_damaged_or_anything_has_changed() {
    let place = Place::new(8);
    place.train("first", &[]);
    let (path, whole) = place.cached().swap_remove(0);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let said = place.train("again", &[]);
    assert!(said.contains("the cached features are computed again: ") && said.contains("is wrong"), "{said}");
    assert_same_bits(&place.path("first"), &place.path("again"));
    assert_eq!(place.cached(), [(path, whole)]);

    // Another split has the same features; other weights and another normalization have others.
    assert!(
        place.train("split", &["--validation", "0.4", "--normalization", "imagenet"]).contains("computed in")
    );
    assert!(
        place.train("split2", &["--validation", "0.3", "--normalization", "imagenet"]).contains("read from")
    );
    assert!(place.train("seed", &["--seed", "3", "--normalization", "imagenet"]).contains("computed in"));
    assert_eq!(place.cached().len(), 3);

    // An image of the same size with other pixels.
    let image = place.path("photos/red/0.png");
    let mut pixels = image::open(&image).unwrap().into_rgb8();
    pixels.put_pixel(20, 20, image::Rgb([1, 2, 3]));
    pixels.save(&image).unwrap();
    assert!(place.train("image", &[]).contains("computed in"));

    let output = place
        .command("off", &[&MODEL[..], &["--head-only"]].concat())
        .env("CRESSET_FEATURE_CACHE_MB", "0")
        .output()
        .unwrap();
    assert!(stderr(&output).contains("computed in"), "{}", stderr(&output));
    assert_eq!(place.cached().len(), 4);
}

#[test]
fn a_killed_run_starts_again_with_the_same_result() {
    let place = Place::new(30);
    place.train("whole", &[]);
    let expected = place.cached();
    std::fs::remove_dir_all(place.path("cache")).unwrap();
    let mut child = place
        .command("killed", &[&MODEL[..], &["--head-only"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&place.path("killed/checkpoints/last.safetensors"), &mut child);
    kill(&mut child);
    let output = cresset()
        .env("XDG_CACHE_HOME", place.path("cache"))
        .args(["train", "--resume", text(&place.path("killed"))])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same_bits(&place.path("whole"), &place.path("killed"));
    assert_eq!(place.cached().last(), expected.last());
}

#[test]
fn fine_tuning_goes_on_from_the_head_and_resumes_bit_by_bit() {
    let place = Place::new(16);
    // Running statistics of batch normalization that fit the data.
    let output = place.command("first", &[&MODEL[..], &["--epochs", "8"]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let weights_file = place.path("first/checkpoints/last.safetensors");
    let init = ["--init", text(&weights_file), "--fresh-head"];
    let tune = ["--finetune", "--lr", "1e-4", "--layer-decay", "0.8", "--epochs", "3"];
    let tune = &[&init[..], &tune[..]].concat()[..];
    let said = place.train("whole", tune);
    assert!(said.contains("linear  regularization=") && said.contains("epoch   3/3 "), "{said}");
    let whole = place.path("whole");
    assert_eq!(epochs(&whole), ["0", "1", "2", "3"]);
    let records = MetricsLog::read(&whole.join("metrics.csv")).unwrap();
    // The head was fitted, so that training starts far below the loss of a random one.
    assert!(records[0].validation_loss < 0.5 && records[1].train_loss < 0.7, "{records:?}");

    place.train("parts", &[&tune[..tune.len() - 1], &["1"]].concat());
    assert_eq!(epochs(&place.path("parts")), ["0", "1"]);
    let resume = ["train", "--resume", text(&place.path("parts")), "--epochs", "3"].map(String::from);
    let output = cresset().args(resume).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(epochs(&place.path("parts")), ["0", "1", "2", "3"]);
    let last = |run: &Path| weights::read(&run.join("checkpoints/last.safetensors")).unwrap();
    assert_eq!(last(&whole), last(&place.path("parts")));

    // A learning rate that destroys the weights: the head is still there.
    let worse = ["--finetune", "--lr", "1", "--epochs", "1"];
    let said = place.train("worse", &[&init[..], &worse].concat());
    assert!(said.contains("with the weights of epoch 0)"), "{said}");
    assert!(place.run(&["eval", text(&place.path("worse"))]).contains("100.00 %"));
}

#[test]
fn class_weights_and_smoothing_reach_the_head() {
    let place = Place::new(8);
    (0..4).for_each(|number| std::fs::remove_file(place.path(&format!("photos/red/{number}.png"))).unwrap());
    let plain = place.train("plain", &[]);
    let weighted = place.train("weighted", &["--class-weights", "balanced"]);
    let smooth = place.train("smooth", &["--loss-options", "smoothing=0.2"]);
    assert!(plain.contains("computed") && weighted.contains("read from") && smooth.contains("read from"));
    let head = |run: &str| {
        weights::read(&place.path(run).join("checkpoints/best.safetensors")).unwrap()["fc.weight"].copy()
    };
    assert_ne!(head("plain"), head("weighted"));
    assert_ne!(head("plain"), head("smooth"));
    let sampled = place.train("sampled", &["--sampling", "balanced"]);
    assert!(sampled.contains("read from"));
    assert_eq!(head("sampled"), head("weighted"));
}

#[test]
fn an_mlp_head_becomes_a_part_of_the_exported_network() {
    let place = Place::new(16);
    place.train("linear", &[]);
    let options = ["--head", "mlp", "--head-options", "width=16,epochs=12,lr=0.01"];
    let said = place.train("first", &options);
    assert!(said.contains("read from the cache") && said.contains("mlp  epoch=12 "), "{said}");
    let run = place.path("first");
    let weights = weights::read(&run.join("checkpoints/best.safetensors")).unwrap();
    assert_eq!((weights["fc.weight"].size(), weights["mlp_head.weight"].size()), (vec![16, 64], vec![3, 16]));
    let records = MetricsLog::read(&run.join("metrics.csv")).unwrap();
    let best = cresset::train::EpochRecord::best(&records).unwrap();
    assert_eq!((best.lr, best.validation_accuracy), (0.01, 1.));
    // The exported network computes what the head has computed from the features.
    assert!(place.run(&["eval", text(&run)]).contains("100.00 %"));
    let onnx = place.path("model.onnx");
    place.run(&["export", text(&run), "--format", "onnx", "--output", text(&onnx)]);
    assert!(onnx.is_file());
    place.train("second", &options);
    assert_same_bits(&run, &place.path("second"));
    let tuned =
        place.train("tuned", &[&options[..], &["--finetune", "--epochs", "1", "--lr", "1e-5"]].concat());
    assert!(tuned.contains("epoch   1/1 "), "{tuned}");
    let output =
        place.command("refused", &["--head-only", "--head", "mlp", "--model", "net.pt"]).output().unwrap();
    assert!(stderr(&output).contains("--head mlp works only with the architectures"), "{}", stderr(&output));
}

#[test]
fn a_knn_head_exports_the_features_of_the_training_set() {
    let place = Place::new(20);
    place.train("linear", &[]);
    let said = place.train("first", &["--head", "knn"]);
    assert!(said.contains("read from the cache") && said.contains("knn  k=20 "), "{said}");
    let run = place.path("first");
    assert_eq!(epochs(&run), ["1", "2", "3", "4", "5"]);
    let weights = weights::read(&run.join("checkpoints/best.safetensors")).unwrap();
    assert_eq!((weights["knn.bank"].size(), weights["knn.labels"].size()), (vec![48, 64], vec![48]));
    assert!(!weights.contains_key("fc.weight"));
    // The other layers are those of the linear head.
    let mut others = weights;
    others.retain(|name, _| !name.starts_with("knn."));
    assert_eq!(others, backbone(&place.path("linear")));

    let evaluated = place.run(&["eval", text(&run)]);
    assert!(evaluated.contains("accuracy                   100.00 %"), "{evaluated}");
    let (model, image) = (run.join("model.pt"), place.path("photos/green/3.png"));
    assert!(place.run(&["predict", text(&model), text(&image)]).contains("green"));
    place.run(&["inspect", "--verify", text(&model)]);
    place.run(&[
        "explain",
        text(&model),
        text(&image),
        "--method",
        "occlusion",
        "--out",
        text(&place.path("maps")),
    ]);
    for (format, file) in [("onnx", "model.onnx"), ("safetensors", "model.safetensors")] {
        let output = place.path(file);
        place.run(&["export", text(&run), "--format", format, "--output", text(&output)]);
        assert!(output.is_file());
    }
    place.run(&["export", text(&run), "--dtype", "bf16", "--output", text(&place.path("bf16.pt"))]);
    place.run(&["inspect", "--verify", text(&place.path("bf16.pt"))]);

    place.train("second", &["--head", "knn"]);
    assert_same_bits(&run, &place.path("second"));
    let output = cresset().args(["train", "--resume", text(&run)]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("--head-only false --head linear"), "{said}");
    assert_same_bits(&run, &place.path("second"));
    let said = place.train("one", &["--head", "knn", "--head-options", "k=2,temperature=0.5"]);
    assert!(said.contains("knn  k=2 ") && !said.contains("k=20"), "{said}");
    // Each view of an image is a row of the bank.
    let views = ["--head", "knn", "--head-views", "2", "--augment", "flip"];
    place.train("views", &views);
    let weights = weights::read(&place.path("views/checkpoints/best.safetensors")).unwrap();
    assert_eq!(weights["knn.bank"].size(), [96, 64]);

    place.train("ood", &["--head", "knn", "--ood", "0.3", "--ood-score", "knn"]);
    let model = place.path("ood/model.pt");
    let predicted = place.run(&["predict", text(&model), text(&image), "--output", "jsonl"]);
    assert!(predicted.contains(r#""distance":0."#) && !predicted.contains("energy"), "{predicted}");
    place.run(&["inspect", "--verify", text(&model)]);

    let output = cresset().args(["compress", text(&run), "--prune", "0.5"]).output().unwrap();
    assert!(stderr(&output).contains("the head knn, which cannot be fine-tuned"), "{}", stderr(&output));
    for (more, says) in [
        (&["--finetune"][..], "--head knn does not support --finetune"),
        (&["--class-weights", "balanced"], "does not support --class-weights"),
        (&["--sampling", "balanced"], "does not support --sampling balanced"),
        (&["--loss-options", "smoothing=0.1"], "does not support label smoothing"),
        (&["--ood", "0.1"], "does not support --ood without --ood-score knn"),
        (
            &["--head-options", "k=49"],
            "k=49 of --head-options is more than the number of training images, 48",
        ),
    ] {
        let said = place.refused(&[&["--head", "knn"], more].concat());
        assert!(said.contains(says), "{said}");
    }
    let own = ["--head-only", "--head", "knn", "--model", "net.pt"];
    let said = stderr(&place.command("refused", &own).output().unwrap());
    assert!(said.contains("--head knn works only with the architectures"), "{said}");
}

#[test]
fn features_continue_after_a_kill_with_the_same_result() {
    let place = Place::new(160);
    let options = ["--head", "knn"];
    place.train("whole", &options);
    let expected = place.cached();
    assert_eq!(expected.len(), 1);
    std::fs::remove_dir_all(place.path("cache")).unwrap();
    let partial = expected[0].0.with_extension("partial");
    let mut child = place
        .command("killed", &[&MODEL[..], &["--head-only"], &options].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // At least one batch of 64 examples with 64 features.
    let begun = Instant::now();
    while std::fs::metadata(&partial).map_or(0, |file| file.len()) < 64 * 64 * 4 {
        assert!(child.try_wait().unwrap().is_none() && begun.elapsed().as_secs() < 120, "no partial file");
    }
    kill(&mut child);
    assert!(!expected[0].0.exists(), "the process was killed too late");
    // A record that the process could not complete.
    let mut file = std::fs::OpenOptions::new().append(true).open(&partial).unwrap();
    file.write_all(&[7; 100]).unwrap();
    let output = cresset()
        .env("XDG_CACHE_HOME", place.path("cache"))
        .args(["train", "--resume", text(&place.path("killed"))])
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("the end of the file is damaged") && said.contains(" before an interruption"),
        "{said}"
    );
    assert_same_bits(&place.path("whole"), &place.path("killed"));
    assert_eq!(place.cached(), expected);
}

#[test]
fn augmented_views_are_computed_once_each_and_depend_on_the_seed() {
    let place = Place::new(8);
    let views = ["--augment", "flip,crop=4", "--head-views", "3"];
    let said = place.train("first", &views);
    assert!(said.contains("features  54 of 64 values, computed in"), "{said}");
    assert!(place.train("second", &views).contains("read from the cache"));
    assert_same_bits(&place.path("first"), &place.path("second"));
    // The features without augmentation, for the validation set, and those of the views.
    assert_eq!(place.cached().len(), 2);
    let other = [&views[..3], &["2"]].concat();
    assert!(place.train("fewer", &other).contains("features  36 of 64 values, computed in"));
    let plain = place.train("plain", &views[..2]);
    assert!(plain.contains("features  18 of 64 values, read from the cache"), "{plain}");
    assert!(plain.contains("--head-only does not use --augment flip,crop=4 without --head-views"), "{plain}");
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_written() {
    let place = Place::new(4);
    for (more, says) in [
        (&["--loss", "focal"][..], "fits a head with cross-entropy, not --loss focal"),
        (&["--head-options", "regularisation=1"], "unknown option `regularisation`; did you mean"),
        (&["--head-views", "2"], "--head-views requires --augment"),
        (&["--head-views", "2", "--augment", "flip,mixup"], "does not support mixup"),
    ] {
        let said = place.refused(more);
        assert!(said.contains(says), "{said}");
    }
    let out = place.path("refused");
    let table = ["train", "--data", "iris", "--head-only", "--out", text(&out)];
    let output = cresset().args(table).output().unwrap();
    assert!(stderr(&output).contains("--head-only is for images"), "{}", stderr(&output));
    let output = place.command("refused", &["--finetune"]).output().unwrap();
    assert!(stderr(&output).contains("--finetune requires --head-only"), "{}", stderr(&output));
    assert!(place.cached().is_empty());
}
