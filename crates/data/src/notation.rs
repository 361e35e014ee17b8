//! Number notations of a table's columns: decimal comma, thousands separators, percent sign, currency symbol,
//! or dates.

use serde::{Deserialize, Serialize};

/// The number notation of a column. It is part of the exported model's metadata, so that new rows are parsed
/// in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notation {
    /// Plain: digits, a decimal point, an exponent.
    #[default]
    Plain,
    /// Formatted for people: thousands separators, percent sign, currency.
    Written {
        /// The decimal mark. The other mark, spaces or apostrophes may separate thousands.
        decimal: Decimal,
        /// The currency symbol before or after the number, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<String>,
    },
    /// Dates with or without a time, as days since 1970-01-01.
    Date(DateOrder),
}

/// The decimal mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decimal {
    /// `1,234.5`
    Point,
    /// `1.234,5`
    Comma,
}

/// The order of the parts of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateOrder {
    /// `2020-12-31`
    YearFirst,
    /// `31.12.2020`, `31/12/2020`
    DayFirst,
    /// `12/31/2020`
    MonthFirst,
}

/// Currency symbols and codes that are recognized before or after a number.
pub const CURRENCIES: [&str; 20] = [
    "US$", "R$", "$", "€", "£", "¥", "₹", "₩", "₽", "₺", "₪", "₴", "USD", "EUR", "GBP", "JPY", "CHF", "CNY",
    "INR", "CAD",
];

/// Separators of thousands in both notations.
pub const THOUSANDS: [char; 6] = [' ', '\u{a0}', '\u{2009}', '\u{202f}', '\'', '’'];

impl DateOrder {
    /// The name, as in a schema.
    pub fn name(self) -> &'static str {
        match self {
            DateOrder::YearFirst => "year-first",
            DateOrder::DayFirst => "day-first",
            DateOrder::MonthFirst => "month-first",
        }
    }

    /// A date in this order, for messages.
    pub fn example(self) -> &'static str {
        match self {
            DateOrder::YearFirst => "2020-12-31",
            DateOrder::DayFirst => "31/12/2020",
            DateOrder::MonthFirst => "12/31/2020",
        }
    }
}

impl Notation {
    /// Whether this is the plain notation.
    pub fn is_plain(&self) -> bool {
        *self == Notation::Plain
    }

    /// Parses a cell as a finite number; `None` for plain notation.
    pub fn number(&self, cell: &[u8]) -> Option<f32> {
        let text = std::str::from_utf8(cell).ok()?;
        match self {
            Notation::Plain => None,
            Notation::Written { decimal, currency } => {
                let (value, found) = written(text, *decimal)?;
                (found.is_none() || found == currency.as_deref()).then_some(value)
            }
            Notation::Date(order) => date(text, *order),
        }
    }
}

/// Parses a formatted number and its currency symbol. `9%` is 0.09, and a number in parentheses is negative.
pub fn written(text: &str, decimal: Decimal) -> Option<(f32, Option<&'static str>)> {
    let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let (is_parenthesized, rest) = inner.map_or((false, text), |inner| (true, inner.trim()));
    let (sign, rest) = strip_sign(rest);
    let (currency, rest) = strip_currency(rest);
    let (inner_sign, rest) = if sign { (false, rest) } else { strip_sign(rest) };
    if is_parenthesized && (sign || inner_sign) {
        return None;
    }
    let percentage = rest.strip_suffix('%').map(str::trim_end);
    let digits = to_plain(percentage.unwrap_or(rest), decimal)?;
    let value = match percentage {
        Some(_) => (fast_float2::parse::<f64, _>(&digits).ok()? / 100.) as f32,
        None => fast_float2::parse::<f32, _>(&digits).ok()?,
    };
    let value = if is_parenthesized || sign || inner_sign { -value } else { value };
    value.is_finite().then_some((value, currency))
}

/// Whether the text begins with a minus, and the text after the sign.
fn strip_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn strip_currency(text: &str) -> (Option<&'static str>, &str) {
    let stripped = |symbol: &'static str| {
        let rest = text.strip_prefix(symbol).map(str::trim_start);
        Some((Some(symbol), rest.or_else(|| text.strip_suffix(symbol).map(str::trim_end))?))
    };
    CURRENCIES.iter().find_map(|symbol| stripped(symbol)).unwrap_or((None, text))
}

/// Removes thousands separators and replaces the decimal mark by a point.
fn to_plain(text: &str, decimal: Decimal) -> Option<String> {
    let (mark, other) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let (whole, fraction) = mantissa.split_once(mark).unwrap_or((mantissa, ""));
    let has_digit = whole.bytes().chain(fraction.bytes()).any(|byte| byte.is_ascii_digit());
    if !has_digit || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let separates = |c: char| c == other || THOUSANDS.contains(&c);
    let mut number = match whole.find(separates) {
        Some(at) => join_groups(whole, whole[at..].chars().next()?)?,
        None if whole.bytes().all(|byte| byte.is_ascii_digit()) => whole.to_string(),
        None => return None,
    };
    if !fraction.is_empty() {
        number.extend(['.'].into_iter().chain(fraction.chars()));
    }
    Some(number + exponent)
}

