//! Explanations of models of tables, by the columns of the table.
//!
//! A column may be several features of the model, such as one for each category. All features of a column are replaced together, so that
//! the rows that the model sees have a valid value in each column.

mod background;
mod dependence;
mod importance;

use std::borrow::Cow;

use tch::{Kind, Tensor};

use crate::data::column::{Column, ColumnKind, shown_category};
use crate::data::dates;
use crate::data::image::Channels;
use crate::error::{Error, Result};
use crate::export::Metadata;

pub use background::Background;
pub use dependence::{Dependence, Levels, partial_dependence};
pub use importance::{Labeled, PermutationImportance, permutation_importance};

/// A column of a table and its features in the input of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// The unique name.
    pub name: String,
    /// The first feature.
    pub start: i64,
    /// The number of features.
    pub length: i64,
    /// The type of the cells.
    pub kind: ColumnKind,
}

impl TableColumn {
    /// The value of the column in a row with these features of the model, for display.
    pub fn shown(&self, row: &[f32]) -> String {
        let features = &row[self.start as usize..(self.start + self.length) as usize];
        let category = |categories: &[String], place: Option<usize>| match place
            .and_then(|place| categories.get(place))
        {
            Some(category) => shown_category(category).to_string(),
            None => "(unknown)".to_string(),
        };
        let index = || (features[0] >= 0.).then_some(features[0] as usize);
        match &self.kind {
            _ if features.iter().any(|value| value.is_nan()) => "(missing)".to_string(),
            ColumnKind::Number => ((f64::from(features[0]) * 1e4).round() / 1e4).to_string(),
            ColumnKind::Boolean => (features[0] > 0.5).to_string(),
            ColumnKind::Category { categories, .. } => {
                category(categories, features.iter().position(|value| *value > 0.))
            }
            ColumnKind::Code { categories, .. } | ColumnKind::Ordinal { categories } => {
                category(categories, index())
            }
            ColumnKind::Hash { .. } => match index() {
                Some(row) => format!("(hash {row})"),
                None => "(unknown)".to_string(),
            },
            ColumnKind::Date { .. } => {
                let (year, month, day) = dates::civil(features[0].floor() as i64);
                format!("{year}-{month:02}-{day:02}")
            }
            ColumnKind::List { items, .. } => {
                let listed = items.iter().zip(features).filter(|(_, value)| **value > 0.);
                listed.map(|(item, _)| shown_category(item)).collect::<Vec<_>>().join(", ")
            }
            ColumnKind::Text { .. } | ColumnKind::Tokens { .. } => "(text)".to_string(),
        }
    }
}

/// The columns of the table that a model takes.
///
/// ```
/// use cresset::predict::explain::table::TableColumns;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let columns = TableColumns::of(fitted.classifier()?.metadata()).unwrap();
/// assert_eq!(columns.0.len(), 4);
/// assert_eq!((columns.0[3].start, columns.0[3].length), (3, 1));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumns(pub Vec<TableColumn>);

impl TableColumns {
    /// The columns of a model; none if it takes images or texts.
    pub fn of(metadata: &Metadata) -> Option<Self> {
        let shape = &metadata.input.shape;
        if Channels::of(shape).is_some() || metadata.preprocessing.kind.is_tokens() || shape.0.len() != 1 {
            return None;
        }
        let Some(table) = &metadata.input.table else {
            let number = |place: i64| TableColumn {
                name: (place + 1).to_string(),
                start: place,
                length: 1,
                kind: ColumnKind::Number,
            };
            return Some(TableColumns((0..shape.features()).map(number).collect()));
        };
        let mut start = 0;
        let column = |(column, name): (&Column, Cow<str>)| {
            let length = column.features() as i64;
            start += length;
            TableColumn { name: name.to_string(), start: start - length, length, kind: column.kind.clone() }
        };
        Some(TableColumns(table.columns.iter().zip(table.names()).map(column).collect()))
    }

    /// Like [`TableColumns::of`], for a method that explains tables only.
    ///
    /// # Errors
    /// A model that does not take rows of a table.
    pub(crate) fn require(metadata: &Metadata, method: &str) -> Result<Self> {
        TableColumns::of(metadata).ok_or_else(|| {
            let problem = format!(
                "the method {method} explains the columns of a table, and the inputs of this model are not rows of one; use `--method \
                 occlusion`"
            );
            Error::Usage(problem)
        })
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|column| column.name.as_str()).collect()
    }

    /// The sum of the attributions to the features of each column. Attributions to columns (as many values as columns) stay.
    ///
    /// # Errors
    /// Another number of values.
    pub fn sums(&self, attribution: &Tensor) -> Result<Vec<f64>> {
        let values = Vec::<f64>::try_from(attribution.to_kind(Kind::Double).contiguous().view(-1))?;
        if values.len() == self.0.len() {
            return Ok(values);
        }
        let features = |column: &TableColumn| column.start as usize..(column.start + column.length) as usize;
        let sum = |column: &TableColumn| Some(values.get(features(column))?.iter().sum());
        let sums: Option<Vec<f64>> = self.0.iter().map(sum).collect();
        let problem =
            || format!("the attribution has {} values, but the table {} columns", values.len(), self.0.len());
        sums.ok_or_else(|| Error::Usage(problem()))
    }

    /// The column of each feature, int64 (features).
    pub(crate) fn of_features(&self) -> Tensor {
        let places = (0..).zip(&self.0).flat_map(|(place, column)| vec![place; column.length as usize]);
        Tensor::from_slice(&places.collect::<Vec<i64>>())
    }
}
