//! Infers the type of each column from all of its cells.

use std::collections::HashSet;

use super::encode::items;
use super::notation::date_order;
use crate::booleans::are_booleans;
use crate::column::{ColumnKind, MISSING};
use crate::identifier::{counts_up, is_index_name, is_row_number};
use crate::notation::{DateOrder, Notation};
use crate::schema::Declared;
use crate::{hashing, sorted_classes};

/// More categories become one feature, the index of the category.
pub(crate) const MAX_ONE_HOT: usize = 64;

/// More categories have no index, and are hashed.
pub(super) const MAX_CATEGORIES: usize = 1 << 18;

/// More different items are no list.
const MAX_ITEMS: usize = 256;

/// With fewer rows, values may be different or count up by chance.
pub(super) const MIN_ROWS: usize = 10;

/// The number of words, on average, from which different texts are prose and not names.
const PROSE_WORDS: usize = 3;

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Use {
    /// An input of this type.
    Input(ColumnKind, Notation),
    /// It is left out, because of this.
    LeftOut(&'static str),
    /// Its dates have an ambiguous day and month, as in this example.
    Ambiguous(String),
}

/// Why a column is left out.
pub(super) const EMPTY: &str = "it has no value in any row";
pub(super) const ROW_NUMBERS: &str = "it numbers the rows";
pub(super) const MANY_ITEMS: &str = "its lists have more than 256 different items";
pub(super) const ALL_DIFFERENT: &str = "its values are identifiers: all are different";

/// The cells of a column that is no number.
pub(super) struct TextColumnCells<'a> {
    pub name: &'a str,
    /// The distinct texts, and the number of cells of each.
    pub texts: Vec<(&'a str, u32)>,
    /// The number of missing values.
    pub missing: usize,
    /// Whether a missing value is a category of its own.
    pub missing_is_value: bool,
    /// Whether the column is used although its values are identifiers.
    pub is_kept: bool,
}

impl TextColumnCells<'_> {
    /// The type of the column.
    pub fn infer(&self) -> Use {
        let texts = || self.texts.iter().map(|(text, _)| *text);
        if self.texts.is_empty() {
            return if self.is_kept { input(ColumnKind::Number) } else { Use::LeftOut(EMPTY) };
        }
        if let Some((order, ambiguous)) = date_order(texts()) {
            let time = texts().any(|text| text.contains(':'));
            return match ambiguous {
                Some(example) => Use::Ambiguous(example),
                None => Use::Input(ColumnKind::Date { time }, Notation::Date(order)),
            };
        }
        if are_booleans(texts()) {
            return input(ColumnKind::Boolean);
        }
        if let Some(list) = self.list() {
            return input(list);
        }
        let (cells, different) = (self.cells(), self.texts.len());
        let is_many = different > MAX_ONE_HOT || different > 20 && 2 * different > cells;
        if is_many && self.words() >= PROSE_WORDS * different {
            return input(ColumnKind::Text { features: hashing::FEATURES });
        }
        let are_nearly_different = 100 * (cells - different) <= cells;
        let is_identifier = different == cells || are_nearly_different && is_index_name(self.name);
        if is_identifier && cells >= MIN_ROWS && !self.is_kept {
            return Use::LeftOut(ALL_DIFFERENT);
        }
        // Most of them are in no other row, but names and words have parts in common.
        if is_many && 2 * different > cells && self.are_words() {
            return input(ColumnKind::Text { features: hashing::FEATURES });
        }
        input(self.categories())
    }

    /// The column with the type that a schema declares.
    pub fn declared(&self, declared: &Declared) -> Use {
        match declared {
            Declared::Number | Declared::Hash(_) | Declared::Ignore => {
                unreachable!("their cells are no texts")
            }
            Declared::Category => input(self.categories()),
            Declared::Index => {
                let texts = self.texts.iter().map(|(text, _)| text.to_string());
                input(ColumnKind::Code { categories: sorted_classes(texts.collect()), unknown: false })
            }
            Declared::Ordinal(order) => input(ColumnKind::Ordinal { categories: order.clone() }),
            Declared::Boolean => input(ColumnKind::Boolean),
            Declared::Text => input(ColumnKind::Text { features: hashing::FEATURES }),
            Declared::List(separator) => match self.list_of(*separator) {
                Some(list) => input(list.kind),
                None => Use::LeftOut(MANY_ITEMS),
            },
            Declared::Date(order) => {
                let texts = || self.texts.iter().map(|(text, _)| *text);
                let time = texts().any(|text| text.contains(':'));
                match (order, date_order(texts())) {
                    (None, Some((_, Some(example)))) => Use::Ambiguous(example),
                    (order, found) => {
                        let found = found.map_or(DateOrder::YearFirst, |(order, _)| order);
                        Use::Input(ColumnKind::Date { time }, Notation::Date(order.unwrap_or(found)))
                    }
                }
            }
        }
    }

    fn cells(&self) -> usize {
        self.texts.iter().map(|(_, count)| *count as usize).sum()
    }

    /// The number of words of all distinct texts.
    fn words(&self) -> usize {
        self.texts.iter().map(|(text, _)| text.split_whitespace().count()).sum()
    }

    /// Whether at least four fifths of the characters are letters or spaces, unlike those of codes.
    fn are_words(&self) -> bool {
        let is_of_words = |character: &char| character.is_alphabetic() || character.is_whitespace();
        let (mut all, mut of_words) = (0, 0);
        for (text, _) in &self.texts {
            all += text.chars().count();
            of_words += text.chars().filter(is_of_words).count();
        }
        5 * of_words >= 4 * all
    }

    /// The categories, one-hot encoded unless they are many, and hashed if they are more than [`MAX_CATEGORIES`].
    pub fn categories(&self) -> ColumnKind {
        if self.texts.len() > MAX_CATEGORIES {
            return ColumnKind::Hash { rows: hashing::ROWS };
        }
        let mut categories = sorted_classes(self.texts.iter().map(|(text, _)| text.to_string()).collect());
        if categories.len() > MAX_ONE_HOT {
            return ColumnKind::Code { categories, unknown: false };
        }
        if self.missing > 0 && self.missing_is_value {
            categories.insert(0, MISSING.to_string());
        }
        ColumnKind::Category { categories, unknown: false }
    }

    /// The type of a column whose cells are lists: many cells have a separator, and the items are fewer than the lists.
    fn list(&self) -> Option<ColumnKind> {
        ['|', ';', ',']
            .into_iter()
            .find_map(|separator| {
                let separated = self.texts.iter().filter(|(text, _)| text.contains(separator));
                let separated: usize = separated.map(|(_, count)| *count as usize).sum();
                if 5 * separated < self.cells() || separated < 2 {
                    return None;
                }
                self.list_of(separator).filter(|items| items.len() <= self.texts.len())
            })
            .map(|list| list.kind)
    }

    /// The list type with this separator, unless there are too many items.
    pub fn list_of(&self, separator: char) -> Option<List> {
        let mut found: HashSet<&str> = HashSet::new();
        for (text, _) in &self.texts {
            found.extend(items(text, separator));
            if found.len() > MAX_ITEMS {
                return None;
            }
        }
        let count = found.len();
        let mut items = sorted_classes(found.into_iter().map(str::to_string).collect());
        if self.missing > 0 && self.missing_is_value {
            items.insert(0, MISSING.to_string());
        }
        Some(List { count, kind: ColumnKind::List { separator, items } })
    }
}

