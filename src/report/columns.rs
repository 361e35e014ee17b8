//! The columns of a table that a model uses: permutation importance, Shapley values and partial dependence.

use serde::Serialize;
use serde_json::{Value, json};
use tch::Tensor;

use crate::data::TaskKind;
use crate::error::Result;
use crate::model::preprocessing::TensorDataset;
use crate::predict::Classifier;
use crate::predict::explain::table::{
    Background, Dependence, Labeled, PermutationImportance, TableColumns, partial_dependence,
    permutation_importance,
};
use crate::predict::explain::{Explainer, Subject};
use crate::run::{Examples, FinishedRun};

/// Permutations of each column.
const REPEATS: u32 = 5;

/// The smallest and the largest number of rows that are permuted, and the number of values of columns in them: a report should not take
/// long.
const PERMUTED_ROWS: (usize, usize) = (200, 5000);
const PERMUTED_VALUES: usize = 400_000;

/// The same of the rows with Shapley values.
const EXPLAINED_ROWS: (usize, usize) = (8, 64);
const EXPLAINED_VALUES: usize = 4096;

/// The training rows that each of them is compared with.
const BACKGROUND_ROWS: usize = 32;

/// The most important columns, whose partial dependence is computed.
const DEPENDENCES: usize = 8;

/// The rows over which partial dependence is a mean.
const DEPENDENCE_ROWS: usize = 200;

/// The training rows of a background for single rows ([`background`]).
const MAX_BACKGROUND: usize = 128;

/// What a model of a table makes of its columns.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::columns::ColumnReport;
/// use cresset::run::{FinishedRun, RunFolder};
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 30, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = FinishedRun::open(&RunFolder::open(fitted.folder())?, Device::Cpu)?;
/// let report = ColumnReport::of(&run)?.expect("iris is a table");
/// assert_eq!(report.columns.len(), 4);
/// // The most important column is first.
/// assert!(report.columns[0].permutation.mean >= report.columns[3].permutation.mean);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct ColumnReport {
    /// The part of the data that was explained: `validation` or `test`.
    pub part: &'static str,
    /// The number of rows that were permuted.
    pub rows: usize,
    /// The name of the score.
    pub score_name: &'static str,
    /// The score on these rows.
    pub score: f64,
    /// The number of permutations of each column.
    pub repeats: u32,
    /// All columns, the most important one first.
    pub columns: Vec<ColumnImportance>,
    /// The names of the classes or labels, or of the predicted number.
    pub outputs: Vec<String>,
    /// The partial dependence of the most important columns.
    pub dependence: Vec<Dependence>,
    /// What the Shapley values explain: a logit or a number.
    pub explained: &'static str,
}

/// The importance of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnImportance {
    /// Its name.
    pub column: String,
    /// The drop of the score when it is permuted.
    pub permutation: PermutationImportance,
    /// The mean absolute Shapley value: how much it changes the logit of the predicted class or label, or the number.
    pub mean_absolute_shapley: f64,
}

impl ColumnReport {
    /// Explains the test set of a run, or its validation set if there is none; none if the model does not take a table.
    ///
    /// # Errors
    /// A model that fails.
    pub fn of(run: &FinishedRun) -> Result<Option<Self>> {
        let FinishedRun { classifier, config, examples } = run;
        let metadata = classifier.metadata();
        let Some(columns) = TableColumns::of(metadata) else { return Ok(None) };
        let (part, rows) = match examples.split.test.is_empty() {
            false => ("test", &examples.split.test),
            true => ("validation", &examples.split.validation),
        };
        let (least, most) = PERMUTED_ROWS;
        let rows = evenly(rows, (PERMUTED_VALUES / columns.0.len()).clamp(least, most));
        let labeled = Labeled {
            examples: TensorDataset::read(&examples.dataset, &rows, classifier.device())?,
            folds: examples.split.folds_of(&rows),
        };
        let (score, permutation) =
            permutation_importance(classifier, &labeled, &columns, REPEATS, config.seed)?;
        let inputs = &labeled.examples.inputs;
        let background = background(classifier, examples, BACKGROUND_ROWS)?;
        let shapley = mean_absolute_shapley(run, &columns, inputs, &background)?;
        let mut order: Vec<usize> = (0..columns.0.len()).collect();
        let importance = |place: &usize| (permutation[*place].mean, shapley[*place]);
        order.sort_by(|a, b| {
            let (a, b) = (importance(a), importance(b));
            b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
        let few = Background::of_rows(inputs, DEPENDENCE_ROWS).rows;
        let dependence = order
            .iter()
            .take(DEPENDENCES)
            .map(|place| partial_dependence(classifier, &columns.0[*place], &few));
        let dependence = dependence.filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
        let column = |place: usize| ColumnImportance {
            column: columns.0[place].name.clone(),
            permutation: permutation[place],
            mean_absolute_shapley: shapley[place],
        };
        Ok(Some(ColumnReport {
            part,
            rows: rows.len(),
            score_name: metadata.outputs.score_name(),
            score,
            repeats: REPEATS,
            columns: order.into_iter().map(column).collect(),
            outputs: metadata.classes.clone(),
            dependence,
            explained: metadata.outputs.explained(),
        }))
    }

    /// Everything as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "part": self.part,
            "rows": self.rows,
            "score": { "name": self.score_name, "value": self.score },
            "repeats": self.repeats,
            "columns": self.columns,
            "explained": self.explained,
            "outputs": self.outputs,
            "partial_dependence": self.dependence,
        })
    }
}

/// Training rows of a run as the background of explanations; at most 128, and at most `count`.
///
/// # Errors
/// Rows in a file that cannot be read.
pub fn background(classifier: &Classifier, examples: &Examples, count: usize) -> Result<Background> {
    let rows = evenly(&examples.split.train, count.min(MAX_BACKGROUND));
    let inputs = TensorDataset::read(&examples.dataset, &rows, classifier.device())?.inputs;
    Ok(Background::of_rows(&inputs, rows.len()))
}

/// At most `count` of the rows, evenly spaced.
fn evenly(rows: &[i64], count: usize) -> Vec<i64> {
    let count = count.min(rows.len());
    (0..count).map(|place| rows[place * rows.len() / count]).collect()
}

fn mean_absolute_shapley(
    run: &FinishedRun,
    columns: &TableColumns,
    inputs: &Tensor,
    background: &Background,
) -> Result<Vec<f64>> {
    let (least, most) = EXPLAINED_ROWS;
    let few = Background::of_rows(inputs, (EXPLAINED_VALUES / columns.0.len()).clamp(least, most)).rows;
    let predicted = match run.classifier.metadata().outputs.task() {
        TaskKind::Regression => vec![0; few.size()[0] as usize],
        _ => Vec::<i64>::try_from(run.classifier.logits(&few)?.argmax(-1, false))?,
    };
    let explainer = Explainer::new("shapley", "")?;
    let mut sums = vec![0.; columns.0.len()];
    for (row, class) in few.split(1, 0).iter().zip(&predicted) {
        let subject = Subject::new(&run.classifier, *class as usize).with_background(background);
        for (sum, value) in sums.iter_mut().zip(columns.sums(&explainer.attribute(&subject, row)?)?) {
            *sum += value.abs();
        }
    }
    Ok(sums.into_iter().map(|sum| sum / predicted.len().max(1) as f64).collect())
}
