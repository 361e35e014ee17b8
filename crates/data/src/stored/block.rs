//! The values of a block of rows, column by column, in as few bytes as they need.
//!
//! A block begins with a byte for each column, which says how its values are stored. All values come back bit for bit, except
//! that every NaN becomes the same one.

use std::ops::Range;

/// How the values of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// All are equal: that value.
    Constant = 0,
    /// Whole numbers from 0 to 254; 255 is NaN.
    Byte = 1,
    /// Whole numbers from 0 to 65534; 65535 is NaN.
    Short = 2,
    /// float32.
    Float = 4,
}

impl Width {
    fn of(values: &[f32]) -> Self {
        let first = key(values.first().copied().unwrap_or(f32::NAN));
        let (mut is_constant, mut width) = (true, Width::Byte);
        for value in values {
            is_constant &= key(*value) == first;
            width = match whole(*value) {
                None => Width::Float,
                Some(number) if number >= u32::from(u8::MAX) && width == Width::Byte => Width::Short,
                Some(_) => width,
            };
            if width == Width::Float && !is_constant {
                return Width::Float;
            }
        }
        if is_constant { Width::Constant } else { width }
    }

    fn of_tag(tag: u8) -> Option<Self> {
        [Width::Constant, Width::Byte, Width::Short, Width::Float]
            .into_iter()
            .find(|width| *width as u8 == tag)
    }

    /// The bytes of this many values.
    fn bytes(self, rows: usize) -> usize {
        match self {
            Width::Constant => 4,
            width => width as usize * rows,
        }
    }
}

/// The bits of a value, the same ones for every NaN.
fn key(value: f32) -> u32 {
    if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }
}

/// The whole number of a value below 65535, 0 for NaN; `None` for other values.
fn whole(value: f32) -> Option<u32> {
    if value.is_nan() {
        return Some(0);
    }
    let number = value as u32;
    // Also the bits, because of -0.
    (number < u32::from(u16::MAX) && (number as f32).to_bits() == value.to_bits()).then_some(number)
}

/// Adds the columns of a block, all of the same length.
pub(super) fn encode(columns: &[Vec<f32>], bytes: &mut Vec<u8>) {
    let widths: Vec<Width> = columns.iter().map(|values| Width::of(values)).collect();
    bytes.extend(widths.iter().map(|width| *width as u8));
    for (values, width) in columns.iter().zip(widths) {
        match width {
            Width::Constant => {
                bytes.extend(key(values.first().copied().unwrap_or(f32::NAN)).to_le_bytes());
            }
            Width::Byte => {
                bytes.extend(values.iter().map(|value| if value.is_nan() { u8::MAX } else { *value as u8 }));
            }
            Width::Short => bytes.extend(values.iter().flat_map(|value| {
                let number = if value.is_nan() { u16::MAX } else { *value as u16 };
                number.to_le_bytes()
            })),
            Width::Float => bytes.extend(values.iter().flat_map(|value| key(*value).to_le_bytes())),
        }
    }
}

/// The columns of a block.
pub(super) struct Block {
    bytes: Vec<u8>,
    columns: Vec<(Width, Range<usize>)>,
}

impl Block {
    /// A block of `rows` rows with this number of columns; `None` if the bytes are none.
    pub fn new(bytes: Vec<u8>, columns: usize, rows: usize) -> Option<Self> {
        let (mut start, mut found) = (columns, Vec::with_capacity(columns));
        for tag in bytes.get(..columns)? {
            let width = Width::of_tag(*tag)?;
            let end = start + width.bytes(rows);
            found.push((width, start..end));
            start = end;
        }
        (start == bytes.len()).then_some(Block { bytes, columns: found })
    }

    /// A column.
    pub fn column(&self, index: usize) -> Column<'_> {
        let (width, range) = &self.columns[index];
        let bytes = &self.bytes[range.clone()];
        match width {
            Width::Constant => Column::Constant(float(bytes)),
            Width::Byte => Column::Bytes(bytes),
            Width::Short => Column::Shorts(bytes.as_chunks().0),
            Width::Float => Column::Floats(bytes.as_chunks().0),
        }
    }
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// The values of a column of a block.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    Constant(f32),
    Bytes(&'a [u8]),
    Shorts(&'a [[u8; 2]]),
    Floats(&'a [[u8; 4]]),
}

impl Column<'_> {
    /// The value of a row of the block.
    #[inline]
    pub fn value(&self, row: usize) -> f32 {
        match self {
            Column::Constant(value) => *value,
            Column::Bytes(values) => match values[row] {
                u8::MAX => f32::NAN,
                value => f32::from(value),
            },
            Column::Shorts(values) => match u16::from_le_bytes(values[row]) {
                u16::MAX => f32::NAN,
                value => f32::from(value),
            },
            Column::Floats(values) => f32::from_le_bytes(values[row]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![
            (0u32..300).prop_map(|value| value as f32),
            (65_500u32..65_600).prop_map(|value| value as f32),
            Just(f32::NAN),
            Just(-0.),
            any::<f32>(),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(columns in prop::collection::vec(prop::collection::vec(value(), 5), 0..4)) {
            let mut bytes = Vec::new();
            encode(&columns, &mut bytes);
            let block = Block::new(bytes, columns.len(), 5).unwrap();
            for (index, values) in columns.iter().enumerate() {
                let found: Vec<u32> = (0..5).map(|row| key(block.column(index).value(row))).collect();
                prop_assert_eq!(found, values.iter().map(|value| key(*value)).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, columns in 0usize..4, rows in 0usize..9) {
            if let Some(block) = Block::new(bytes, columns, rows) {
                (0..columns).for_each(|index| (0..rows).for_each(|row| {
                    let _ = block.column(index).value(row);
                }));
            }
        }
    }

    #[test]
    fn small_whole_numbers_take_a_byte_and_equal_ones_none() {
        let size = |values: &[f32]| {
            let mut bytes = Vec::new();
            encode(&[values.to_vec()], &mut bytes);
            bytes.len() - 1
        };
        assert_eq!(size(&[0., 254., f32::NAN, 3., 4., 5.]), 6);
        assert_eq!(size(&[0., 255., 65_534., 3., 4., 5.]), 12);
        assert_eq!(size(&[0., 65_535., 1., 3., 4., 5.]), 24);
        assert_eq!(size(&[0.5; 6]), 4);
        assert_eq!(size(&[f32::NAN; 6]), 4);
        assert_eq!(size(&[0., -0.]), 8);
    }
}
