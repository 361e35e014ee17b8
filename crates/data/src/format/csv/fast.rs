//! Fast parser for rows of plain numbers, in one pass over the bytes. Anything else is left to the general
//! parser, which supports all notations and reports errors.

use cresset_decimals::Decimals;

use super::layout::{InputColumn, Layout};
use super::parse::Parsed;

/// The layout of plain rows.
pub(super) struct Fast {
    delimiter: u8,
    /// None where the kernel is switched off.
    decimals: Option<Decimals>,
    width: usize,
    label: Option<usize>,
}

impl Fast {
    /// Creates a parser for a table of numeric columns and a label; `None` for other tables.
    pub fn of(layout: &Layout) -> Option<Self> {
        let columns = (0..layout.width).filter(|column| Some(*column) != layout.label);
        let is_plain = |input: &InputColumn| !input.takes_text();
        let plain = layout.inputs.iter().map(|input| (input.position, is_plain(input)));
        let fits = layout.group.is_none() && plain.eq(columns.map(|column| (column, true)));
        let Layout { delimiter, width, label, .. } = *layout;
        fits.then(|| Fast { delimiter, decimals: Decimals::new(delimiter), width, label })
    }

    /// Parses the row at `text[from..]`, adds its values and label, and returns the position after its line
    /// end. Returns `None` and adds nothing if the row is not plain.
    pub fn row(&mut self, text: &[u8], from: usize, parsed: &mut Parsed) -> Option<usize> {
        let before = parsed.values.len();
        // Grow once instead of checking the capacity for each value.
        parsed.values.resize(before + self.width - usize::from(self.label.is_some()), 0.);
        let row = self.cells(text, from, &mut parsed.values[before..]);
        let Some((after, label)) = row.filter(|(_, label)| parsed.add_plain_label(label)) else {
            parsed.values.truncate(before);
            return None;
        };
        debug_assert_eq!(self.label.is_some(), !label.is_empty());
        Some(after)
    }

    /// Parses the values, and returns the position after the row and the bytes of the label, empty if there
    /// is no label column.
    fn cells<'a>(&mut self, text: &'a [u8], from: usize, values: &mut [f32]) -> Option<(usize, &'a [u8])> {
        let (mut at, mut label) = (from, &text[..0]);
        let (in_front, after) = values.split_at_mut(self.label.unwrap_or(values.len()));
        at = self.numbers(text, at, in_front, self.label.is_none())?;
        if self.label.is_some() {
            let length = text[at..].iter().position(|byte| *byte == self.delimiter || *byte <= b' ')?;
            label = Some(&text[at..at + length]).filter(|label| !label.is_empty())?;
            at += length;
            if !after.is_empty() {
                at = self.after_delimiter(text, at)?;
                at = self.numbers(text, at, after, true)?;
            }
        }
        let end = match text[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some((at + end, label))
    }

    /// Parses adjacent numbers and returns the position after the delimiter of the last one, or after the
    /// number if it ends the row.
    fn numbers(&mut self, text: &[u8], from: usize, values: &mut [f32], ends_row: bool) -> Option<usize> {
        let delimited = values.len() - usize::from(ends_row);
        let (count, mut at) = match &mut self.decimals {
            Some(decimals) => decimals.read(text, from, &mut values[..delimited]),
            None => (0, from),
        };
        for (column, value) in values.iter_mut().enumerate().skip(count) {
            (*value, at) = number(text, at)?;
            if column < delimited {
                at = self.after_delimiter(text, at)?;
            }
        }
        Some(at)
    }

    fn after_delimiter(&self, text: &[u8], at: usize) -> Option<usize> {
        (text.get(at) == Some(&self.delimiter)).then_some(at + 1)
    }
}

/// Parses a finite number at a position, and returns it with the position after it.
fn number(text: &[u8], from: usize) -> Option<(f32, usize)> {
    short_decimal(text, from).or_else(|| {
        let (value, length) = fast_float2::parse_partial::<f32, _>(&text[from..]).ok()?;
        value.is_finite().then_some((value, from + length))
    })
}

/// Parses a number of at most seven digits, as most cells have, and returns it with the position after it.
/// The digits without the point and the power of ten are both exact in float32, so the quotient is the
/// nearest float32, as for any correct parser.
///
/// Eight bytes are processed together as one integer, which avoids a loop with an unpredictable end.
pub(super) fn short_decimal(text: &[u8], from: usize) -> Option<(f32, usize)> {
    const POWERS: [f32; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let is_negative = *text.get(from)? == b'-';
    let first = from + usize::from(is_negative);
    // Digits become 0 to 9; all other bytes become larger.
    let bytes = eight(text, first) ^ splat(b'0');
    let others = (((bytes & splat(0x7f)) + splat(0x7f - 9)) | bytes) & splat(0x80);
    let whole = bytes_before(others);
    let has_point = text.get(first + whole) == Some(&b'.') && whole < 8;
    let (digits, fraction, length) = if has_point {
        let length = bytes_before(others & (others - 1));
        let before = !(u64::MAX << (8 * whole));
        ((bytes & before) | ((bytes >> 8) & !before), length - whole - 1, length)
    } else {
        (bytes, 0, whole)
    };
    let count = length - usize::from(has_point);
    let continues =
        length == 8 && text.get(first + 8).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !(1..=7).contains(&count) || continues {
        return None;
    }
    let value = whole_number(digits << (8 * (8 - count))) as f32 / POWERS[fraction];
    Some((if is_negative { -value } else { value }, first + length))
}

/// Eight bytes from a position, little-endian; zeros after the end.
fn eight(text: &[u8], from: usize) -> u64 {
    if let Some(bytes) = text.get(from..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    let rest = text.get(from..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// Eight times the same byte.
const fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number of bytes before the first one whose highest bit is set.
fn bytes_before(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The value of eight digits, first digit in the lowest byte: digits are combined into pairs, pairs into
/// fours, and fours into one number.
fn whole_number(digits: u64) -> u32 {
    let join = |values: u64, weight: u64, bits: u32| values.wrapping_mul((weight << bits) + 1) >> bits;
    let pairs = join(digits, 10, 8) & 0x00ff_00ff_00ff_00ff;
    let fours = join(pairs, 100, 16) & 0x0000_ffff_0000_ffff;
    join(fours, 10_000, 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_match_the_general_parser(cell in "-?[0-9]{0,9}[.]?[0-9]{0,9}", after in "[,\n x-]|") {
            if let Some((value, at)) = short_decimal(format!("{cell}{after}").as_bytes(), 0) {
                prop_assert_eq!(at, cell.len());
                prop_assert_eq!(value.to_bits(), fast_float2::parse::<f32, _>(&cell).unwrap().to_bits());
            }
        }
    }

    #[test]
    fn short_numbers_are_read_and_others_are_not() {
        for (text, value) in
            [("0,", 0.), ("-0.5,", -0.5), (".25\n", 0.25), ("12.\r\n", 12.), ("1234567,", 1_234_567.)]
        {
            assert_eq!(
                short_decimal(text.as_bytes(), 0),
                Some((value, text.trim_end_matches([',', '\r', '\n']).len()))
            );
        }
        for text in ["", "-", ".", "-.,", "12345678,", "1e5,", "nan,", "+1,"] {
            let found = short_decimal(text.as_bytes(), 0);
            assert!(found.is_none_or(|(_, at)| !text[at..].starts_with(',')), "{text}");
        }
    }
}
