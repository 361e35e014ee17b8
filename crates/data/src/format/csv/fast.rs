//! Rows of short plain numbers, cut and parsed in one walk over their bytes. Whatever is not that plain is left to the careful
//! way, which knows all that a cell may hold and what to say of it.

use cresset_decimals::Decimals;

use super::layout::{Input, Layout};
use super::parse::Parsed;

/// How plain rows of a text are read.
pub(super) struct Fast {
    delimiter: u8,
    /// None where the kernel is switched off.
    decimals: Option<Decimals>,
    width: usize,
    label: Option<usize>,
}

impl Fast {
    /// What reads the rows of a table whose columns are numbers and the label; none if there are others.
    pub fn of(layout: &Layout) -> Option<Self> {
        let columns = (0..layout.width).filter(|column| Some(*column) != layout.label);
        let is_plain = |input: &Input| !input.is_category && input.notation.is_plain();
        let plain = layout.inputs.iter().map(|input| (input.position, is_plain(input)));
        let fits = layout.group.is_none() && plain.eq(columns.map(|column| (column, true)));
        let Layout { delimiter, width, label, .. } = *layout;
        fits.then(|| Fast { delimiter, decimals: Decimals::new(delimiter), width, label })
    }

    /// Adds the values and the label of the row that begins at a place of `text`, and gives the place behind its line end. None, and
    /// nothing added, if it is not plain.
    pub fn row(&mut self, text: &[u8], from: usize, parsed: &mut Parsed) -> Option<usize> {
        let before = parsed.values.len();
        // Room for all of them once, instead of a look at what room there is for each.
        parsed.values.resize(before + self.width - usize::from(self.label.is_some()), 0.);
        let row = self.cells(text, from, &mut parsed.values[before..]);
        let Some((behind, label)) = row.filter(|(_, label)| parsed.add_plain_label(label)) else {
            parsed.values.truncate(before);
            return None;
        };
        debug_assert_eq!(self.label.is_some(), !label.is_empty());
        Some(behind)
    }

    /// The same for the values alone, with the bytes of the label, which are none where there is no such column.
    fn cells<'a>(&mut self, text: &'a [u8], from: usize, values: &mut [f32]) -> Option<(usize, &'a [u8])> {
        let (mut at, mut label) = (from, &text[..0]);
        let (in_front, behind) = values.split_at_mut(self.label.unwrap_or(values.len()));
        at = self.numbers(text, at, in_front, self.label.is_none())?;
        if self.label.is_some() {
            let length = text[at..].iter().position(|byte| *byte == self.delimiter || *byte <= b' ')?;
            label = Some(&text[at..at + length]).filter(|label| !label.is_empty())?;
            at += length;
            if !behind.is_empty() {
                at = self.behind_delimiter(text, at)?;
                at = self.numbers(text, at, behind, true)?;
            }
        }
        let end = match text[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some((at + end, label))
    }

    /// Reads neighbouring numbers, and gives the place behind the delimiter of the last one; behind itself, if it ends the row.
    fn numbers(&mut self, text: &[u8], from: usize, values: &mut [f32], ends_row: bool) -> Option<usize> {
        let delimited = values.len() - usize::from(ends_row);
        let (count, mut at) = match &mut self.decimals {
            Some(decimals) => decimals.read(text, from, &mut values[..delimited]),
            None => (0, from),
        };
        for (column, value) in values.iter_mut().enumerate().skip(count) {
            (*value, at) = number(text, at)?;
            if column < delimited {
                at = self.behind_delimiter(text, at)?;
            }
        }
        Some(at)
    }

    fn behind_delimiter(&self, text: &[u8], at: usize) -> Option<usize> {
        (text.get(at) == Some(&self.delimiter)).then_some(at + 1)
    }
}

/// The finite number that begins at a place, and the place behind it.
fn number(text: &[u8], from: usize) -> Option<(f32, usize)> {
    short_decimal(text, from).or_else(|| {
        let (value, length) = fast_float2::parse_partial::<f32, _>(&text[from..]).ok()?;
        value.is_finite().then_some((value, from + length))
    })
}

/// The number at a place, if it has at most seven digits, as most cells do, and the place behind it. The digits without the point
/// and the power of ten below them are both exact in float32, so the quotient is the nearest float32, as it is of any parser.
///
/// Eight bytes are looked at together, as the bytes of one integer, so that there is no loop whose end must be guessed.
pub(super) fn short_decimal(text: &[u8], from: usize) -> Option<(f32, usize)> {
    const POWERS: [f32; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let is_negative = *text.get(from)? == b'-';
    let first = from + usize::from(is_negative);
    // Digits become their values, 0 to 9, and all other bytes more.
    let bytes = eight(text, first) ^ each(b'0');
    let others = (((bytes & each(0x7f)) + each(0x7f - 9)) | bytes) & each(0x80);
    let whole = places_before(others);
    let has_point = text.get(first + whole) == Some(&b'.') && whole < 8;
    let (digits, fraction, length) = if has_point {
        let length = places_before(others & (others - 1));
        let before = !(u64::MAX << (8 * whole));
        ((bytes & before) | ((bytes >> 8) & !before), length - whole - 1, length)
    } else {
        (bytes, 0, whole)
    };
    let count = length - usize::from(has_point);
    let goes_on =
        length == 8 && text.get(first + 8).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !(1..=7).contains(&count) || goes_on {
        return None;
    }
    let value = whole_number(digits << (8 * (8 - count))) as f32 / POWERS[fraction];
    Some((if is_negative { -value } else { value }, first + length))
}

/// Eight bytes from a place on, the first of which is the lowest byte; zeros behind the end.
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
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number of bytes before the first that is marked by its highest bit.
fn places_before(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// The number of eight digits, the first of which is the lowest byte: digits are joined to pairs, pairs to fours, and those to one.
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
        fn a_number_is_that_of_the_general_parser(cell in "-?[0-9]{0,9}[.]?[0-9]{0,9}", behind in "[,\n x-]|") {
            if let Some((value, at)) = short_decimal(format!("{cell}{behind}").as_bytes(), 0) {
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
