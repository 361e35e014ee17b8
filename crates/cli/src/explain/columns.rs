//! Explanations of rows of a table, and of a model of tables as a whole.

use std::path::{Path, PathBuf};

use cresset::data::atomic;
use cresset::error::{Error, Result};
use cresset::model::Outputs;
use cresset::predict::Classifier;
use cresset::predict::explain::table::{Background, TableColumns};
use cresset::predict::explain::{Explainer, Subject};
use cresset::report::columns::{ColumnReport, background};
use cresset::run::{FinishedRun, RunFolder};
use serde_json::{Map, Value, json};
use tch::Device;

use super::super::screen::tell;
use super::super::{put, thousands};
use super::{Explained, csv_line};

/// The file with the values of all rows, in the folder of `--out`.
const FILE: &str = "columns.csv";

/// The training rows that a row is compared with.
const BACKGROUND_ROWS: usize = 128;

/// The most columns in the summary of rows.
const SUMMARIZED: usize = 8;

/// Attributions of rows to their columns.
pub struct Rows {
    columns: TableColumns,
    background: Background,
    explainer: Explainer,
    path: PathBuf,
    csv: String,
    rows: Vec<Value>,
    sums: Vec<f64>,
}

impl Rows {
    /// Rows of a model that takes a table; its training rows are those of the run, if there is one.
    pub fn new(
        classifier: &Classifier,
        columns: TableColumns,
        explainer: Explainer,
        run: Option<&RunFolder>,
        out: &Path,
    ) -> Result<Self> {
        let background = match run.map(|run| FinishedRun::open(run, classifier.device())) {
            Some(Ok(run)) => background(&run.classifier, &run.examples, BACKGROUND_ROWS)?,
            Some(Err(problem)) => {
                tell(&format!(
                    "the rows are compared with the histograms in the model file, because {problem}"
                ));
                Background::of_histograms(classifier.metadata())?
            }
            None => Background::of_histograms(classifier.metadata())?,
        };
        let outputs = &classifier.metadata().outputs;
        let names = columns.names().into_iter().map(String::from);
        // A number is its own output.
        let probability = if is_number(outputs) { None } else { Some("probability") };
        let header =
            ["input", outputs.noun()].into_iter().chain(probability).chain([outputs.explained(), "base"]);
        let csv = csv_line(&header.map(String::from).chain(names).collect::<Vec<_>>());
        let sums = vec![0.; columns.0.len()];
        Ok(Rows { columns, background, explainer, path: out.join(FILE), csv, rows: Vec::new(), sums })
    }

    /// Adds the attribution of a row. Returns the sum of its values and the file.
    pub fn add(&mut self, classifier: &Classifier, explained: &Explained) -> anyhow::Result<(f64, PathBuf)> {
        let subject = &Subject::new(classifier, explained.class).with_background(&self.background);
        let Explained { input, raw, label, probability, .. } = explained;
        let values = self.columns.sums(&self.explainer.attribute(subject, raw)?)?;
        let score = subject.scores(raw)?.double_value(&[0]);
        let base = if self.explainer.is_for_tables() { Some(subject.base()?) } else { None };
        let number = |value: f64| format!("{value:.6}");
        let probability = (!is_number(&classifier.metadata().outputs)).then(|| number(*probability));
        let fields = [input.clone(), label.clone()].into_iter().chain(probability);
        let fields = fields.chain([number(score), base.map_or(String::new(), number)]);
        self.csv += &csv_line(&fields.chain(values.iter().copied().map(number)).collect::<Vec<_>>());
        let by_name: Map<String, Value> = self
            .columns
            .names()
            .into_iter()
            .map(String::from)
            .zip(values.iter().map(|value| (*value).into()))
            .collect();
        self.rows.push(json!({
            "input": input, "output": label, "probability": explained.probability, "score": score, "base": base, "values": by_name,
        }));
        self.sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value.abs());
        Ok((values.iter().sum(), self.path.clone()))
    }

    /// Writes the files, and prints the columns with the largest values.
    pub fn finish(self, json: Option<&Path>) -> Result<()> {
        atomic::write(&self.path, self.csv.as_bytes())?;
        if let Some(path) = json {
            let all = json!({
                "method": self.explainer.name(), "background": self.background.source, "columns": self.columns.names(), "rows": self.rows,
            });
            atomic::write(path, format!("{all:#}\n").as_bytes())?;
        }
        let count = self.rows.len().max(1) as f64;
        let mut columns: Vec<_> = self.columns.names().into_iter().zip(&self.sums).collect();
        columns.sort_by(|a, b| b.1.total_cmp(a.1));
        let shown = columns.iter().take(SUMMARIZED).map(|(name, sum)| format!("{name} {:.4}", *sum / count));
        tell(&format!("mean absolute value: {}", shown.collect::<Vec<_>>().join(", ")));
        Ok(())
    }
}

fn is_number(outputs: &Outputs) -> bool {
    matches!(outputs, Outputs::Regression { .. })
}

/// Explains the model of a run as a whole: prints the importance of its columns.
pub fn explain_run(model: &Path, device: Device, json: Option<&Path>) -> anyhow::Result<()> {
    if !model.is_dir() {
        let problem = "missing argument FILE: the inputs to explain. A run folder needs none: its model of a table is explained on the data of the \
                       run";
        return Err(Error::Usage(problem.to_string()).into());
    }
    let report = ColumnReport::of(&FinishedRun::open(&RunFolder::open(model)?, device)?)?;
    let Some(report) = report else {
        let problem =
            "missing argument FILE: the inputs to explain. Only models of tables are explained as a whole";
        return Err(Error::Usage(problem.to_string()).into());
    };
    if let Some(path) = json {
        atomic::write(path, format!("{:#}\n", report.to_json()).as_bytes())?;
    }
    put(&csv_line(&["column", "importance", "deviation", "mean_absolute_shapley"].map(String::from)))?;
    for column in &report.columns {
        let [mean, deviation, shapley] =
            [column.permutation.mean, column.permutation.deviation, column.mean_absolute_shapley]
                .map(|value| format!("{value:.6}"));
        put(&csv_line(&[column.column.clone(), mean, deviation, shapley]))?;
    }
    let ColumnReport { rows, part, score_name, score, repeats, explained, .. } = &report;
    tell(&format!(
        "{score_name} {score:.4} on {} rows of the {part} set; importance: its mean drop over {repeats} permutations of the column; Shapley \
         values: of the {explained}",
        thousands(*rows)
    ));
    Ok(())
}
