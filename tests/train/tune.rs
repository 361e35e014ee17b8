//! Searches for better options.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::job::{kill, send, wait_for};
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text};

const RANDOM: &str = r#"
[run]
data = "iris"
epochs = 4
threads = 1
device = "cpu"

[space]
lr = { log_uniform = [1e-4, 1e-1] }
batch_size = { choice = [8, 16] }

[tune]
trials = 4
"#;

const HALVING: &str = r#"
[run]
data = "digits"
schedule = "cosine"
threads = 1
device = "cpu"

[space]
lr = { log_uniform = [1e-4, 1e-1] }
model_options.width = { log_integer = [8, 256] }

[tune]
method = "halving"
trials = 9
max_epochs = 9
metric = "accuracy"
"#;

fn space(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("space.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn rows(search: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(search.join("trials.csv")).unwrap();
    reader.records().map(|row| row.unwrap().iter().map(String::from).collect()).collect()
}

fn start(space: &Path, out: &Path) -> Child {
    cresset()
        .args(["tune", text(space), "--out", text(out)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_random_search_keeps_the_best_trial_and_prints_the_command_to_retrain_it() {
    let folder = tempfile::tempdir().unwrap();
    let (space, out) = (space(folder.path(), RANDOM), folder.path().join("search"));
    let shown = succeed(["tune", text(&space), "--out", text(&out)]);
    let rows = rows(&out);
    assert!(rows.len() == 4 && rows.iter().all(|row| row[1] == "complete" && row[2] == "4"), "{rows:?}");
    let loss = |row: &Vec<String>| row[4].parse::<f64>().unwrap();
    let best = rows.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    assert!(shown.contains(&format!("best       trial {}:", best[0])), "{shown}");
    let command = format!("cresset train --config {}/best.toml", out.display());
    assert!(shown.contains(&command), "{shown}");

    let again = folder.path().join("again");
    succeed(["train", "--config", text(&out.join("best.toml")), "--out", text(&again)]);
    assert_same_bits(&again, &out.join(format!("trial-{}", best[0])));
    // The same command once more has nothing left to do.
    let models = || std::fs::metadata(out.join("trial-1/model.pt")).unwrap().modified().unwrap();
    let before = models();
    succeed(["tune", text(&space), "--out", text(&out)]);
    assert_eq!(models(), before);
    let listed = succeed(["runs", text(&out), "--best", "loss", "--format", "csv", "--columns", "name"]);
    assert_eq!(listed, format!("name\ntrial-{}\n", best[0]));
}

#[test]
fn halving_continues_the_best_trials_bit_identically_to_a_full_run() {
    let folder = tempfile::tempdir().unwrap();
    let (space, out) = (space(folder.path(), HALVING), folder.path().join("search"));
    succeed(["tune", text(&space), "--out", text(&out)]);
    let rows = rows(&out);
    let with_epochs = |epochs: &str| rows.iter().filter(|row| row[2] == epochs).count();
    assert_eq!((with_epochs("1"), with_epochs("3"), with_epochs("9")), (6, 2, 1));
    assert_eq!(rows.iter().filter(|row| row[1] == "complete").count(), 1);
    // Those that went on were the best after the first epoch.
    let accuracy_after_1 = |row: &Vec<String>| {
        let log = out.join(format!("trial-{}/metrics.csv", row[0]));
        cresset::train::MetricsLog::read(&log).unwrap()[0].validation_accuracy
    };
    let (given_up, going): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[2] == "1");
    let worst = going.iter().map(|row| accuracy_after_1(row)).fold(1., f64::min);
    assert!(given_up.iter().all(|row| accuracy_after_1(row) <= worst), "{rows:?}");

    let winner = rows.iter().find(|row| row[1] == "complete").unwrap();
    let again = folder.path().join("again");
    succeed(["train", "--config", text(&out.join("best.toml")), "--out", text(&again)]);
    assert_same_bits(&again, &out.join(format!("trial-{}", winner[0])));
}

#[test]
fn a_trial_that_failed_late_is_not_replaced_by_a_pruned_one() {
    let folder = tempfile::tempdir().unwrap();
    let (space, out) = (space(folder.path(), HALVING), folder.path().join("search"));
    succeed(["tune", text(&space), "--out", text(&out)]);
    let before = rows(&out);
    let late = before.iter().find(|row| row[2] == "3").unwrap();
    std::fs::write(out.join(format!("trial-{}/failed.txt", late[0])), "the loss is no number").unwrap();
    succeed(["tune", "--resume", text(&out)]);
    let epochs = |rows: &[Vec<String>]| rows.iter().map(|row| row[2].clone()).collect::<Vec<_>>();
    assert_eq!(epochs(&rows(&out)), epochs(&before));
    assert_eq!(rows(&out).iter().filter(|row| row[1] == "failed").count(), 1);
}

#[test]
fn a_search_killed_at_any_time_resumes_bit_identically() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path(), HALVING);
    let (whole, out) = (folder.path().join("whole"), folder.path().join("killed"));
    succeed(["tune", text(&space), "--out", text(&whole)]);
    let mut child = start(&space, &out);
    wait_for(&out.join("trial-1/checkpoints/last.safetensors"), &mut child);
    let mut kills = 0;
    for pause in [0, 31, 7, 113, 2, 59, 211, 17] {
        std::thread::sleep(Duration::from_millis(pause));
        kills += usize::from(kill(&mut child));
        child = start(&space, &out);
        wait_for_lock(&out, &mut child);
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(kills >= 3, "only {kills} kills hit a search under way");
    assert_eq!(rows(&out), rows(&whole));
    for row in rows(&whole) {
        let file = |search: &Path, name: &str| {
            std::fs::read(search.join(format!("trial-{}", row[0])).join(name)).ok()
        };
        for name in ["checkpoints/last.safetensors", "checkpoints/best.safetensors", "model.pt", "split.csv"]
        {
            assert!(file(&out, name) == file(&whole, name), "{name} of trial {} differs", row[0]);
        }
    }
}

/// Waits until the search is worked on, or done.
fn wait_for_lock(out: &Path, child: &mut Child) {
    let begun = Instant::now();
    let is_locked = || std::fs::File::open(out).unwrap().try_lock().is_err();
    while !is_locked() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the search was not gone on with");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_interrupted_search_prints_how_to_resume_and_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path(), &HALVING.replace("max_epochs = 9", "max_epochs = 900"));
    let out = folder.path().join("search");
    let mut child = start(&space, &out);
    wait_for(&out.join("trial-2/checkpoints/last.safetensors"), &mut child);
    let second = run(["tune", "--resume", text(&out)]);
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("another process is running this search"), "{}", stderr(&second));
    send("-INT", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("cresset tune --resume {}", out.display())));
}