/// Joins digit groups such as `1,234,567` (in India `12,34,567`).
fn join_groups(text: &str, separator: char) -> Option<String> {
    let groups: Vec<&str> = text.split(separator).collect();
    let (first, rest) = groups.split_first()?;
    let (last, middle) = rest.split_last()?;
    let is_group = |group: &str, sizes: std::ops::RangeInclusive<usize>| {
        sizes.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let fits = is_group(first, 1..=3) && !first.starts_with('0') && is_group(last, 3..=3);
    (fits && middle.iter().all(|group| is_group(group, 2..=3))).then(|| groups.concat())
}

/// Parses a date with an optional time as days since 1970-01-01 in UTC.
pub fn date(text: &str, order: DateOrder) -> Option<f32> {
    Some(days(text, order)? as f32)
}

/// Like [`date`], with the precision of a microsecond.
pub fn days(text: &str, order: DateOrder) -> Option<f64> {
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    Some(days_since_epoch(day, order)? as f64 + fraction_of_day(time.trim())?)
}

fn days_since_epoch(text: &str, order: DateOrder) -> Option<i64> {
    let separator = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| "-/.".contains(*c))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, second, third] = parts[..] else { return None };
    let number = |part: &str, sizes: std::ops::RangeInclusive<usize>| -> Option<i64> {
        let fits = sizes.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| fits)
    };
    let year_last = || match third.len() {
        // Two-digit years are accepted only with slashes; with other separators they are ambiguous.
        2 if separator == '/' => number(third, 2..=2).map(|year| year + if year < 70 { 2000 } else { 1900 }),
        _ => number(third, 4..=4),
    };
    let (year, month, day) = match order {
        DateOrder::YearFirst => (number(first, 4..=4)?, number(second, 1..=2)?, number(third, 1..=2)?),
        DateOrder::DayFirst => (year_last()?, number(second, 1..=2)?, number(first, 1..=2)?),
        // No country uses month-first dates with points.
        DateOrder::MonthFirst if separator == '.' => return None,
        DateOrder::MonthFirst => (year_last()?, number(first, 1..=2)?, number(second, 1..=2)?),
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) {
        return None;
    }
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    let before = |year: i64| 365 * year + leap_days(year - 1);
    let months: i64 = lengths[..month as usize - 1].iter().sum();
    Some(before(year) - before(1970) + months + day - 1)
}

/// Parses `14:30`, `2:30 PM` or `14:30:00.5+02:00` as a fraction of a day.
fn fraction_of_day(text: &str) -> Option<f64> {
    let (text, utc_offset) = match text.find(['Z', '+', '-']) {
        Some(at) => (&text[..at], utc_offset(&text[at..])?),
        None => (text, 0.),
    };
    let upper = text.to_ascii_uppercase();
    let (clock, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim_end(), Some(0.)),
        (_, Some(clock)) => (clock.trim_end(), Some(12.)),
        _ => (upper.as_str(), None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let part = |at: usize, below: f64| -> Option<f64> {
        let text = parts.get(at).copied().unwrap_or("0");
        let is_number = text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_digit() || at == 2 && byte == b'.');
        text.parse().ok().filter(|value| is_number && *value < below)
    };
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let hours = match half {
        Some(half) => part(0, 13.)? % 12. + half,
        None => part(0, 24.)?,
    };
    Some((hours + part(1, 60.)? / 60. + part(2, 61.)? / 3600. - utc_offset) / 24.)
}

