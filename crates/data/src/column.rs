//! The layout of a table: the meaning of its columns.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::notation::Notation;
use super::tokens::Tokenization;

/// How the rows of a table become examples. It is part of the exported model's metadata, so that new rows are
/// parsed in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableLayout {
    /// The input columns, in order.
    pub columns: Vec<Column>,
    /// The total number of columns.
    pub width: usize,
    /// The label column.
    pub label: Option<LabelColumn>,
    /// The label columns, in order, of a table that has 0 or 1 for each label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub label_columns: Vec<LabelColumn>,
    /// The header, if the table has one: the names of all columns, unchanged. Missing in files of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Vec<String>>,
    /// Whether a missing value is a value of its own (`--missing value`): a missing category without a category of its own
    /// is an unknown one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missing_is_value: bool,
}

/// An input column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name in the header, or the number, from 1. Repeated names get a suffix: `name.1`, `name.2`, …
    pub name: String,
    /// The index among all columns, from 0.
    pub position: usize,
    /// The type of the cells.
    #[serde(flatten)]
    pub kind: ColumnKind,
    /// The number notation, for a numeric column.
    #[serde(default, skip_serializing_if = "Notation::is_plain")]
    pub notation: Notation,
}

/// The label column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// The name in the header, or the number, from 1.
    pub name: String,
    /// The index among all columns, from 0.
    pub position: usize,
}

/// The type of a column, and with it the features of its cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numeric: one feature.
    Number,
    /// Categorical, one-hot encoded: one feature per category.
    Category {
        /// The categories, sorted. The category [`MISSING`] stands for missing values.
        categories: Vec<String>,
        /// Whether the model was trained with unknown categories, encoded as zeros in all features of the
        /// column.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
    /// Categorical with many categories: one feature, the index of the category; -1 if it is unknown, NaN if it is missing.
    Code {
        /// The categories, sorted.
        categories: Vec<String>,
        /// Whether the model was trained with unknown categories.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
    /// Categories of any number: one feature, the row that the category is hashed into (see [`hashing`](crate::hashing)); NaN if it is
    /// missing.
    Hash {
        /// The number of rows.
        rows: usize,
    },
    /// Ordered categories: one feature, the index of the category.
    Ordinal {
        /// The categories, in their order.
        categories: Vec<String>,
    },
    /// Boolean: one feature, 0 or 1 (see [`booleans`](crate::booleans)).
    Boolean,
    /// Dates: the days since 1970-01-01, and cyclic parts (see [`dates`](crate::dates)).
    Date {
        /// Whether the time of day is a part of the features.
        time: bool,
    },
    /// Lists of items in one cell: one feature per item, 1 for those in the list.
    List {
        /// The separator of the items.
        separator: char,
        /// The items, sorted. The item [`MISSING`] stands for missing values.
        items: Vec<String>,
    },
    /// Free text: hashed words and character n-grams (see [`hashing`](crate::hashing)).
    Text {
        /// The number of features.
        features: usize,
    },
    /// A text as a sequence: the ids of its tokens, with [padding](crate::tokens::PADDING) after the last one.
    Tokens {
        /// How a text becomes token ids.
        tokenization: Tokenization,
        /// The number of features: the maximum number of tokens. Further tokens are not used.
        length: usize,
    },
}

/// The category of missing values, which no cell contains as its text.
pub const MISSING: &str = "";

/// A group of raw features of an example that belong together: what a model with a layer per column has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FeatureGroup {
    /// One number. A missing value is NaN.
    Number,
    /// Features that are 0 or 1, such as those of a one-hot encoded column.
    Indicators {
        /// The number of features.
        count: usize,
    },
    /// One feature, the index of a category, from 0. An unknown category is -1, a missing value NaN.
    Code {
        /// The number of categories.
        categories: usize,
    },
    /// The token ids of a text.
    Tokens {
        /// The maximum number of tokens.
        length: usize,
        /// The number of ids.
        vocabulary: usize,
    },
}

impl FeatureGroup {
    /// The number of raw features of the group.
    pub fn features(&self) -> usize {
        match self {
            FeatureGroup::Number | FeatureGroup::Code { .. } => 1,
            FeatureGroup::Indicators { count } => *count,
            FeatureGroup::Tokens { length, .. } => *length,
        }
    }
}

