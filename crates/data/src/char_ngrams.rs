//! Character n-grams of words (Bojanowski et al., "Enriching Word Vectors with Subword Information", 2017): what is known about the parts of
//! a word helps where the word itself is rare, as in names.

use crate::hashing::hash;

/// The length of the shortest n-grams, in characters.
pub const SHORTEST: u32 = 2;

/// The start of the hashes of n-grams, so that they are others than those of words.
pub const START: u64 = 2;

/// The marks of the beginning and the end of a word, which are characters of n-grams.
pub const MARKS: [u8; 2] = *b"<>";

/// The hashes, below 2³¹ - 1, of the sequences of [`SHORTEST`] to `longest` characters of a word between its marks, by their first character
/// and then their length. `word` is UTF-8; case is ignored in ASCII. A byte belongs to the character before it if its upper two bits are 10.
///
/// ```
/// use cresset_data::char_ngrams::hashes;
///
/// assert_eq!(hashes(b"Ann", 3).count(), 7); // <a <an an ann nn nn> n>
/// assert_eq!(hashes("é".as_bytes(), 8).count(), 3); // <é <é> é>
/// assert_eq!(hashes(b"Ann", 0).count(), 0);
/// ```
pub fn hashes(word: &[u8], longest: u32) -> impl Iterator<Item = u32> {
    let [first, last] = MARKS;
    let marked = if longest < SHORTEST {
        Vec::new()
    } else {
        [&[first], &word.to_ascii_lowercase()[..], &[last]].concat()
    };
    (0..marked.len()).flat_map(move |start| hashes_from(&marked[start..], longest))
}

/// The hashes of the n-grams from the first byte; none if it is not the first one of a character.
fn hashes_from(word: &[u8], longest: u32) -> Vec<u32> {
    let starts_character = |byte: u8| byte & 0xC0 != 0x80;
    let mut found = Vec::new();
    let (mut sum, mut length) = (START, 0);
    for at in 0..if starts_character(word[0]) { word.len() } else { 0 } {
        sum = hash(sum, &word[at..=at]);
        if word.get(at + 1).is_none_or(|next| starts_character(*next)) {
            length += 1;
            found.extend((length >= SHORTEST).then_some(sum as u32));
        }
        if length == longest {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ngrams_are_those_of_the_word_between_its_marks() {
        let of =
            |parts: &[&str]| parts.iter().map(|part| hash(START, part.as_bytes()) as u32).collect::<Vec<_>>();
        let found = |word: &str, longest| hashes(word.as_bytes(), longest).collect::<Vec<_>>();
        assert_eq!(found("Ann", 3), of(&["<a", "<an", "an", "ann", "nn", "nn>", "n>"]));
        assert_eq!(found("zoë", 2), of(&["<z", "zo", "oë", "ë>"]));
        assert_eq!(found("a", 8), of(&["<a", "<a>", "a>"]));
        assert!(found("word", 1).is_empty());
    }
}
