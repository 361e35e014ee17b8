//! Models that learn from corrections.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::samples::{Digits, correction, inverted};
use crate::support::{self, assert_same_bits, run, stderr, succeed, text, train_once};
use cresset::feedback::{Correction, FeedbackWriter, NewInput};

const FIXED: [&str; 4] = ["--threads", "1", "--device", "cpu"];

/// A trained model of the digits.
fn trained(folder: &Path) -> PathBuf {
    let out = folder.join("run");
    train_once(&out, &[&["--epochs", "10"], &FIXED[..]].concat());
    out
}

/// A feedback set with some digits, changed by `change`, and their class changed by `label`.
fn corrections(
    folder: &Path,
    rows: std::ops::Range<usize>,
    change: fn(f32) -> f32,
    label: fn(usize) -> usize,
) {
    Digits::read().write_corrections(folder, rows, change, label);
}

fn same(class: usize) -> usize {
    class
}

/// The accuracies before and after of a line of the table, in percent.
fn accuracies(shown: &str, line: &str) -> (f64, f64) {
    let line =
        shown.lines().find(|shown| shown.starts_with(line)).unwrap_or_else(|| panic!("{line}: {shown}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let arrow = words.iter().position(|word| *word == "→").unwrap();
    (words[arrow - 1].parse().unwrap(), words[arrow + 1].parse().unwrap())
}

fn fine_tune(run: &Path, feedback: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let fixed = ["train", "--from", text(run), "--feedback", text(feedback), "--out", text(out)];
    fixed.iter().chain(&FIXED).chain(more).map(|word| word.to_string()).collect()
}

fn validation(run: &Path) -> Vec<String> {
    let split = std::fs::read_to_string(run.join("split.csv")).unwrap();
    split.lines().filter(|line| line.ends_with(",heldout")).map(String::from).collect()
}

#[test]
fn a_model_learns_inputs_of_a_new_kind_keeps_the_old_ones_and_is_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let (old, set, new) = (trained(folder.path()), folder.path().join("feedback"), folder.path().join("new"));
    corrections(&set, 0..60, inverted, same);
    let before = std::fs::read(old.join("model.pt")).unwrap();
    let shown = succeed(fine_tune(&old, &set, &new, &["--promote", "--epochs", "30"]));
    assert!(shown.contains("corrections: 49 for training, ×7; 11 for validation"), "{shown}");

    let (validation_before, validation_after) = accuracies(&shown, "validation set");
    let told = |model: &Path| cresset::predict::metadata(model).unwrap();
    let accuracy = |model: &Path| 100. * told(model).metrics.validation["accuracy"].as_f64().unwrap();
    assert!((validation_after - accuracy(&new.join("model.pt"))).abs() < 0.01, "{shown}");
    assert!(validation_after > validation_before - 1., "{shown}");
    let (kept_before, kept_after) = accuracies(&shown, "corrections, validation");
    assert!(kept_before < 40. && kept_after > kept_before + 30., "{shown}");
    assert!(accuracies(&shown, "corrections, training").1 > 95., "{shown}");

    // What the corrections gained is shown beside what as many epochs without them did.
    let control = shown.split("control (trained equally long without corrections)").nth(1).unwrap();
    let (control_kept, _) = accuracies(control, "corrections, validation");
    assert!(control_kept < 40., "{shown}");
    assert!(new.join("control/model.pt").is_file());

    // Classes, preprocessing and validation rows are those of the old run.
    assert!(shown.contains("promoted: "), "{shown}");
    assert_eq!(validation(&new), validation(&old));
    assert_eq!(std::fs::read(old.join("model.previous.pt")).unwrap(), before);
    assert_eq!(std::fs::read(old.join("model.pt")).unwrap(), std::fs::read(new.join("model.pt")).unwrap());
    let (previous, promoted) = (told(&old.join("model.previous.pt")), told(&old.join("model.pt")));
    assert_eq!((previous.classes, previous.preprocessing), (promoted.classes, promoted.preprocessing));
    let split = std::fs::read_to_string(new.join("split.csv")).unwrap();
    assert_eq!(split.matches(",feedback").count(), 11);
    assert_eq!(split.matches("feedback/c0,train").count(), 1);
}

#[test]
fn harmful_corrections_are_refused_and_no_model_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (old, set, new) = (trained(folder.path()), folder.path().join("feedback"), folder.path().join("new"));
    corrections(&set, 0..900, |value| value, |class| (class + 1) % 10);
    let before = std::fs::read(old.join("model.pt")).unwrap();
    // Nearly all contradict the examples around them, and the others harm the model.
    let refuse = |out: &Path, more: &[&str]| {
        let output = run(fine_tune(&old, &set, out, &[&["--promote"], more].concat()));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        (stderr(&output), output.stdout)
    };
    let (problem, _) = refuse(&folder.path().join("reviewed"), &["--epochs", "3"]);
    assert!(problem.contains("more corrections wait for a second opinion"), "{problem}");
    let events = ["--events", "json"];
    let (problem, stdout) =
        refuse(&new, &[&["--feedback-weight", "5", "--accept-contradictions"], &events[..]].concat());
    assert!(!problem.contains("second opinion"), "{problem}");
    assert!(problem.contains("not promoted: ") && problem.contains("McNemar's test at 5 %"), "{problem}");
    assert_eq!(std::fs::read(old.join("model.pt")).unwrap(), before);
    assert!(!old.join("model.previous.pt").exists() && new.join("model.pt").is_file());

    let events: Vec<Value> =
        String::from_utf8(stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names = ["finished", "compared", "promotion"];
    let [finished, compared, promotion] =
        names.map(|name| events.iter().find(|event| event["event"] == name).unwrap());
    assert_eq!(finished["run"], text(&new));
    let right = &compared["validation"]["correct"];
    assert!(right["before"].as_u64() > right["after"].as_u64(), "{compared}");
    assert!(compared["validation"]["p"].as_f64().unwrap() < 0.05, "{compared}");
    assert_eq!((&promotion["promoted"], &promotion["sha256"]), (&false.into(), &Value::Null));
    let objections = promotion["objections"].as_array().unwrap();
    assert!(!objections.is_empty() && objections.iter().all(|text| problem.contains(text.as_str().unwrap())));
}

/// A drawn 1 that somebody took for a 7, among corrections that are right.
#[test]
fn a_correction_that_contradicts_the_training_data_waits_until_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (old, set) = (trained(folder.path()), folder.path().join("feedback"));
    let stroke: Vec<f32> = (0..64).map(|pixel| if matches!(pixel % 8, 3 | 4) { 15. } else { 0. }).collect();
    let writer = FeedbackWriter::new(&set).unwrap();
    let add = |id: &str| {
        let fill = |input| correction(id, input, 7);
        writer.add(NewInput::Values(&stroke), fill, id).unwrap();
    };
    add("wrong");
    let before = std::fs::read(old.join("model.pt")).unwrap();
    let out = |name: &str| folder.path().join(name);
    let output = run(fine_tune(&old, &set, &out("alone"), &["--promote", "--epochs", "1"]));
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let problem = stderr(&output);
    for words in [
        "`wrong` to `7` waits for a second opinion: its 5 nearest training examples are all `1`",
        "--accept-contradictions",
    ] {
        assert!(problem.contains(words), "{problem}");
    }
    assert_eq!(std::fs::read(old.join("model.pt")).unwrap(), before);
    assert!(!out("alone").exists());

    corrections(&set, 0..6, inverted, same);
    let shown = |name: &str, more: &[&str]| {
        succeed(fine_tune(&old, &set, &out(name), &[&["--epochs", "1"], more].concat()))
    };
    let one_waits = shown("waits", &[]);
    assert!(
        one_waits.contains("corrections: 6 for training, ×50; 1 waiting for a second opinion"),
        "{one_waits}"
    );
    let config = std::fs::read_to_string(out("waits").join("config.toml")).unwrap();
    assert!(config.contains("accept_contradictions = false"), "{config}");
    let accepted = shown("accepted", &["--accept-contradictions"]);
    assert!(accepted.contains("corrections: 7 for training, ×50\n"), "{accepted}");
    add("again");
    let confirmed = shown("confirmed", &[]);
    assert!(confirmed.contains("corrections: 7 for training, ×50\n"), "{confirmed}");
    // The runs find what they trained on again.
    for name in ["waits", "accepted"] {
        succeed(["eval", text(&out(name))]);
        succeed(["train", "--resume", text(&out(name)), "--epochs", "2"]);
    }
}

