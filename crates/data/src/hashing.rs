//! The features of free text: words, pairs of words and parts of words, hashed into a fixed number of features
//! (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009).

/// The number of features of a free text column.
pub const FEATURES: usize = 256;

/// The length of parts of words, in bytes.
pub const PART: usize = 4;

/// The modulus of hashes, a prime, so that products fit in 64 bits.
pub const MODULUS: u64 = (1 << 31) - 1;
/// The factor of hashes.
pub const MULTIPLIER: u64 = 1_000_003;

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
fn hash(start: u64, bytes: &[u8]) -> u64 {
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
    fn a_text_without_words_is_zero() {
        for text in ["", " .,;! ", "\t\n"] {
            assert_eq!(features(text, 8), [0.; 8]);
        }
    }
}
