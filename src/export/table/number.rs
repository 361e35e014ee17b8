//! TorchScript of numeric columns, in all notations.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::notation::{CURRENCIES, Decimal, Notation, THOUSANDS};
use crate::model::script::Class;

/// The encoding of a numeric column. Its option is 0 for plain numbers, and 1 and 2 for formatted ones with a decimal point and a
/// decimal comma. The mark is the currency.
pub(super) fn encoding(notation: &Notation) -> Encoding {
    let (option, currency) = match notation {
        Notation::Plain => (0, None),
        Notation::Written { decimal: Decimal::Point, currency } => (1, currency.clone()),
        Notation::Written { decimal: Decimal::Comma, currency } => (2, currency.clone()),
        Notation::Date(order) => return super::date::number(*order),
    };
    Encoding { option, mark: currency.unwrap_or_default(), ..Encoding::of(&NUMBER, Missing::Unknown) }
}

const NUMBER: Methods = Methods { name: "number", source: METHODS };

const METHODS: &str = r#"
  def number(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    notation = self.options[column]
    plain = text
    is_negative = False
    is_percentage = False
    if notation > 0:
      plain, is_negative, is_percentage = self.formatted(text, notation == 2, self.marks[column])
    value = self.decimal(plain, 53 if is_percentage else 24)
    if is_percentage:
      value = value / 100.0
    if torch.isnan(value):
      return " is not a number"
    if abs(value) >= 3.4028235677973366e+38:
      return " is not a finite number" if notation == 0 else " is not a number"
    values[at] = -value if is_negative else value
    return ""
  def formatted(self: {class}, text: str, has_comma: bool, currency: str) -> Tuple[str, bool, bool]:
    rest = text
    is_negative = len(text) > 1 and text.startswith("(") and text.endswith(")")
    if is_negative:
      rest = self.without_space(text[1:len(text) - 1], True, True)
    has_minus = False
    found = ""
    for turn in range(2):
      if not has_minus:
        signs = 0
        for minus in self.minus_signs:
          if signs == 0 and rest.startswith(minus):
            signs = len(minus)
        if signs > 0:
          has_minus = True
          rest = self.without_space(rest[signs:], True, False)
        elif rest.startswith("+"):
          rest = rest[1:]
      if turn == 0:
        is_prefix = False
        for symbol in self.currencies:
          if found == "" and (rest.startswith(symbol) or rest.endswith(symbol)):
            found = symbol
            is_prefix = rest.startswith(symbol)
        if found != "":
          rest = rest[len(found):] if is_prefix else rest[:len(rest) - len(found)]
          rest = self.without_space(rest, is_prefix, not is_prefix)
    if (is_negative and has_minus) or (found != "" and found != currency):
      return ("", False, False)
    is_percentage = rest.endswith("%")
    if is_percentage:
      rest = self.without_space(rest[:len(rest) - 1], False, True)
    return (self.without_separators(rest, has_comma), is_negative or has_minus, is_percentage)
  def without_separators(self: {class}, text: str, has_comma: bool) -> str:
    end = len(text)
    for mark in ["e", "E"]:
      at = text.find(mark)
      if at >= 0:
        end = min(end, at)
    whole, point, fraction = text[:end].partition("," if has_comma else ".")
    if fraction != "" and not fraction.isdigit():
      return ""
    if whole == "":
      if fraction == "":
        return ""
    elif not whole.isdigit():
      whole = self.joined_groups(whole, "." if has_comma else ",")
      if whole == "":
        return ""
    return whole + ("." + fraction if fraction != "" else "") + text[end:]
  def joined_groups(self: {class}, text: str, other: str) -> str:
    separator = ""
    first = text.find(other)
    if first >= 0:
      separator = other
    for mark in self.thousands:
      at = text.find(mark)
      if at >= 0 and (separator == "" or at < first):
        separator = mark
        first = at
    if separator == "":
      return ""
    groups = text.split(separator)
    last = len(groups) - 1
    for i in range(len(groups)):
      size = len(groups[i])
      smallest = 1 if i == 0 else (3 if i == last else 2)
      if size < smallest or size > 3 or not groups[i].isdigit():
        return ""
    if text.startswith("0"):
      return ""
    return "".join(groups)
"#;

/// Adds the attributes of the methods.
pub(super) fn attributes(class: Class) -> Class {
    class
        .strings("currencies", &CURRENCIES.map(String::from))
        .strings("thousands", &THOUSANDS.map(String::from))
        .strings("minus_signs", &["-", "\u{2212}"].map(String::from))
}