#[test]
fn a_few_corrections_are_all_learned() {
    let folder = tempfile::tempdir().unwrap();
    let (old, set, new) = (trained(folder.path()), folder.path().join("feedback"), folder.path().join("new"));
    corrections(&set, 100..104, inverted, same);
    let shown = succeed(fine_tune(&old, &set, &new, &["--epochs", "20"]));
    assert!(shown.contains("corrections: 4 for training, ×50\n"), "{shown}");
    assert!(!shown.contains("corrections, validation") && !shown.contains("promoted"), "{shown}");
    assert_eq!(accuracies(&shown, "corrections, training").1, 100., "{shown}");
}

#[test]
fn a_resumed_run_reads_the_same_corrections_from_a_larger_set() {
    let folder = tempfile::tempdir().unwrap();
    let (old, set) = (trained(folder.path()), folder.path().join("feedback"));
    corrections(&set, 0..20, inverted, same);
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    succeed(fine_tune(&old, &set, &whole, &["--epochs", "4"]));
    succeed(fine_tune(&old, &set, &stopped, &["--epochs", "2"]));
    corrections(&set, 20..30, inverted, same);
    succeed(["train", "--resume", text(&stopped), "--epochs", "4"]);
    assert_same_bits(&whole, &stopped);
    succeed(["eval", text(&whole)]);
    // More corrections were added, but none may be changed.
    let log = set.join("feedback.jsonl");
    let lines = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, lines.replacen("\"correction\":\"0\"", "\"correction\":\"7\"", 1)).unwrap();
    let output = run(["train", "--resume", text(&whole), "--epochs", "5"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("corrections have changed"), "{}", stderr(&output));
    // What looks at the data's own rows alone needs none of them.
    std::fs::remove_dir_all(&set).unwrap();
    succeed(["eval", text(&whole)]);
    succeed(["diff", text(&old), text(&whole)]);
    let card = folder.path().join("card.md");
    succeed(["card", text(&whole), "--output", text(&card)]);
    assert!(std::fs::read_to_string(&card).unwrap().contains("In addition, 20 corrections"));
}