/// A list type, and the number of its items.
pub(super) struct List {
    count: usize,
    pub kind: ColumnKind,
}

impl List {
    fn len(&self) -> usize {
        self.count
    }
}

/// Why a numeric column with these values is left out, if it is.
pub(super) fn of_numbers(name: &str, values: &[f32]) -> Option<&'static str> {
    if values.iter().all(|value| value.is_nan()) {
        return Some(EMPTY);
    }
    let are_row_numbers = values.len() >= MIN_ROWS && is_row_number(name, values);
    are_row_numbers.then(|| if counts_up(values) { ROW_NUMBERS } else { ALL_DIFFERENT })
}

fn input(kind: ColumnKind) -> Use {
    Use::Input(kind, Notation::Plain)
}

/// The texts that occur among the values of a text column, with their number of cells, and the number of missing values.
pub(super) fn counted(values: impl Iterator<Item = f32>, texts: &[String]) -> (Vec<(&str, u32)>, usize) {
    let (mut counts, mut missing) = (vec![0; texts.len()], 0);
    for value in values {
        if value.is_nan() { missing += 1 } else { counts[value as usize] += 1 }
    }
    // The rows of the others were dropped.
    let counted = texts.iter().map(String::as_str).zip(counts).filter(|(_, count)| *count > 0);
    (counted.collect(), missing)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The type inferred from these cells; empty ones are missing.
    fn infer(name: &str, cells: &[&str]) -> Use {
        let mut texts: Vec<String> = Vec::new();
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for cell in cells.iter().filter(|cell| !cell.is_empty()) {
            if *counts.entry(cell).and_modify(|count| *count += 1).or_insert(1) == 1 {
                texts.push(cell.to_string());
            }
        }
        let missing = cells.iter().filter(|cell| cell.is_empty()).count();
        let texts = texts.iter().map(|text| (text.as_str(), counts[text.as_str()])).collect();
        TextColumnCells { name, texts, missing, missing_is_value: true, is_kept: false }.infer()
    }

    fn named(found: Use) -> String {
        match found {
            Use::Input(kind, _) => kind.name().to_string(),
            Use::LeftOut(why) => why.to_string(),
            Use::Ambiguous(date) => date,
        }
    }

    #[test]
    fn a_few_texts_are_categories_and_missing_is_one_of_them() {
        let Use::Input(ColumnKind::Category { categories, .. }, _) = infer("c", &["b", "a", "", "a"]) else {
            panic!("it is a category")
        };
        assert_eq!(categories, ["", "a", "b"]);
    }

    #[test]
    fn many_texts_that_repeat_are_codes() {
        let texts: Vec<String> = (0..300).map(|row| format!("city {}", row % 100)).collect();
        let cells: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Use::Input(ColumnKind::Code { categories, .. }, _) = infer("city", &cells) else {
            panic!("they are many")
        };
        assert_eq!(categories.len(), 100);
    }

    fn name(row: usize) -> String {
        let letter = |at: usize| char::from(b'a' + (at % 26) as u8);
        format!("Jo{}{}", letter(row), letter(row / 2))
    }

    #[test]
    fn lists_dates_booleans_prose_and_identifiers_are_recognized() {
        let lists = ["Action|Comedy", "Comedy", "Action", "Drama|Action", "Drama", "Drama|Comedy"];
        assert_eq!(named(infer("genres", &lists)), "list");
        assert_eq!(named(infer("place", &["Rome, IT", "Oslo, NO", "Bern, CH", "Bonn, DE"])), "category");
        assert_eq!(named(infer("when", &["2020-01-31", "1969-12-31", ""])), "date");
        assert_eq!(named(infer("when", &["1/2/2020", "3/4/2020"])), "1/2/2020");
        assert_eq!(named(infer("paid", &["yes", "no", "", "Yes"])), "boolean");
        let rows = |text: fn(usize) -> String| (0..30).map(text).collect::<Vec<_>>();
        let of =
            |name, rows: &[String]| named(infer(name, &rows.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(of("note", &rows(|row| format!("this is the note number {row}"))), "text");
        assert_eq!(of("code", &rows(|row| format!("A{row}"))), ALL_DIFFERENT);
        assert_eq!(of("name", &rows(name)), ALL_DIFFERENT);
        assert_eq!(of("name", &[rows(name), rows(name)[..5].to_vec()].concat()), "text");
        assert_eq!(of("name", &[rows(name), rows(name)].concat()), "category");
        assert_eq!(of("city", &rows(|row| name(row % 10))), "category");
        assert_eq!(of("user_id", &rows(|row| format!("A{}", row.max(1)))), "category");
        assert_eq!(named(infer("x", &["", ""])), EMPTY);
    }

    #[test]
    fn consecutive_integers_are_row_numbers() {
        let values: Vec<f32> = (1..=20u8).map(f32::from).collect();
        assert_eq!(of_numbers("x", &values), Some(ROW_NUMBERS));
        assert_eq!(of_numbers("x", &values[..9]), None);
        assert_eq!(of_numbers("x", &[f32::NAN; 3]), Some(EMPTY));
    }
}
