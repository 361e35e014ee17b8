//! Lists of runs as a table for the terminal, CSV or JSON.

use serde_json::Value;

use super::facts::Facts;
use super::query::text;
use crate::error::excerpt;
use crate::evaluate::{METRICS, Metric};

/// The default columns.
pub const DEFAULT_COLUMNS: [&str; 14] = [
    "name",
    "model",
    "data",
    "epochs",
    "accuracy",
    "micro_f1",
    "r2",
    "loss",
    "test_accuracy",
    "test_micro_f1",
    "test_r2",
    "duration",
    "when",
    "state",
];

/// The default columns that are shown only if runs have them and no accuracy: every classifier has a micro F1, too.
const OTHER_SCORES: [&str; 4] = ["micro_f1", "r2", "test_micro_f1", "test_r2"];

/// The default columns that a narrow terminal drops, in this order.
const DROP_ORDER: [&str; 10] = [
    "when",
    "duration",
    "data",
    "test_accuracy",
    "test_micro_f1",
    "test_r2",
    "epochs",
    "loss",
    "model",
    "state",
];

/// Minimum width of a text column.
const MIN_WIDTH: usize = 12;

const GAP: &str = "  ";

/// Runs as JSON: a list of objects with these columns, or with all facts.
///
/// ```
/// use cresset::report::runs::{Facts, to_json};
///
/// let run = Facts::from_iter([("model".to_string(), "cnn".into()), ("epochs".to_string(), 10.into())]);
/// let json = to_json(&[run], Some(&["model".to_string()]));
/// assert_eq!(json, "[\n  {\n    \"model\": \"cnn\"\n  }\n]\n");
/// ```
pub fn to_json(runs: &[Facts], columns: Option<&[String]>) -> String {
    let chosen = |run: &Facts| match columns {
        None => Value::Object(run.clone()),
        Some(columns) => {
            let value = |name: &String| (name.clone(), run.get(name).cloned().unwrap_or(Value::Null));
            Value::Object(columns.iter().map(value).collect())
        }
    };
    let runs: Vec<_> = runs.iter().map(chosen).collect();
    serde_json::to_string_pretty(&runs).expect("facts are plain data") + "\n"
}

/// Runs as CSV: a header and one row per run; unknown values are empty.
///
/// ```
/// use cresset::report::runs::{Facts, to_csv};
///
/// let run = Facts::from_iter([("model".to_string(), "cnn".into())]);
/// assert_eq!(to_csv(&[run], &["model".to_string(), "loss".to_string()]), b"model,loss\ncnn,\n");
/// ```
pub fn to_csv(runs: &[Facts], columns: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).expect("a record can be written to memory");
    for run in runs {
        let row = columns.iter().map(|name| run.get(name).map(text).unwrap_or_default());
        writer.write_record(row).expect("a record can be written to memory");
    }
    writer.into_inner().expect("a record can be written to memory")
}

/// Runs as a table of at most `width` characters. Without `columns`, shows the default columns that have values and fit.
///
/// ```
/// use cresset::report::runs::{Facts, to_table};
///
/// let run = Facts::from_iter([("name".to_string(), "digits-1".into()), ("model".to_string(), "cnn".into())]);
/// assert_eq!(to_table(&[run], None, Some(80)), "name      model\ndigits-1  cnn\n");
/// ```
pub fn to_table(runs: &[Facts], columns: Option<&[String]>, width: Option<usize>) -> String {
    let mut shown: Vec<Column> = match columns {
        Some(columns) => columns.iter().map(|name| Column::new(name, runs)).collect(),
        None => {
            let all = DEFAULT_COLUMNS.iter().filter(|name| is_default(name, runs));
            all.map(|name| Column::new(name, runs)).filter(Column::has_values).collect()
        }
    };
    let width = width.unwrap_or(usize::MAX);
    let mut dropped = DROP_ORDER.iter().filter(|_| columns.is_none());
    while total(&shown) > width && !fits_after_narrowing(&shown, width) {
        let Some(name) = dropped.next() else { break };
        shown.retain(|column| column.name != *name);
    }
    narrow(&mut shown, width);
    let line = |cells: Vec<String>| cells.join(GAP).trim_end().to_string() + "\n";
    let mut table = line(shown.iter().map(|column| column.padded(&column.name)).collect());
    for row in 0..runs.len() {
        table += &line(shown.iter().map(|column| column.padded(&column.cells[row])).collect());
    }
    table
}

