//! The recipe: options that the data determines.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cresset::options::Config;
use cresset::train::MetricsLog;
use cresset::train::checkpoint::Checkpoint;

use crate::support::hub::COMMIT;
use crate::support::job::{Job, kill, wait_for};
use crate::support::pretrained::{NAME, connect, hub};
use crate::support::{assert_same_bits, color_images, cresset, run, stderr, succeed, text};

/// A place for runs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Trains into a folder of this name, and gives what was printed and the recorded options.
    fn train(&self, out: &str, options: &[&str]) -> (String, Config) {
        let out = self.path(out);
        let printed = succeed(["train", "--out", text(&out)].iter().chain(options));
        (printed, recorded(&out))
    }

    /// A table with two classes that a network separates, the second with `rare` of 400 rows.
    fn table(&self, rare: usize) -> PathBuf {
        let row = |row: usize| {
            let class = usize::from(row.is_multiple_of(400 / rare));
            format!("{},{},c{class}\n", class * 3 + row * 7 % 11, row * 5 % 13)
        };
        let path = self.path("table.csv");
        std::fs::write(&path, (0..400).map(row).collect::<String>()).unwrap();
        path
    }
}

fn recorded(run: &Path) -> Config {
    Config::read(&run.join("config.toml")).unwrap()
}

#[test]
fn a_table_is_trained_by_its_recipe_and_the_record_repeats_the_run() {
    let place = Place::new();
    let (printed, config) = place.train("run", &["--data", "iris", "--epochs", "4"]);
    assert!(
        printed.starts_with("recipe  auto: table (150 rows of 4 columns, 3 classes)\n        model tabm"),
        "{printed}"
    );
    assert!(!printed.contains("        epochs "), "{printed}");
    assert_eq!((config.epochs, config.optimizer.as_str(), config.batch_size), (4, "adamw", 8));
    let record = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(
        record.contains("\nrecipe = \"none\"\n") && record.contains("\nrecipe = [\"auto: table ("),
        "{record}"
    );
    let file = place.path("run/config.toml");
    let (printed, again) = place.train("again", &["--config", text(&file)]);
    assert!(!printed.contains("recipe  "), "{printed}");
    assert_eq!(again, config);
    assert_same_bits(&place.path("run"), &place.path("again"));
    // The record survives a resumption.
    succeed(["train", "--resume", text(&place.path("run"))]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), record);
}

#[test]
fn the_weights_of_a_run_bring_their_model() {
    let place = Place::new();
    place.train("first", &["--data", "iris", "--epochs", "2"]);
    let start = place.path("first/checkpoints/best.safetensors");
    let (printed, config) =
        place.train("second", &["--data", "iris", "--epochs", "1", "--init", text(&start)]);
    assert!(
        printed.contains("        model tabm, model-options members=16,width=128,dropout=0.1, normalization quantiles, bag 5: the model of "),
        "{printed}"
    );
    assert_eq!((config.lr, config.model_options.as_str()), (2e-4, "members=16,width=128,dropout=0.1"));
}

#[test]
fn explicit_options_win_wherever_they_are_given() {
    let place = Place::new();
    // Explicit, though these are the defaults.
    let (_, config) =
        place.train("line", &["--data", "iris", "--epochs", "2", "--batch-size", "32", "--lr", "0.001"]);
    assert_eq!((config.batch_size, config.lr, config.optimizer.as_str()), (32, 0.001, "adamw"));
    let file = place.path("run.toml");
    std::fs::write(&file, "data = 'iris'\nepochs = 2\nbatch_size = 32\noptimizer = 'sgd'\n").unwrap();
    let (_, config) = place.train("file", &["--config", text(&file)]);
    // Without its own learning rate, another optimizer has the default.
    assert_eq!((config.batch_size, config.lr, config.training.weight_decay), (32, 0.001, 0.));
    let (printed, config) = place.train("none", &["--data", "iris", "--epochs", "2", "--recipe", "none"]);
    let plain = Config { data: "iris".into(), epochs: 2, recipe: "none".into(), ..Config::default() };
    assert_eq!(config, plain);
    assert!(printed.starts_with("data    "), "{printed}");
}

