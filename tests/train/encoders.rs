//! Pretrained text encoders.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cresset::model::weights;

use crate::support::hub::{COMMIT, Hub};
use crate::support::job::{Job, kill, wait_for};
use crate::support::pretrained::connect;
use crate::support::samples::{mail_options, write_mails};
use crate::support::{assert_same_bits, cresset, encoder, run, stderr, succeed, text, train_once};

/// A table of mails, and an encoder that knows their words.
fn prepare(folder: &Path) -> (PathBuf, PathBuf) {
    write_mails(folder);
    let table = folder.join("mails.csv");
    let encoder = encoder::write(folder, &std::fs::read_to_string(&table).unwrap());
    (table, encoder)
}

fn accuracy(run: &Path) -> f64 {
    let printed = succeed(["eval", text(run)]);
    let line = printed.lines().find(|line| line.starts_with("accuracy")).unwrap().to_string();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Kills a run after its first checkpoint and resumes it.
fn kill_and_resume(out: &Path, options: &[&str]) {
    let mut command = cresset();
    command.args(["train", "--out", text(out)]).args(options).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&out.join("checkpoints/last.safetensors"), &mut child);
    assert!(kill(&mut child), "the run ended before it was killed");
    succeed(["train", "--resume", text(out)]);
}

#[test]
fn the_recipe_fits_a_classifier_to_cached_vectors_of_the_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let cache = folder.path().join("cache");
    let train = |out: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let mut command = cresset();
        command.env("XDG_CACHE_HOME", &cache).args([
            "train",
            "--pretrained",
            text(&encoder),
            "--out",
            text(&out),
        ]);
        let output = command.args(mail_options(&table)).args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        (out, String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output))
    };
    let (first, said) = train("first", &[]);
    assert!(said.contains("head-only true: the encoder stays as it is"), "{said}");
    assert!(said.contains("features  96 of 16 values, computed in"), "{said}");
    assert!(said.contains("texts of up to 15 tokens"), "{said}");
    assert!(accuracy(&first) > 80., "{}", accuracy(&first));
    let inspected = succeed(["inspect", text(&first.join("model.pt")), "--verify"]);
    assert!(inspected.contains("as recorded"), "{inspected}");

    let (tuned, said) = train("tuned", &["--finetune", "--epochs", "2", "--precision", "f32"]);
    assert!(said.contains("read from the cache"), "{said}");
    assert!(said.contains("lr 3e-5"), "{said}");
    let metrics = std::fs::read_to_string(tuned.join("metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 4, "epochs 0 to 2: {metrics}");

    // Words of the classes that the encoder tells apart without an error: the weights of the classifier have no end.
    let apart = folder.path().join("apart.csv");
    let rows = (0..120).map(|row| if row % 2 == 0 { "meeting agenda,ham\n" } else { "free prize,spam\n" });
    std::fs::write(&apart, "body,kind\n".to_string() + &rows.collect::<String>()).unwrap();
    let out = folder.path().join("apart");
    let own =
        ["--pretrained", text(&encoder), "--finetune", "--epochs", "3", "--lr", "0.003", "--out", text(&out)];
    let output = run(["train", "--precision", "f32"].iter().chain(&own).chain(&mail_options(&apart)));
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    let best = said.lines().find(|line| line.ends_with("best")).unwrap_or_else(|| panic!("{said}"));
    assert!(best.contains("regularization=10 "), "{said}");
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let losses = metrics.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<f64>().unwrap());
    let losses: Vec<f64> = losses.collect();
    assert!(losses.len() == 4 && losses.iter().all(|loss| *loss < 0.7), "{losses:?}");

    let vectors = folder.path().join("vectors.npy");
    let data = ["--data", text(&table), "--text", "body", "--label", "kind"];
    succeed(["embed", "--pretrained", text(&encoder), "--out", text(&vectors)].iter().chain(&data));
    let vectors = tch::Tensor::read_npy(&vectors).unwrap();
    assert_eq!(vectors.size(), [120, 16]);
}

