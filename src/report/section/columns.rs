//! The columns of a table: their importance, and the predictions as a function of them.

use super::Report;
use crate::data::TaskKind;
use crate::predict::explain::table::{Dependence, Levels};
use crate::report::chart::Titles;
use crate::report::column_charts::{Series, bars, curves, points};
use crate::report::columns::ColumnReport;

/// The most columns in the charts of importance.
const BARS: usize = 15;

/// The most columns with a chart of their partial dependence.
const DEPENDENCES: usize = 6;

/// The colors of classes; further ones are not drawn.
const COLORS: [&str; 6] = ["--one", "--two", "--three", "--four", "--five", "--soft"];

/// Importance and partial dependence; none for images and texts.
pub fn section(report: &Report) -> Option<String> {
    let columns = report.columns.as_ref()?;
    let ColumnReport { part, rows, score_name, score, repeats, .. } = columns;
    let task = report.metadata.outputs.task();
    let explained = match task {
        TaskKind::Classification => "the logit of the predicted class",
        TaskKind::Multilabel => "the logit of the most probable label",
        TaskKind::Regression => "the predicted value",
        TaskKind::Ranking => "the score",
    };
    let more = match columns.columns.len() {
        count if count > BARS => format!(" The {BARS} most important of {count} columns are shown."),
        _ => String::new(),
    };
    let dependences: String =
        columns.dependence.iter().take(DEPENDENCES).map(|one| dependence(columns, one, task)).collect();
    let dependences = match dependences.is_empty() {
        true => String::new(),
        false => format!(
            "<h3>Partial dependence</h3>\n<p>The mean prediction if all rows had this value in the column. {}</p>\n<div \
             class=\"plots\">{dependences}</div>\n",
            if shown(columns, task).len() == 1 {
                "80 % of the rows are within the area or line."
            } else {
                ""
            }
        ),
    };
    Some(format!(
        "<p>Permutation importance: the drop of {score_name} ({} on {rows} rows of the {part} set) when the values of a column are shuffled \
         among the rows; mean and standard deviation of {repeats} permutations. Columns that tell the same can replace each other, so each may \
         seem unimportant. Shapley values: how much the value of a column in a row changes {explained}, compared with training rows; the mean \
         of their absolute values.{more}</p>\n<div class=\"plots\">{}</div>\n{dependences}",
        super::number(*score),
        importance(columns, explained)
    ))
}

fn importance(columns: &ColumnReport, explained: &str) -> String {
    let shown = &columns.columns[..columns.columns.len().min(BARS)];
    let names: Vec<&str> = shown.iter().map(|column| column.column.as_str()).collect();
    let (means, deviations): (Vec<f64>, Vec<f64>) =
        shown.iter().map(|column| (column.permutation.mean, column.permutation.deviation)).unzip();
    let across = format!("drop of {}", columns.score_name);
    let titles = Titles { chart: "Permutation importance", across: &across, down: "column" };
    let permutation = bars(&titles, &names, &means, Some(&deviations));

    let mut by_shapley: Vec<_> = columns.columns.iter().collect();
    by_shapley.sort_by(|a, b| b.mean_absolute_shapley.total_cmp(&a.mean_absolute_shapley));
    by_shapley.truncate(BARS);
    let names: Vec<&str> = by_shapley.iter().map(|column| column.column.as_str()).collect();
    let values: Vec<f64> = by_shapley.iter().map(|column| column.mean_absolute_shapley).collect();
    let across = format!("change of {explained}");
    let titles = Titles { chart: "Mean absolute Shapley value", across: &across, down: "column" };
    permutation + &bars(&titles, &names, &values, None)
}

/// The outputs that are drawn: of two classes only the second, because the first has the rest.
fn shown(columns: &ColumnReport, task: TaskKind) -> Vec<usize> {
    match (task, columns.outputs.len()) {
        (TaskKind::Classification, 2) => vec![1],
        (_, count) => (0..count.min(COLORS.len())).collect(),
    }
}

fn dependence(columns: &ColumnReport, dependence: &Dependence, task: TaskKind) -> String {
    let outputs = shown(columns, task);
    let of =
        |values: &[Vec<f64>], output: usize| values.iter().map(|values| values[output]).collect::<Vec<_>>();
    let series: Vec<Series> = outputs
        .iter()
        .zip(COLORS)
        .map(|(output, color)| Series {
            name: if outputs.len() > 1 { &columns.outputs[*output] } else { "" },
            color,
            values: of(&dependence.mean, *output),
            band: (outputs.len() == 1).then(|| (of(&dependence.low, *output), of(&dependence.high, *output))),
        })
        .collect();
    let predicted = match (task, &outputs[..]) {
        (TaskKind::Regression, _) => columns.outputs[0].clone(),
        (_, [output]) => format!("probability of {}", columns.outputs[*output]),
        _ => "probability".to_string(),
    };
    let name = dependence.column.as_str();
    match &dependence.values {
        Levels::Numbers(places) => {
            curves(&Titles { chart: name, across: name, down: &predicted }, places, &series)
        }
        Levels::Categories(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            points(&Titles { chart: name, across: &predicted, down: name }, &names, &series)
        }
    }
}