fn is_default(name: &str, runs: &[Facts]) -> bool {
    let has_only = |run: &Facts| run.contains_key(name) && !run.contains_key("accuracy");
    !OTHER_SCORES.contains(&name) || runs.iter().any(has_only)
}

/// A column of the table.
struct Column {
    name: String,
    cells: Vec<String>,
    is_number: bool,
    width: usize,
}

impl Column {
    fn new(name: &str, runs: &[Facts]) -> Self {
        let cells: Vec<String> = runs.iter().map(|run| cell(run, name)).collect();
        let is_number = runs.iter().all(|run| run.get(name).is_none_or(Value::is_number));
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        Column { name: name.to_string(), cells, is_number, width: width.max(name.chars().count()) }
    }

    fn has_values(&self) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|cell| !cell.is_empty())
    }

    fn min_width(&self) -> usize {
        if self.is_number { self.width } else { self.width.min(MIN_WIDTH.max(self.name.len())) }
    }

    fn padded(&self, text: &str) -> String {
        let width = self.width;
        let text = match text.chars().count() > width {
            true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
            false => text.to_string(),
        };
        if self.is_number { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

fn total(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width + GAP.len()).sum::<usize>().saturating_sub(GAP.len())
}

/// Whether shortening text columns by at most a third is enough.
fn fits_after_narrowing(columns: &[Column], width: usize) -> bool {
    let spare = |column: &Column| (column.width - column.min_width()).min(column.width / 3);
    total(columns) <= width.saturating_add(columns.iter().map(spare).sum())
}

/// Narrows the text columns, widest first, until the table fits or all have their minimum width.
fn narrow(columns: &mut [Column], width: usize) {
    while total(columns) > width {
        let wide = columns.iter_mut().filter(|column| column.width > column.min_width());
        let Some(widest) = wide.max_by_key(|column| column.width) else { return };
        widest.width -= 1;
    }
}

/// Formats a value; empty if it is unknown.
///
/// ```
/// use cresset::report::runs::{Facts, cell};
///
/// let run = Facts::from_iter([("accuracy".to_string(), 0.9712.into())]);
/// assert_eq!(cell(&run, "accuracy"), "97.12 %");
/// assert_eq!(cell(&run, "loss"), "");
/// ```
pub fn cell(run: &Facts, name: &str) -> String {
    let Some(value) = run.get(name) else { return String::new() };
    if let ("when", Some(time)) = (name, value.as_str()) {
        return time.chars().take(16).collect::<String>().replace('T', " ");
    }
    let Some(number) = value.as_f64() else { return excerpt(&text(value)) };
    let deviation = run.get(&format!("{name}_deviation")).and_then(Value::as_f64);
    let deviation = |scale: f64, places: usize| {
        deviation.map_or(String::new(), |spread| format!(" ± {:.places$}", scale * spread))
    };
    match name {
        "duration" => duration(number),
        "epochs" => match run.get("epochs_done").and_then(Value::as_f64) {
            Some(done) if done < number => format!("{done}/{number}"),
            _ => number.to_string(),
        },
        _ if name.ends_with("loss") => format!("{number:.4}{}", deviation(1., 4)),
        _ if is_share(name) => format!("{:.2}{} %", 100. * number, deviation(100., 2)),
        // Round figures; show options exactly.
        _ if !value.is_f64() => text(value),
        _ if metric_of(name).is_some() => {
            format!("{number:.4}{}", deviation(1., 4))
        }
        _ => number.to_string(),
    }
}

/// The metric in a column, also of the test or training set.
fn metric_of(name: &str) -> Option<&'static Metric> {
    let plain = name.strip_prefix("test_").or(name.strip_prefix("train_")).unwrap_or(name);
    METRICS.iter().find(|metric| metric.column() == plain)
}

