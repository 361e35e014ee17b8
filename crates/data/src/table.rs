//! Rows of numbers with their labels and their place in a file.

use std::path::PathBuf;

use super::column::TableLayout;
use super::labels::indexes_among;
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

impl ValueRange {
    /// The place of the first value that is outside, or no number.
    pub fn outside(&self, values: &[f32]) -> Option<usize> {
        values.iter().position(|value| !(self.min..=self.max).contains(value))
    }

    /// What is said of a value that is outside, in this feature of a table's row.
    pub fn refusal(&self, value: f32, row: Place, feature: usize, layout: &TableLayout) -> Error {
        let problem = format!(
            "the value {value} is outside the range {} to {} of this data; correct it or leave the row out",
            self.min, self.max
        );
        let name = excerpt(&layout.feature_names()[feature]);
        let number = (feature + 1).to_string();
        let column = if name == number { number } else { format!("{number} ({name})") };
        Error::data(row.column(column), problem)
    }
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// What its columns are.
    pub layout: TableLayout,
    /// The inputs, row after row, with texts one-hot. A missing value is NaN.
    pub values: Vec<f32>,
    /// Each row's label, as an index into `label_texts`; empty when the rows have none.
    pub labels: Vec<u32>,
    /// The different labels, in the order of their first rows.
    pub label_texts: Vec<String>,
    /// Each row's group, if a column names it.
    pub groups: Option<Vec<String>>,
    /// The number of each row in the file, from 0 and without the header.
    pub rows: Vec<u64>,
    /// The line in the file at which each row begins.
    pub lines: Vec<u64>,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Table {
    /// The number of input values a row.
    pub fn width(&self) -> usize {
        self.layout.features()
    }

    /// Refuses a value outside `range`.
    pub fn check_range(&self, range: ValueRange) -> Result<()> {
        match range.outside(&self.values) {
            None => Ok(()),
            Some(index) => {
                let (row, column) = (index / self.width(), index % self.width());
                Err(range.refusal(self.values[index], self.place(row), column, &self.layout))
            }
        }
    }

    /// Each row's class as an index into `classes`.
    ///
    /// # Errors
    /// Rows without labels, and a label that is none of the classes.
    pub fn class_indexes(&self, classes: &[String]) -> Result<Vec<i64>> {
        if self.labels.is_empty() {
            let label = self.layout.label.as_ref().filter(|_| self.layout.has_names());
            let column = label
                .map_or(String::new(), |label| format!(" (the table has no column {})", quoted(&label.name)));
            let problem = format!(
                "the rows have {} value(s) and no label{column}; to be measured on, a row needs its label",
                self.layout.columns.len()
            );
            return Err(Error::data(self.place(0), problem));
        }
        let own = self.labels.iter().map(|label| *label as usize);
        indexes_among(classes, &self.label_texts, own, |row| self.place(row))
    }

    /// The rows as a data set of examples of this shape.
    ///
    /// # Errors
    /// Values outside `range`, and a column of labels that looks like none.
    pub fn into_dataset(self, shape: InputShape, range: Option<ValueRange>) -> Result<Dataset> {
        if let Some(range) = range {
            self.check_range(range)?;
        }
        self.check_labels()?;
        let mut builder = LabelsBuilder::default();
        self.labels.iter().for_each(|label| builder.push(&self.label_texts[*label as usize]));
        let (classes, labels) = builder.finish();
        Ok(Dataset {
            classes,
            labels,
            shape,
            range,
            names: Names::Lines { rows: self.rows, lines: self.lines },
            path: self.path,
            sha256: self.sha256,
            inputs: Inputs::Floats(self.values),
            table: Some(self.layout),
            portions: None,
            groups: self.groups,
            depth: None,
        })
    }

    /// Refuses labels that stand for a quantity or for nothing.
    pub(super) fn check_labels(&self) -> Result<()> {
        let column = self.layout.label.as_ref().map_or(String::new(), |label| {
            let number = (label.position + 1).to_string();
            if label.name == number { number } else { format!("{number} ({})", excerpt(&label.name)) }
        });
        for (index, label) in self.label_texts.iter().enumerate() {
            let Some(fault) = LabelFault::of(label, &self.label_texts) else { continue };
            let problem = match fault {
                LabelFault::Nothing => "is no class; fill it in or leave the row out".to_string(),
                LabelFault::Fraction => format!(
                    "is a fraction, so column {column} is no label; name the column of the labels (names or whole numbers) with --label"
                ),
            };
            let row = self.labels.iter().position(|label| *label as usize == index);
            let place = self.place(row.expect("a label that was seen is of a row"));
            return Err(Error::data(place, format!("{} {problem}", quoted(label))));
        }
        let (different, rows) = (self.label_texts.len(), self.rows.len());
        if are_no_classes(different, rows) {
            let problem = format!(
                "column {column} holds {different} different values in {rows} rows, so it is no label; name the column of the labels with --label"
            );
            return Err(Error::data(self.path.as_path(), problem));
        }
        Ok(())
    }

    /// Where a row stands.
    pub fn place(&self, row: usize) -> Place {
        Place::line(&self.path, self.lines[row])
    }
}

/// Why a text is no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelFault {
    /// It stands for a value that is not known, or for none.
    Nothing,
    /// It is a quantity.
    Fraction,
}

