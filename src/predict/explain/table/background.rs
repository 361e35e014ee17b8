//! The rows that a row is compared with: what the value of a column is replaced by.

use rand::seq::SliceRandom;
use tch::{Kind, Tensor};

use super::{TableColumn, TableColumns};
use crate::data::column::ColumnKind;
use crate::data::dates;
use crate::data::random::{Purpose, stream};
use crate::error::Result;
use crate::evaluate::drift::{Bins, Variable};
use crate::export::Metadata;

/// Rows of the training data, or rows like them.
///
/// ```
/// use cresset::predict::explain::table::Background;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let background = Background::of_histograms(classifier.metadata())?;
/// assert_eq!(background.rows.size(), [64, 4]);
/// // The lengths of petals in the data are from 1 to 6.9 cm.
/// let petals = background.rows.select(1, 2);
/// assert!(petals.min().double_value(&[]) >= 1. && petals.max().double_value(&[]) <= 6.9);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Background {
    /// Raw values, float32 (N, features). Missing values are NaN.
    pub rows: Tensor,
    /// Where they come from, for display.
    pub source: &'static str,
}

/// Rows from histograms: as many as keep an explanation in the playground fast.
const ROWS: usize = 64;

impl Background {
    /// At most `count` of the rows (N, features) of the training set, evenly spaced.
    pub fn of_rows(rows: &Tensor, count: usize) -> Self {
        let all = rows.size()[0];
        let count = (count as i64).min(all);
        let places: Vec<i64> = (0..count).map(|place| place * all / count.max(1)).collect();
        let rows =
            rows.to_kind(Kind::Float).index_select(0, &Tensor::from_slice(&places).to_device(rows.device()));
        Background { rows, source: "training rows" }
    }

    /// Rows for a model without its data: each column has the distribution of the training data, from the histograms in the model file,
    /// independently of the others. Columns without a histogram have their mean.
    ///
    /// # Errors
    /// A model that does not take rows of a table.
    pub fn of_histograms(metadata: &Metadata) -> Result<Self> {
        let columns = TableColumns::require(metadata, "shapley")?;
        let width = metadata.input.shape.features() as usize;
        let offset = &metadata.preprocessing.offset;
        let means = if offset.len() == width { offset.clone() } else { vec![0.; width] };
        let mut rows = vec![means; ROWS];
        let variables = metadata.drift.iter().flat_map(|reference| &reference.inputs);
        for variable in variables {
            let column = columns.0.iter().find(|column| column.start as usize == variable.start);
            // Further parts of a date follow from its first.
            let Some(column) = column else { continue };
            fill(variable, column, &mut rows);
        }
        let values = Tensor::from_slice(&rows.concat()).view([ROWS as i64, width as i64]);
        Ok(Background { rows: values, source: "histograms of the training data" })
    }
}

/// Sets the features of a column: its quantiles in a random order, so that the rows have its distribution.
fn fill(variable: &Variable, column: &TableColumn, rows: &mut [Vec<f32>]) {
    let total: u64 = variable.counts.iter().sum();
    if total == 0 {
        return;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut stream(0, Purpose::Background, variable.start as u64));
    for (place, row) in order.into_iter().enumerate() {
        let wanted = (place as f64 + 0.5) / rows.len() as f64 * total as f64;
        let (mut bin, mut before) = (0, 0.);
        while bin + 1 < variable.counts.len() && before + variable.counts[bin] as f64 <= wanted {
            before += variable.counts[bin] as f64;
            bin += 1;
        }
        let share = (wanted - before) / (variable.counts[bin] as f64).max(1.);
        let start = column.start as usize;
        set(variable, column, bin, share.clamp(0., 1.), &mut rows[row][start..][..column.length as usize]);
    }
}

/// Sets the features of a column to a value in a bin, at `share` of its width.
fn set(variable: &Variable, column: &TableColumn, bin: usize, share: f64, features: &mut [f32]) {
    match &variable.bins {
        Bins::Number { low, edges } if bin > 0 && bin <= edges.len() => {
            let from = if bin == 1 { *low } else { edges[bin - 2] };
            let value = f64::from(from) + share * f64::from(edges[bin - 1] - from);
            // A bin has the values above its lower bound: between 0 and 1, a boolean is 1.
            let is_whole = low.fract() == 0. && edges.iter().all(|edge| edge.fract() == 0.);
            let value = if is_whole { value.ceil() } else { value };
            match column.kind {
                ColumnKind::Date { time } => features.copy_from_slice(&dates::features(value, time)),
                _ => features[0] = value as f32,
            }
        }
        Bins::Number { .. } => features.fill(f32::NAN),
        Bins::Category { kept, .. } => {
            let is_code = variable.features == 0;
            let category = kept.get(bin).copied();
            features.fill(match bin == variable.bins.of_missing() {
                true => f32::NAN,
                false if is_code => category.map_or(-1., |index| index as f32),
                false => 0.,
            });
            if let Some(index) = category.filter(|index| !is_code && *index < features.len()) {
                features[index] = 1.;
            }
        }
    }
}
