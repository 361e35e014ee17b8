//! Infers the number notation of each column from the first rows.

use std::collections::BTreeMap;

use super::layout::number;
use crate::cell::is_missing;
use crate::notation::{DateOrder, Decimal, Notation, date, written};

/// The format of a column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ColumnFormat {
    /// Whether the cells are texts, such as categories and dates, and not numbers.
    pub is_text: bool,
    /// The number notation.
    pub notation: Notation,
}

/// Whether a cell is a number or a date in any notation.
pub(crate) fn looks_like_number(cell: &[u8]) -> bool {
    number(cell).is_some() || is_formatted(cell)
}

/// Whether a cell is a date, or a number in a notation other than the plain one.
pub(crate) fn is_formatted(cell: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(cell) else { return false };
    // Quickly rejects free text and names, which are the most frequent cells here.
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || !c.is_alphabetic());
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    has_digit
        && text.len() <= 40
        && (begins || text.ends_with(|c: char| c.is_ascii_digit()))
        && number(cell).is_none()
        && (DECIMALS.iter().any(|decimal| written(text, *decimal).is_some())
            || ORDERS.iter().any(|order| date(text, *order).is_some()))
}

/// Whether a cell contains another delimiter.
pub(crate) fn contains_delimiter(cell: &[u8]) -> bool {
    // A comma or semicolon before a space belongs to prose.
    let cuts = |at: usize| b",;\t|".contains(&cell[at]) && cell.get(at + 1).is_none_or(|next| *next != b' ');
    (0..cell.len()).any(cuts) && !looks_like_number(cell)
}

const DECIMALS: [Decimal; 2] = [Decimal::Point, Decimal::Comma];
const ORDERS: [DateOrder; 3] = [DateOrder::YearFirst, DateOrder::DayFirst, DateOrder::MonthFirst];

/// Infers the format of each of these columns from some rows.
pub(crate) fn column_formats(rows: &[Vec<Vec<u8>>], columns: &[usize], delimiter: u8) -> Vec<ColumnFormat> {
    let all_counts: Vec<FormatCounts> =
        columns.iter().map(|column| FormatCounts::of(rows, *column)).collect();
    let own: Vec<Option<Decimal>> = all_counts.iter().map(FormatCounts::decimal).collect();
    let votes = |decimal: Decimal| own.iter().filter(|own| **own == Some(decimal)).count();
    // If a column is ambiguous, the decimal mark of the other columns decides, because a program writes all
    // numbers in the same way.
    let table_decimal = match (votes(Decimal::Point), votes(Decimal::Comma)) {
        (0, 0) if delimiter == b';' => None,
        (point, comma) => Some(if comma > point { Decimal::Comma } else { Decimal::Point }),
    };
    all_counts.iter().zip(own).map(|(counts, own)| counts.format(own, table_decimal)).collect()
}

/// Counts of possible formats of a column's cells.
#[derive(Default)]
struct FormatCounts {
    /// The number of cells with a value.
    cells: usize,
    plain: usize,
    /// Numbers valid with a decimal point, and with a decimal comma.
    written: [usize; 2],
    /// Numbers valid only with this decimal mark.
    alone: [usize; 2],
    /// Numbers whose value depends on the decimal mark, such as `1,234`: with a comma, and with a point.
    either: [usize; 2],
    currencies: BTreeMap<&'static str, usize>,
    dates: DateCounts,
}

