//! Rows of numbers with their labels and their place in a file, before they become tensors.

use std::path::PathBuf;

use super::{Dataset, InputShape, Inputs, LabelsBuilder, Names};
use crate::error::{Error, Place, Result, excerpt, quoted};

/// The least and the greatest value that an input may have.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValueRange {
    /// The least.
    pub min: f32,
    /// The greatest.
    pub max: f32,
}

/// What a format's reader gives: numbers row by row, labels as text.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// The names of all columns, if the file has a header.
    pub header: Option<Vec<String>>,
    /// The inputs, row after row; `width` values each.
    pub values: Vec<f32>,
    /// A row's label; empty when the rows have none.
    pub labels: Vec<String>,
    /// The line in the file at which each row begins.
    pub lines: Vec<u64>,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Table {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The number of input values a row.
    pub fn width(&self) -> usize {
        self.values.len() / self.rows().max(1)
    }

    /// Refuses a value outside `range`.
    pub fn check_range(&self, range: ValueRange) -> Result<()> {
        let inside = |value: &f32| (range.min..=range.max).contains(value);
        match self.values.iter().position(|value| !inside(value)) {
            None => Ok(()),
            Some(index) => {
                let (row, column) = (index / self.width(), index % self.width());
                let value = self.values[index];
                let problem = format!(
                    "the value {value} is outside the range {} to {} of this data; correct it or leave the row out",
                    range.min, range.max
                );
                Err(Error::data(self.place(row).column(self.column_name(column)), problem))
            }
        }
    }

    /// Each row's class as an index into `classes`.
    ///
    /// # Errors
    /// Rows without labels, and a label that is none of the classes.
    pub fn class_indexes(&self, classes: &[String]) -> Result<Vec<i64>> {
        if self.labels.is_empty() {
            let problem = format!(
                "the rows have {} value(s) and no label behind them; to be measured on, a row needs its label last",
                self.width()
            );
            return Err(Error::data(self.place(0), problem));
        }
        let index_of = |(row, label): (usize, &String)| {
            classes.iter().position(|class| class == label).map(|index| index as i64).ok_or_else(|| {
                let problem =
                    format!("the label {} is none of the classes ({})", quoted(label), abridged(classes));
                Error::data(self.place(row), problem)
            })
        };
        self.labels.iter().enumerate().map(index_of).collect()
    }

    /// The classes in order, and each row's index into them.
    ///
    /// # Errors
    /// A column of labels that looks like none.
    pub fn classes(&self) -> Result<(Vec<String>, Vec<i64>)> {
        self.check_labels()?;
        let mut builder = LabelsBuilder::default();
        self.labels.iter().for_each(|label| builder.push(label));
        let (classes, indexes) = builder.finish();
        if classes.len() > 20 && classes.len() * 2 > self.rows() {
            let problem = format!(
                "the last column holds {} different values in {} rows, so it is no label; labels stand last in each row",
                classes.len(),
                self.rows()
            );
            return Err(Error::data(self.path.as_path(), problem));
        }
        Ok((classes, indexes))
    }

    /// The rows as a data set of examples of this shape.
    ///
    /// # Errors
    /// Values outside `range`, and a column of labels that looks like none.
    pub fn into_dataset(self, shape: InputShape, range: Option<ValueRange>) -> Result<Dataset> {
        if let Some(range) = range {
            self.check_range(range)?;
        }
        let (classes, labels) = self.classes()?;
        Ok(Dataset {
            classes,
            labels,
            shape,
            range,
            names: Names::Lines { rows: (0..self.lines.len() as u64).collect(), lines: self.lines },
            path: self.path,
            sha256: self.sha256,
            inputs: Inputs::Floats(self.values),
            columns: Vec::new(),
            portions: None,
            groups: None,
        })
    }

    /// Refuses the first label that stands for a quantity or for nothing.
    fn check_labels(&self) -> Result<()> {
        for (row, label) in self.labels.iter().enumerate() {
            let problem = match label.parse::<f64>() {
                Ok(number) if !number.is_finite() => {
                    "is no class; fill it in or leave the row out".to_string()
                }
                Ok(number) if number.fract() != 0. => {
                    "is a fraction, so the last column is no label; labels (names or whole numbers) stand last in each row"
                        .to_string()
                }
                _ => continue,
            };
            return Err(Error::data(self.place(row), format!("{} {problem}", quoted(label))));
        }
        Ok(())
    }

    /// Where a row stands.
    pub fn place(&self, row: usize) -> Place {
        Place::line(&self.path, self.lines[row])
    }

    /// A column by number (from 1), with its name if it has one.
    pub fn column_name(&self, index: usize) -> String {
        match self.header.as_ref().and_then(|names| names.get(index)) {
            Some(name) => format!("{} ({})", index + 1, excerpt(name)),
            None => (index + 1).to_string(),
        }
    }
}

fn abridged(classes: &[String]) -> String {
    match classes {
        [first, .., last] if classes.len() > 12 => {
            format!("{} … {}, {} in all", excerpt(first), excerpt(last), classes.len())
        }
        _ => classes.iter().map(|class| excerpt(class)).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[&str]) -> Table {
        Table {
            path: "a.csv".into(),
            header: None,
            values: vec![0.; labels.len()],
            labels: labels.iter().map(|label| label.to_string()).collect(),
            lines: (1..=labels.len() as u64).collect(),
            sha256: String::new(),
        }
    }

    #[test]
    fn a_column_of_fractions_is_no_label() {
        let text = labelled(&["1", "0.5"]).classes().unwrap_err().to_string();
        assert!(text.starts_with("a.csv, line 2: `0.5` is a fraction"), "{text}");
    }

    #[test]
    fn a_label_that_stands_for_nothing_names_its_line() {
        let text = labelled(&["1", "2", "NaN"]).classes().unwrap_err().to_string();
        assert!(text.starts_with("a.csv, line 3: `NaN` is no class"), "{text}");
    }

    #[test]
    fn a_label_outside_the_classes_names_its_line() {
        let text = labelled(&["1", "7"]).class_indexes(&["1".into(), "2".into()]).unwrap_err().to_string();
        assert_eq!(text, "a.csv, line 2: the label `7` is none of the classes (1, 2)");
    }
}
