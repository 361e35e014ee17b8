//! Hashed words in TorchScript.

use crate::data::char_ngrams::{MARKS, SHORTEST, START};
use crate::data::hashing::{MODULUS, MULTIPLIER};
use crate::data::tokens::RESERVED;
use crate::model::script::Class;

/// The class whose method `encode` returns the ids of the words of a text, as [`words`](crate::data::tokens::words) finds them, each with
/// its character n-grams. A string of TorchScript is a sequence of bytes.
pub fn class(buckets: u32, char_ngrams: u32, length: usize) -> Class {
    let methods = match char_ngrams {
        0 => words("pass"),
        _ => ngrams(char_ngrams) + &words("self.add_ngrams(text, start, at, ids)"),
    };
    Class::new("WordTokenizer", methods)
        .int("length", length as i64)
        .int("buckets", i64::from(buckets - RESERVED))
}

/// The method that adds the ids of the character n-grams of the word from `start` to `end`.
fn ngrams(longest: u32) -> String {
    let [first, last] = MARKS;
    format!(
        r#"  def add_ngrams(self: {{class}}, text: str, start: int, end: int, ids: List[int]) -> None:
    word = [{first}]
    for place in range(start, end):
      byte = ord(text[place])
      word.append(byte + 32 if byte >= 65 and byte <= 90 else byte)
    word.append({last})
    size = len(word)
    for begin in range(size):
      if (word[begin] & 192) != 128 and len(ids) < self.length:
        part = {START}
        count = 0
        at = begin
        while at < size and count < {longest}:
          part = (part * {MULTIPLIER} + word[at] + 1) % {MODULUS}
          at += 1
          if at == size or (word[at] & 192) != 128:
            count += 1
            if count >= {SHORTEST}:
              ids.append({RESERVED} + part % self.buckets)
"#
    )
}

/// The method `encode`, with a statement after each word of letters, from `start` to `at`.
fn words(after: &str) -> String {
    format!(
        r#"  def second(self: {{class}}, text: str, at: int) -> int:
    return ord(text[at + 1]) if at + 1 < len(text) else 0
  def character(self: {{class}}, text: str, at: int, lead: int) -> Tuple[int, int]:
    if lead < 128:
      return (1 if (lead >= 97 and lead <= 122) or (lead >= 48 and lead <= 57) or (lead >= 65 and lead <= 90) else 0, 1)
    if lead < 195:
      return (0, 1)
    if lead < 224:
      return (1, 2)
    if lead >= 240:
      return (2, 4) if lead < 245 else (0, 1)
    second = self.second(text, at)
    if lead == 224:
      return (2 if second >= 184 and second <= 187 else 1, 3)
    if lead == 225:
      return (2 if second == 128 or second == 129 or second == 158 or second == 159 else 1, 3)
    if lead == 226:
      return (0 if second == 128 or second == 129 else 2, 3)
    if lead == 227:
      return (0 if second == 128 else 2, 3)
    if lead < 234:
      return (2, 3)
    if lead == 234:
      return (2 if second < 176 else 1, 3)
    if lead < 238:
      return (1, 3)
    if lead == 239:
      return (0 if second == 187 or second == 188 or second == 191 else 2, 3)
    return (2, 3)
  def encode(self: {{class}}, text: str) -> List[int]:
    ids = annotate(List[int], [])
    size = len(text)
    at = 0
    word = 0
    start = 0
    inside = False
    while at < size and len(ids) < self.length:
      lead = ord(text[at])
      if lead >= 97 and lead <= 122:
        start = start if inside else at
        word = ((word if inside else 1) * {MULTIPLIER} + lead + 1) % {MODULUS}
        inside = True
        at += 1
      else:
        kind, length = self.character(text, at, lead)
        if kind != 1 and inside:
          ids.append({RESERVED} + word % self.buckets)
          {after}
          inside = False
        else:
          end = min(at + length, size)
          if kind != 0:
            start = start if inside else at
            word = word if inside else 1
            for place in range(at, end):
              byte = ord(text[place])
              byte = byte + 32 if byte >= 65 and byte <= 90 else byte
              word = (word * {MULTIPLIER} + byte + 1) % {MODULUS}
            inside = kind == 1
            if kind == 2:
              ids.append({RESERVED} + word % self.buckets)
          at = end
    if inside and len(ids) < self.length:
      ids.append({RESERVED} + word % self.buckets)
      {after}
    return ids[:self.length]
"#
    )
}