#[test]
fn images_can_be_corrected_and_those_of_the_validation_set_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    support::color_images(&photos, 10);
    let old = folder.path().join("run");
    succeed(
        ["train", "--data", text(&photos), "--model", "cnn", "--epochs", "1", "--out", text(&old)]
            .iter()
            .chain(&FIXED),
    );
    let set = folder.path().join("feedback");
    let writer = FeedbackWriter::new(&set).unwrap();
    let add = |id: &str, bytes: &[u8], class: &str| {
        let fill = |input| Correction { correction: class.to_string(), ..correction(id, input, 0) };
        writer.add(NewInput::Image(bytes, "png"), fill, id).unwrap();
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let yellow = image::RgbImage::from_fn(50, 30, |x, y| image::Rgb([200, 200 + ((x * y) % 50) as u8, 20]));
    yellow.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    add("yellow", bytes.get_ref(), "green");
    add("broken", b"no image", "green");
    let example = validation(&old)[0].split(',').next().unwrap().to_string();
    add("heldout", &std::fs::read(photos.join(&example)).unwrap(), "blue");
    let new = folder.path().join("new");
    let output = run(fine_tune(&old, &set, &new, &["--epochs", "2"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let (shown, warned) = (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output));
    assert!(shown.contains("corrections: 1 for training"), "{shown}");
    assert!(warned.contains("`heldout`: it is an example of the validation or test set"), "{warned}");
    assert!(warned.contains("`broken`: "), "{warned}");
    assert_eq!(validation(&new), validation(&old));
}

#[test]
fn conflicting_options_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let old = trained(folder.path());
    let set = folder.path().join("feedback");
    let refused = |arguments: &[&str], says: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    };
    refused(&["train", "--from", text(&old)], "--from requires --feedback DIR");
    refused(
        &["train", "--from", text(&old), "--feedback", text(&set)],
        "there are no corrections in this file",
    );
    corrections(&set, 0..5, inverted, same);
    let both = ["train", "--from", text(&old), "--feedback", text(&set)];
    for (option, value) in [("--seed", "3"), ("--model", "cnn"), ("--validation", "0.5"), ("--data", "iris")]
    {
        refused(&[&both[..], &[option, value]].concat(), "cannot be changed with --from");
    }
    refused(&["train", "--promote"], "--from");
    refused(&["train", "--folds", "3", "--feedback", text(&set)], "does not support --feedback");
    std::fs::remove_file(old.join("model.pt")).unwrap();
    refused(&both, "the run is not finished");
}
