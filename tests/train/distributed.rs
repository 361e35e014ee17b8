//! Training in several processes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::job::{Job, epochs};
use crate::support::{self, assert_same_bits, root, run, stderr, succeed, text};
use tch::Tensor;

/// The weights of a run's last checkpoint.
fn weights(run: &Path) -> BTreeMap<String, Tensor> {
    let tensors = Tensor::read_safetensors(run.join("checkpoints/last.safetensors")).unwrap();
    tensors.into_iter().filter(|(name, _)| !name.contains('/')).collect()
}

fn assert_close(a: &Path, b: &Path, most: f64) {
    let (a, b) = (weights(a), weights(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, tensor) in &a {
        let difference = (tensor - &b[name]).abs().max().double_value(&[]);
        assert!(difference < most, "{name} differs by {difference:e}");
    }
}

/// The columns of metrics.csv but the last one, which is the time.
fn figures(run: &Path) -> Vec<Vec<f64>> {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    let row = |line: &str| line.split(',').map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>();
    metrics.lines().skip(1).map(|line| row(line)[..6].to_vec()).collect()
}

#[test]
fn processes_that_share_a_batch_match_a_single_process() {
    let folder = tempfile::tempdir().unwrap();
    // Adam makes much of gradients that are hardly more than rounding errors: by it, the same cnn with one thread and with
    // two differs by 0.02 after an epoch.
    let cnn = ["--model", "cnn", "--model-options", "dropout=0", "--sync-batch-norm", "--optimizer", "sgd"];
    let cases: [(&str, &[&str], &[_]); 3] = [
        ("mlp", &[], &[(2, "16"), (4, "8")]),
        ("cnn", &cnn, &[(2, "16"), (4, "8")]),
        ("accumulated", &["--accumulate", "4", "--optimizer", "sgd"], &[(4, "8")]),
    ];
    for (name, options, shares) in cases {
        let whole = folder.path().join(name);
        let all = ["train", "--epochs", "1", "--batch-size"];
        succeed([&all[..], &["32", "--out", text(&whole)], options].concat());
        for &(processes, share) in shares {
            let out = folder.path().join(format!("{name}-{processes}"));
            let outputs =
                Job::start(processes, &[&all[..], &[share, "--out", text(&out)], options].concat()).succeed();
            assert_close(&out, &whole, 1e-5);
            for (together, alone) in figures(&out)[0].iter().zip(&figures(&whole)[0]) {
                assert!((together - alone).abs() < 1e-5, "{name}: {together} and {alone}");
            }
            let said: Vec<_> = outputs.iter().map(|output| String::from_utf8_lossy(&output.stdout)).collect();
            assert!(said[0].contains(&format!("{processes} processes, global batch size 32")), "{}", said[0]);
            assert!(said[1..].iter().all(|said| said.is_empty()), "only the first one speaks");
        }
    }
}

/// With dropout, of which each process draws its own.
#[test]
fn a_stopped_job_saves_and_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    let arguments = |out: &Path| -> Vec<String> {
        let options =
            ["--batch-size", "16", "--model-options", "dropout=0.3", "--epochs", "40", "--continue"];
        [&["train", "--out", text(out)], &options[..]].concat().into_iter().map(String::from).collect()
    };
    Job::start_each(2, |_| arguments(&whole)).succeed();

    let mut job = Job::start_each(2, |_| arguments(&stopped));
    job.wait_until("an epoch", || epochs(&stopped).len() > 2);
    job.send("-TERM", 1);
    for output in job.end() {
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    }
    assert!(epochs(&stopped).len() < 40, "it was not stopped");
    Job::start_each(2, |_| arguments(&stopped)).succeed();
    assert_same_bits(&stopped, &whole);
}