impl ColumnKind {
    /// The number of features of a cell.
    pub fn features(&self) -> usize {
        match self {
            ColumnKind::Number
            | ColumnKind::Code { .. }
            | ColumnKind::Hash { .. }
            | ColumnKind::Ordinal { .. }
            | ColumnKind::Boolean => 1,
            ColumnKind::Category { categories: names, .. } | ColumnKind::List { items: names, .. } => {
                names.len()
            }
            ColumnKind::Date { time } => crate::dates::suffixes(*time).len(),
            ColumnKind::Text { features } => *features,
            ColumnKind::Tokens { length, .. } => *length,
        }
    }

    /// Whether the model was trained with categories or items that it does not know.
    pub fn knows_unknown(&self) -> bool {
        match self {
            ColumnKind::Category { unknown, .. } | ColumnKind::Code { unknown, .. } => *unknown,
            ColumnKind::Hash { .. } | ColumnKind::List { .. } => true,
            _ => false,
        }
    }

    /// The name of the type, as in a schema.
    pub fn name(&self) -> &'static str {
        match self {
            ColumnKind::Number => "number",
            ColumnKind::Category { .. } | ColumnKind::Code { .. } | ColumnKind::Hash { .. } => "category",
            ColumnKind::Ordinal { .. } => "ordinal",
            ColumnKind::Boolean => "boolean",
            ColumnKind::Date { .. } => "date",
            ColumnKind::List { .. } => "list",
            ColumnKind::Text { .. } | ColumnKind::Tokens { .. } => "text",
        }
    }
}

impl Column {
    /// The groups of the features of the column, in order.
    pub fn groups(&self) -> Vec<FeatureGroup> {
        match &self.kind {
            ColumnKind::Category { .. } | ColumnKind::List { .. } => {
                vec![FeatureGroup::Indicators { count: self.features() }]
            }
            ColumnKind::Code { categories, .. } => vec![FeatureGroup::Code { categories: categories.len() }],
            ColumnKind::Hash { rows } => vec![FeatureGroup::Code { categories: *rows }],
            ColumnKind::Tokens { tokenization, length } => {
                vec![FeatureGroup::Tokens { length: *length, vocabulary: tokenization.vocabulary() }]
            }
            _ => vec![FeatureGroup::Number; self.features()],
        }
    }

    /// The number of features of the column.
    pub fn features(&self) -> usize {
        self.kind.features()
    }

    /// The name of each feature: that of the column, or with a suffix if it has several.
    pub fn feature_names(&self) -> Vec<String> {
        let name = &self.name;
        match &self.kind {
            ColumnKind::Category { categories: texts, .. } | ColumnKind::List { items: texts, .. } => {
                texts.iter().map(|text| format!("{name}={}", shown_category(text))).collect()
            }
            ColumnKind::Date { time } => {
                crate::dates::suffixes(*time).iter().map(|suffix| format!("{name}{suffix}")).collect()
            }
            ColumnKind::Text { features } | ColumnKind::Tokens { length: features, .. } => {
                (1..=*features).map(|number| format!("{name}#{number}")).collect()
            }
            _ => vec![name.clone()],
        }
    }
}

/// A category in messages and names.
pub fn shown_category(text: &str) -> &str {
    if text == MISSING { "(missing)" } else { text }
}

impl TableLayout {
    /// The number of features of an example.
    pub fn features(&self) -> usize {
        self.columns.iter().map(Column::features).sum()
    }

    /// How the text is tokenized, and its maximum number of tokens, if that text is the only input.
    pub fn only_text(&self) -> Option<(&Tokenization, usize)> {
        match &self.columns[..] {
            [Column { kind: ColumnKind::Tokens { tokenization, length }, .. }] => {
                Some((tokenization, *length))
            }
            _ => None,
        }
    }

