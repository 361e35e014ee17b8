//! TorchScript of columns of free text.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::hashing::{MODULUS, MULTIPLIER, PART};
use crate::model::script::Class;

/// Hashed words and parts of words. The option is the number of features.
pub(super) fn encoding(features: usize) -> Encoding {
    Encoding { option: features as i64, ..Encoding::of(&HASHED, Missing::Zeros) }
}

/// No variable with a list is assigned again in a loop: libtorch then takes the list before the loop as a constant, which keeps what
/// one call appends for the next.
const HASHED: Methods = Methods {
    name: "hashed",
    source: r#"
  def hashed(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    if not self.is_utf8(text):
      return "the text is not UTF-8"
    count = self.options[column]
    codes = annotate(List[int], [])
    for i in range(len(text)):
      code = ord(text[i])
      if code >= 65 and code <= 90:
        code += 32
      codes.append(code)
    codes.append(32)
    hashes = annotate(List[int], [])
    begin = 0
    previous = 0
    end_of_previous = 0
    for end in range(len(codes)):
      code = codes[end]
      is_part = code >= 128 or (code >= 97 and code <= 122) or (code >= 48 and code <= 57)
      if not is_part:
        if end > begin:
          hashes.append(self.hash(1, codes, begin, end))
          if end - begin > self.part:
            for start in range(begin, end - self.part + 1):
              hashes.append(self.hash(2, codes, start, start + self.part))
          if end_of_previous > previous:
            hashes.append(self.hash(self.hash(3, codes, previous, end_of_previous), codes, begin, end))
          previous = begin
          end_of_previous = end
        begin = end + 1
    features = annotate(List[int], [])
    for hash in hashes:
      feature = at + hash // 2 % count
      features.append(feature)
      values[feature] = values[feature] + 1.0 - 2.0 * float(hash % 2)
    features.sort()
    previous_feature = -1
    squares = 0.0
    for feature in features:
      if feature != previous_feature:
        squares += values[feature] * values[feature]
      previous_feature = feature
    if squares == 0.0:
      return ""
    length = torch.sqrt(squares)
    previous_feature = -1
    for feature in features:
      if feature != previous_feature:
        values[feature] = values[feature] / length
      previous_feature = feature
    return ""
  def hash(self: {class}, start: int, codes: List[int], begin: int, end: int) -> int:
    hash = start
    for i in range(begin, end):
      hash = (hash * self.multiplier + codes[i] + 1) % self.modulus
    return hash
"#,
};

/// Adds the attributes of the methods.
pub(super) fn attributes(class: Class) -> Class {
    class.int("part", PART as i64).int("multiplier", MULTIPLIER as i64).int("modulus", MODULUS as i64)
}