#[test]
fn a_killed_process_ends_the_job_with_its_rank_and_another_world_size_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let start = |processes: usize, epochs: usize| {
        let options =
            ["--batch-size", "8", "--out", text(&out), "--continue", "--checkpoint-minutes", "0.001"];
        Job::start(processes, &[&["train", "--epochs", &epochs.to_string()], &options[..]].concat())
    };
    let mut job = start(3, 100_000);
    job.wait_until("an epoch", || epochs(&out).len() > 1);
    job.send("-KILL", 2);
    let outputs = job.end();
    for output in &outputs[..2] {
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(output);
        assert!(said.contains("process 2 of 3 (pid ") && said.contains("does not respond"), "{said}");
    }

    let done = epochs(&out).len();
    start(1, done + 2).succeed();
    start(2, done + 4).succeed();
    let numbers: Vec<_> = (1..=done + 4).map(|epoch| epoch.to_string()).collect();
    assert_eq!(epochs(&out), numbers);
    assert!(out.join("model.pt").is_file());
}

#[test]
fn an_error_of_one_rank_is_reported_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let iris = root().join("data/iris.csv");
    let data = |rank: usize| if rank == 1 { text(&iris).to_string() } else { "digits".to_string() };
    let out = text(&folder.path().join("run")).to_string();
    let arguments =
        |rank| ["train", "--data", &data(rank), "--out", &out].map(|word| word.to_string()).to_vec();
    let outputs = Job::start_each(3, arguments).end();
    let said: Vec<_> = outputs.iter().map(stderr).collect();
    assert!(
        said[1].contains("error: process 1 of 3: process 1 has different data than process 0"),
        "{}",
        said[1]
    );
    for said in [&said[0], &said[2]] {
        assert!(said.contains("process 1 of 3 failed: process 1 has different data"), "{said}");
    }
}

#[test]
fn a_nan_loss_is_reported_with_its_example_before_saving() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("rows.csv"), folder.path().join("run"));
    // float32 squares it to infinity.
    let value = |row: usize| if row == 101 { "3e38".to_string() } else { (row % 13).to_string() };
    let rows = (0..400).map(|row| format!("{},{},{}\n", value(row), row % 7, row % 2));
    std::fs::write(&file, rows.collect::<String>()).unwrap();
    let arguments = |on_nan| {
        let options = ["--data", text(&file), "--lr", "1e30", "--optimizer", "sgd", "--on-nan", on_nan];
        [&["train", "--batch-size", "8", "--out", text(&out)], &options[..]].concat()
    };
    let outputs = Job::start(2, &arguments("stop")).end();
    let said = outputs.iter().map(stderr).collect::<String>();
    assert!(outputs.iter().all(|output| output.status.code() == Some(1)), "{said}");
    assert!(said.contains("the loss became NaN in epoch 1, step "), "{said}");
    assert!(said.contains("The last good checkpoint was kept"), "{said}");
    let saved = weights(&out);
    assert!(saved.values().all(|tensor| tensor.isfinite().all().int64_value(&[]) == 1));
}

#[test]
fn commands_that_train_several_models_reject_distributed_jobs() {
    let outputs = Job::start(2, &["train", "--folds", "3"]).end();
    for output in &outputs {
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(output).contains("--folds trains several models"), "{}", stderr(output));
    }
    let output = run(["train", "--continue"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--out"), "{}", stderr(&output));
}

#[test]
fn a_missing_process_is_awaited_until_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = support::cresset()
        .args(["train", "--peer-timeout", "2", "--out", text(&out)])
        .envs([("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")])
        .env("MASTER_PORT", support::job::free_port().to_string())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("process 0 could not connect to the other 1 at 127.0.0.1:"), "{said}");
    assert!(said.contains("within 2 s"), "{said}");
    assert!(!out.exists());
}

/// The stand-ins for gloo's headers must stay declarations: a definition of ours would be another one than libtorch's.
#[test]
fn the_program_defines_nothing_of_gloo() {
    let symbols = |kind: &str| {
        let output =
            std::process::Command::new("nm").args(["-C", kind, env!("CARGO_BIN_EXE_cresset")]).output();
        String::from_utf8(output.expect("nm comes with the compiler").stdout).unwrap()
    };
    // The address and the kind stand before the name.
    let defined = symbols("--defined-only");
    let of_gloo = |line: &&str| {
        let name = line.splitn(3, ' ').nth(2).unwrap_or_default();
        name.starts_with("gloo::") || name.contains(" for gloo::")
    };
    assert_eq!(defined.lines().find(of_gloo), None);
    assert!(
        defined.contains("c10d::ProcessGroupGloo")
            && symbols("--undefined-only").contains("c10d::ProcessGroupGloo::")
    );
}
