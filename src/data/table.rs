//! Rows of numbers with their labels and their place in a file, before they become tensors.

use std::path::PathBuf;

use crate::error::{Error, Place, Result};

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
                let problem =
                    format!("the value {value} is outside the range {} to {}", range.min, range.max);
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
            let problem = format!("the rows have {} values and no label behind them", self.width());
            return Err(Error::data(self.path.as_path(), problem));
        }
        let index_of = |(row, label): (usize, &String)| {
            classes.iter().position(|class| class == label).map(|index| index as i64).ok_or_else(|| {
                let problem = format!("the label `{label}` is none of the classes ({})", abridged(classes));
                Error::data(self.place(row), problem)
            })
        };
        self.labels.iter().enumerate().map(index_of).collect()
    }

    /// The different labels, in numeric order if all are whole numbers, else in the order of the text.
    ///
    /// # Errors
    /// Labels that nothing can be learned from: one class alone, or a column that looks like no label.
    pub fn classes(&self) -> Result<Vec<String>> {
        let mut classes = self.labels.clone();
        classes.sort();
        classes.dedup();
        let refuse = |problem: String| Err(Error::data(self.path.as_path(), problem));
        if let Some(label) = classes.iter().find(|label| is_fraction(label)) {
            return refuse(format!(
                "the last column holds fractions such as {label}, so it is no label; labels (names or whole numbers) stand last in each row"
            ));
        }
        if classes.len() == 1 {
            return refuse(format!(
                "all {} rows have the label `{}`; a classifier needs at least two classes",
                self.rows(),
                classes[0]
            ));
        }
        if classes.len() > 20 && classes.len() * 2 > self.rows() {
            return refuse(format!(
                "the last column holds {} different values in {} rows, so it is no label; labels stand last in each row",
                classes.len(),
                self.rows()
            ));
        }
        if let Ok(mut numbers) =
            classes.iter().map(|label| label.parse::<i64>()).collect::<std::result::Result<Vec<_>, _>>()
        {
            let spelled_alike =
                numbers.iter().zip(&classes).all(|(number, label)| number.to_string() == *label);
            if spelled_alike {
                numbers.sort_unstable();
                return Ok(numbers.iter().map(i64::to_string).collect());
            }
        }
        Ok(classes)
    }

    /// Where a row stands.
    pub fn place(&self, row: usize) -> Place {
        Place::line(&self.path, self.lines[row])
    }

    /// A column by number (from 1), with its name if it has one.
    pub fn column_name(&self, index: usize) -> String {
        match self.header.as_ref().and_then(|names| names.get(index)) {
            Some(name) => format!("{} ({name})", index + 1),
            None => (index + 1).to_string(),
        }
    }
}

fn is_fraction(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| number.fract() != 0.)
}

fn abridged(classes: &[String]) -> String {
    match classes {
        [first, .., last] if classes.len() > 12 => format!("{first} … {last}, {} in all", classes.len()),
        _ => classes.join(", "),
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
    fn classes_that_are_numbers_are_in_numeric_order() {
        assert_eq!(labelled(&["10", "9", "10", "-1"]).classes().unwrap(), ["-1", "9", "10"]);
        assert_eq!(labelled(&["b", "10", "9"]).classes().unwrap(), ["10", "9", "b"]);
    }

    #[test]
    fn numbers_spelled_in_two_ways_stay_text() {
        assert_eq!(labelled(&["01", "1", "2"]).classes().unwrap(), ["01", "1", "2"]);
    }

    #[test]
    fn a_column_of_fractions_is_no_label() {
        let text = labelled(&["1", "0.5"]).classes().unwrap_err().to_string();
        assert!(text.contains("0.5") && text.contains("no label"), "{text}");
    }

    #[test]
    fn a_label_outside_the_classes_names_its_line() {
        let text = labelled(&["1", "7"]).class_indexes(&["1".into(), "2".into()]).unwrap_err().to_string();
        assert_eq!(text, "a.csv, line 2: the label `7` is none of the classes (1, 2)");
    }
}