/// Parses a UTC offset, `Z`, `+02:00`, `+0200` or `-05`, in hours.
fn utc_offset(text: &str) -> Option<f64> {
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let hours = match digits.len() {
        0 if text == "Z" => return Some(0.),
        2 if is_number => digits.parse::<f64>().ok()?,
        4 if is_number => digits[..2].parse::<f64>().ok()? + digits[2..].parse::<f64>().ok()? / 60.,
        _ => return None,
    };
    Some(if text.starts_with('-') { -hours } else { hours })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, decimal: Decimal) -> Option<f32> {
        written(text, decimal).map(|(value, _)| value)
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, point, comma) in [
            ("5,1", None, Some(5.1)),
            ("5.1", Some(5.1), None),
            ("1,234", Some(1234.), Some(1.234)),
            ("1.234,5", None, Some(1234.5)),
            ("1,234,567.25", Some(1_234_567.2), None),
            ("12,34,567", Some(1_234_567.), None),
            ("1 234 567", Some(1_234_567.), Some(1_234_567.)),
            ("1\u{202f}234,5", None, Some(1234.5)),
            ("1\u{a0}234", Some(1234.), Some(1234.)),
            ("1’234.50", Some(1234.5), None),
            ("0,125", None, Some(0.125)),
            (",5", None, Some(0.5)),
            ("1,5e-3", None, Some(0.0015)),
            ("9%", Some(0.09), Some(0.09)),
            ("12,5 %", None, Some(0.125)),
            ("$114,937", Some(114_937.), Some(114.937)),
            ("-$5.50", Some(-5.5), None),
            ("$-5.50", Some(-5.5), None),
            ("(1,234.00)", Some(-1234.), None),
            ("1.234,00 €", None, Some(1234.)),
            ("\u{2212}7", Some(-7.), Some(-7.)),
        ] {
            assert_eq!(value(text, Decimal::Point), point, "{text}");
            assert_eq!(value(text, Decimal::Comma), comma, "{text}");
        }
        assert_eq!(written("€ 5", Decimal::Point), Some((5., Some("€"))));
    }

    #[test]
    fn text_is_not_a_number() {
        for text in [
            "",
            "-",
            "%",
            "$",
            "1,23",
            "12,3456,789",
            "1,2 345",
            "1 23",
            "abc",
            "1a",
            "1-2",
            "()",
            "--5",
            "inf",
            "1e",
            "0,1,234",
        ] {
            assert_eq!(value(text, Decimal::Point), None, "{text}");
        }
    }

    #[test]
    fn a_number_with_another_currency_is_rejected() {
        let dollars = Notation::Written { decimal: Decimal::Point, currency: Some("$".into()) };
        assert_eq!(dollars.number(b"$1,000"), Some(1000.));
        assert_eq!(dollars.number(b"1000"), Some(1000.));
        assert_eq!(dollars.number("€1,000".as_bytes()), None);
    }

    #[test]
    fn dates_are_days_since_1970() {
        use DateOrder::{DayFirst, MonthFirst, YearFirst};
        for (text, order, days) in [
            ("1970-01-01", YearFirst, Some(0.)),
            ("2020-02-29", YearFirst, Some(18_321.)),
            ("2020/03/01", YearFirst, Some(18_322.)),
            ("1969-12-31", YearFirst, Some(-1.)),
            ("29.2.2020", DayFirst, Some(18_321.)),
            ("29/02/2020", DayFirst, Some(18_321.)),
            ("2/29/20", MonthFirst, Some(18_321.)),
            ("1970-01-02T12:00:00Z", YearFirst, Some(1.5)),
            ("1970-01-01 18:00", YearFirst, Some(0.75)),
            ("1/2/1970 6:00 PM", MonthFirst, Some(1.75)),
            ("1970-01-01T02:00:00.000+02:00", YearFirst, Some(0.)),
            ("2019-02-29", YearFirst, None),
            ("2020-13-01", YearFirst, None),
            ("2020-01-10", DayFirst, None),
            ("31/12/2020", MonthFirst, None),
            ("1.2.2020", MonthFirst, None),
            ("1-2-03", DayFirst, None),
            ("2020-01", YearFirst, None),
            ("1970-01-01 25:00", YearFirst, None),
            ("1970-01-01 noon", YearFirst, None),
        ] {
            assert_eq!(date(text, order), days, "{text}");
        }
    }

    #[test]
    fn a_notation_survives_the_metadata() {
        for notation in [
            Notation::Plain,
            Notation::Written { decimal: Decimal::Comma, currency: Some("€".into()) },
            Notation::Date(DateOrder::DayFirst),
        ] {
            let text = serde_json::to_string(&notation).unwrap();
            assert_eq!(serde_json::from_str::<Notation>(&text).unwrap(), notation, "{text}");
        }
    }

    proptest! {
        #[test]
        fn grouped_digits_have_the_value_of_the_digits(whole in 0u32..10_000_000, fraction in 0u32..100) {
            let mut grouped = String::new();
            let digits = whole.to_string();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            let expected = format!("{whole}.{fraction:02}").parse::<f32>().unwrap();
            prop_assert_eq!(value(&format!("{grouped}.{fraction:02}"), Decimal::Point), Some(expected));
            let swapped = grouped.replace(',', ".") + &format!(",{fraction:02}");
            prop_assert_eq!(value(&swapped, Decimal::Comma), Some(expected));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,12}|[0-9,.' %$€()eE:/TZ+-]{0,20}") {
            for decimal in [Decimal::Point, Decimal::Comma] {
                prop_assert!(value(&text, decimal).is_none_or(f32::is_finite));
            }
            for order in [DateOrder::YearFirst, DateOrder::DayFirst, DateOrder::MonthFirst] {
                prop_assert!(date(&text, order).is_none_or(f32::is_finite));
            }
        }
    }
}
