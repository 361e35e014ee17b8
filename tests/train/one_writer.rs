//! Two processes that want to write into one run, and what a run says when it is over.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::job::{epochs, kill, wait_for};
use crate::support::{self, cresset, run, stderr, succeed, text};

/// A training that takes longer than the test, under way.
fn endless(out: &Path) -> Child {
    let arguments = ["train", "--epochs", "100000", "--out", text(out)];
    let mut child = cresset().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&out.join("checkpoints/best.safetensors"), &mut child);
    child
}

#[test]
fn a_second_writer_is_rejected_with_the_first_ones_name_and_a_killed_one_leaves_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (out, done) = (folder.path().join("run"), folder.path().join("done"));
    succeed(["train", "--epochs", "1", "--out", text(&done)]);
    assert!(!done.join(".lock").exists());
    let mut child = endless(&out);
    let config = std::fs::read(out.join("config.toml")).unwrap();
    let snapshot = out.join("snapshot.pt");
    for arguments in [
        vec!["train", "--resume", text(&out), "--epochs", "100001"],
        vec!["train", "--out", text(&out)],
        vec!["train", "--continue", "--out", text(&out), "--epochs", "100000"],
        vec!["export", text(&out), "--output", text(&snapshot)],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        let who = format!("process {} ", child.id());
        assert!(stderr(&output).contains(&who), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("is writing to this folder"), "{}", stderr(&output));
    }
    assert!(std::fs::read(out.join("config.toml")).unwrap() == config && !snapshot.exists());
    assert!(child.try_wait().unwrap().is_none(), "the first one goes on");
    // Elsewhere, it may be written.
    succeed(["export", text(&out), "--output", text(&folder.path().join("snapshot.pt"))]);

    kill(&mut child);
    let epochs = epochs(&out).len() + 1;
    let output = run(["train", "--resume", text(&out), "--epochs", &epochs.to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!out.join(".lock").exists());
}

#[test]
fn resuming_a_finished_run_needs_more_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    succeed(["train", "--epochs", "4", "--out", text(&out)]);
    let before = (support::bits(&out), std::fs::read(out.join("config.toml")).unwrap());
    let fewer = run(["train", "--resume", text(&out), "--epochs", "2"]);
    assert_eq!(fewer.status.code(), Some(2), "{}", stderr(&fewer));
    assert!(stderr(&fewer).contains("--epochs 2 is less than the 4 finished epochs"), "{}", stderr(&fewer));
    for same in
        [vec!["train", "--resume", text(&out)], vec!["train", "--resume", text(&out), "--epochs", "4"]]
    {
        let said = succeed(same);
        assert!(said.contains("the run is finished (all 4 epochs are complete)"), "{said}");
        assert!(said.contains("--epochs N, with N above 4"), "{said}");
    }
    assert!(before == (support::bits(&out), std::fs::read(out.join("config.toml")).unwrap()));
    // The model may be of fewer epochs, if training was killed before it was exported.
    let model = std::fs::File::options().write(true).open(out.join("model.pt")).unwrap();
    model.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(succeed(["train", "--resume", text(&out)]).contains("written to"));
    // Without its model, it is not finished.
    std::fs::remove_file(out.join("model.pt")).unwrap();
    assert!(succeed(["train", "--resume", text(&out)]).contains("written to"));
    assert!(before.0 == support::bits(&out));
}

#[test]
fn the_reason_for_the_end_of_training_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("patience");
    let options = ["--recipe", "none", "--data", "iris", "--lr", "0.1", "--patience", "2", "--epochs", "500"];
    let said = succeed([&["train", "--out", text(&out)], &options[..]].concat());
    let reason = "stopped early: no improvement of the validation loss for 2 epochs; best epoch ";
    assert!(said.contains(reason), "{said}");
    let again = succeed(["train", "--resume", text(&out)]);
    assert!(again.contains("the run is finished (stopped early: no improvement"), "{again}");
    let out = folder.path().join("minutes");
    let said = succeed(["train", "--out", text(&out), "--max-minutes", "0.0001", "--epochs", "100000"]);
    assert!(said.contains("stopped early: reached --max-minutes 0.0001 in epoch "), "{said}");
    let out = folder.path().join("diverged");
    let output = run(["train", "--out", text(&out), "--lr", "1000", "--epochs", "3"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("training diverged: ") && said.contains("lower --lr (it was 1000)"), "{said}");
    let out = folder.path().join("constant");
    let said = succeed(["train", "--out", text(&out), "--lr", "1e-9", "--epochs", "1", "--seed", "3"]);
    assert!(!said.contains("diverged"), "{said}");
}
