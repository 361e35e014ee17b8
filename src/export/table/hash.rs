//! TorchScript of columns of categories that are hashed.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::hashing::MIXER;
use crate::model::script::Class;

/// One feature, the row that the category is hashed into, as [`row`](crate::data::hashing::row) does. The option is the number of rows.
pub(super) fn encoding(rows: usize) -> Encoding {
    Encoding { option: rows as i64, ..Encoding::of(&ROW, Missing::Unknown) }
}

/// The multiplier and the modulus are those of [`text`](super::text).
const ROW: Methods = Methods {
    name: "hashed_row",
    source: r#"
  def hashed_row(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    if not self.is_utf8(text):
      return "the text is not UTF-8"
    hash = 1
    for i in range(len(text)):
      hash = (hash * self.multiplier + ord(text[i]) + 1) % self.modulus
    hash = (hash ^ hash // 32768) * self.mixer % self.modulus
    values[at] = float((hash ^ hash // 8192) % self.options[column])
    return ""
"#,
};

/// Adds the attribute of the method.
pub(super) fn attributes(class: Class) -> Class {
    class.int("mixer", MIXER as i64)
}
