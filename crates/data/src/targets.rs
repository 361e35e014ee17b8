//! What a model predicts for each example: a class, a set of labels, or a number.

use std::collections::HashSet;

use cresset_options::choices;

use crate::cell::is_missing;
use crate::label_columns::SEPARATOR;

choices! {
    /// What a model predicts for each example.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum TaskKind {
        /// one class
        Classification = "classification",
        /// any number of labels
        Multilabel = "multilabel",
        /// a number
        Regression = "regression",
        /// the items that a user is most likely to choose (needs --user and --item)
        Ranking = "ranking",
    }
}

/// The meaning of [`Dataset::labels`](crate::Dataset::labels).
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Each label is an index into [`Dataset::classes`](crate::Dataset::classes).
    Classes,
    /// Each label is an index into these sets. A set has the indexes of its labels in [`Dataset::classes`](crate::Dataset::classes), in ascending
    /// order.
    Sets(Vec<Vec<usize>>),
    /// Each label is an index into these numbers. [`Dataset::classes`](crate::Dataset::classes) has the name of the quantity.
    Values(Vec<f32>),
    /// An example is the choice of an item by a user, without a label of its own: each label is the number of the user, from 0.
    /// [`Dataset::classes`](crate::Dataset::classes) has the name of what is predicted, a score.
    Interactions,
}

impl Targets {
    /// The task.
    pub fn task(&self) -> TaskKind {
        match self {
            Targets::Classes => TaskKind::Classification,
            Targets::Sets(_) => TaskKind::Multilabel,
            Targets::Values(_) => TaskKind::Regression,
            Targets::Interactions => TaskKind::Ranking,
        }
    }
}

/// Between the labels of an example. The first one that occurs in the data separates its labels.
const SEPARATORS: [char; 4] = ['|', ';', ',', ' '];

/// Groups of similar examples, for splits in which each part has its share of every group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strata {
    /// The group of each example.
    pub of_example: Vec<i64>,
    /// The number of groups.
    pub count: usize,
}

impl TaskKind {
    /// The task in a sentence.
    pub fn described(self) -> &'static str {
        match self {
            TaskKind::Classification => "classification",
            TaskKind::Multilabel => "multi-label classification",
            TaskKind::Regression => "regression",
            TaskKind::Ranking => "ranking",
        }
    }

    /// The score that tables show for each epoch: accuracy, micro-averaged F1 score of the labels, R², or NDCG@10.
    pub fn score_name(self) -> &'static str {
        match self {
            TaskKind::Classification => "accuracy",
            TaskKind::Multilabel => "F1",
            TaskKind::Regression => "R²",
            TaskKind::Ranking => "NDCG@10",
        }
    }

    /// The score of [`TaskKind::score_name`] in the names of columns.
    pub fn score_column(self) -> &'static str {
        match self {
            TaskKind::Classification => "accuracy",
            TaskKind::Multilabel => "f1",
            TaskKind::Regression => "r2",
            TaskKind::Ranking => "ndcg",
        }
    }

    /// The score of [`TaskKind::score_name`] for display: a fraction from 0 to 1 in percent, or R² or NDCG@10 with four
    /// digits.
    pub fn show_score(self, score: f64) -> String {
        match self {
            TaskKind::Regression | TaskKind::Ranking => format!("{score:.4}"),
            _ => format!("{:.2} %", 100. * score),
        }
    }
}

/// The names of a set, separated by `|`.
pub fn named_set(set: &[usize], names: &[String]) -> String {
    set.iter().map(|label| names[*label].as_str()).collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

/// A finite number.
pub(crate) fn number(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|value: &f32| value.is_finite())
}

/// The separator of the labels in these distinct texts. A space separates only if the parts are fewer than the texts, unlike
/// those of names such as `New York`.
pub(crate) fn separator(texts: &[String]) -> Option<char> {
    SEPARATORS.into_iter().find(|separator| {
        let parts = || texts.iter().flat_map(|text| names(text, Some(*separator)));
        let is_common =
            || parts().collect::<HashSet<_>>().len() < texts.iter().filter(|text| !text.is_empty()).count();
        texts.iter().any(|text| text.contains(*separator)) && (*separator != ' ' || is_common())
    })
}

/// The names in a text. An empty text, or one that stands for a missing value, has none.
pub(crate) fn names(text: &str, separator: Option<char>) -> Vec<&str> {
    let names = match separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    names.into_iter().map(str::trim).filter(|name| !is_missing(name.as_bytes())).collect()
}

/// Whether these distinct texts of `rows` rows are the values of a quantity rather than classes: numbers, of which there
/// are many, and some are fractions or most are rare.
pub(crate) fn are_quantities(texts: &[String], rows: usize) -> bool {
    let numbers: Option<Vec<f32>> = texts.iter().map(|text| number(text)).collect();
    let is_quantity = |numbers: Vec<f32>| {
        let has_fractions = numbers.iter().any(|value| value.fract() != 0.);
        numbers.len() > 20 && (has_fractions || 5 * numbers.len() > rows)
    };
    numbers.is_some_and(is_quantity)
}

/// What the user chose to predict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetChoice {
    /// The task, if it was chosen.
    pub task: Option<TaskKind>,
    /// Whether a label column was selected.
    pub is_selected: bool,
}

/// The chosen task, or else that of a label column with these distinct texts in `rows` rows: regression if a column of
/// quantities was selected.
pub(crate) fn task_of(choice: TargetChoice, texts: &[String], rows: usize) -> TaskKind {
    match choice.task {
        Some(task) => task,
        None if choice.is_selected && are_quantities(texts, rows) => TaskKind::Regression,
        None => TaskKind::Classification,
    }
}
