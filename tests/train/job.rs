//! Training, as a user sees it.

use std::path::Path;

use crate::support::{self, assert_same_bits, bits, cresset, run, stderr, succeed, text};

#[test]
fn the_default_command_writes_a_complete_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let printed = succeed(["train", "--out", text(&out)]);
    for expected in [
        "1,797 rows of 1×8×8, values 0–16, 10 classes; 1,438 for training, 359 for validation",
        "mlp: 9,610 parameters",
        "validation accuracy  9",
        "cresset report",
        "cresset predict",
    ] {
        assert!(printed.contains(expected), "{expected} is not in\n{printed}");
    }
    let rows = support::root().join("data/digits.csv");
    let predicted = succeed(["predict", text(&out), text(&rows)]);
    assert_eq!(predicted.lines().count(), 1_798);
    assert_eq!(predicted, succeed(["predict", text(&out.join("model.pt")), text(&rows)]));

    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    assert_eq!(metrics.lines().count(), 11);
    assert!(
        metrics.starts_with("epoch,train_loss,train_accuracy,held_out_loss,held_out_accuracy,lr,seconds\n1,")
    );
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    let options =
        ["data = \"digits\"", "model = \"mlp\"", "epochs = 10", "batch_size = 32", "lr = 0.001", "seed = 0"];
    for option in
        options.iter().chain(&["optimizer = \"adam\"", "device = \"auto\"", "data_sha256 = \"6ebb3d2f"])
    {
        assert!(config.contains(option), "{option} is not in\n{config}");
    }
    assert_eq!(std::fs::read_to_string(out.join("split.csv")).unwrap().lines().count(), 1798);
    let left = out.read_dir().unwrap().count() + out.join("checkpoints").read_dir().unwrap().count();
    assert_eq!(left, 5 + 2, "nothing half-written is left");
}

#[test]
fn the_same_seed_is_bit_identical_and_another_seed_differs() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    for (name, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        succeed(["train", "--epochs", "3", "--threads", "2", "--seed", seed, "--out", text(&out(name))]);
    }
    assert_same_bits(&out("a"), &out("b"));
    assert!(bits(&out("a")).iter().zip(bits(&out("c"))).all(|(a, c)| a.1 != c.1));
}

#[test]
fn a_run_is_reproducible_from_its_config() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    succeed([
        "train",
        "--epochs",
        "2",
        "--lr",
        "0.01",
        "--optimizer",
        "sgd",
        "--validation",
        "0.3",
        "--out",
        text(&first),
    ]);
    succeed(["train", "--config", text(&first.join("config.toml")), "--out", text(&second)]);
    assert_same_bits(&first, &second);
}

#[test]
fn the_command_line_overrides_the_run_file_which_overrides_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("run.toml"), folder.path().join("run"));
    std::fs::write(&file, "epochs = 2\nbatch_size = 64\n").unwrap();
    succeed(["train", "--config", text(&file), "--epochs", "1", "--out", text(&out)]);
    let config = std::fs::read_to_string(out.join("config.toml")).unwrap();
    for option in ["epochs = 1\n", "batch_size = 64\n", "lr = 0.001\n"] {
        assert!(config.contains(option), "{option} is not in\n{config}");
    }
}

#[test]
fn a_table_with_a_header_and_named_classes_trains() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("pets.csv"), folder.path().join("run"));
    // Features of very different size, which standardisation makes equal.
    let row = |i: usize| match i % 2 {
        0 => format!("{},{},cat\n", 4000 + i % 7, 0.001 * (i % 5) as f64),
        _ => format!("{},{},dog\n", 4010 + i % 7, 0.001 * (3 + i % 5) as f64),
    };
    let rows: String = std::iter::once("weight,height,kind\n".to_string()).chain((0..200).map(row)).collect();
    std::fs::write(&file, rows).unwrap();
    let printed =
        succeed(["train", "--data", text(&file), "--epochs", "30", "--lr", "0.01", "--out", text(&out)]);
    assert!(printed.contains("validation accuracy  100.00 %"), "{printed}");
    let predicted = succeed(["predict", text(&out.join("model.pt")), text(&file)]);
    assert!(predicted.lines().nth(1).unwrap().contains(":2,cat,"), "{predicted}");
}

#[test]
fn runs_without_a_name_are_numbered_and_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = support::root().join("data/digits.csv");
    let start = || {
        let mut command = cresset();
        command.args(["train", "--epochs", "1", "--data", text(&data)]).current_dir(folder.path());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let started = [start(), start(), start()];
    assert!(started.map(|mut child| child.wait().unwrap().success()).iter().all(|well| *well));
    for number in 1..=3 {
        assert!(folder.path().join(format!("runs/digits-tabm-{number}/model.pt")).is_file());
    }
}

#[test]
fn the_program_runs_with_no_environment_variable_and_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        cresset().args(["train", "--epochs", "1"]).env_clear().current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.path().join("runs/digits-mlp-1/model.pt").is_file());
}

#[test]
fn logs_are_silent_by_default_and_json_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let quiet = run(["train", "--epochs", "1", "--out", text(&out("a"))]);
    assert!(stderr(&quiet).lines().all(|line| line.starts_with("epoch ")), "{}", stderr(&quiet));
    let output = run(["train", "--epochs", "1", "-v", "--log-format", "json", "--out", text(&out("b"))]);
    let stderr = stderr(&output);
    let logs: Vec<serde_json::Value> = stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(logs.iter().any(|log| log["fields"]["message"] == "exported the model"), "{stderr}");
    let logged = |filter: &str| {
        let arguments = ["train", "--epochs", "1", "-v", "--out", text(&out(filter))].map(String::from);
        cresset().args(arguments).env("RUST_LOG", filter).output().unwrap()
    };
    let output = logged("cresset=error");
    assert!(!self::stderr(&output).contains("exported the model"), "{}", self::stderr(&output));
    let output = logged("warn,cresset::run=info");
    assert!(self::stderr(&output).contains("exported the model"), "{}", self::stderr(&output));
}

#[test]
fn a_diverged_loss_is_reported_and_the_last_good_checkpoint_kept() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(["train", "--optimizer", "sgd", "--lr", "1e30", "--out", text(&out)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let says = stderr(&output);
    for part in ["epoch 1, step 2 (learning rate 1.000e30, gradient norm", "the weights have grown too large"]
    {
        assert!(says.contains(part), "{says}");
    }
    let kept = out.join("checkpoints/last.safetensors");
    assert!(says.contains(text(&kept)) && kept.is_file(), "{says}");
    assert!(!Path::new(&out.join("model.pt")).exists());
}

#[test]
fn doctor_finds_libtorch_and_the_digits() {
    let printed = succeed(["doctor"]);
    assert!(printed.contains("ok     libtorch      2.11.0 in "), "{printed}");
    assert!(printed.contains("ok     digits"), "{printed}");
}
