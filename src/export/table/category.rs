//! TorchScript of columns of categories.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::column::ColumnKind;
use crate::data::unknown::known_categories;

/// One feature per category.
pub(super) fn one_hot(kind: &ColumnKind, categories: &[String], missing_is_value: bool) -> Encoding {
    let without = if missing_is_value { Missing::Zeros } else { Missing::Unknown };
    of(&ONE_HOT, kind, categories, Missing::of_category(categories, without))
}

/// One feature, the index of the category, or -1.
pub(super) fn index(kind: &ColumnKind, categories: &[String]) -> Encoding {
    of(&INDEX, kind, categories, Missing::Unknown)
}

fn of(methods: &Methods, kind: &ColumnKind, categories: &[String], missing: Missing) -> Encoding {
    let refusal = if kind.knows_unknown() { String::new() } else { known_categories(kind) };
    Encoding { texts: categories.to_vec(), refusal, ..Encoding::of(methods, missing) }
}

const ONE_HOT: Methods = Methods {
    name: "one_hot",
    source: r#"
  def one_hot(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    index = self.indexes[column]
    if text in index:
      values[at + index[text]] = 1.0
      return ""
    return self.unknown(column, text)
"#,
};

const INDEX: Methods = Methods {
    name: "index",
    source: r#"
  def index(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    index = self.indexes[column]
    if text in index:
      values[at] = float(index[text])
      return ""
    values[at] = -1.0
    return self.unknown(column, text)
"#,
};

/// The method `unknown`, for texts that are no category of their column.
pub(super) const UNKNOWN: &str = r#"
  def unknown(self: {class}, column: int, text: str) -> str:
    if not self.is_utf8(text):
      return "the text is not UTF-8"
    refusal = self.refusals[column]
    if refusal == "":
      return ""
    return "unknown category " + self.quoted(text) + " in this column; " + refusal
"#;
