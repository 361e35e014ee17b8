//! Permutation importance (Breiman, "Random Forests", 2001; Fisher, Rudin and Dominici, "All Models are Wrong, but Many are Useful",
//! 2019): how much worse a model is if the values of a column are shuffled among the rows.

use rand::seq::SliceRandom;
use serde::Serialize;
use tch::Tensor;

use super::{TableColumn, TableColumns};
use crate::data::random::{Purpose, stream};
use crate::error::Result;
use crate::loader::{EvaluationLoader, MemoryExamples};
use crate::model::preprocessing::TensorDataset;
use crate::predict::Classifier;

/// Labeled rows of a table, for a model that may be a bag.
#[derive(Debug)]
pub struct Labeled {
    /// Raw values (N, features) and targets.
    pub examples: TensorDataset,
    /// The fold of each row in the training of a bag, if the rows are those of its training.
    pub folds: Option<Vec<i64>>,
}

/// The permutation importance of a column: the drop of the score when it is shuffled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PermutationImportance {
    /// The mean drop over the repetitions. It may be below 0 by chance.
    pub mean: f64,
    /// The standard deviation over the repetitions.
    pub deviation: f64,
}

/// The score on labeled rows ([`Outputs::score_name`](crate::model::Outputs::score_name)), and the importance of each column from
/// `repeats` permutations. All features of a column are permuted together.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::model::preprocessing::TensorDataset;
/// use cresset::predict::explain::table::{Labeled, TableColumns, permutation_importance};
/// use cresset::prelude::*;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 30, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let dataset = data::load("iris", &DataOptions::default())?;
/// let rows: Vec<i64> = (0..150).collect();
/// let part = Labeled { examples: TensorDataset::of(&dataset, &rows, Device::Cpu), folds: None };
/// let columns = TableColumns::of(classifier.metadata()).unwrap();
/// let (accuracy, importance) = permutation_importance(&classifier, &part, &columns, 5, 0)?;
/// // The sizes of the petals tell the species apart.
/// assert!(accuracy > 0.8 && importance[2].mean > importance[0].mean);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A model that fails.
pub fn permutation_importance(
    classifier: &Classifier,
    part: &Labeled,
    columns: &TableColumns,
    repeats: u32,
    seed: u64,
) -> Result<(f64, Vec<PermutationImportance>)> {
    let score = |inputs: Tensor| -> Result<f64> {
        let labels = part.examples.labels.shallow_clone();
        let examples = MemoryExamples::ready(TensorDataset { inputs, labels }).in_folds(part.folds.clone());
        let feed: &dyn EvaluationLoader = &examples;
        Ok(classifier.evaluate(feed)?.score())
    };
    let inputs = &part.examples.inputs;
    let whole = score(inputs.shallow_clone())?;
    let importance = |(place, column): (u64, &TableColumn)| -> Result<PermutationImportance> {
        let drops = (0..u64::from(repeats)).map(|repeat| {
            let number = place << 32 | repeat;
            Ok(whole - score(permuted(inputs, column, seed, number))?)
        });
        Ok(of_drops(&drops.collect::<Result<Vec<f64>>>()?))
    };
    let importances = (0..).zip(&columns.0).map(importance).collect::<Result<_>>()?;
    Ok((whole, importances))
}

/// The rows with the values of a column shuffled.
fn permuted(inputs: &Tensor, column: &TableColumn, seed: u64, number: u64) -> Tensor {
    let mut order: Vec<i64> = (0..inputs.size()[0]).collect();
    order.shuffle(&mut stream(seed, Purpose::Permutation, number));
    let order = Tensor::from_slice(&order).to_device(inputs.device());
    let shuffled = inputs.copy();
    shuffled
        .narrow(1, column.start, column.length)
        .copy_(&inputs.narrow(1, column.start, column.length).index_select(0, &order));
    shuffled
}

fn of_drops(drops: &[f64]) -> PermutationImportance {
    let count = drops.len() as f64;
    let mean = drops.iter().sum::<f64>() / count;
    let squares: f64 = drops.iter().map(|drop| (drop - mean).powi(2)).sum();
    PermutationImportance { mean, deviation: (squares / (count - 1.).max(1.)).sqrt() }
}
