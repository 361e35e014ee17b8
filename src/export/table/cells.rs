//! TorchScript of what the cells of all columns have in common: white space, missing values and messages.

use crate::data::cell::{MISSING_MARKS, ZERO_WIDTH};
use crate::model::script::Class;

/// Strings are bytes in TorchScript. A character of UTF-8 never begins or ends inside another one, so those of white space are
/// removed as substrings. No string has a carriage return, because libtorch cannot read the code that it writes for one.
pub(super) const METHODS: &str = r#"
  def stripped(self: {class}, text: str, left: bool, right: bool, ascii: str, wide: List[str]) -> str:
    changes = True
    while changes:
      changes = False
      if left:
        text = text.lstrip(ascii)
        if len(text) > 0:
          first = ord(text[0:1])
          if first == 13:
            text = text[1:]
            changes = True
          elif first >= 128:
            for space in wide:
              if text.startswith(space):
                text = text[len(space):]
                changes = True
      if right:
        text = text.rstrip(ascii)
        if len(text) > 0:
          last = ord(text[len(text) - 1:])
          if last == 13:
            text = text[:len(text) - 1]
            changes = True
          elif last >= 128:
            for space in wide:
              if text.endswith(space):
                text = text[:len(text) - len(space)]
                changes = True
    return text
  def without_space(self: {class}, text: str, left: bool, right: bool) -> str:
    return self.stripped(text, left, right, " \t\n\f\v", self.white_space)
  def trimmed(self: {class}, cell: str) -> str:
    text = self.stripped(cell, True, True, " \t\n\f", self.no_space)
    if len(text) == 0:
      return text
    if ord(text[0:1]) < 128 and ord(text[len(text) - 1:]) < 128:
      return text
    return self.stripped(text, True, True, " \t\n\f\v", self.blanks)
  def quoted(self: {class}, text: str) -> str:
    shown = text.replace("\n", " ")
    if len(shown) <= 60:
      return "`" + shown + "`"
    end = 60
    while end > 57 and ord(shown[end:end + 1]) >= 128 and ord(shown[end:end + 1]) < 192:
      end -= 1
    return "`" + shown[:end] + "…`"
  def is_utf8(self: {class}, text: str) -> bool:
    more = 0
    lowest = 128
    highest = 191
    for at in range(len(text)):
      code = ord(text[at])
      if more > 0:
        if code < lowest or code > highest:
          return False
        more -= 1
        lowest = 128
        highest = 191
      elif code >= 128:
        if code < 194 or code > 244:
          return False
        more = 1 if code < 224 else (2 if code < 240 else 3)
        lowest = 160 if code == 224 else (144 if code == 240 else 128)
        highest = 159 if code == 237 else (143 if code == 244 else 191)
    return more == 0
"#;

/// Adds the attributes of [`METHODS`].
pub(super) fn attributes(class: Class) -> Class {
    let white_space = ('\u{80}'..='\u{ffff}').filter(|c| c.is_whitespace()).map(String::from);
    let white_space: Vec<String> = white_space.collect();
    let blanks = white_space.iter().cloned().chain(ZERO_WIDTH.map(String::from));
    let marks = MISSING_MARKS.map(String::from);
    class
        .strings("blanks", &blanks.collect::<Vec<_>>())
        .strings("white_space", &white_space)
        .strings("no_space", &[])
        .strings("missing_marks", &marks)
}
