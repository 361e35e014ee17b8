//! TorchScript of dates, as columns of their own and as numbers.

use super::encoding::{Encoding, Methods, Missing};
use crate::data::notation::{DateOrder, Notation};
use crate::model::script::{Class, Collection};

/// The days since 1970-01-01 and their cyclic parts. The option is the number of the order, plus 10 for these parts without the
/// time of day, and 20 with it. The mark is the problem of a text that is not a date.
pub(super) fn encoding(notation: &Notation, time: bool) -> Encoding {
    let order = match notation {
        Notation::Date(order) => *order,
        _ => DateOrder::YearFirst,
    };
    let option = index(order) + if time { 20 } else { 10 };
    let mark = format!(" is not a date such as {}", order.example());
    Encoding { option, mark, ..Encoding::of(&DATE, Missing::Unknown) }
}

/// The days since 1970-01-01 alone.
pub(super) fn number(order: DateOrder) -> Encoding {
    let mark = " is not a number".to_string();
    Encoding { option: index(order), mark, ..Encoding::of(&DATE, Missing::Unknown) }
}

/// The number of an order in TorchScript.
fn index(order: DateOrder) -> i64 {
    match order {
        DateOrder::YearFirst => 0,
        DateOrder::DayFirst => 1,
        DateOrder::MonthFirst => 2,
    }
}

const DATE: Methods = Methods { name: "date", source: METHODS };

/// `days(text, order)` is the number of days since 1970-01-01 of a date with an optional time, or NaN. Of a part of the time, it reads
/// 17 digits, the precision of a float64.
const METHODS: &str = r#"
  def date(self: {class}, column: int, text: str, values: List[float], at: int) -> str:
    option = self.options[column]
    days = float("nan")
    for order in [option % 10, 0 if option >= 10 else option]:
      if torch.isnan(days):
        days = self.days(text, order)
    if torch.isnan(days):
      return self.marks[column]
    values[at] = days
    if option < 10:
      return ""
    day = torch.floor(days)
    weekday = torch.fmod(float(day + 3), 7.0)
    if weekday < 0.0:
      weekday += 7.0
    self.cycle(float(self.month(day) - 1) / 12.0, values, at + 1)
    self.cycle(weekday / 7.0, values, at + 3)
    if option >= 20:
      self.cycle(days - float(day), values, at + 5)
    return ""
  def cycle(self: {class}, share: float, values: List[float], at: int) -> None:
    angle = 6.283185307179586 * share
    values[at] = torch.sin(angle)
    values[at + 1] = torch.cos(angle)
    return None
  def month(self: {class}, day: int) -> int:
    of_era = (day + 719468) % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    return from_march + 3 if from_march < 10 else from_march - 9
  def days(self: {class}, text: str, order: int) -> float:
    at = text.find("T")
    space = text.find(" ")
    if at < 0 or (space >= 0 and space < at):
      at = space
    if at < 0:
      return self.day_number(text, order)
    time = self.without_space(text[at + 1:], True, True)
    return self.day_number(text[:at], order) + self.fraction_of_day(time)
  def day_number(self: {class}, text: str, order: int) -> float:
    nan = float("nan")
    separator = text.lstrip("0123456789")[0:1]
    if separator == "" or "-/.".find(separator) < 0:
      return nan
    parts = text.split(separator)
    if len(parts) != 3 or (order == 2 and separator == "."):
      return nan
    year = -1
    if order == 0:
      year = self.digits(parts[0], 4, 4)
    elif separator == "/" and len(parts[2]) == 2:
      year = self.digits(parts[2], 2, 2)
      if year >= 0:
        year += 2000 if year < 70 else 1900
    else:
      year = self.digits(parts[2], 4, 4)
    month = self.digits(parts[0 if order == 2 else 1], 1, 2)
    day = self.digits(parts[(2 + order) % 3], 1, 2)
    if year < 0 or month < 1 or month > 12 or day < 1:
      return nan
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    before = self.lengths_of_months[month - 1]
    after = self.lengths_of_months[month]
    if month == 2 and is_leap:
      after += 1
    if day > after - before:
      return nan
    if month > 2 and is_leap:
      before += 1
    last = max(year - 1, 0)
    days = 365 * year + last // 4 - last // 100 + last // 400 - 719527
    return float(days + before + day - 1)
  def digits(self: {class}, text: str, shortest: int, longest: int) -> int:
    if len(text) < shortest or len(text) > longest or not text.isdigit():
      return -1
    return int(text)
  def fraction_of_day(self: {class}, text: str) -> float:
    end = len(text)
    for mark in ["Z", "+", "-"]:
      at = text.find(mark)
      if at >= 0:
        end = min(end, at)
    offset = self.utc_offset(text[end:])
    clock = text[:end]
    half = clock[max(end - 2, 0):].upper()
    has_half = half == "AM" or half == "PM"
    if has_half:
      clock = self.without_space(clock[:end - 2], False, True)
    parts = clock.split(":")
    if len(parts) < 2 or len(parts) > 3:
      return float("nan")
    total = 0.0
    for i in range(len(parts)):
      whole, point, fraction = parts[i].partition(".")
      if not whole.isdigit() or (i < 2 and point != "") or (fraction != "" and not fraction.isdigit()):
        return float("nan")
      digits = (whole + fraction).lstrip("0")
      value = float(int("0" + digits[:17]))
      power = max(len(digits) - 17, 0) - len(fraction)
      scale = 1.0
      for step in range(abs(power)):
        scale *= 10.0
      value = value / scale if power < 0 else value * scale
      if value >= (60.0 + float(i - 1) if i > 0 else (13.0 if has_half else 24.0)):
        return float("nan")
      if i == 0 and has_half:
        value = value % 12.0 + (12.0 if half == "PM" else 0.0)
      if i == 0:
        total = value
      else:
        total = total + value / (60.0 if i == 1 else 3600.0)
    return (total - offset) / 24.0
  def utc_offset(self: {class}, text: str) -> float:
    if text == "" or text == "Z":
      return 0.0
    digits = text[1:].replace(":", "")
    if not digits.isdigit() or (len(digits) != 2 and len(digits) != 4):
      return float("nan")
    hours = float(int(digits[:2]))
    if len(digits) == 4:
      hours += float(int(digits[2:])) / 60.0
    return -hours if text.startswith("-") else hours
"#;

/// Adds the attributes of the methods: the days of a year before each month, and those of a year.
pub(super) fn attributes(class: Class) -> Class {
    let before = vec![0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    class.collection("lengths_of_months", Collection::Ints(before))
}
