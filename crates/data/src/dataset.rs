//! A labelled data set, as read from its source.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image::{Decoding, ImageSource};
use super::joined::ChoiceDetails;
use super::stored::{StoredNames, StoredRows};
use super::texts::Texts;
use super::{TableLayout, Targets, ValueRange};
use crate::error::{Location, Result, quoted};

/// The shape of one example, without the batch dimension: `[features]` for a row of a table, `[channels,
/// height, width]` for an image.
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

/// Labelled examples. Every list has one entry per example, in the order of the source.
#[derive(Debug)]
pub struct Dataset {
    /// The file or folder that they were read from.
    pub path: PathBuf,
    /// SHA-256 of the file; for a folder or for shards, SHA-256 of the names and sizes of the files.
    pub sha256: String,
    /// The names of the classes or labels, sorted, or the name of the quantity.
    pub classes: Vec<String>,
    /// The label of each example: an index whose meaning `targets` has.
    pub labels: Vec<i64>,
    /// The meaning of `labels`.
    pub targets: Targets,
    /// The shape of an example.
    pub shape: InputShape,
    /// The range of the values, if the format defines it.
    pub range: Option<ValueRange>,
    /// The raw values of the examples, or the locations of the encoded images.
    pub inputs: Inputs,
    /// The names and locations of the examples.
    pub names: Names,
    /// The column layout of a table; `None` for other data.
    pub table: Option<TableLayout>,
    /// The subset that the source assigns each example to, if it does.
    pub portions: Option<Vec<Subset>>,
    /// The group of each example, if there is a group column.
    pub groups: Option<Vec<String>>,
    /// How images are decoded and resized.
    pub decoding: Decoding,
    /// The texts whose token ids are the inputs, as long as they may be tokenized in another way; `None` for other data.
    pub texts: Option<Texts>,
    /// What is known of choices of items by users; nothing for other data.
    pub choices: ChoiceDetails,
}

/// The raw inputs of the examples.
#[derive(Debug)]
pub enum Inputs {
    /// The values of all examples, concatenated. A missing value is NaN.
    Floats(Vec<f32>),
    /// Values from 0 to 255 of all examples, concatenated; images are in (channels, height, width) order.
    Bytes(Vec<u8>),
    /// Encoded images, decoded on demand.
    Images(Vec<ImageSource>),
    /// The rows of a table in a file, read on demand.
    Stored(Arc<StoredRows>),
}

/// A subset of the data: training, validation or test set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subset {
    /// The training set.
    Train,
    /// The validation set, for choosing between epochs and models.
    Validation,
    /// The test set, for evaluating the final model once.
    Test,
}

impl Subset {
    /// The subset for a name in lower case.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "train" | "training" | "trn" | "trainval" => Some(Subset::Train),
            "val" | "valid" | "validate" | "validation" | "dev" | "eval" | "evaluation" => {
                Some(Subset::Validation)
            }
            "test" | "testing" | "tst" => Some(Subset::Test),
            _ => None,
        }
    }
}

/// The names and locations of examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Each name is the index of the example in the source, from 0.
    Rows(Vec<u64>),
    /// Rows of a text file: each name is the row number, from 0 and without the header.
    Lines {
        /// The row numbers.
        rows: Vec<u64>,
        /// The first line of each row, from 1.
        lines: Vec<u64>,
    },
    /// Rows of a table in a file: each name is the row number, as for [`Names::Lines`].
    Stored(Arc<StoredNames>),
    /// Files: each name is the path relative to the data set's path, with `/` as separator.
    Files(Vec<String>),
    /// Files listed in a table.
    Listed {
        /// The folder that the names are relative to.
        folder: PathBuf,
        /// The path of each file, relative to `folder` if it is inside.
        names: Vec<String>,
        /// The line of each file in the table; empty if there are several tables.
        lines: Vec<u64>,
    },
    /// Examples of the data set, followed by examples from another folder.
    Joined {
        /// The names of the data set's examples.
        own: Box<Names>,
        /// The other folder.
        folder: PathBuf,
        /// The names of the other examples.
        more: Vec<String>,
    },
}

impl Names {
    /// The number of examples.
    pub fn count(&self) -> usize {
        match self {
            Names::Rows(rows) | Names::Lines { rows, .. } => rows.len(),
            Names::Stored(names) => names.count(),
            Names::Files(names) | Names::Listed { names, .. } => names.len(),
            Names::Joined { own, more, .. } => own.count() + more.len(),
        }
    }

    /// A map from name to index.
    pub fn indexes(&self) -> HashMap<String, usize> {
        (0..self.count()).map(|index| (self.name(index), index)).collect()
    }

    /// The name of example `index`.
    pub fn name(&self, index: usize) -> String {
        match self {
            Names::Rows(rows) | Names::Lines { rows, .. } => rows[index].to_string(),
            Names::Stored(names) => names.row(index).to_string(),
            Names::Files(names) | Names::Listed { names, .. } => names[index].clone(),
            Names::Joined { own, more, .. } => match index.checked_sub(own.count()) {
                None => own.name(index),
                Some(index) => more[index].clone(),
            },
        }
    }

