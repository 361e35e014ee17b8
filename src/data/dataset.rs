//! A labelled data set in memory, and its two parts.

use std::path::PathBuf;

use tch::{Device, Tensor};

use super::{Split, Table, ValueRange};
use crate::error::{Result, quoted};

/// The shape of one example, without the batch: `[features]` for a row of a table, `[channels, height, width]` for an
/// image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InputShape(pub Vec<i64>);

impl InputShape {
    /// The number of values of one example.
    pub fn features(&self) -> i64 {
        self.0.iter().product()
    }

    /// Channels, height and width, if the example is an image.
    pub fn image(&self) -> Option<(i64, i64, i64)> {
        match self.0[..] {
            [channels, height, width] => Some((channels, height, width)),
            _ => None,
        }
    }
}

impl std::fmt::Display for InputShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<_> = self.0.iter().map(i64::to_string).collect();
        f.write_str(&sizes.join("×"))
    }
}

/// Labelled examples.
#[derive(Debug)]
pub struct Dataset {
    /// The file that they come from.
    pub path: PathBuf,
    /// SHA-256 of that file.
    pub sha256: String,
    /// The names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// The shape of an example.
    pub shape: InputShape,
    /// The range of the values, where it is known of the data set rather than seen in it.
    pub range: Option<ValueRange>,
    /// Raw values, float32 (N, features).
    pub inputs: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
}

/// Some rows of a data set.
#[derive(Debug)]
pub struct Part {
    /// Raw values, float32 (N, features).
    pub inputs: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
}

/// The rows that a model is fitted to.
#[derive(Debug)]
pub struct TrainPart(pub Part);

/// The rows that a model is measured on, and never fitted to.
#[derive(Debug)]
pub struct HeldOutPart(pub Part);

impl Dataset {
    /// Makes tensors of a table's rows.
    ///
    /// # Errors
    /// Values outside `range`, and labels that nothing can be learned from.
    pub fn from_table(table: Table, shape: InputShape, range: Option<ValueRange>) -> Result<Self> {
        if let Some(range) = range {
            table.check_range(range)?;
        }
        let classes = table.classes()?;
        let indexes = table.class_indexes(&classes)?;
        warn_of_lone_rows(&table, &classes, &indexes);
        let labels = Tensor::from_slice(&indexes);
        let inputs = Tensor::from_slice(&table.values).view([table.rows() as i64, shape.features()]);
        Ok(Dataset { path: table.path, sha256: table.sha256, classes, shape, range, inputs, labels })
    }

    /// The number of examples.
    pub fn rows(&self) -> usize {
        self.labels.size()[0] as usize
    }

    /// The two parts of a split, on `device`.
    pub fn parts(&self, split: &Split, device: Device) -> (TrainPart, HeldOutPart) {
        (TrainPart(self.select(&split.train, device)), HeldOutPart(self.select(&split.held_out, device)))
    }

    fn select(&self, rows: &[i64], device: Device) -> Part {
        let rows = Tensor::from_slice(rows);
        Part {
            inputs: self.inputs.index_select(0, &rows).to_device(device),
            labels: self.labels.index_select(0, &rows).to_device(device),
        }
    }
}

/// A class of one row is trained on and never measured, which the figures do not show.
fn warn_of_lone_rows(table: &Table, classes: &[String], indexes: &[i64]) {
    let mut rows_of = vec![Vec::new(); classes.len()];
    for (row, index) in indexes.iter().enumerate() {
        rows_of[*index as usize].push(row);
    }
    // Where no class has more, nothing can be held out at all, and an error says so.
    if rows_of.iter().all(|rows| rows.len() < 2) {
        return;
    }
    for (class, rows) in classes.iter().zip(&rows_of) {
        if let [row] = rows[..] {
            let place = table.place(row);
            tracing::warn!(
                "{place}: {} has this row alone, so it is not held out and never measured",
                quoted(class)
            );
        }
    }
}

impl Part {
    /// The number of examples.
    pub fn rows(&self) -> usize {
        self.labels.size()[0] as usize
    }
}