#[test]
fn fine_tuning_of_an_encoder_that_is_killed_continues_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let data = mail_options(&table);
    let options = [
        "--recipe",
        "none",
        "--pretrained",
        text(&encoder),
        "--epochs",
        "12",
        "--optimizer",
        "adamw",
        "--lr",
        "0.003",
    ];
    let options =
        [&data[..], &options, &["--layer-decay", "0.9", "--schedule", "cosine", "--warmup-epochs", "1"]]
            .concat();
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    train_once(&whole, &options);
    assert!(accuracy(&whole) > 90., "{}", accuracy(&whole));
    kill_and_resume(&cut, &options);
    assert_same_bits(&whole, &cut);
}

#[test]
fn adapters_leave_the_weights_of_the_encoder_alone_and_are_part_of_the_exported_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let data = mail_options(&table);
    let own = ["--pretrained", text(&encoder), "--lora", "4", "--lr", "0.01", "--precision", "f32"];
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    let options = [&data[..], &own].concat();
    train_once(&whole, &options);
    assert!(accuracy(&whole) > 75., "{}", accuracy(&whole));
    let read = |path: &Path| weights::read(path).unwrap();
    let begun = read(&encoder.join("model.safetensors"));
    let trained = read(&whole.join("checkpoints/best.safetensors"));
    let query = "bert.encoder.layer.1.attention.self.query";
    assert_eq!(trained[&format!("{query}.weight")], begun[&format!("{query}.weight")]);
    assert_eq!(trained[&format!("{query}.lora_A.weight")].size(), [4, 16]);
    let exported = read(&whole.join("model.pt"));
    assert!(exported.keys().all(|name| !name.contains("lora")));
    let change = &exported[&format!("{query}.weight")] - &begun[&format!("{query}.weight")];
    assert!(change.abs().max().double_value(&[]) > 1e-4);
    let inspected = succeed(["inspect", text(&whole.join("model.pt")), "--verify"]);
    assert!(inspected.contains("as recorded"), "{inspected}");

    kill_and_resume(&cut, &options);
    assert_same_bits(&whole, &cut);

    let refused = run(["train", "--lora", "4", "--model", "bow"].iter().chain(&data));
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("--lora requires --pretrained with a text encoder"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn every_family_of_encoders_reads_pairs_and_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let table = folder.path().join("mails.csv");
    let texts = std::fs::read_to_string(&table).unwrap();
    for model in ["bert", "roberta", "modernbert"] {
        let encoder = encoder::write_of(model, &folder.path().join(format!("{model}-encoder")), &texts);
        let out = folder.path().join(model);
        let data = ["--data", text(&table), "--text", "subject,body", "--label", "kind", "--threads", "1"];
        let own = ["--pretrained", text(&encoder), "--max-length", "12"];
        train_once(&out, &[&data[..], &own].concat());
        assert!(accuracy(&out) > 75., "{model}: {}", accuracy(&out));
        let inspected = succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
        assert!(inspected.contains("as recorded"), "{model}: {inspected}");
        let predicted = succeed(["predict", text(&out), text(&table)]);
        assert_eq!(predicted.lines().count(), 121, "{model}");
    }
}

#[test]
fn blocks_that_are_computed_again_in_the_backward_pass_learn_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let own = ["--recipe", "none", "--pretrained", text(&encoder), "--epochs", "3", "--lr", "0.003"];
    let options = [&mail_options(&table)[..], &own].concat();
    let [plain, again, two] = ["plain", "again", "two"].map(|name| folder.path().join(name));
    train_once(&plain, &options);
    train_once(&again, &[&options[..], &["--gradient-checkpointing"]].concat());
    let weights = |run: &Path| weights::read(&run.join("checkpoints/last.safetensors")).unwrap();
    let (expected, found) = (weights(&plain), weights(&again));
    assert!(expected.iter().all(|(name, tensor)| *tensor == found[name]));
    // The flag may change when a run goes on.
    succeed(["train", "--resume", text(&again), "--epochs", "4", "--gradient-checkpointing", "false"]);

    // Gradients are averaged over processes as soon as a block has them. Batches of half the size are of other lengths.
    let exact = ["--model-options", "dropout=0", "--optimizer", "sgd", "--length-buckets", "false"];
    let job = ["train", "--gradient-checkpointing", "--batch-size", "16", "--out", text(&two)];
    Job::start(2, &[&job[..], &options, &exact].concat()).succeed();
    let one = folder.path().join("one");
    train_once(&one, &[&options[..], &exact].concat());
    let begun = weights::read(&encoder.join("model.safetensors")).unwrap();
    let (one, two) = (weights(&one), weights(&two));
    let name = "bert.encoder.layer.0.attention.self.query.weight";
    let largest = |tensor: tch::Tensor| tensor.abs().max().double_value(&[]);
    let (change, difference) = (largest(&one[name] - &begun[name]), largest(&one[name] - &two[name]));
    assert!(change > 0. && difference < 1e-3 * change, "{change} {difference}");

    let refused =
        run(["train", "--model", "bow", "--gradient-checkpointing"].iter().chain(&mail_options(&table)));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("is for the transformers of texts"), "{}", stderr(&refused));
}