    /// The location of example `index` of the data set at `path`.
    pub fn location(&self, path: &Path, index: usize) -> Location {
        match self {
            Names::Rows(rows) => Location::row(path, rows[index]),
            Names::Lines { lines, .. } => Location::line(path, lines[index]),
            Names::Stored(names) => Location::line(path, names.line(index)),
            Names::Files(names) => path.join(&names[index]).as_path().into(),
            Names::Listed { folder, names, .. } => folder.join(&names[index]).as_path().into(),
            Names::Joined { own, folder, .. } => match index < own.count() {
                true => own.location(path, index),
                false => folder.as_path().into(),
            },
        }
    }

    fn select(&self, indexes: &[usize]) -> Self {
        match self {
            Names::Rows(rows) => Names::Rows(select(rows, indexes)),
            Names::Lines { rows, lines } => {
                Names::Lines { rows: select(rows, indexes), lines: select(lines, indexes) }
            }
            Names::Stored(names) => {
                let of = |each: fn(&StoredNames, usize) -> u64| {
                    indexes.iter().map(|index| each(names, *index)).collect()
                };
                Names::Lines { rows: of(StoredNames::row), lines: of(StoredNames::line) }
            }
            Names::Files(names) => Names::Files(select(names, indexes)),
            Names::Listed { folder, names, lines } => Names::Listed {
                folder: folder.clone(),
                names: select(names, indexes),
                lines: if lines.is_empty() { Vec::new() } else { select(lines, indexes) },
            },
            Names::Joined { .. } => Names::Files(indexes.iter().map(|index| self.name(*index)).collect()),
        }
    }
}

fn select<T: Clone>(all: &[T], indexes: &[usize]) -> Vec<T> {
    indexes.iter().map(|index| all[*index].clone()).collect()
}

impl Dataset {
    /// The number of examples.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Whether the examples are images with a known value range.
    pub fn is_image_data(&self) -> bool {
        self.shape.image().is_some() && self.range.is_some()
    }

    /// Whether the examples are token ids of texts.
    pub fn is_text(&self) -> bool {
        self.table.as_ref().is_some_and(TableLayout::is_text)
    }

    /// The location of an example.
    pub fn location(&self, index: usize) -> Location {
        self.names.location(&self.path, index)
    }

    /// The subset of examples at these indexes. It keeps all classes.
    pub fn select(&self, indexes: &[usize]) -> Self {
        let width = self.shape.features() as usize;
        let inputs = match &self.inputs {
            Inputs::Floats(values) => Inputs::Floats(gather(values, width, indexes.iter().copied())),
            Inputs::Bytes(values) => Inputs::Bytes(gather(values, width, indexes.iter().copied())),
            Inputs::Images(sources) => Inputs::Images(select(sources, indexes)),
            Inputs::Stored(_) => {
                unreachable!("options that select examples are refused for a table that is streamed")
            }
        };
        Dataset {
            labels: select(&self.labels, indexes),
            targets: self.targets.clone(),
            names: self.names.select(indexes),
            portions: self.portions.as_ref().map(|portions| select(portions, indexes)),
            groups: self.groups.as_ref().map(|groups| select(groups, indexes)),
            inputs,
            path: self.path.clone(),
            sha256: self.sha256.clone(),
            classes: self.classes.clone(),
            shape: self.shape.clone(),
            range: self.range,
            decoding: self.decoding,
            texts: self.texts.as_ref().map(|texts| texts.select(indexes)),
            choices: self.choices.clone(),
            table: self.table.clone(),
        }
    }

    /// Rejects data without anything to learn, and warns about classes that a subset lacks.
    pub fn check(&self) -> Result<()> {
        self.check_targets()?;
        if self.targets != Targets::Classes {
            return Ok(());
        }
        self.warn_of_single_example_classes();
        for missing in super::MissingClasses::of(self) {
            tracing::warn!("{}: {}", Location::from(&*self.path), missing.sentence());
        }
        Ok(())
    }

    /// Warns about classes with one example, which is in the training set and never in the validation set.
    fn warn_of_single_example_classes(&self) {
        let mut counts = vec![0usize; self.classes.len()];
        self.labels.iter().for_each(|label| counts[*label as usize] += 1);
        // If no class has more, there is no validation set, and `Split::new` returns an error.
        if counts.iter().all(|count| *count < 2) || !counts.contains(&1) {
            return;
        }
        let only = self.labels.iter().enumerate().filter(|(_, label)| counts[**label as usize] == 1);
        let mut only: Vec<(i64, usize)> = only.map(|(index, label)| (*label, index)).collect();
        only.sort_unstable();
        for (class, index) in only {
            let location = self.location(index);
            tracing::warn!(
                "{location}: this is the only example of class {}, so the validation set does not contain the class",
                quoted(&self.classes[class as usize])
            );
        }
    }
}

/// Concatenates the values of the examples at `indexes`, with `width` values each.
pub fn gather<T: Copy>(values: &[T], width: usize, indexes: impl ExactSizeIterator<Item = usize>) -> Vec<T> {
    let mut gathered = Vec::with_capacity(indexes.len() * width);
    for index in indexes {
        gathered.extend_from_slice(&values[index * width..][..width]);
    }
    gathered
}
