//! What is reported about models that predict labels or a number.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::yaml;
use crate::support::{run, stderr, succeed, text, train_once};
use serde_json::{Value, json};

/// Noise from 0 to 1 that depends on a number alone (SplitMix64).
fn noise(number: u32) -> f64 {
    let mut bits = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A table of three columns, of which a model learns the last one, and the list of its test rows. All tests share the files, so
/// that they share a run.
fn table(name: &str, column: &str, target: fn([f64; 2], f64) -> String) -> [PathBuf; 2] {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tasks");
    std::fs::create_dir_all(&folder).unwrap();
    let row = |row: u32| {
        let inputs = [noise(3 * row + 1), noise(3 * row + 2)];
        format!("{:.4},{:.4},{}\n", inputs[0], inputs[1], target(inputs, noise(3 * row + 3)))
    };
    let rows: String = (0..300).map(row).collect();
    let paths = [folder.join(format!("{name}.csv")), folder.join(format!("{name}-test.txt"))];
    std::fs::write(&paths[0], format!("a,b,{column}\n{rows}")).unwrap();
    std::fs::write(&paths[1], (0..60).map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    paths
}

/// Labels that the inputs do not quite determine, so that there are errors.
fn labels() -> &'static [PathBuf; 2] {
    static PATHS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let target = |[a, b]: [f64; 2], noise: f64| {
        let present = [("hot", a + 0.3 * noise > 0.65), ("wet", b + 0.4 * noise > 0.7), ("big", a * b > 0.4)];
        let names: Vec<_> = present.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        names.join("|")
    };
    PATHS.get_or_init(|| table("labels", "tags", target))
}

fn values() -> &'static [PathBuf; 2] {
    static PATHS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let target = |[a, b]: [f64; 2], noise: f64| format!("{:.3}", 100. * a - 30. * b + 20. * noise);
    PATHS.get_or_init(|| table("values", "price", target))
}

const LABELS: [&str; 4] = ["--label", "tags", "--task", "multilabel"];
const VALUES: [&str; 4] = ["--label", "price", "--task", "regression"];

/// A run in `folder/name`; only the first call with these data trains.
fn trained(folder: &Path, name: &str, [data, test]: &[PathBuf; 2], task: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let fixed = ["--data", text(data), "--test-list", text(test), "--epochs", "12", "--lr", "0.01"];
    let more = ["--threads", "1", "--device", "cpu", "--tensorboard"];
    train_once(&out, &[&fixed[..], task, &more].concat());
    out
}

fn figures(folder: &Path, arguments: &[&str]) -> Value {
    let file = folder.join("figures.json");
    succeed(["eval", "--json", text(&file)].iter().chain(arguments));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn metric(figures: &Value, name: &str) -> f64 {
    let all = figures["metrics"].as_array().unwrap();
    let found = all.iter().find(|metric| metric["name"].as_str().unwrap().starts_with(name));
    found.unwrap_or_else(|| panic!("{name} in {figures}"))["value"].as_f64().unwrap()
}

fn percent(value: f64) -> String {
    format!("{:.2} %", 100. * value)
}

/// The rows of the test set as a file of their own.
fn test_rows(folder: &Path, data: &Path) -> PathBuf {
    let rows: Vec<String> =
        std::fs::read_to_string(data).unwrap().lines().take(61).map(String::from).collect();
    let path = folder.join("test.csv");
    std::fs::write(&path, rows.join("\n") + "\n").unwrap();
    path
}

#[test]
fn eval_shows_threshold_and_average_precision_of_each_label() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "run", labels(), &LABELS);
    let found = figures(folder.path(), &[text(&out)]);
    let of_labels = found["classes"].as_array().unwrap();
    let names: Vec<_> = of_labels.iter().map(|label| label["class"].as_str().unwrap()).collect();
    assert_eq!(names, ["big", "hot", "wet"]);
    let mean = of_labels.iter().map(|label| label["average_precision"].as_f64().unwrap()).sum::<f64>() / 3.;
    assert!((mean - metric(&found, "mAP")).abs() < 1e-12, "{mean}");
    let metadata = cresset::predict::metadata(&out.join("model.pt")).unwrap();
    let cresset::model::Outputs::Multilabel { thresholds } = metadata.outputs else { panic!("labels") };
    for (label, threshold) in of_labels.iter().zip(&thresholds) {
        assert_eq!(label["threshold"], *threshold);
    }
    let csv = folder.path().join("figures.csv");
    let shown = succeed(["eval", text(&out), "--csv", text(&csv)]);
    assert!(shown.contains("average precision  threshold"), "{shown}");
    assert!(shown.contains(&format!("{:.4}\n", thresholds[1])), "{shown}");
    let csv = std::fs::read_to_string(csv).unwrap();
    assert!(csv.contains(&format!("threshold,hot,{}\n", thresholds[1])), "{csv}");
    let precision = of_labels[1]["average_precision"].as_f64().unwrap();
    assert!(csv.contains(&format!("average precision,hot,{precision}\n")), "{csv}");
}

