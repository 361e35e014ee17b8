//! Tables: rows of numbers with labels and line numbers.

use std::path::{Path, PathBuf};

use super::column::TableLayout;
use super::targets::{TargetChoice, number, task_of};
use super::texts::Texts;
use super::{Dataset, InputShape, Inputs, LabelsBuilder, Names, Targets, TaskKind, gather};
use crate::error::{Error, Location, Result, excerpt, quoted};
use crate::image::Decoding;

/// The minimum and maximum of an input value.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ValueRange {
    /// The minimum.
    pub min: f32,
    /// The maximum.
    pub max: f32,
}

impl ValueRange {
    /// The index of the first value that is outside the range or NaN.
    pub fn outside(&self, values: &[f32]) -> Option<usize> {
        values.iter().position(|value| !(self.min..=self.max).contains(value))
    }

    /// The error for a value outside the range, in feature `feature` of the row at `row`.
    pub fn refusal(&self, value: f32, row: Location, feature: usize, layout: &TableLayout) -> Error {
        let problem = format!(
            "the value {value} is outside the range {} to {} of this data; correct it or remove the row",
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
    /// The column layout.
    pub layout: TableLayout,
    /// The features of all rows, concatenated, with categories one-hot encoded. A missing value is NaN.
    pub values: Vec<f32>,
    /// The label of each row, as an index into `label_texts`; empty if the rows have none.
    pub labels: Vec<u32>,
    /// The distinct labels, in order of first occurrence.
    pub label_texts: Vec<String>,
    /// The group of each row, if there is a group column.
    pub groups: Option<Vec<String>>,
    /// The number of each row in the file, from 0 and without the header.
    pub rows: Vec<u64>,
    /// The line at which each row begins, from 1.
    pub lines: Vec<u64>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The texts whose token ids are the values, in data that may be tokenized in another way.
    pub texts: Option<Texts>,
}

impl Table {
    /// The number of features per row.
    pub fn width(&self) -> usize {
        self.layout.features()
    }

    /// Returns an error if a value is outside `range`.
    pub fn check_range(&self, range: ValueRange) -> Result<()> {
        match range.outside(&self.values) {
            None => Ok(()),
            Some(index) => {
                let (row, column) = (index / self.width(), index % self.width());
                Err(range.refusal(self.values[index], self.location(row), column, &self.layout))
            }
        }
    }

    /// The labels of the rows for the evaluation of a model of this task with these classes, labels or quantity, as a data
    /// set without inputs.
    ///
    /// # Errors
    /// Rows without labels, or a label that the model does not have.
    pub fn labels_for(&self, task: TaskKind, classes: &[String]) -> Result<Dataset> {
        if self.labels.is_empty() {
            return Err(self.without_labels());
        }
        let choice = TargetChoice { task: Some(task), is_selected: false };
        let labels = Table { values: Vec::new(), texts: None, ..self.clone() };
        labels.into_classes(InputShape(vec![0]), None).for_task(choice)?.with_classes(classes)
    }

    /// The error for rows without labels.
    pub(crate) fn without_labels(&self) -> Error {
        let label = self.layout.label.as_ref().filter(|_| self.layout.has_names());
        let column = label
            .map_or(String::new(), |label| format!(" (the table has no column {})", quoted(&label.name)));
        let problem = format!(
            "the rows have {} value(s) and no label{column}; evaluation requires labels",
            self.layout.columns.len()
        );
        Error::data(self.location(0), problem)
    }

    /// Converts the table to a data set with examples of this shape.
    ///
    /// # Errors
    /// Values outside `range`, or a label column that does not suit the chosen task.
    pub(crate) fn into_dataset(
        self,
        shape: InputShape,
        range: Option<ValueRange>,
        choice: TargetChoice,
    ) -> Result<Dataset> {
        if let Some(range) = range {
            self.check_range(range)?;
        }
        if choice.task == Some(TaskKind::Ranking) {
            return Ok(self.into_interactions(shape));
        }
        self.check_labels(choice)?;
        Ok(self.into_classes(shape, range))
    }

    /// The rows, which have the indexes of user and item, as choices.
    fn into_interactions(self, shape: InputShape) -> Dataset {
        let labels = self.values.iter().step_by(self.width()).map(|user| *user as i64).collect();
        let table = Table { labels: Vec::new(), label_texts: Vec::new(), ..self };
        Dataset {
            labels,
            classes: vec![SCORE.to_string()],
            targets: Targets::Interactions,
            ..table.into_classes(shape, None)
        }
    }

    /// The values of the rows, without labels.
    pub(crate) fn into_features(self) -> Dataset {
        let (rows, shape) = (self.rows.len(), InputShape(vec![self.width() as i64]));
        let table = Table { labels: Vec::new(), label_texts: Vec::new(), ..self };
        Dataset { labels: vec![0; rows], ..table.into_classes(shape, None) }
    }

    fn into_classes(self, shape: InputShape, range: Option<ValueRange>) -> Dataset {
        let mut builder = LabelsBuilder::default();
        self.labels.iter().for_each(|label| builder.push(&self.label_texts[*label as usize]));
        let (classes, labels) = builder.finish();
        Dataset {
            classes,
            labels,
            targets: Targets::Classes,
            shape,
            range,
            names: Names::Lines { rows: self.rows, lines: self.lines },
            path: self.path,
            sha256: self.sha256,
            inputs: Inputs::Floats(self.values),
            table: Some(self.layout),
            portions: None,
            groups: self.groups,
            decoding: Decoding::default(),
            texts: self.texts,
            choices: Default::default(),
        }
    }

    /// Rejects labels that are missing values, and those that the task cannot use: quantities as classes, texts as
    /// quantities.
    pub(super) fn check_labels(&self, choice: TargetChoice) -> Result<()> {
        let location = |label| self.location_of_label(label);
        check_labels(&self.path, &self.layout, &self.label_texts, self.rows.len(), choice, &location)
    }

    fn location_of_label(&self, label: usize) -> Location {
        let row = self.labels.iter().position(|other| *other as usize == label);
        self.location(row.expect("every label occurs in a row"))
    }

    /// The rows at these indexes.
    pub(crate) fn select(self, rows: &[usize]) -> Self {
        let width = self.width();
        Table {
            values: gather(&self.values, width, rows.iter().copied()),
            labels: rows.iter().map(|row| self.labels[*row]).collect(),
            groups: self.groups.as_ref().map(|groups| rows.iter().map(|row| groups[*row].clone()).collect()),
            rows: rows.iter().map(|row| self.rows[*row]).collect(),
            lines: rows.iter().map(|row| self.lines[*row]).collect(),
            texts: self.texts.as_ref().map(|texts| texts.select(rows)),
            ..self
        }
    }

    /// The location of a row.
    pub fn location(&self, row: usize) -> Location {
        Location::line(&self.path, self.lines[row])
    }
}

/// Rejects labels of `rows` rows that are missing values, and those that the task cannot use: quantities as classes, texts as
/// quantities. `location` is that of the first row with a label of `texts`.
pub(super) fn check_labels(
    path: &Path,
    layout: &TableLayout,
    texts: &[String],
    rows: usize,
    choice: TargetChoice,
    location: &dyn Fn(usize) -> Location,
) -> Result<()> {
    match task_of(choice, texts, rows) {
        TaskKind::Classification => check_classes(path, layout, texts, rows, location),
        TaskKind::Multilabel | TaskKind::Ranking => Ok(()),
        TaskKind::Regression => match texts.iter().position(|text| number(text).is_none()) {
            None => Ok(()),
            Some(index) => {
                let problem = format!(
                    "{} is not a finite number, so it cannot be predicted by regression; correct it or remove the row",
                    quoted(&texts[index])
                );
                Err(Error::data(location(index), problem))
            }
        },
    }
}

fn check_classes(
    path: &Path,
    layout: &TableLayout,
    texts: &[String],
    rows: usize,
    location: &dyn Fn(usize) -> Location,
) -> Result<()> {
    let column = layout.label.as_ref().map_or(String::new(), |label| {
        let number = (label.position + 1).to_string();
        if label.name == number { number } else { format!("{number} ({})", excerpt(&label.name)) }
    });
    for (index, label) in texts.iter().enumerate() {
        let Some(fault) = LabelFault::of(label, texts) else { continue };
        let problem = match fault {
            LabelFault::Missing => "is not a class; fill it in or remove the row".to_string(),
            LabelFault::Fraction => format!(
                "is a fraction, so column {column} is not a label column; select the label column (names or integers) with --label, or predict the number with --task regression"
            ),
        };
        return Err(Error::data(location(index), format!("{} {problem}", quoted(label))));
    }
    let different = texts.len();
    if are_too_many_classes(different, rows) {
        let remedy = match texts.iter().all(|text| number(text).is_some()) {
            true => ", or predict the number with --task regression",
            false => "",
        };
        let problem = format!(
            "column {column} has {different} different values in {rows} rows, so it is not a label column; select the label column with --label{remedy}"
        );
        return Err(Error::data(path, problem));
    }
    Ok(())
}

/// The name of the prediction for a user and an item.
const SCORE: &str = "score";

/// Why a text is not a class label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabelFault {
    /// A missing or unknown value.
    Missing,
    /// A quantity.
    Fraction,
}

impl LabelFault {
    /// Checks one label of the list `all`.
    pub fn of(label: &str, all: &[String]) -> Option<Self> {
        match label.parse::<f64>() {
            // Among text labels, `inf` is a name too.
            Ok(number) if number.is_infinite() => {
                let is_name = |other: &String| other.parse::<f64>().is_err();
                (!all.iter().any(is_name)).then_some(LabelFault::Missing)
            }
            Ok(number) if number.is_nan() => Some(LabelFault::Missing),
            Ok(number) if number.fract() != 0. => Some(LabelFault::Fraction),
            _ => None,
        }
    }
}

/// Whether `different` distinct labels in `rows` rows are too many for class labels.
pub(super) fn are_too_many_classes(different: usize, rows: usize) -> bool {
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
            texts: None,
        }
    }

    fn problem(labels: &[&str]) -> String {
        labelled(labels)
            .into_dataset(InputShape(vec![0]), None, TargetChoice::default())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_column_of_fractions_is_not_a_label_column() {
        let text = problem(&["1", "0.5"]);
        assert!(text.starts_with("a.csv, line 2: `0.5` is a fraction"), "{text}");
    }

    #[test]
    fn a_missing_label_is_reported_with_its_line() {
        let text = problem(&["1", "2", "NaN"]);
        assert!(text.starts_with("a.csv, line 3: `NaN` is not a class"), "{text}");
    }

    #[test]
    fn inf_is_a_class_among_names_and_missing_among_numbers() {
        assert!(labelled(&["zero", "inf", "-Infinity"]).check_labels(TargetChoice::default()).is_ok());
        assert!(problem(&["1", "inf"]).starts_with("a.csv, line 2: `inf` is not a class"));
        assert!(problem(&["inf", "nan"]).starts_with("a.csv, line 1: `inf` is not a class"));
    }

    #[test]
    fn a_label_outside_the_classes_names_its_line() {
        let classes = ["1".to_string(), "2".to_string()];
        let error = labelled(&["1", "7"]).labels_for(TaskKind::Classification, &classes).unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "a.csv, line 2: unknown label `7`; the classes are 1, 2");
    }
}
