//! Encodings of text files.

use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16 with a byte order mark, or without one if every other byte is 0 as in English text.
    Utf16,
    /// Windows-1252, of which Latin-1 is a part: what is not valid UTF-8.
    Latin1,
}

impl Encoding {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16 => "UTF-16",
            Encoding::Latin1 => "Latin-1 (Windows-1252)",
        }
    }
}

/// The first bytes by which UTF-16 without a byte order mark is recognized.
const SAMPLE: usize = 256;

/// Decodes a text in an encoding that is found by its bytes. Any bytes are a text: those without a meaning become U+FFFD.
///
/// ```
/// use cresset_data::text::{Encoding, decode};
///
/// assert_eq!(decode(b"caf\xc3\xa9"), ("café".to_string(), Encoding::Utf8));
/// assert_eq!(decode(b"caf\xe9"), ("café".to_string(), Encoding::Latin1));
/// assert_eq!(decode(b"\xff\xfea\0b\0"), ("ab".to_string(), Encoding::Utf16));
/// ```
pub fn decode(bytes: &[u8]) -> (String, Encoding) {
    let utf16 = match bytes {
        [0xFF, 0xFE, ..] => Some(UTF_16LE),
        [0xFE, 0xFF, ..] => Some(UTF_16BE),
        _ => utf16_without_mark(bytes),
    };
    if let Some(encoding) = utf16 {
        return (encoding.decode(bytes).0.into_owned(), Encoding::Utf16);
    }
    let unmarked = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(unmarked) {
        Ok(text) => (text.to_string(), Encoding::Utf8),
        Err(_) => (WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(), Encoding::Latin1),
    }
}

/// The byte order of UTF-16 text that has nearly only ASCII characters.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let pairs = bytes[..bytes.len().min(SAMPLE)].as_chunks::<2>().0;
    let zeros = |place: usize| pairs.iter().filter(|pair| pair[place] == 0 && pair[1 - place] != 0).count();
    let is_most = |count: usize| pairs.len() >= 4 && 10 * count >= 9 * pairs.len();
    match (is_most(zeros(1)), is_most(zeros(0))) {
        (true, _) => Some(UTF_16LE),
        (_, true) => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn utf16_is_found_with_and_without_a_mark() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16()
                .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect()
        };
        let text = "Grüße from a plain text";
        for big in [false, true] {
            assert_eq!(decode(&utf16(text, big)), (text.to_string(), Encoding::Utf16));
            let marked = utf16(&format!("\u{feff}{text}"), big);
            assert_eq!(decode(&marked), (text.to_string(), Encoding::Utf16));
        }
        assert_eq!(decode(b"\xef\xbb\xbfa").0, "a");
        assert_eq!(decode(b"a\0b").1, Encoding::Utf8);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_text(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode(&bytes);
        }

        #[test]
        fn utf8_stays(text in "\\PC{0,40}") {
            prop_assert_eq!(decode(text.as_bytes()), (text, Encoding::Utf8));
        }
    }
}