#[test]
fn the_report_of_labels_has_a_table_of_labels_their_errors_and_their_pairs() {
    let folder = tempfile::tempdir().unwrap();
    // A model that is too small to avoid errors.
    let options = [&LABELS[..], &["--recipe", "none", "--model-options", "width=2"]].concat();
    let out = trained(folder.path(), "run", labels(), &options);
    succeed(["report", text(&out)]);
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    for title in ["Labels", "Most confident errors", "Data", "Usage"] {
        assert!(html.contains(&format!("<h2>{title}</h2>")), "{title} is missing");
    }
    for title in ["Confusion matrix", "Classes", "Calibration", "Predicted values", "Largest errors"] {
        assert!(!html.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(html.contains("<figcaption>F1, %<") && !html.to_lowercase().contains("accuracy"));
    // Validation and test set, each with the figures of eval.
    let test = test_rows(folder.path(), &labels()[0]);
    for found in [figures(folder.path(), &[text(&out)]), figures(folder.path(), &[text(&out), text(&test)])] {
        for label in found["classes"].as_array().unwrap() {
            let cell = |name: &str| format!("<td>{}</td>", percent(label[name].as_f64().unwrap()));
            let row = format!(
                "<tr><td>{}</td><td>{}</td>{}{}{}{}<td>{:.3}</td></tr>",
                label["class"].as_str().unwrap(),
                label["rows"],
                cell("precision"),
                cell("recall"),
                cell("f1"),
                cell("average_precision"),
                label["threshold"].as_f64().unwrap()
            );
            assert!(html.contains(&row), "{row} is not in {html}");
        }
    }
    assert!(html.contains("on the validation set are optimistic. Metrics on the test set are not affected."));
    assert!(
        html.contains(", false positive, probability ") && html.contains(", false negative, probability ")
    );
    assert!(html.contains("Labels that occur together") && html.contains("examples with both"));
    // Code is shown line by line.
    assert!(html.contains("<pre>import torch\n"), "{html}");
}

#[test]
fn eval_and_report_show_how_often_intervals_contain_the_number() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "run", values(), &VALUES);
    let validation = figures(folder.path(), &[text(&out)]);
    let coverage = metric(&validation, "coverage of intervals, 90.00 % promised");
    assert!((0.9..0.95).contains(&coverage), "{coverage}");

    // On the test set, as the predictions of the program have it.
    let path = test_rows(folder.path(), &values()[0]);
    let test = figures(folder.path(), &[text(&out), text(&path)]);
    let actual: Vec<f64> = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .skip(1)
        .map(|row| row.rsplit(',').next().unwrap().parse().unwrap())
        .collect();
    let printed = succeed(["predict", text(&out.join("model.pt")), text(&path), "--output", "jsonl"]);
    let (mut covered, mut width) = (0, 0.);
    for (line, actual) in printed.lines().zip(&actual) {
        let line: Value = serde_json::from_str(line).unwrap();
        let [low, high] = [0, 1].map(|end| line["interval"][end].as_f64().unwrap());
        covered += u32::from((low..=high).contains(actual));
        width = high - low;
    }
    let coverage = metric(&test, "coverage of intervals");
    assert_eq!((60. * coverage).round() as u32, covered);
    assert!(
        covered > 30 && (metric(&test, "width of an interval") - width).abs() < 1e-3,
        "{covered} {width}"
    );

    succeed(["report", text(&out)]);
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    for title in ["Predicted values", "Largest errors", "Data"] {
        assert!(html.contains(&format!("<h2>{title}</h2>")), "{title} is missing");
    }
    for title in ["Confusion matrix", "Classes", "Labels", "Calibration", "Most confident errors"] {
        assert!(!html.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    assert!(!html.to_lowercase().contains("accuracy") && html.contains("<figcaption>R²<"));
    for axis in ["actual price", "predicted price", "predicted minus actual price", "validation examples"] {
        assert!(html.contains(&format!(">{axis}</text>")), "{axis}");
    }
    assert!(html.contains(&format!("On the test set, {} do.", percent(coverage))), "{html}");
    let r2 =
        format!("<td>R²</td><td>{:.4}</td><td>{:.4}</td>", metric(&validation, "R²"), metric(&test, "R²"));
    assert!(html.contains(&r2), "{r2}");
    assert!(html.contains("<summary>price in 300 examples</summary>"));
    // The largest error comes first.
    let errors = html.split("predicted <b class=\"fault\">").skip(1).map(|item| {
        let number = |text: &str| text.split('<').next().unwrap().parse::<f64>().unwrap();
        (number(item) - number(item.split_once("actual <b>").unwrap().1)).abs()
    });
    let errors: Vec<_> = errors.collect();
    assert!(errors.len() == 24 && errors.is_sorted_by(|a, b| *a >= b - 1e-3), "{errors:?}");
}

/// The front matter and the rest of the card of a run.
fn card(out: &Path) -> (Value, String) {
    let card = succeed(["card", text(out), "--output", "-"]);
    let (front, body) = card.strip_prefix("---\n").unwrap().split_once("---\n").unwrap();
    (yaml::yaml(front), body.to_string())
}

/// The text of a card has these sentences, and no words that only suit classes.
fn assert_says(body: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(body.contains(sentence), "{sentence} is not in {body}");
    }
    let body = body.to_lowercase();
    assert!(
        !body.contains("accuracy") && !body.contains("calibration") && !body.contains(" classes"),
        "{body}"
    );
}

#[test]
fn the_card_of_labels_has_a_row_for_each_and_says_what_was_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "run", labels(), &LABELS);
    let (front, body) = card(&out);
    assert_eq!(front["pipeline_tag"], "tabular-classification");
    assert_eq!(front["tags"][1], "multi-label-classification");
    let test = figures(folder.path(), &[text(&out), text(&test_rows(folder.path(), &labels()[0]))]);
    let score = percent(metric(&test, "micro F1"));
    assert!(
        body.contains(&format!(
            "assigns any number of 3 labels: big, hot, wet. Its micro F1 is **{score}** on 60 test"
        )),
        "{body}"
    );
    for label in test["classes"].as_array().unwrap() {
        let row = format!(
            "| {} | {} | {} |",
            label["class"].as_str().unwrap(),
            label["rows"],
            percent(label["precision"].as_f64().unwrap())
        );
        assert!(body.contains(&row), "{row} is not in {body}");
    }
    let validation = figures(folder.path(), &[text(&out)])["rows"].as_u64().unwrap();
    // The recipe trains a bag of so few rows on all of them and validates all.
    assert_eq!(validation, 240);
    let sentences = [
        "### Labels, validation set",
        "The thresholds were tuned on these examples, so precision, recall and F1 are optimistic.",
        "The thresholds were tuned on the validation set.",
        "| *all examples* | 240 | 240 | 60 | 100.00 % |",
        "300 examples with any number of 3 labels",
        "The model knows only its 3 labels",
    ];
    assert_says(&body, &sentences);
}