fn is_share(name: &str) -> bool {
    metric_of(name).is_some_and(|metric| metric.is_share)
}

/// Seconds as `3.4 s`, `2:05` or `1:02:05`.
fn duration(seconds: f64) -> String {
    if seconds < 60. {
        return format!("{seconds:.1} s");
    }
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn runs() -> Vec<Facts> {
        let run = |name: &str, accuracy: f64| {
            let run = json!({
                "name": name, "model": "mlp", "data": "digits", "epochs": 10, "epochs_done": 7,
                "accuracy": accuracy, "loss": 0.12345, "duration": 3725.2, "when": "2026-07-31T12:05:42Z",
                "state": "interrupted",
            });
            run.as_object().unwrap().clone()
        };
        vec![run("digits-mlp-1", 0.97), run("a-run-with-quite-a-long-name-of-its-own", 0.5)]
    }

    fn widest(table: &str) -> usize {
        table.lines().map(|line| line.chars().count()).max().unwrap()
    }

    #[test]
    fn values_are_shown_as_people_read_them() {
        let run = &runs()[0];
        assert_eq!(
            ["accuracy", "loss", "duration", "epochs"].map(|name| cell(run, name)),
            ["97.00 %", "0.1235", "1:02:05", "7/10"]
        );
        let mut folds = run.clone();
        folds.insert("accuracy_deviation".into(), 0.004.into());
        assert_eq!(cell(&folds, "accuracy"), "97.00 ± 0.40 %");
        assert_eq!(
            (cell(run, "test_accuracy"), duration(9.96), duration(125.)),
            ("".into(), "10.0 s".into(), "2:05".into())
        );
    }

    #[test]
    fn other_tasks_have_their_own_score_and_classifiers_keep_theirs() {
        let run = |facts: Value| facts.as_object().unwrap().clone();
        let classifier = run(json!({"name": "a", "accuracy": 0.9, "micro_f1": 0.9}));
        let labels = run(json!({"name": "b", "micro_f1": 0.8, "exact_match": 0.7}));
        let numbers = run(json!({"name": "c", "r2": -0.25, "test_r2": 0.5}));
        assert_eq!(
            to_table(std::slice::from_ref(&classifier), None, None),
            "name  accuracy\na      90.00 %\n"
        );
        let table = to_table(&[classifier, labels, numbers.clone()], None, None);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["name", "accuracy", "micro_f1", "r2", "test_r2"]);
        assert_eq!(lines[2..], [vec!["b", "80.00", "%"], vec!["c", "-0.2500", "0.5000"]], "{table}");
        assert_eq!(cell(&numbers, "test_r2"), "0.5000");
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal_and_keeps_what_matters() {
        let whole = to_table(&runs(), None, None);
        assert!(whole.contains("2026-07-31 12:05") && !whole.contains("test_accuracy"), "{whole}");
        for width in [30, 40, 60, 80, 100] {
            let table = to_table(&runs(), None, Some(width));
            assert!(widest(&table) <= width, "{width}:\n{table}");
            assert!(table.contains("97.00 %") && table.contains("digits-mlp-1"), "{width}:\n{table}");
        }
        assert!(to_table(&runs(), None, Some(widest(&whole))) == whole);
    }

    #[test]
    fn columns_that_are_asked_for_stay() {
        let columns = ["name", "when", "state"].map(String::from);
        let table = to_table(&runs(), Some(&columns), Some(20));
        assert!(table.starts_with("name") && table.contains("when") && table.contains("state"), "{table}");
    }

    #[test]
    fn csv_and_json_have_the_numbers_themselves() {
        let columns = ["name", "accuracy", "test_accuracy"].map(String::from);
        let csv = String::from_utf8(to_csv(&runs()[..1], &columns)).unwrap();
        assert_eq!(csv, "name,accuracy,test_accuracy\ndigits-mlp-1,0.97,\n");
        let json: Value = serde_json::from_str(&to_json(&runs(), Some(&columns))).unwrap();
        assert_eq!(json[1], json!({"name": runs()[1]["name"], "accuracy": 0.5, "test_accuracy": null}));
    }
}