#[test]
fn the_digits_have_a_recipe_only_on_request() {
    let place = Place::new();
    let (printed, config) = place.train("default", &["--epochs", "1"]);
    assert!(printed.starts_with("data    "), "{printed}");
    assert_eq!(config, Config { epochs: 1, recipe: "none".into(), ..Config::default() });
    place.train("none", &["--epochs", "1", "--recipe", "none"]);
    assert_same_bits(&place.path("default"), &place.path("none"));
    let options = ["--epochs", "1", "--model-options", "width=4", "--recipe"];
    let (printed, config) = place.train("named", &[&options[..], &["cnn"]].concat());
    assert!(printed.starts_with("recipe  cnn\n"), "{printed}");
    assert_eq!((config.model.as_str(), config.lr, config.training.average_decay), ("cnn", 0.005, 0.99));
    let options = ["--epochs", "1", "--recipe", "auto"];
    // Options of a model without its name are those of the default model.
    let (_, config) = place.train("mlp", &[&options[..], &["--model-options", "width=4"]].concat());
    assert_eq!((config.model.as_str(), config.model_options.as_str()), ("mlp", "width=4"));
    let (printed, config) = place.train("auto", &options);
    let title = "recipe  auto: small images (1,438 of 8×8, grayscale, 10 classes)\n        model cnn";
    assert!(printed.starts_with(title), "{printed}");
    assert!(printed.contains("no flips, since mirrored images of only "), "{printed}");
    assert_eq!(config.augment, "affine=10:0.1:0.1:5");
    let refused = run(["train", "--recipe", "resnet"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("resnet9"), "{}", stderr(&refused));
}

#[test]
fn photographs_use_pretrained_weights_where_there_are_some() {
    let place = Place::new();
    let photos = place.path("photos");
    color_images(&photos, 8);
    let hub = hub();
    let train = |out: &str, endpoint: &str, home: &str, more: &[(&str, &str)]| {
        let out = place.path(out);
        let mut command = cresset();
        let options = ["--data", text(&photos), "--image-size", "64", "--epochs", "1", "--batch-size", "8"];
        command.args(["train", "--out", text(&out)]).args(options);
        connect(&mut command, endpoint, &place.path(home)).envs(more.iter().copied());
        command.env("XDG_CACHE_HOME", place.path("cache"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output), recorded(&out))
    };
    let (printed, config) = train("online", &hub.endpoint(), "home", &[]);
    assert!(printed.contains("recipe  auto: photographs (18 of 64×64, color, 3 classes)"), "{printed}");
    assert!(printed.contains(&format!("\n        pretrained {NAME}: ")), "{printed}");
    assert_eq!(config.pretrained, Some(format!("hf:{NAME}@{COMMIT}")));
    assert_eq!((config.model.as_str(), config.training.head_epochs), ("resnet18", 0));
    assert!(config.training.head_only && config.training.finetune && config.epochs == 1);
    assert!(printed.contains("linear  regularization="), "{printed}");
    // Without a network, the cache is enough.
    hub.requests();
    let (_, offline) = train("offline", &hub.endpoint(), "home", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!((offline, hub.requests().len()), (config, 0));
    // Nothing listens there.
    for (out, variable) in [("unreachable", "0"), ("empty", "1")] {
        let endpoint = "http://127.0.0.1:9";
        let (printed, config) = train(out, endpoint, "none", &[("HF_HUB_OFFLINE", variable)]);
        assert!(
            printed.contains("\n        no pretrained weights are in the cache, and the model hub"),
            "{printed}"
        );
        assert!(!printed.contains("warning"), "{printed}");
        assert_eq!((config.model.as_str(), config.pretrained), ("resnet9", None));
    }
}

#[test]
fn a_restarted_job_keeps_the_choices_of_its_first_start() {
    let place = Place::new();
    let table = place.table(200);
    let options = |out: &Path| {
        [
            "train",
            "--data",
            text(&table),
            "--epochs",
            "60",
            "--patience",
            "60",
            "--continue",
            "--out",
            text(out),
        ]
        .map(String::from)
    };
    let (whole, parts) = (place.path("whole"), place.path("parts"));
    succeed(options(&whole));
    let mut child =
        cresset().args(options(&parts)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&parts.join("checkpoints/best.safetensors"), &mut child);
    kill(&mut child);
    succeed(options(&parts));
    assert_eq!(recorded(&parts), recorded(&whole));
    assert_same_bits(&whole, &parts);
}

#[test]
fn all_processes_train_with_the_choices_of_the_first() {
    let place = Place::new();
    let out = place.path("run");
    Job::start(2, &["train", "--data", "iris", "--epochs", "2", "--out", text(&out)]).succeed();
    assert_eq!(recorded(&out).optimizer, "adamw");
}

#[test]
fn the_monitored_metric_selects_the_exported_epoch() {
    let place = Place::new();
    let table = place.table(50);
    let options = ["--data", text(&table), "--validation", "0.5"];
    let (printed, config) = place.train("run", &[&options[..], &["--epochs", "8"]].concat());
    assert!(printed.contains("\n        monitor macro-f1: the largest class has 7 times"), "{printed}");
    assert_eq!(config.training.monitor.name(), "macro-f1");
    let records = MetricsLog::read(&place.path("run/metrics.csv")).unwrap();
    let highest = records.iter().map(|record| record.score.unwrap()).fold(0., f64::max);
    let first = records.iter().find(|record| record.score == Some(highest)).unwrap();
    let best =
        Checkpoint::load(&place.path("run/checkpoints/best.safetensors")).unwrap().position.best.unwrap();
    assert_eq!((best.epoch, best.score), (first.epoch, Some(highest)));
    assert!(printed.contains(&format!("with the weights of epoch {}", first.epoch)), "{printed}");
    // A metric that cannot improve stops the run.
    let frozen = ["--recipe", "none", "--lr", "1e-30", "--patience", "2", "--monitor", "accuracy"];
    let (printed, _) = place.train("frozen", &[&options[..], &frozen].concat());
    assert!(
        printed.contains("no improvement of the validation accuracy for 2 epochs; best epoch 1"),
        "{printed}"
    );
    // The metric belongs to the run.
    let refused = run(["train", "--resume", text(&place.path("run")), "--monitor", "loss"]);
    assert!(stderr(&refused).contains("--monitor cannot be changed"), "{}", stderr(&refused));
}

#[test]
fn the_name_of_a_recipe_as_a_run_file_is_answered_with_the_option_for_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let output = cresset().args(["train", "--config", "cnn"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = "there is no run file cnn; --recipe cnn selects the built-in recipe";
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
}
