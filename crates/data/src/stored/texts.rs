//! The texts of a block of rows, column by column: the length of each text, then the texts.

use std::ops::Range;

/// The texts of a column that are not written yet.
#[derive(Debug, Default)]
pub(super) struct PendingTexts {
    lengths: Vec<u32>,
    text: String,
}

impl PendingTexts {
    /// Adds the text of a row.
    pub fn push(&mut self, text: &str) {
        self.lengths.push(text.len() as u32);
        self.text.push_str(text);
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.text.clear();
    }
}

/// Adds the texts of columns of the same number of rows, and clears these.
pub(super) fn encode(columns: &mut [PendingTexts], bytes: &mut Vec<u8>) {
    for column in columns {
        bytes.extend(column.lengths.iter().flat_map(|length| length.to_le_bytes()));
        bytes.extend(column.text.as_bytes());
        column.clear();
    }
}

/// The texts of a block.
pub(super) struct BlockTexts {
    /// The texts of all columns, one after the other.
    text: String,
    /// The place of each text, column by column.
    places: Vec<Range<usize>>,
    rows: usize,
}

impl BlockTexts {
    /// The texts of `rows` rows in this number of columns; `None` if the bytes are none.
    pub fn new(bytes: &[u8], columns: usize, rows: usize) -> Option<Self> {
        let mut texts = BlockTexts { text: String::new(), places: Vec::new(), rows };
        let mut rest = bytes;
        for _ in 0..columns {
            let (lengths, more) = rest.split_at_checked(4 * rows)?;
            let start = texts.text.len();
            let mut end = start;
            for length in lengths.as_chunks().0 {
                let next = end.checked_add(u32::from_le_bytes(*length) as usize)?;
                texts.places.push(end..next);
                end = next;
            }
            let (text, more) = more.split_at_checked(end - start)?;
            texts.text.push_str(std::str::from_utf8(text).ok()?);
            rest = more;
        }
        let are_whole = texts.places.iter().all(|place| texts.text.is_char_boundary(place.start));
        (rest.is_empty() && are_whole).then_some(texts)
    }

    /// The text of a row in a column.
    pub fn text(&self, column: usize, row: usize) -> &str {
        &self.text[self.places[column * self.rows + row].clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_come_back(columns in prop::collection::vec(prop::collection::vec("\\PC{0,6}", 4), 0..3)) {
            let pending = |texts: &Vec<String>| {
                let mut pending = PendingTexts::default();
                texts.iter().for_each(|text| pending.push(text));
                pending
            };
            let mut all: Vec<PendingTexts> = columns.iter().map(pending).collect();
            let mut bytes = Vec::new();
            encode(&mut all, &mut bytes);
            prop_assert!(all.iter().all(|pending| pending.bytes() == 0 && pending.lengths.is_empty()));
            let texts = BlockTexts::new(&bytes, columns.len(), 4).unwrap();
            for (column, expected) in columns.iter().enumerate() {
                let found: Vec<&str> = (0..4).map(|row| texts.text(column, row)).collect();
                prop_assert_eq!(found, expected.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, columns in 0usize..3, rows in 0usize..5) {
            if let Some(texts) = BlockTexts::new(&bytes, columns, rows) {
                (0..columns).for_each(|column| (0..rows).for_each(|row| {
                    let _ = texts.text(column, row);
                }));
            }
        }
    }

    #[test]
    fn parts_of_characters_are_no_texts() {
        // Lengths 1 and 1 of the two bytes of a character.
        assert!(BlockTexts::new(b"\x01\0\0\0\x01\0\0\0\xc3\xa9", 1, 2).is_none());
        assert!(BlockTexts::new(b"\x02\0\0\0\0\0\0\0\xc3\xa9", 1, 2).is_some());
        assert!(BlockTexts::new(b"\xff\xff\xff\xff", 1, 1).is_none());
    }
}
