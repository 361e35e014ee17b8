//! Rows of short plain numbers, cut and parsed in one walk over their bytes. Whatever is not that plain is left to the careful
//! way, which knows all that a cell may hold and what to say of it.

use super::layout::Layout;
use super::parse::Parsed;

/// How plain rows of a text are read.
#[derive(Clone, Copy)]
pub(super) struct Fast {
    delimiter: u8,
    width: usize,
    label: Option<usize>,
}

impl Fast {
    /// What reads the rows of a table whose columns are numbers and the label; none if there are others.
    pub fn of(layout: &Layout) -> Option<Self> {
        let columns = (0..layout.width).filter(|column| Some(*column) != layout.label);
        let is_plain = layout.inputs.iter().map(|input| (input.position, input.is_category));
        let fits = layout.group.is_none() && is_plain.eq(columns.map(|column| (column, false)));
        fits.then_some(Fast { delimiter: layout.delimiter, width: layout.width, label: layout.label })
    }

    /// Adds the values and the label of the row that `text` begins with, and gives its length with the line end. None, and
    /// nothing added, if it is not plain.
    pub fn row(self, text: &[u8], parsed: &mut Parsed) -> Option<usize> {
        let before = parsed.values.len();
        let row = self.cells(text, &mut parsed.values);
        let Some((length, label)) = row.filter(|(_, label)| parsed.add_plain_label(label)) else {
            parsed.values.truncate(before);
            return None;
        };
        debug_assert_eq!(self.label.is_some(), !label.is_empty());
        Some(length)
    }

    /// The same for the values alone, with the bytes of the label, which are none where there is no such column.
    fn cells<'a>(self, text: &'a [u8], values: &mut Vec<f32>) -> Option<(usize, &'a [u8])> {
        let (mut at, mut label) = (0, &text[..0]);
        for column in 0..self.width {
            let from = at;
            if Some(column) == self.label {
                at += text[at..].iter().position(|byte| *byte == self.delimiter || *byte <= b' ')?;
                label = Some(&text[from..at]).filter(|label| !label.is_empty())?;
            } else {
                let (value, behind) = short_decimal(text, at)?;
                values.push(value);
                at = behind;
            }
            if column + 1 < self.width {
                if text.get(at) != Some(&self.delimiter) {
                    return None;
                }
                at += 1;
            }
        }
        let end = match text[at..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some((at + end, label))
    }
}

/// The number at a place, if it has at most seven digits, as most cells do, and the place behind it. The digits without the point
/// and the power of ten below them are both exact in float32, so the quotient is the nearest float32, as it is of any parser; it
/// takes a third of the general one's time.
pub(super) fn short_decimal(text: &[u8], from: usize) -> Option<(f32, usize)> {
    const POWERS: [f32; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    let is_negative = *text.get(from)? == b'-';
    let first = from + usize::from(is_negative);
    let (mut mantissa, mut whole) = (0u32, None);
    let mut at = first;
    let rest = text.get(first..)?;
    for byte in rest.iter().take(9) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u32::from(digit));
        } else if *byte == b'.' && whole.is_none() {
            whole = Some(at - first);
        } else {
            break;
        }
        at += 1;
    }
    let length = at - first;
    let (digits, fraction) = match whole {
        Some(whole) => (length - 1, length - 1 - whole),
        None => (length, 0),
    };
    if !(1..=7).contains(&digits) {
        return None;
    }
    let value = mantissa as f32 / POWERS[fraction];
    Some((if is_negative { -value } else { value }, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_is_that_of_the_general_parser(cell in "-?[0-9]{0,8}[.]?[0-9]{0,8}", behind in "[,\n x-]") {
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