impl FormatCounts {
    fn of(rows: &[Vec<Vec<u8>>], column: usize) -> Self {
        let mut counts = FormatCounts::default();
        for cell in rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_missing(cell)) {
            counts.cells += 1;
            let plain = number(cell);
            counts.plain += usize::from(plain.is_some());
            let Ok(text) = std::str::from_utf8(cell) else { continue };
            if plain.is_none() && !is_formatted(cell) {
                continue;
            }
            let [point, comma] = DECIMALS.map(|decimal| written(text, decimal));
            for (at, (own, other)) in [(point, comma), (comma, point)].into_iter().enumerate() {
                counts.written[at] += usize::from(own.is_some());
                counts.alone[at] += usize::from(own.is_some() && other.is_none());
            }
            if let (Some((with_point, _)), Some((with_comma, _))) = (point, comma)
                && with_point != with_comma
            {
                counts.either[usize::from(text.contains('.'))] += 1;
            }
            if let Some(currency) = point.or(comma).and_then(|(_, currency)| currency) {
                *counts.currencies.entry(currency).or_default() += 1;
            }
            if plain.is_none() {
                counts.dates.add(text);
            }
        }
        counts
    }

    /// The decimal mark that the column implies by itself.
    fn decimal(&self) -> Option<Decimal> {
        match self.alone {
            [0, 0] => None,
            [point, comma] => Some(if comma > point { Decimal::Comma } else { Decimal::Point }),
        }
    }

    fn format(&self, own: Option<Decimal>, table_decimal: Option<Decimal>) -> ColumnFormat {
        let [commas, points] = self.either;
        let decimal = own.unwrap_or(match table_decimal {
            Some(decimal) => decimal,
            // With semicolon delimiters, commas are decimal marks, unless some numbers long enough for a
            // thousands separator lack it.
            None if commas > 0 && commas == self.cells => Decimal::Comma,
            None => Decimal::Point,
        });
        let is_grouped = decimal == Decimal::Comma && points > 0;
        let numbers = self.written[decimal as usize].max(self.plain);
        let (order, dates) = self.dates.most();
        // A column is categorical if most cells are not numbers. Otherwise invalid cells are errors.
        let is_most = |count: usize| count > 0 && 2 * count >= self.cells;
        if is_most(numbers) && numbers == self.plain && !is_grouped {
            return ColumnFormat::default();
        }
        if is_most(numbers) {
            let most = self.currencies.iter().max_by_key(|(_, count)| **count);
            let currency = most.map(|(symbol, _)| symbol.to_string());
            return ColumnFormat { is_text: false, notation: Notation::Written { decimal, currency } };
        }
        if is_most(dates) {
            return ColumnFormat { is_text: true, notation: Notation::Date(order) };
        }
        ColumnFormat { is_text: self.cells > 1, ..ColumnFormat::default() }
    }
}

/// Counts of the orders in which texts are dates.
#[derive(Default)]
struct DateCounts {
    orders: [usize; 3],
    /// A date with different values as day-first and month-first.
    ambiguous: Option<String>,
}

impl DateCounts {
    fn add(&mut self, text: &str) {
        let found = ORDERS.map(|order| date(text, order));
        self.orders.iter_mut().zip(&found).for_each(|(count, date)| *count += usize::from(date.is_some()));
        if let [_, Some(day_first), Some(month_first)] = found
            && day_first != month_first
        {
            self.ambiguous.get_or_insert_with(|| text.to_string());
        }
    }

    /// The most frequent order and its number of dates.
    fn most(&self) -> (DateOrder, usize) {
        let counts = ORDERS.into_iter().zip(self.orders).rev();
        counts.max_by_key(|(_, count)| *count).expect("there are orders")
    }
}

/// If no text among this number is a date, the column has none.
const DATE_SAMPLE: usize = 1000;

/// The order of the dates of a column with these distinct texts, if at least half of them are dates, and an example if day and
/// month are ambiguous in all of them.
pub(crate) fn date_order<'a>(texts: impl Iterator<Item = &'a str>) -> Option<(DateOrder, Option<String>)> {
    let (mut counts, mut different) = (DateCounts::default(), 0);
    for text in texts {
        different += 1;
        if text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_digit()) {
            counts.add(text);
        }
        if different == DATE_SAMPLE && counts.most().1 == 0 {
            return None;
        }
    }
    let (order, dates) = counts.most();
    if dates == 0 || 2 * dates < different {
        return None;
    }
    let is_ambiguous = order != DateOrder::YearFirst && counts.orders[1] == counts.orders[2];
    Some((order, counts.ambiguous.filter(|_| is_ambiguous)))
}
