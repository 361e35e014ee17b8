//! TorchScript of columns of lists.

use super::encoding::{Encoding, Methods, Missing};

/// One feature per item. The mark is the separator.
pub(super) fn encoding(separator: char, items: &[String]) -> Encoding {
    Encoding {
        mark: separator.to_string(),
        texts: items.to_vec(),
        ..Encoding::of(&ITEMS, Missing::of_category(items, Missing::Zeros))
    }
}

const ITEMS: Methods = Methods {
    name: "items",
    source: r#"
  def items(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    index = self.indexes[column]
    for part in text.split(self.marks[column]):
      item = self.without_space(part, True, True)
      if item == "":
        continue
      if item in index:
        values[at + index[item]] = 1.0
      else:
        problem = self.unknown(column, item)
        if problem != "":
          return problem
    return ""
"#,
};