    /// The text of the `tokenizer.json` of the texts, with the maximum length of the column with the longest texts; none if they have no
    /// vocabulary.
    ///
    /// # Errors
    /// A part of the tokenizer that cannot be serialized.
    pub fn tokenizer_json(&self) -> Option<crate::error::Result<String>> {
        #[cfg(feature = "tokenizers")]
        {
            let of_column = |column: &Column| match &column.kind {
                ColumnKind::Tokens { tokenization: Tokenization::Vocabulary { tokenizer }, .. } => {
                    Some(tokenizer.clone())
                }
                _ => None,
            };
            let longest = self.columns.iter().filter_map(of_column).max_by_key(|found| found.max_length());
            longest.map(|tokenizer| tokenizer.to_json())
        }
        #[cfg(not(feature = "tokenizers"))]
        None
    }

    /// Whether all inputs are token ids of texts.
    pub fn is_text(&self) -> bool {
        let is_text = |column: &Column| matches!(column.kind, ColumnKind::Tokens { .. });
        !self.columns.is_empty() && self.columns.iter().all(is_text)
    }

    /// The groups of all features, in order.
    pub fn feature_groups(&self) -> Vec<FeatureGroup> {
        self.columns.iter().flat_map(Column::groups).collect()
    }

    /// The name of each feature: the column name, or `column=category` for a one-hot feature.
    pub fn feature_names(&self) -> Vec<String> {
        self.columns.iter().flat_map(Column::feature_names).collect()
    }

    /// Whether a missing value in this column has features of its own, so that it needs no replacement.
    pub fn has_features_of_missing(&self, column: &Column) -> bool {
        match &column.kind {
            ColumnKind::Text { .. } | ColumnKind::Tokens { .. } | ColumnKind::List { .. } => true,
            ColumnKind::Category { categories, unknown } => {
                *unknown && self.missing_is_value || categories.iter().any(|category| category == MISSING)
            }
            _ => false,
        }
    }

    /// Whether the columns have names from a header, and not only numbers.
    pub(crate) fn has_names(&self) -> bool {
        let is_name = |name: &str, position: usize| name != (position + 1).to_string();
        self.header.is_some()
            || self.columns.iter().any(|column| is_name(&column.name, column.position))
            || self.label.as_ref().is_some_and(|label| is_name(&label.name, label.position))
    }

    /// The unique names of the input columns.
    pub fn names(&self) -> Vec<Cow<'_, str>> {
        unique_names(self.columns.iter().map(|column| column.name.as_str()))
    }
}

/// A column name in lower case, without surrounding white space.
pub fn folded(name: &str) -> String {
    name.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_lowercase()
}

/// Makes column names unique: the second column called `name` becomes `name.1`, the third `name.2`.
pub(crate) fn unique_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<Cow<'a, str>> {
    let first: HashSet<_> = names.clone().collect();
    let mut taken: HashSet<Cow<'_, str>> = HashSet::new();
    let mut unique = Vec::new();
    let mut counts = HashMap::new();
    for name in names {
        let mut own = Cow::Borrowed(name);
        while taken.contains(&own) {
            let count = counts.entry(name).and_modify(|count| *count += 1).or_insert(1);
            let numbered = format!("{name}.{count}");
            if !first.contains(numbered.as_str()) {
                own = Cow::Owned(numbered);
            }
        }
        taken.insert(own.clone());
        unique.push(own);
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_gets_a_number_that_no_other_column_has() {
        let names = ["a", "b", "a", "a.1", "a", "b"];
        assert_eq!(unique_names(names.into_iter()), ["a", "b", "a.2", "a.1", "a.3", "b.1"]);
    }

    #[test]
    fn older_files_have_names_unless_all_are_numbers_in_their_order() {
        let layout = |text: &str| serde_json::from_str::<TableLayout>(text).unwrap();
        let numbered =
            r#"{"columns": [{"name": "2", "position": 1, "kind": "number"}], "width": 2, "label": null}"#;
        assert!(!layout(numbered).has_names());
        assert!(layout(&numbered.replace("\"2\",", "\"0\",")).has_names());
        let category = r#"{"name": "c", "position": 0, "kind": "category", "categories": ["x"]}"#;
        let column: Column = serde_json::from_str(category).unwrap();
        assert_eq!(column.kind, ColumnKind::Category { categories: vec!["x".into()], unknown: false });
        assert!(!serde_json::to_string(&column).unwrap().contains("unknown"));
    }
}
