//! Tables whose rows are streamed from a file.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::support::job::{Job, send, wait_for};
use crate::support::{assert_same_bits, cresset, stderr, text};

/// A table of numbers and categories, some missing, and a label that depends on them; more rows than are shuffled together.
fn write_table(folder: &Path, rows: usize) -> PathBuf {
    let line = |row: usize| {
        let random = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let (size, color, city) = (random % 97, random / 97 % 3, random / 300 % 120);
        let label = if size > 40 + 20 * color { "yes" } else { "no" };
        let size = if row % 31 == 7 { String::new() } else { size.to_string() };
        format!("{size},{},city {city},{}.5,{label}\n", ["red", "green", "blue"][color as usize], random % 11)
    };
    let path = folder.join("table.csv");
    let text = "size,color,city,weight,label\n".to_string() + &(0..rows).map(line).collect::<String>();
    std::fs::write(&path, text).unwrap();
    path
}

fn train(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = cresset();
    command.arg("train").args(arguments).env("XDG_CACHE_HOME", folder.join("cache"));
    command.output().unwrap()
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = train(folder, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The losses and accuracies of the last epoch.
fn figures(run: &Path) -> Vec<f64> {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    metrics.lines().last().unwrap().split(',').take(6).map(|cell| cell.parse().unwrap()).collect()
}

fn preprocessing(run: &Path) -> serde_json::Value {
    let metadata = cresset::predict::metadata(&run.join("model.pt")).unwrap();
    serde_json::to_value(&metadata.preprocessing).unwrap()
}

const OPTIONS: [&str; 8] =
    ["--recipe", "none", "--epochs", "3", "--batch-size", "256", "--normalization", "quantiles"];

#[test]
fn rows_from_a_file_train_as_those_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 6000);
    let (memory, file) = (folder.path().join("memory"), folder.path().join("file"));
    let base = [&["--data", text(&table)], &OPTIONS[..]].concat();
    let said = succeed(folder.path(), &[&base[..], &["--stream", "never", "--out", text(&memory)]].concat());
    assert!(!said.contains("\nstream "), "{said}");
    let said = succeed(folder.path(), &[&base[..], &["--stream", "always", "--out", text(&file)]].concat());
    assert!(said.contains("\nstream  the rows are read from a file of "), "{said}");
    let read = |run: &Path| std::fs::read_to_string(run.join("split.csv")).unwrap();
    assert_eq!(read(&memory), read(&file));
    // The rows are few enough for exact quantiles.
    assert_eq!(preprocessing(&memory), preprocessing(&file));
    for (memory, file) in figures(&memory).iter().zip(figures(&file)) {
        assert!((memory - file).abs() < 0.03, "{memory} and {file}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_also_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    // More blocks than are shuffled together.
    let table = write_table(folder.path(), 150_000);
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let options = ["--recipe", "none", "--batch-size", "512", "--epochs", "8", "--stream", "always"];
    let base = [&["--data", text(&table), "--model-options", "width=8"], &options[..]].concat();
    for out in [&first, &second] {
        succeed(folder.path(), &[&base[..], &["--out", text(out)]].concat());
    }
    assert_same_bits(&first, &second);

    let mut command = cresset();
    command.arg("train").args(&base).args(["--out", text(&third)]);
    command.env("XDG_CACHE_HOME", folder.path().join("cache")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&third.join("checkpoints/last.safetensors"), &mut child);
    // Into the second epoch, with six more that the interruption may take to arrive.
    std::thread::sleep(Duration::from_millis(20));
    send("-INT", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let config = std::fs::read_to_string(third.join("config.toml")).unwrap();
    assert!(config.contains("stream = \"always\""), "{config}");
    succeed(folder.path(), &["--resume", text(&third)]);
    assert_same_bits(&first, &third);
}

#[test]
fn two_processes_take_disjoint_parts_of_each_batch() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 5000);
    let (alone, together) = (folder.path().join("alone"), folder.path().join("together"));
    let base = [
        "--data",
        text(&table),
        "--recipe",
        "none",
        "--epochs",
        "1",
        "--optimizer",
        "sgd",
        "--stream",
        "always",
    ];
    succeed(folder.path(), &[&base[..], &["--batch-size", "128", "--out", text(&alone)]].concat());
    let job = [&["train"], &base[..], &["--batch-size", "64", "--out", text(&together)]].concat();
    Job::start(2, &job).succeed();
    for (alone, together) in figures(&alone).iter().zip(figures(&together)) {
        assert!((alone - together).abs() < 1e-4, "{alone} and {together}");
    }
}

#[test]
fn a_table_larger_than_the_limit_is_streamed_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 4000);
    let run = folder.path().join("run");
    let base = [&["--data", text(&table)], &OPTIONS[..], &["--out", text(&run)]].concat();
    // A thousandth of a GiB.
    let said = succeed(folder.path(), &[&base[..], &["--max-memory", "0.001"]].concat());
    assert!(said.contains("\nstream "), "{said}");
    let output = cresset().args(["eval", text(&run), text(&table)]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let mut command = cresset();
    command.args(["report", text(&run)]).env("XDG_CACHE_HOME", folder.path().join("cache"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_streamed_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let table = write_table(folder.path(), 300);
    let base = ["--data", text(&table), "--stream", "always", "--recipe", "none"];
    for (options, named) in [
        (&["--bag", "3"][..], "--bag"),
        (&["--group", "city"], "--group"),
        (&["--sampling", "balanced"], "--sampling"),
        (&["--task", "multilabel"], "--task multilabel"),
    ] {
        let output = train(folder.path(), &[&base[..], options].concat());
        assert_eq!(output.status.code(), Some(2), "{named}");
        let said = stderr(&output);
        assert!(said.contains(named) && said.contains("--stream never"), "{said}");
    }
    let output = train(folder.path(), &["--data", "iris", "--stream", "always"]);
    assert!(stderr(&output).contains("--stream always works only for tables"), "{}", stderr(&output));
}