#[test]
fn an_encoder_of_the_hub_brings_its_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let files = ["config.json", "tokenizer.json", "model.safetensors"];
    let files = files.map(|name| (name, std::fs::read(encoder.join(name)).unwrap()));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    let name = "sentence-transformers/tiny";
    let hub = Hub::start(name, &files);
    let [local, remote] = ["local", "remote"].map(|name| folder.path().join(name));
    let home = folder.path().join("home");
    let train = |pretrained: &str, out: &Path| {
        let mut command = cresset();
        connect(&mut command, &hub.endpoint(), &home).env("XDG_CACHE_HOME", &home);
        command.args(["train", "--pretrained", pretrained, "--out", text(out)]).args(mail_options(&table));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    train(text(&encoder), &local);
    train(name, &remote);
    let config = std::fs::read_to_string(remote.join("config.toml")).unwrap();
    assert!(config.contains(&format!("pretrained = \"hf:{name}@{COMMIT}\"\n")), "{config}");
    assert!(remote.join("tokenizer.json").is_file());
    let head = |run: &Path| weights::read(&run.join("checkpoints/best.safetensors")).unwrap();
    let (local, remote) = (head(&local), head(&remote));
    assert_eq!(local["classifier.weight"], remote["classifier.weight"]);
    assert!(hub.requests().iter().any(|request| request.path.ends_with("tokenizer.json")));
    // The second time, everything is in the cache.
    train(name, &folder.path().join("cached"));
    assert!(!hub.requests().iter().any(|request| request.is_storage));
}

#[test]
fn a_tokenizer_that_does_not_fit_the_weights_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (table, encoder) = prepare(folder.path());
    let fails = |arguments: &[&str]| {
        let start = ["train", "--pretrained", text(&encoder)];
        let output = run(start.iter().chain(&mail_options(&table)).chain(arguments));
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let said = fails(&["--max-length", "100", "--model-options", "positions=10"]);
    assert!(said.contains("has 10 positions; use `--max-length 10`"), "{said}");
    let said = fails(&["--model", "lstm"]);
    assert!(said.contains("the weights are those of the model bert, not of `lstm`"), "{said}");
    let said = fails(&["--model-options", "depth=3"]);
    assert!(said.contains("the weights have no `bert.encoder.layer.2."), "{said}");

    let file = encoder.join("tokenizer.json");
    let json = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, json.replace("[PAD]", "[EMPTY]")).unwrap();
    let said = fails(&[]);
    assert!(said.contains("tokenizer.json: has no padding token"), "{said}");
    std::fs::write(&file, &json).unwrap();
    let config = encoder.join("config.json");
    let sizes = std::fs::read_to_string(&config).unwrap();
    let (start, _) = sizes.split_once("\"vocab_size\"").unwrap();
    std::fs::write(&config, format!("{start}\"vocab_size\": 50}}")).unwrap();
    let said = fails(&[]);
    assert!(said.contains("ids, but the weights have vectors of 50"), "{said}");
    std::fs::write(&config, sizes.replace("bert", "gpt2")).unwrap();
    let said = fails(&[]);
    assert!(said.contains("a model of the type `gpt2`, which is not available"), "{said}");
    std::fs::write(&config, &sizes).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = fails(&[]);
    assert!(said.contains("there is no tokenizer.json or vocab.txt beside it"), "{said}");
}