impl LabelFault {
    /// What is wrong with one of these labels.
    pub fn of(label: &str, all: &[String]) -> Option<Self> {
        match label.parse::<f64>() {
            // Among texts, `inf` is a name as they are.
            Ok(number) if number.is_infinite() => {
                let is_name = |other: &String| other.parse::<f64>().is_err();
                (!all.iter().any(is_name)).then_some(LabelFault::Nothing)
            }
            Ok(number) if number.is_nan() => Some(LabelFault::Nothing),
            Ok(number) if number.fract() != 0. => Some(LabelFault::Fraction),
            _ => None,
        }
    }
}

/// Whether so many different labels are no classes.
pub(super) fn are_no_classes(different: usize, rows: usize) -> bool {
    different > 20 && different * 2 > rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[&str]) -> Table {
        Table {
            path: "a.csv".into(),
            layout: TableLayout::default(),
            values: Vec::new(),
            labels: (0..labels.len() as u32).collect(),
            label_texts: labels.iter().map(|label| label.to_string()).collect(),
            groups: None,
            rows: (0..labels.len() as u64).collect(),
            lines: (1..=labels.len() as u64).collect(),
            sha256: String::new(),
        }
    }

    fn problem(labels: &[&str]) -> String {
        labelled(labels).into_dataset(InputShape(vec![0]), None).unwrap_err().to_string()
    }

    #[test]
    fn a_column_of_fractions_is_no_label() {
        let text = problem(&["1", "0.5"]);
        assert!(text.starts_with("a.csv, line 2: `0.5` is a fraction"), "{text}");
    }

    #[test]
    fn a_label_that_stands_for_nothing_names_its_line() {
        let text = problem(&["1", "2", "NaN"]);
        assert!(text.starts_with("a.csv, line 3: `NaN` is no class"), "{text}");
    }

    #[test]
    fn inf_is_a_name_among_names_and_nothing_among_numbers() {
        assert!(labelled(&["zero", "inf", "-Infinity"]).check_labels().is_ok());
        assert!(problem(&["1", "inf"]).starts_with("a.csv, line 2: `inf` is no class"));
        assert!(problem(&["inf", "nan"]).starts_with("a.csv, line 1: `inf` is no class"));
    }

    #[test]
    fn a_label_outside_the_classes_names_its_line() {
        let text = labelled(&["1", "7"]).class_indexes(&["1".into(), "2".into()]).unwrap_err().to_string();
        assert_eq!(text, "a.csv, line 2: the label `7` is none of the classes (1, 2)");
    }
}
