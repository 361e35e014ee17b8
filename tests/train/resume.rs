//! Runs that are interrupted, killed and gone on with.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::job::{kill, send, wait_for};
use crate::support::{self, assert_same_bits, cresset, run, stderr, succeed, text, train_once};

const EPOCHS: &str = "600";

fn start(arguments: &[&str]) -> Child {
    cresset().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A run that nothing disturbs, to compare with.
fn undisturbed(folder: &Path) -> std::path::PathBuf {
    let out = folder.join("undisturbed");
    train_once(&out, &["--epochs", EPOCHS]);
    out
}

#[test]
fn an_interrupted_run_saves_and_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-INT", "-TERM"] {
        let out = folder.path().join(format!("run{signal}"));
        let mut child = start(&["train", "--epochs", EPOCHS, "--out", text(&out)]);
        wait_for(&out.join("checkpoints/last.safetensors"), &mut child);
        std::thread::sleep(Duration::from_millis(37));
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        let hint = format!("cresset train --resume {}", out.display());
        assert!(
            stderr(&output).contains(&hint) && stderr(&output).contains("the state is saved"),
            "{}",
            stderr(&output)
        );

        succeed(["train", "--resume", text(&out)]);
        assert_same_bits(&out, &undisturbed(&folder.path().join(signal)));
        assert_eq!(std::fs::read_to_string(out.join("metrics.csv")).unwrap().lines().count(), 601);
    }
}

#[test]
fn a_run_killed_at_any_time_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut child = start(&["train", "--epochs", EPOCHS, "--out", text(&out)]);
    wait_for(&out.join("checkpoints/last.safetensors"), &mut child);
    // Moments that fall into steps, evaluations and writes alike.
    let mut kills = 0;
    for pause in [0, 3, 13, 29, 2, 41, 5, 1, 17, 8, 23, 0, 11, 6, 31, 4, 19, 9, 2, 14] {
        std::thread::sleep(Duration::from_millis(pause));
        kills += usize::from(kill(&mut child));
        let metrics = std::fs::metadata(out.join("metrics.csv")).unwrap().len();
        child = start(&["train", "--resume", text(&out)]);
        // It is under way again once it has written an epoch more.
        let begun = Instant::now();
        while std::fs::metadata(out.join("metrics.csv")).unwrap().len() <= metrics {
            assert!(begun.elapsed() < Duration::from_secs(60), "the resumed run wrote no epoch");
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(kills >= 20, "only {kills} kills hit a living run");
    assert_same_bits(&out, &undisturbed(folder.path()));
    let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let epochs: Vec<_> =
        metrics.lines().skip(1).map(|line| line.split(',').next().unwrap().to_string()).collect();
    assert_eq!(epochs, (1..=600).map(|epoch| epoch.to_string()).collect::<Vec<_>>());
    let partial = |path: &Path| {
        path.read_dir().unwrap().any(|e| e.unwrap().file_name().to_string_lossy().starts_with('.'))
    };
    assert!(!partial(&out) && !partial(&out.join("checkpoints")), "something half-written is left");
}

#[test]
fn runs_with_each_later_optimizer_and_schedule_are_killed_and_resume_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    for (optimizer, schedule, options) in [
        ("lion", "cosine-restarts", "cycle=7,growth=1.5"),
        ("lamb", "wsd", "decay=0.5"),
        ("adan", "cosine-restarts", "cycle=30"),
        ("muon", "wsd", "root=0"),
    ] {
        let out = |name: &str| folder.path().join(format!("{optimizer}-{name}"));
        let options = ["--optimizer", optimizer, "--schedule", schedule, "--schedule-options", options];
        let options = [&options[..], &["--weight-decay", "0.01", "--epochs", "300"]].concat();
        train_once(&out("whole"), &options);
        let killed = out("killed");
        let mut child = start(&[&["train", "--out", text(&killed)], &options[..]].concat());
        wait_for(&killed.join("checkpoints/last.safetensors"), &mut child);
        std::thread::sleep(Duration::from_millis(50));
        assert!(kill(&mut child), "{optimizer}: the run ended before it was killed");
        succeed(["train", "--resume", text(&killed)]);
        assert_same_bits(&killed, &out("whole"));
    }
}

#[test]
fn a_second_interrupt_ends_the_program_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("large.csv"), folder.path().join("run"));
    // One step over so many rows takes half a second, which is enough for a second signal.
    let row = |i: usize| format!("{}{}\n", format!("{},", i % 17).repeat(20), i % 2);
    std::fs::write(&file, (0..60_000).map(row).collect::<String>()).unwrap();
    let options =
        ["--recipe", "none", "--batch-size", "48000", "--model-options", "width=2048", "--epochs", "1000"];
    let arguments = [&["train", "--data", text(&file), "--out", text(&out)], &options[..]].concat();
    let mut child = start(&arguments);
    wait_for(&out.join("split.csv"), &mut child);
    send("-INT", &child);
    // Two signals at the same moment would be one.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("press Ctrl-C again to exit immediately")));
    send("-INT", &child);
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(!rest.iter().any(|line| line.contains("the state is saved")), "the step was finished: {rest:?}");
}

#[test]
fn a_complete_run_can_be_given_more_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let (out, straight) = (folder.path().join("run"), folder.path().join("straight"));
    succeed(["train", "--epochs", "3", "--out", text(&out)]);
    succeed(["train", "--resume", text(&out), "--epochs", "6"]);
    succeed(["train", "--epochs", "6", "--out", text(&straight)]);
    assert_same_bits(&out, &straight);
    assert!(std::fs::read_to_string(out.join("config.toml")).unwrap().contains("epochs = 6\n"));
}

#[test]
fn folders_that_cannot_be_resumed_are_rejected_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("d.csv"), folder.path().join("run"));
    let rows = |count: usize| (0..count).map(|i| format!("{i},{}\n", i % 2)).collect::<String>();
    std::fs::write(&data, rows(40)).unwrap();
    succeed(["train", "--data", text(&data), "--epochs", "1", "--out", text(&out)]);
    let before = support::bits(&out);
    let refuse = |arguments: &[&str], expected: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{expected} is not in {}", stderr(&output));
        assert!(support::bits(&out) == before);
    };
    refuse(&["train", "--resume", text(&out), "--lr", "0.1"], "--lr cannot be changed");
    refuse(&["train", "--resume", text(&folder.path().join("none"))], "there is no such run folder");
    refuse(&["train", "--resume", text(folder.path())], "holds no run");
    refuse(&["train", "--resume", text(&out), "--out", "x"], "cannot be used with");

    std::fs::write(&data, rows(41)).unwrap();
    refuse(&["train", "--resume", text(&out)], "the data has changed since the run");
    std::fs::write(&data, rows(40)).unwrap();

    let last = out.join("checkpoints/last.safetensors");
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() / 2]).unwrap();
    let output = run(["train", "--resume", text(&out)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("last.safetensors: not a checkpoint of cresset, or damaged"));
    std::fs::remove_file(&last).unwrap();
    let output = run(["train", "--resume", text(&out)]);
    assert!(stderr(&output).contains("no checkpoint to resume from"), "{}", stderr(&output));
}
