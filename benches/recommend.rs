//! Recommendations on MovieLens-100K, compared with models of RecBole at their defaults: NDCG@10 and recall@10 on the last choice of each
//! user, of all items; ROC-AUC and log-loss of the probability of a click, a rating of 4 or 5, on a tenth of the ratings; and seconds of an
//! epoch. `make bench-recommend` runs it; ROUNDS limits the repetitions (seeds), and PART=choices or PART=clicks runs one of the two.
//! Writes the tables of docs/recommendation.md if all rounds run.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{median, range};

const PEER: &str = "benches/peers/recommend.py";
const PAGE: &str = "docs/recommendation.md";
const ROUNDS: usize = 3;

/// The models of RecBole by their name, which is also that in the table.
const MODELS: [&str; 2] = ["BPR", "LightGCN"];

/// A training.
struct Found {
    /// On the test set.
    metrics: [f64; 2],
    /// Of an epoch with its evaluation on the validation set, the median.
    epoch_seconds: f64,
    epochs: usize,
    /// Of all epochs.
    seconds: f64,
}

fn main() {
    support::enter_checkout();
    let variable =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("`make bench-recommend` sets {name}"));
    let python = variable("CRESSET_PYTHON");
    let packages = support::python_packages(&PathBuf::from(variable("CRESSET_PYTHON_RECOMMEND")));
    let peer = || {
        let mut command = Command::new(&python);
        command.env("PYTHONPATH", &packages).env("OMP_NUM_THREADS", "1").arg(PEER);
        command
    };
    let rounds = std::env::var("ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let part = std::env::var("PART").ok();
    let parts: [(&str, Part); 2] = [("choices", rank_items), ("clicks", predict_clicks)];
    for (name, run) in parts.into_iter().filter(|(name, _)| part.as_ref().is_none_or(|part| part == name)) {
        let text = run(folder.path(), rounds, &peer);
        println!("{text}");
        if rounds == ROUNDS {
            support::write_between_marks(PAGE, &format!("bench-{name}"), &text);
        }
    }
}

/// Measures with so many seeds in a folder, beside the peer, and returns a table.
type Part = fn(&Path, usize, &dyn Fn() -> Command) -> String;

/// The table of the models that rank items.
fn rank_items(folder: &Path, rounds: usize, peer: &dyn Fn() -> Command) -> String {
    let table = folder.join("ratings.csv");
    support::seconds(peer().arg("write").arg(&table));
    let mut all: Vec<(String, Vec<Found>)> = vec![("Cresset, `two-tower`".to_string(), Vec::new())];
    all.extend(MODELS.map(|model| (format!("RecBole, {model}"), Vec::new())));
    for seed in 0..rounds {
        all[0].1.push(train(&table, seed));
        for (model, (_, found)) in MODELS.iter().zip(&mut all[1..]) {
            let arguments = [model, seed.to_string().as_str()].map(str::to_string);
            found.push(parse(&support::seconds(peer().arg("train").args(arguments).arg(folder)).1));
        }
    }
    summary(&all, ["NDCG@10", "recall@10"])
}

/// The table of the models of the probability of a click. Each seed has another split.
fn predict_clicks(folder: &Path, rounds: usize, peer: &dyn Fn() -> Command) -> String {
    let names = ["Cresset, `deepfm`", "RecBole, DeepFM"].map(str::to_string);
    let mut all = names.map(|name| (name, Vec::new()));
    for seed in 0..rounds {
        let folder = folder.join(format!("clicks-{seed}"));
        let of_peer =
            |command| support::seconds(peer().args([command, seed.to_string().as_str()]).arg(&folder)).1;
        of_peer("write-clicks");
        all[0].1.push(train_clicks(&folder, seed));
        all[1].1.push(parse(&of_peer("train-clicks")));
    }
    summary(&all, ["ROC-AUC", "log-loss"])
}

/// Trains a model of clicks with as many validation rows as RecBole has, in one thread. `dropout` was chosen by the loss on the
/// validation sets.
fn train_clicks(folder: &Path, seed: usize) -> Found {
    let out = folder.join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--label", "clicked", "--model", "deepfm", "--model-options", "dropout=0.5"]);
    command.args([
        "--validation",
        "0.1111",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--seed",
        &seed.to_string(),
    ]);
    support::seconds(command.arg("--data").arg(folder.join("train.csv")).arg("--out").arg(&out));
    let metrics = support::test_metrics(&out, &folder.join("test.csv"), ["ROC-AUC", "log-loss"]);
    with_seconds(metrics, &out)
}

/// Trains with the automatic recipe, in one thread.
fn train(table: &Path, seed: usize) -> Found {
    let out = table.with_file_name(format!("run-{seed}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["train", "--user", "user", "--item", "item", "--split", "leave-one-out:place"]);
    command.args(["--device", "cpu", "--threads", "1", "--seed", &seed.to_string(), "--data"]).arg(table);
    support::seconds(command.arg("--out").arg(&out));
    let metadata = cresset::predict::metadata(&out.join("model.pt")).expect("the run wrote its model");
    let test = metadata.metrics.test.expect("there is a test set").figures;
    let figure = |name: &str| test[name].as_f64().expect("a number");
    with_seconds([figure("NDCG@10"), figure("recall@10")], &out)
}

/// Adds the seconds of the epochs of a run.
fn with_seconds(metrics: [f64; 2], out: &Path) -> Found {
    let history = std::fs::read_to_string(out.join("metrics.csv")).expect("the run wrote its metrics");
    let mut lines = history.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let place =
        lines.next().and_then(|names| names.iter().position(|name| *name == "seconds")).expect("a column");
    let seconds: Vec<f64> = lines.map(|row| row[place].parse().expect("a number")).collect();
    Found { metrics, epoch_seconds: median(&seconds), epochs: seconds.len(), seconds: seconds.iter().sum() }
}

/// Reads the line that the peer prints last.
fn parse(printed: &str) -> Found {
    let line = printed.lines().last().expect("a line");
    let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
    let [first, second, epoch_seconds, epochs, seconds] = numbers[..] else { panic!("{line}") };
    Found { metrics: [first, second], epoch_seconds, epochs: epochs as usize, seconds }
}

/// A row for each model: the mean of the metrics with their range, and medians of the others.
fn summary(all: &[(String, Vec<Found>)], [first, second]: [&str; 2]) -> String {
    let mut text = format!(
        "| model | {first} | {second} | epoch, s | epochs | training, s |\n| --- | --- | --- | --- | --- | --- |\n"
    );
    for (name, found) in all {
        let column = |of: fn(&Found) -> f64| found.iter().map(of).collect::<Vec<f64>>();
        let metric = |of: fn(&Found) -> f64| {
            let values = column(of);
            let (least, greatest) = range(&values);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            format!("{mean:.4} ({least:.4}–{greatest:.4})")
        };
        text += &format!(
            "| {name} | {} | {} | {:.3} | {:.0} | {:.1} |\n",
            metric(|found| found.metrics[0]),
            metric(|found| found.metrics[1]),
            median(&column(|found| found.epoch_seconds)),
            median(&column(|found| found.epochs as f64)),
            median(&column(|found| found.seconds)),
        );
    }
    text
}
