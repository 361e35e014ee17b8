//! Hashed features (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009): words, pairs of words and parts of
//! words of free text, and categories of any number, in a fixed number of features.

/// The number of features of a free text column.
pub const FEATURES: usize = 256;

/// The length of parts of words, in bytes.
pub const PART: usize = 4;

/// The modulus of hashes, a prime, so that products fit in 64 bits.
pub const MODULUS: u64 = (1 << 31) - 1;
/// The factor of hashes.
pub const MULTIPLIER: u64 = 1_000_003;

/// The rows that the categories of a column are hashed into, unless a schema has another number.
pub const ROWS: usize = 1 << 20;

/// The most rows: a row is a feature in float32.
pub const MAX_ROWS: usize = 1 << 24;

/// The factor of [`row`].
pub const MIXER: u64 = 0x2c1b_3c6d;

/// The row of a category, from 0, among `rows`: the polynomial hash of its bytes in UTF-8, whose bits are mixed. Without that, categories
/// that count up, such as numbers of users, would share few rows if `rows` and [`MULTIPLIER`] have a similar remainder.
///
/// ```
/// use cresset_data::hashing::row;
///
/// assert_eq!(row(b"user 1", 1000), row(b"user 1", 1000));
/// assert_ne!(row(b"user 1", 1000), row(b"user 2", 1000));
/// ```
pub fn row(category: &[u8], rows: usize) -> usize {
    let hash = hash(1, category);
    let mixed = (hash ^ (hash >> 15)) * MIXER % MODULUS;
    ((mixed ^ (mixed >> 13)) % rows as u64) as usize
}

/// The hashed features of a text, of Euclidean length 1, or zeros for a text without words.
///
/// Words are sequences of letters and digits of ASCII and of all other characters; case is ignored in ASCII. Each word, each
/// pair of adjacent words, and each sequence of four bytes of a longer word adds 1 or -1, by its hash, to one feature.
pub fn features(text: &str, count: usize) -> Vec<f32> {
    let lower = text.to_ascii_lowercase();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let words: Vec<&[u8]> =
        lower.as_bytes().split(|byte| !is_word(byte)).filter(|word| !word.is_empty()).collect();
    let mut sums = vec![0f32; count];
    let mut add = |hash: u64| {
        let sign = if hash & 1 == 0 { 1. } else { -1. };
        sums[(hash / 2) as usize % count] += sign;
    };
    for (at, word) in words.iter().enumerate() {
        add(hash(1, word));
        if word.len() > PART {
            word.windows(PART).for_each(|part| add(hash(2, part)));
        }
        if at > 0 {
            add(hash(hash(3, words[at - 1]), word));
        }
    }
    let length = sums.iter().map(|sum| f64::from(*sum).powi(2)).sum::<f64>().sqrt();
    if length > 0. {
        sums.iter_mut().for_each(|sum| *sum = (f64::from(*sum) / length) as f32);
    }
    sums
}

/// A polynomial hash, in arithmetic that TorchScript has, too.
pub(crate) fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash * MULTIPLIER + u64::from(*byte) + 1) % MODULUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity(a: &str, b: &str) -> f32 {
        features(a, FEATURES).iter().zip(features(b, FEATURES)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_with_the_same_words_are_similar() {
        let text = "the quick brown fox jumps over the lazy dog";
        assert!((similarity(text, "The quick, brown fox jumps over the lazy dog!") - 1.).abs() < 1e-5);
        assert!(similarity(text, "a quick brown fox jumped over lazy dogs") > 0.4);
        assert!(similarity(text, "stock prices fell sharply on Monday morning").abs() < 0.2);
        assert!(similarity("café crème", "cafe noir").abs() < 0.5);
    }

    #[test]
    fn categories_that_count_up_share_as_few_rows_as_random_ones() {
        for (rows, step) in [(1 << 18, 1), (1_000_000, 1), (1_000_000, 1000), (999_983, 7)] {
            let ids =
                (0..100_000u64).map(|number| row((10_000_000 + number * step).to_string().as_bytes(), rows));
            let used = ids.collect::<std::collections::HashSet<_>>().len() as f64;
            let expected = rows as f64 * (1. - (-100_000. / rows as f64).exp());
            assert!((used / expected - 1.).abs() < 0.01, "{used} of {rows} rows, expected {expected}");
        }
    }

    #[test]
    fn the_hash_of_a_category_does_not_change() {
        // Models on disk depend on these rows.
        let rows = ["", "a", "grün", "日本", "68fd1e64", "10000000"].map(|text| row(text.as_bytes(), ROWS));
        assert_eq!(rows, [679_092, 213_189, 252_035, 995_206, 438_732, 615_634]);
    }

    #[test]
    fn a_text_without_words_is_zero() {
        for text in ["", " .,;! ", "\t\n"] {
            assert_eq!(features(text, 8), [0.; 8]);
        }
    }
}
