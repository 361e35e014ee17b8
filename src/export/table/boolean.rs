//! TorchScript of boolean columns.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::booleans::SPELLINGS;
use crate::model::script::Class;

/// One feature, 0 or 1.
pub(super) fn encoding() -> Encoding {
    Encoding::of(&BOOLEAN, Missing::Unknown)
}

const BOOLEAN: Methods = Methods {
    name: "boolean",
    source: r#"
  def boolean(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    word = text.lower()
    if word in self.words_of_true:
      values[at] = 1.0
    elif not word in self.words_of_false:
      return " is not a boolean, such as true or no"
    return ""
"#,
};

/// Adds the attributes of the method.
pub(super) fn attributes(class: Class) -> Class {
    class
        .strings("words_of_true", &SPELLINGS.map(|(yes, _)| yes.to_string()))
        .strings("words_of_false", &SPELLINGS.map(|(_, no)| no.to_string()))
}
