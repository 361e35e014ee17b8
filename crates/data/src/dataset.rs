//! A labelled data set as its format's reader gives it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::image::ImageSource;
use super::labels::indexes_among;
use super::{TableLayout, ValueRange};
use crate::error::{Error, Place, Result, quoted};

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

/// Labelled examples. Every list has an entry for each example, in the order of the source.
#[derive(Debug)]
pub struct Dataset {
    /// The file or folder that they come from.
    pub path: PathBuf,
    /// SHA-256 of the file; of a folder or of shards, SHA-256 of the names and sizes of what is in them.
    pub sha256: String,
    /// The names of the classes, sorted; a label is an index into them.
    pub classes: Vec<String>,
    /// Classes.
    pub labels: Vec<i64>,
    /// The shape of an example.
    pub shape: InputShape,
    /// The range of the values, where it is known of the data set rather than seen in it.
    pub range: Option<ValueRange>,
    /// The raw values of the examples, or where they are.
    pub inputs: Inputs,
    /// What the examples are called, and where they stand.
    pub names: Names,
    /// What a table's columns mean; none for anything else.
    pub table: Option<TableLayout>,
    /// The portion that the source itself puts each example into, if it does.
    pub portions: Option<Vec<Portion>>,
    /// The group of each example, if a column names it.
    pub groups: Option<Vec<String>>,
    /// How many bits are used by the images that have 16 a value, if there are such images.
    pub depth: Option<u8>,
}

/// The raw values of examples.
#[derive(Debug)]
pub enum Inputs {
    /// Values of all examples, row after row. A missing value is NaN.
    Floats(Vec<f32>),
    /// Values from 0 to 255 of all examples, row after row; of an image, channel by channel.
    Bytes(Vec<u8>),
    /// Pictures that are decoded as they are needed.
    Images(Vec<ImageSource>),
}

/// What a source made for training, for choosing between models, and for the last word on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Portion {
    /// To fit a model to.
    Train,
    /// To compare epochs and models by.
    Validation,
    /// To measure the finished model by, once.
    Test,
}

impl Portion {
    /// The portion that a name in lower case stands for.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "train" | "training" | "trn" | "trainval" => Some(Portion::Train),
            "val" | "valid" | "validate" | "validation" | "dev" | "eval" | "evaluation" => {
                Some(Portion::Validation)
            }
            "test" | "testing" | "tst" => Some(Portion::Test),
            _ => None,
        }
    }
}

/// What examples are called, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// An example is called by its number in the source, from 0.
    Rows(Vec<u64>),
    /// An example is a row of a text file: called by its number, from 0 and without the header, it begins at a line.
    Lines {
        /// The number.
        rows: Vec<u64>,
        /// The line, from 1.
        lines: Vec<u64>,
    },
    /// An example is a file, called by its path below the data set's path, with `/` between its parts.
    Files(Vec<String>),
    /// An example is a file that a table lists.
    Listed {
        /// The folder that the names are relative to.
        folder: PathBuf,
        /// The path of each, below the folder where it is there.
        names: Vec<String>,
        /// The line of each in the table; empty where there are several tables.
        lines: Vec<u64>,
    },
    /// Examples from elsewhere stand behind the data set's own.
    Joined {
        /// What its own are called.
        own: Box<Names>,
        /// The folder of the others.
        folder: PathBuf,
        /// What the others are called.
        more: Vec<String>,
    },
}

impl Names {
    /// The number of examples.
    pub fn count(&self) -> usize {
        match self {
            Names::Rows(rows) | Names::Lines { rows, .. } => rows.len(),
            Names::Files(names) | Names::Listed { names, .. } => names.len(),
            Names::Joined { own, more, .. } => own.count() + more.len(),
        }
    }

    /// The index of each example by its name.
    pub fn indexes(&self) -> HashMap<String, usize> {
        (0..self.count()).map(|index| (self.name(index), index)).collect()
    }

