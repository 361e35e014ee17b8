//! Partial dependence (Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001) and the spread of the individual
//! conditional expectations (Goldstein et al., "Peeking Inside the Black Box", 2015): predictions as a function of one column.

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::TableColumn;
use crate::data::column::{ColumnKind, shown_category};
use crate::data::dates;
use crate::error::Result;
use crate::predict::Classifier;

/// Values of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Levels {
    /// Quantiles of a number, or of a date as a year.
    Numbers(Vec<f64>),
    /// Categories.
    Categories(Vec<String>),
}

/// The predictions of a model as a function of one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependence {
    /// The name of the column.
    pub column: String,
    /// The values of the column.
    pub values: Levels,
    /// The mean probability of each class or label, or the mean predicted number, over all rows with this value in the column: one list
    /// for each value.
    pub mean: Vec<Vec<f64>>,
    /// The 10th percentile over the rows.
    pub low: Vec<Vec<f64>>,
    /// The 90th percentile over the rows.
    pub high: Vec<Vec<f64>>,
}

/// The most values of a column.
const MAX_VALUES: usize = 20;

/// Days per year of the Gregorian calendar.
const DAYS_OF_A_YEAR: f64 = 365.2425;

/// The dependence of the predictions on a column: for each of its values, all rows (N, features) are given that value. Numbers and dates
/// have at most 20 values, quantiles of `rows`; categories their first 20. None for lists, texts, and columns with a single value.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::model::preprocessing::TensorDataset;
/// use cresset::predict::explain::table::{TableColumns, partial_dependence};
/// use cresset::prelude::*;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 30, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let dataset = data::load("iris", &DataOptions::default())?;
/// let rows = TensorDataset::of(&dataset, &(0..150).collect::<Vec<_>>(), Device::Cpu).inputs;
/// let petals = &TableColumns::of(classifier.metadata()).unwrap().0[2];
/// let dependence = partial_dependence(&classifier, petals, &rows)?.unwrap();
/// // The probability of setosa decreases with the length of the petals.
/// assert!(dependence.mean[0][0] > dependence.mean.last().unwrap()[0]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A model that fails.
pub fn partial_dependence(
    classifier: &Classifier,
    column: &TableColumn,
    rows: &Tensor,
) -> Result<Option<Dependence>> {
    let Some((values, features)) = grid(column, rows)? else { return Ok(None) };
    let (mut mean, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for features in features {
        let given = rows.to_kind(Kind::Float).copy();
        let features = Tensor::from_slice(&features).to_device(rows.device());
        given.narrow(1, column.start, column.length).copy_(&features.expand_as(&given.narrow(
            1,
            column.start,
            column.length,
        )));
        let outputs = &classifier.metadata().outputs;
        let predictions = outputs.probabilities(&classifier.logits(&given)?).to_device(Device::Cpu);
        let quantile =
            |share: f64| Vec::<f64>::try_from(predictions.quantile_scalar(share, 0, false, "linear"));
        mean.push(Vec::<f64>::try_from(predictions.mean_dim(0, false, Kind::Double))?);
        low.push(quantile(0.1)?);
        high.push(quantile(0.9)?);
    }
    Ok(Some(Dependence { column: column.name.clone(), values, mean, low, high }))
}

/// The values of a column, and the features of each.
type Grid = (Levels, Vec<Vec<f32>>);

fn grid(column: &TableColumn, rows: &Tensor) -> Result<Option<Grid>> {
    let width = column.length as usize;
    let one_hot = |place: usize| (0..width).map(|other| f32::from(u8::from(other == place))).collect();
    let names = |texts: &[String]| {
        texts.iter().take(MAX_VALUES).map(|text| shown_category(text).to_string()).collect::<Vec<_>>()
    };
    let (names, features): (Vec<String>, Vec<Vec<f32>>) = match &column.kind {
        ColumnKind::Number | ColumnKind::Date { .. } => return number_grid(column, rows),
        ColumnKind::Category { categories, .. } => {
            let names = names(categories);
            let features = (0..names.len()).map(one_hot).collect();
            (names, features)
        }
        ColumnKind::Code { categories, .. } | ColumnKind::Ordinal { categories } => {
            let names = names(categories);
            let features = (0..names.len()).map(|place| vec![place as f32]).collect();
            (names, features)
        }
        ColumnKind::Boolean => (vec!["false".to_string(), "true".to_string()], vec![vec![0.], vec![1.]]),
        ColumnKind::Hash { .. }
        | ColumnKind::List { .. }
        | ColumnKind::Text { .. }
        | ColumnKind::Tokens { .. } => return Ok(None),
    };
    Ok((names.len() > 1).then_some((Levels::Categories(names), features)))
}

fn number_grid(column: &TableColumn, rows: &Tensor) -> Result<Option<Grid>> {
    let mut values = Vec::<f32>::try_from(rows.select(1, column.start).to_kind(Kind::Float).contiguous())?;
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len().saturating_sub(1);
    let mut quantiles: Vec<f32> = match values.is_empty() {
        true => Vec::new(),
        false => (0..MAX_VALUES).map(|part| values[last * part / (MAX_VALUES - 1)]).collect(),
    };
    quantiles.dedup();
    if quantiles.len() < 2 {
        return Ok(None);
    }
    let numbers = quantiles.iter().map(|value| f64::from(*value));
    Ok(Some(match column.kind {
        ColumnKind::Date { time } => (
            Levels::Numbers(numbers.map(|days| 1970. + days / DAYS_OF_A_YEAR).collect()),
            quantiles.iter().map(|days| dates::features(f64::from(*days), time)).collect(),
        ),
        _ => (Levels::Numbers(numbers.collect()), quantiles.iter().map(|value| vec![*value]).collect()),
    }))
}