#[test]
fn a_failed_trial_is_recorded_and_the_search_continues() {
    let folder = tempfile::tempdir().unwrap();
    let text_of_space =
        RANDOM.replace("lr = { log_uniform = [1e-4, 1e-1] }", "lr = { choice = [1e30, 0.01] }");
    let (space, out) = (space(folder.path(), &text_of_space), folder.path().join("search"));
    succeed(["tune", text(&space), "--out", text(&out)]);
    let rows = rows(&out);
    let failed: Vec<_> = rows.iter().filter(|row| row[1] == "failed").collect();
    assert!(!failed.is_empty() && failed.len() < rows.len(), "{rows:?}");
    assert!(failed.iter().all(|row| row.last().unwrap().contains("loss")), "{failed:?}");
}

#[test]
fn invalid_spaces_and_folders_are_rejected_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let space = space(folder.path(), &RANDOM.replace("log_uniform", "log_unifrom"));
    let out = folder.path().join("search");
    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let problem = refused(&["tune", text(&space), "--out", text(&out)]);
    assert!(
        problem.contains("space.toml, line 9, column 8: unknown distribution `log_unifrom`; did you mean"),
        "{problem}"
    );
    std::fs::write(&space, RANDOM.replace("iris", "irises")).unwrap();
    assert!(refused(&["tune", text(&space), "--out", text(&out)]).contains("did you mean `iris`?"));
    assert!(!out.exists());
    assert!(
        refused(&["tune", "--resume", text(folder.path())])
            .contains("holds no search (it has no trials.csv)")
    );
    std::fs::write(&space, RANDOM.replace("trials = 4", "trials = 1")).unwrap();
    succeed(["tune", text(&space), "--out", text(&out)]);
    std::fs::write(&space, RANDOM.replace("trials = 4", "trials = 2")).unwrap();
    assert!(refused(&["tune", text(&space), "--out", text(&out)]).contains("the search of another space"));
}
