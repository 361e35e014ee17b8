//! How the numbers of each column are written: told by the cells of the first rows.

use std::collections::BTreeMap;

use super::layout::{is_missing, number};
use crate::notation::{DateOrder, Decimal, Notation, date, written};

/// What the cells of a column are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kind {
    /// Whether they are texts and not numbers.
    pub is_category: bool,
    /// How its numbers are written.
    pub notation: Notation,
    /// A date of which day and month cannot be told apart, as no other of the column tells them apart.
    pub ambiguous: Option<String>,
}

/// Whether a cell is a number or a date in any notation.
pub fn looks_like_number(cell: &[u8]) -> bool {
    number(cell).is_some() || looks_written(cell)
}

/// Whether a cell is a date, or a number in a notation that is not plain.
pub fn looks_written(cell: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(cell) else { return false };
    // Free text and names are most of the cells that come here.
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || !c.is_alphabetic());
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    has_digit
        && text.len() <= 40
        && (begins || text.ends_with(|c: char| c.is_ascii_digit()))
        && number(cell).is_none()
        && (DECIMALS.iter().any(|decimal| written(text, *decimal).is_some())
            || ORDERS.iter().any(|order| date(text, *order).is_some()))
}

/// Whether a cell holds what may stand between cells, as it does if another delimiter was meant.
pub fn looks_like_text_of_cells(cell: &[u8]) -> bool {
    // A comma or semicolon before a blank belongs to prose.
    let cuts = |at: usize| b",;\t|".contains(&cell[at]) && cell.get(at + 1).is_none_or(|next| *next != b' ');
    (0..cell.len()).any(cuts) && !looks_like_number(cell)
}

const DECIMALS: [Decimal; 2] = [Decimal::Point, Decimal::Comma];
const ORDERS: [DateOrder; 3] = [DateOrder::YearFirst, DateOrder::DayFirst, DateOrder::MonthFirst];

/// What the cells of each of these columns are, by some rows. `delimiter` stands between cells.
pub fn kinds(rows: &[Vec<Vec<u8>>], columns: &[usize], delimiter: u8) -> Vec<Kind> {
    let tallies: Vec<Tally> = columns.iter().map(|column| Tally::of(rows, *column)).collect();
    let own: Vec<Option<Decimal>> = tallies.iter().map(Tally::decimal).collect();
    let votes = |decimal: Decimal| own.iter().filter(|own| **own == Some(decimal)).count();
    // What one column cannot tell, the others do: a program writes all its numbers alike.
    let of_table = match (votes(Decimal::Point), votes(Decimal::Comma)) {
        (0, 0) if delimiter == b';' => None,
        (point, comma) => Some(if comma > point { Decimal::Comma } else { Decimal::Point }),
    };
    tallies.iter().zip(own).map(|(tally, own)| tally.kind(own, of_table)).collect()
}

/// What the cells of a column could be.
#[derive(Default)]
struct Tally {
    /// The cells that are not missing.
    cells: usize,
    plain: usize,
    /// Numbers with a decimal point, and with a decimal comma.
    written: [usize; 2],
    /// Those of them that are none with the other mark.
    alone: [usize; 2],
    /// Numbers that differ by what mark is the decimal one, such as `1,234`: with a comma, and with a point.
    either: [usize; 2],
    currencies: BTreeMap<&'static str, usize>,
    dates: [usize; 3],
    /// A date that two orders read differently.
    two_ways: Option<String>,
}

impl Tally {
    fn of(rows: &[Vec<Vec<u8>>], column: usize) -> Self {
        let mut tally = Tally::default();
        for cell in rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_missing(cell)) {
            tally.cells += 1;
            let plain = number(cell);
            tally.plain += usize::from(plain.is_some());
            let Ok(text) = std::str::from_utf8(cell) else { continue };
            if plain.is_none() && !looks_written(cell) {
                continue;
            }
            let [point, comma] = DECIMALS.map(|decimal| written(text, decimal));
            for (at, (own, other)) in [(point, comma), (comma, point)].into_iter().enumerate() {
                tally.written[at] += usize::from(own.is_some());
                tally.alone[at] += usize::from(own.is_some() && other.is_none());
            }
            if let (Some((with_point, _)), Some((with_comma, _))) = (point, comma)
                && with_point != with_comma
            {
                tally.either[usize::from(text.contains('.'))] += 1;
            }
            if let Some(currency) = point.or(comma).and_then(|(_, currency)| currency) {
                *tally.currencies.entry(currency).or_default() += 1;
            }
            if plain.is_none() {
                tally.add_date(text);
            }
        }
        tally
    }

    fn add_date(&mut self, text: &str) {
        let found = ORDERS.map(|order| date(text, order));
        self.dates.iter_mut().zip(&found).for_each(|(count, date)| *count += usize::from(date.is_some()));
        if let [_, Some(day_first), Some(month_first)] = found
            && day_first != month_first
        {
            self.two_ways.get_or_insert_with(|| text.to_string());
        }
    }

    /// The decimal mark that the column itself tells.
    fn decimal(&self) -> Option<Decimal> {
        match self.alone {
            [0, 0] => None,
            [point, comma] => Some(if comma > point { Decimal::Comma } else { Decimal::Point }),
        }
    }

    fn kind(&self, own: Option<Decimal>, of_table: Option<Decimal>) -> Kind {
        let [commas, points] = self.either;
        let decimal = own.unwrap_or(match of_table {
            Some(decimal) => decimal,
            // Where semicolons part cells, commas are decimal; but not where some numbers are long enough for one and lack it.
            None if commas > 0 && commas == self.cells => Decimal::Comma,
            None => Decimal::Point,
        });
        let is_grouped = decimal == Decimal::Comma && points > 0;
        let numbers = self.written[decimal as usize].max(self.plain);
        let (order, dates) = (0..3)
            .map(|at| (at, self.dates[at]))
            .rev()
            .max_by_key(|(_, count)| *count)
            .expect("there are orders");
        // A column is one of texts if more of its cells are texts than numbers: of a few faulty cells, the first is an error.
        let is_most = |count: usize| count > 0 && 2 * count >= self.cells;
        if is_most(numbers) && numbers == self.plain && !is_grouped {
            return Kind::default();
        }
        if is_most(numbers) {
            let most = self.currencies.iter().max_by_key(|(_, count)| **count);
            let currency = most.map(|(symbol, _)| symbol.to_string());
            return Kind { notation: Notation::Written { decimal, currency }, ..Kind::default() };
        }
        if is_most(dates) {
            let is_told = self.dates[1] != self.dates[2];
            let ambiguous =
                self.two_ways.clone().filter(|_| ORDERS[order] != DateOrder::YearFirst && !is_told);
            return Kind { notation: Notation::Date(ORDERS[order]), ambiguous, ..Kind::default() };
        }
        Kind { is_category: self.cells > 1, ..Kind::default() }
    }
}
