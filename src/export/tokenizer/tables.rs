//! Tables of properties of characters.

use std::collections::HashMap;

use crate::model::script::Collection;

/// The number of characters of a block.
const BLOCK: u32 = 128;

/// The property of whitespace, which `frame.py` uses.
pub(super) const SPACE: i64 = 1;

/// A number for each code point, as two lists: where the values of each block of 128 code points start, and the values. Equal blocks
/// share their values.
pub(super) fn blocks(value: impl Fn(char) -> i64) -> [(&'static str, Collection); 2] {
    let mut starts = Vec::new();
    let mut values: Vec<i64> = Vec::new();
    let mut known: HashMap<Vec<i64>, i64> = HashMap::new();
    for block in 0..=u32::from(char::MAX) / BLOCK {
        let points = block * BLOCK..(block + 1) * BLOCK;
        let of_block: Vec<i64> = points.map(|point| char::from_u32(point).map_or(0, &value)).collect();
        let start = *known.entry(of_block).or_insert_with_key(|of_block| {
            values.extend(of_block);
            (values.len() - of_block.len()) as i64
        });
        starts.push(start);
    }
    [("blocks", Collection::Ints(starts)), ("kinds", Collection::Ints(values))]
}

/// All characters.
pub(super) fn characters() -> impl Iterator<Item = char> {
    '\0'..=char::MAX
}