#[test]
fn the_card_of_a_number_has_its_distribution_residuals_and_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "run", values(), &VALUES);
    let (front, body) = card(&out);
    assert_eq!(front["pipeline_tag"], "tabular-regression");
    assert_eq!(front["metrics"], json!(["r_squared", "mae", "rmse"]));
    let test = figures(folder.path(), &[text(&out), text(&test_rows(folder.path(), &values()[0]))]);
    let r2 = metric(&test, "R²");
    assert!(
        body.contains(&format!(
            "which predicts a number: price. Its R² is **{r2:.4}** on 60 test examples (95 % interval"
        )),
        "{body}"
    );
    let coverage = percent(metric(&test, "coverage of intervals"));
    let sentences = [
        &format!(" % | – | {coverage} | – |"),
        "| part | examples | minimum | mean | maximum | standard deviation |",
        "| test | 60 |",
        "### Residuals, test set",
        "All prediction intervals have the same width.",
        "The training values are from ",
    ];
    assert_says(&body, &sentences);
}

#[test]
fn what_only_classes_have_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let out = trained(folder.path(), "run", values(), &VALUES);
    for command in ["eval", "card"] {
        let output = run([command, text(&out), "--group-by", "a"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("groups are compared only for classification"),
            "{}",
            stderr(&output)
        );
    }
    let shown = succeed(["diff", text(&out), text(&out)]);
    assert!(shown.contains("the comparison of predictions works only for classification"), "{shown}");
    assert!(shown.contains("\nr2 ") && !shown.contains("\naccuracy"), "{shown}");
    let unused = folder.path().join("label-errors");
    let options = ["train", "--data", text(&values()[0]), "--find-label-errors", "--out", text(&unused)];
    let output = run(options.iter().chain(&VALUES));
    assert!(
        stderr(&output).contains("--find-label-errors works only for classification"),
        "{}",
        stderr(&output)
    );
    assert!(!unused.join("model.pt").exists());
}