    /// What example `index` is called.
    pub fn name(&self, index: usize) -> String {
        match self {
            Names::Rows(rows) | Names::Lines { rows, .. } => rows[index].to_string(),
            Names::Files(names) | Names::Listed { names, .. } => names[index].clone(),
            Names::Joined { own, more, .. } => match index.checked_sub(own.count()) {
                None => own.name(index),
                Some(index) => more[index].clone(),
            },
        }
    }

    /// Where example `index` stands, in the data set of this path.
    pub fn place(&self, path: &Path, index: usize) -> Place {
        match self {
            Names::Rows(rows) => Place::row(path, rows[index]),
            Names::Lines { lines, .. } => Place::line(path, lines[index]),
            Names::Files(names) => path.join(&names[index]).as_path().into(),
            Names::Listed { folder, names, .. } => folder.join(&names[index]).as_path().into(),
            Names::Joined { own, folder, .. } => match index < own.count() {
                true => own.place(path, index),
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

    /// Whether the examples are pictures whose black and white are known.
    pub fn has_pictures(&self) -> bool {
        self.shape.image().is_some() && self.range.is_some()
    }

    /// Where an example stands.
    pub fn place(&self, index: usize) -> Place {
        self.names.place(&self.path, index)
    }

    /// These examples alone, with all classes.
    pub fn select(&self, indexes: &[usize]) -> Self {
        let width = self.shape.features() as usize;
        let inputs = match &self.inputs {
            Inputs::Floats(values) => Inputs::Floats(gather(values, width, indexes.iter().copied())),
            Inputs::Bytes(values) => Inputs::Bytes(gather(values, width, indexes.iter().copied())),
            Inputs::Images(sources) => Inputs::Images(select(sources, indexes)),
        };
        Dataset {
            labels: select(&self.labels, indexes),
            names: self.names.select(indexes),
            portions: self.portions.as_ref().map(|portions| select(portions, indexes)),
            groups: self.groups.as_ref().map(|groups| select(groups, indexes)),
            inputs,
            path: self.path.clone(),
            sha256: self.sha256.clone(),
            classes: self.classes.clone(),
            shape: self.shape.clone(),
            range: self.range,
            depth: self.depth,
            table: self.table.clone(),
        }
    }

    /// The same examples, labelled by these classes.
    ///
    /// # Errors
    /// A label that is none of them.
    pub fn with_classes(self, classes: &[String]) -> Result<Self> {
        let own = self.labels.iter().map(|label| *label as usize);
        let labels = indexes_among(classes, &self.classes, own, |index| self.place(index))?;
        Ok(Dataset { labels, classes: classes.to_vec(), ..self })
    }

    /// Refuses data that nothing can be learned from, and warns of classes that cannot be measured.
    pub fn check(&self) -> Result<()> {
        if let [only] = &self.classes[..] {
            let problem =
                format!("every row has the label {}; a classifier needs at least two classes", quoted(only));
            return Err(Error::data(self.path.as_path(), problem));
        }
        self.warn_of_lone_rows();
        for lacking in super::Lacking::of(self) {
            tracing::warn!("{}: {}", Place::from(&*self.path), lacking.sentence());
        }
        Ok(())
    }

    /// A class of one row is trained on and never measured, which the figures do not show.
    fn warn_of_lone_rows(&self) {
        let mut indexes_of = vec![Vec::new(); self.classes.len()];
        for (index, label) in self.labels.iter().enumerate() {
            indexes_of[*label as usize].push(index);
        }
        // Where no class has more, nothing can be held out at all, and an error says so.
        if indexes_of.iter().all(|indexes| indexes.len() < 2) {
            return;
        }
        for (class, indexes) in self.classes.iter().zip(&indexes_of) {
            if let [index] = indexes[..] {
                let place = self.place(index);
                tracing::warn!(
                    "{place}: {} has this row alone, so it is not held out and never measured",
                    quoted(class)
                );
            }
        }
    }
}

/// The values of some rows, one after the other.
pub fn gather<T: Copy>(values: &[T], width: usize, indexes: impl ExactSizeIterator<Item = usize>) -> Vec<T> {
    let mut gathered = Vec::with_capacity(indexes.len() * width);
    for index in indexes {
        gathered.extend_from_slice(&values[index * width..][..width]);
    }
    gathered
}
