//! Near duplicates of texts: most of their phrases of three words are the same. Candidates are found by MinHash (Broder, "On the
//! Resemblance and Containment of Documents", 1997).

use std::collections::{BTreeSet, HashMap};

use super::texts;
use crate::audit::duplicates::{Relation, findings, grouped, root};
use crate::audit::{AuditedData, Finding};
use crate::parallel;
use crate::texts::Texts;
use crate::tokens::words;

/// The words of a phrase that is compared.
const PHRASE: usize = 3;

/// Shorter texts have too few phrases to compare.
const LEAST_PHRASES: usize = 5;

/// The words of a text that are compared.
const MOST_WORDS: usize = 10_000;

/// The number of hashes of a text: the smallest of its phrases by each of these many orders.
const HASHES: usize = 64;

/// The hashes that two texts must share, side by side, to be compared. Texts of which 70 % of the phrases are the same do so nearly
/// always, with 16 places to do it.
const BAND: usize = 4;

/// Texts with a larger share of common phrases among all of both are near duplicates.
const LEAST_COMMON: f64 = 0.7;

/// The maximum number of texts with the same hashes that a text is compared with.
const MAX_COMPARISONS: usize = 64;

/// Near duplicates with different tokens.
pub fn near(audited: &AuditedData) -> Vec<Finding> {
    let Some(texts) = texts(audited) else { return Vec::new() };
    let rows: Vec<usize> = (0..audited.dataset.rows()).collect();
    let signatures = parallel::map(&rows, |row| signature(&phrases(texts, *row)));
    let mut buckets: HashMap<(usize, [u32; BAND]), Vec<usize>> = HashMap::new();
    let mut group_of: Vec<usize> = rows.clone();
    for (row, signature) in signatures.iter().enumerate() {
        let Some(signature) = signature else { continue };
        let mut own: Option<BTreeSet<u64>> = None;
        for (place, band) in signature.as_chunks::<BAND>().0.iter().enumerate() {
            let bucket = buckets.entry((place, *band)).or_default();
            for other in bucket.iter().rev().take(MAX_COMPARISONS) {
                if root(&group_of, *other) == root(&group_of, row)
                    || audited.hashes[row] == audited.hashes[*other]
                {
                    continue;
                }
                let own = own.get_or_insert_with(|| phrases(texts, row));
                if common(own, &phrases(texts, *other)) >= LEAST_COMMON {
                    let (a, b) = (root(&group_of, *other), root(&group_of, row));
                    group_of[a.max(b)] = a.min(b);
                }
            }
            bucket.push(row);
        }
    }
    findings(audited, grouped(&group_of), Relation::SimilarText)
}

/// The hashes of the phrases of a row, those of each column apart.
fn phrases(texts: &Texts, row: usize) -> BTreeSet<u64> {
    let mut phrases = BTreeSet::new();
    for (place, column) in texts.columns.iter().enumerate() {
        let words: Vec<u64> =
            words(column.of(row).as_bytes()).take(MOST_WORDS).map(|word| u64::from(word.hash)).collect();
        let hash = |phrase: &[u64]| phrase.iter().fold(place as u64 + 1, |hash, word| mixed(hash ^ *word));
        phrases.extend(words.windows(PHRASE).map(hash));
    }
    phrases
}

/// The smallest hash by each order; none for a text that is too short.
fn signature(phrases: &BTreeSet<u64>) -> Option<[u32; HASHES]> {
    if phrases.len() < LEAST_PHRASES {
        return None;
    }
    let mut smallest = [u32::MAX; HASHES];
    for phrase in phrases {
        for (order, smallest) in smallest.iter_mut().enumerate() {
            let hash = phrase.wrapping_mul(2 * mixed(order as u64) + 1);
            *smallest = (*smallest).min((hash >> 32) as u32);
        }
    }
    Some(smallest)
}

/// The share of the phrases of both that are in each.
fn common(a: &BTreeSet<u64>, b: &BTreeSet<u64>) -> f64 {
    let both = a.intersection(b).count();
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

/// The finalizer of SplitMix64: each bit of the result depends on all of the argument.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: std::ops::Range<u64>) -> BTreeSet<u64> {
        range.map(mixed).collect()
    }

    /// The share of equal hashes estimates the share of common phrases.
    #[test]
    fn similar_sets_have_similar_signatures() {
        let (a, b) = (numbers(0..900), numbers(100..1000));
        let equal = |a: &BTreeSet<u64>, b: &BTreeSet<u64>| {
            let pairs = signature(a).unwrap().into_iter().zip(signature(b).unwrap());
            pairs.filter(|(a, b)| a == b).count() as f64 / HASHES as f64
        };
        assert_eq!(common(&a, &b), 0.8);
        assert!((equal(&a, &b) - 0.8).abs() < 0.15, "{}", equal(&a, &b));
        assert!(equal(&a, &numbers(5000..5900)) < 0.1 && signature(&numbers(0..3)).is_none());
    }
}