#[test]
fn runs_tell_the_score_of_their_task_also_while_they_are_in_progress() {
    let folder = tempfile::tempdir().unwrap();
    let of_labels = trained(folder.path(), "labels", labels(), &LABELS);
    let of_values = trained(folder.path(), "values", values(), &VALUES);
    let listed = |name: &str| -> Value {
        let filter = format!("name={name}");
        let printed = succeed(["runs", text(folder.path()), "--format", "json", "--filter", &filter]);
        serde_json::from_str::<Vec<Value>>(&printed).unwrap().remove(0)
    };
    let finished = [(&of_labels, "labels", "micro_f1"), (&of_values, "values", "r2")];
    for (out, name, score) in finished {
        let known = listed(name);
        let exported = cresset::predict::metadata(&out.join("model.pt")).unwrap().metrics.validation;
        let exported = exported.get("micro F1").or(exported.get("R²")).unwrap();
        assert_eq!((&known[score], known.get("accuracy")), (exported, None));
        assert!(
            known[format!("train_{score}")].is_number() && known.get("train_accuracy").is_none(),
            "{known}"
        );

        std::fs::remove_file(out.join("model.pt")).unwrap();
        let (known, column) = (listed(name), if name == "labels" { "held_out_f1" } else { "held_out_r2" });
        assert_eq!((known["state"].as_str(), known.get("accuracy")), (Some("interrupted"), None));
        let mut metrics = csv::Reader::from_path(out.join("metrics.csv")).unwrap();
        let place = metrics.headers().unwrap().iter().position(|header| header == column).unwrap();
        let best = known["best_epoch"].as_u64().unwrap() as usize;
        let row = metrics.records().nth(best - 1).unwrap().unwrap();
        assert_eq!(known[score].as_f64(), row[place].parse().ok());
        // TensorBoard has the same name.
        let tag = column.replace("held_out_", "") + "/held_out";
        let mut files = out.read_dir().unwrap().map(|file| file.unwrap().path());
        let events = files.find(|path| text(path).contains("tfevents")).expect("an event file");
        let events = std::fs::read(events).unwrap();
        let has = |tag: &str| events.windows(tag.len()).any(|bytes| bytes == tag.as_bytes());
        assert!(has(&tag) && !has("accuracy/"), "{tag}");
    }
    let table = succeed(["runs", text(folder.path())]);
    assert!(table.contains("micro_f1") && table.contains(" r2 ") && !table.contains("accuracy"), "{table}");
    let best = succeed(["runs", text(folder.path()), "--best", "r2", "--columns", "name"]);
    assert_eq!(best, "name\nvalues\n");
}

#[test]
fn folds_and_searches_have_the_metrics_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("folds");
    let options =
        ["train", "--data", text(&values()[0]), "--folds", "2", "--epochs", "1", "--out", text(&out)];
    let shown = succeed(options.iter().chain(&VALUES));
    assert!(shown.contains("R²  mean absolute error") && !shown.contains("accuracy"), "{shown}");
    let csv = std::fs::read_to_string(out.join("folds.csv")).unwrap();
    let header = "fold,rows,loss,r2,mean_absolute_error,root_mean_squared_error\n1,150,";
    assert!(csv.starts_with(header), "{csv}");

    let space = folder.path().join("space.toml");
    let write = |metric: &str| {
        let data = serde_json::to_string(text(&values()[0])).unwrap();
        let run = format!("[run]\ndata = {data}\nlabel = \"price\"\ntask = \"regression\"\nepochs = 2\n");
        let more = "[space]\nlr = { choice = [1e-6, 1e-2] }\n[tune]\ntrials = 4\nmetric = ";
        std::fs::write(&space, format!("{run}{more}\"{metric}\"\n")).unwrap();
    };
    let search = folder.path().join("search");
    write("accuracy");
    let output = run(["tune", text(&space), "--out", text(&search)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("`metric` is accuracy, which regression does not have; use loss or r2"),
        "{}",
        stderr(&output)
    );
    assert!(!search.exists());
    write("r2");
    let shown = succeed(["tune", text(&space), "--out", text(&search)]);
    assert!(shown.contains("selected among 4 trials by the validation R²"), "{shown}");
    let mut trials = csv::Reader::from_path(search.join("trials.csv")).unwrap();
    assert_eq!(trials.headers().unwrap().iter().nth(5), Some("r2"));
    let scores: Vec<f64> = trials.records().map(|trial| trial.unwrap()[5].parse().unwrap()).collect();
    let highest = scores.iter().copied().fold(f64::MIN, f64::max);
    let best = 1 + scores.iter().position(|score| *score == highest).unwrap();
    assert!(
        shown.contains(&format!("best       trial {best}:")) && scores.iter().any(|score| *score < highest),
        "{shown}"
    );
}
