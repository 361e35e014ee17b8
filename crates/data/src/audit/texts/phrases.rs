//! Phrases that alone predict a class, such as the signature of the program that collected the texts of this class: a model learns
//! them instead of the class.

use std::collections::HashMap;

use serde::Serialize;

use crate::audit::{AuditedData, Finding, Severity};
use crate::error::quoted;
use crate::texts::Texts;
use crate::tokens::words;
use crate::{Dataset, Targets, parallel};

/// A phrase that alone predicts a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakingPhrase {
    /// One to three words.
    pub phrase: String,
    /// The class that it predicts.
    pub class: String,
    /// The number of texts that have it.
    pub support: usize,
    /// The share of these texts that are of the class.
    pub precision: f64,
    /// The share of the texts of the class that have it.
    pub recall: f64,
}

/// The most words of a phrase.
const LONGEST: usize = 3;

/// The words of a text that are looked at.
const MOST_WORDS: usize = 2_000;

/// The texts that are looked at, evenly spaced.
const MOST_TEXTS: usize = 50_000;

/// The least precision and recall of a phrase that is reported.
const LEAST_PRECISION: f64 = 0.99;
const LEAST_RECALL: f64 = 0.3;

/// The texts of other classes that a phrase of this support would have by chance, at least.
const LEAST_EXPECTED: f64 = 10.;

/// The most phrases that are reported.
const MOST_PHRASES: usize = 10;

/// The phrases of a message.
const SHOWN: usize = 5;

/// The bits of the first hash table, which finds the frequent phrases without keeping the rare ones.
const BITS: u32 = 22;

/// Phrases that alone predict a class, as a finding.
pub fn leaking(audited: &AuditedData) -> Vec<Finding> {
    let found = audited.phrases;
    if found.is_empty() {
        return Vec::new();
    }
    let sentence = |found: &LeakingPhrase| {
        format!(
            "{} is in {:.0} % of the texts of {} ({} texts, {:.1} % of them of this class)",
            quoted(&found.phrase),
            100. * found.recall,
            quoted(&found.class),
            found.support,
            100. * found.precision
        )
    };
    let shown: Vec<_> = found.iter().take(SHOWN).map(sentence).collect();
    let more = found.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    vec![Finding {
        check: "phrases-that-leak",
        severity: Severity::Warning,
        summary: format!("{} phrase(s) alone predict a class: {}{more}", found.len(), shown.join("; ")),
        advice: "if they come from how the texts were collected, remove them from the texts",
        examples: Vec::new(),
    }]
}

/// The phrases that alone predict a class, those of the most texts first.
pub fn phrases(dataset: &Dataset) -> Vec<LeakingPhrase> {
    let Some(texts) = dataset.texts.as_ref().filter(|_| dataset.targets == Targets::Classes) else {
        return Vec::new();
    };
    let step = dataset.rows().div_ceil(MOST_TEXTS).max(1);
    let rows: Vec<usize> = (0..dataset.rows()).step_by(step).collect();
    let sizes = rows.iter().fold(vec![0usize; dataset.classes.len()], |mut sizes, row| {
        sizes[dataset.labels[*row] as usize] += 1;
        sizes
    });
    let smallest = sizes.iter().copied().filter(|size| *size > 0).min().unwrap_or(0);
    let least = ((smallest as f64 * LEAST_RECALL) as u32).max(LEAST_EXPECTED as u32);
    let all = parallel::map(&rows, |row| of_text(texts, *row));
    let mut frequent = vec![0u32; 1 << BITS];
    let bucket = |hash: u64| (hash >> (64 - BITS)) as usize;
    all.iter().flatten().for_each(|hash| frequent[bucket(*hash)] += 1);
    let mut counts: HashMap<u64, Vec<u32>> = HashMap::new();
    for (row, hashes) in rows.iter().zip(&all) {
        for hash in hashes.iter().filter(|hash| frequent[bucket(**hash)] >= least) {
            let counts = counts.entry(*hash).or_insert_with(|| vec![0; sizes.len()]);
            counts[dataset.labels[*row] as usize] += 1;
        }
    }
    let mut found: Vec<(u64, LeakingPhrase)> = counts
        .into_iter()
        .filter_map(|(hash, counts)| Some((hash, leak(&counts, &sizes, &dataset.classes)?)))
        .collect();
    found.sort_by(|(a, left), (b, right)| right.support.cmp(&left.support).then(a.cmp(b)));
    // Phrases that overlap have about the same texts, and the longest of them says the most.
    found.truncate(8 * MOST_PHRASES);
    named(texts, &rows, &all, &mut found);
    let mut kept: Vec<LeakingPhrase> = Vec::new();
    found.sort_by_key(|(_, phrase)| std::cmp::Reverse((phrase.phrase.split(' ').count(), phrase.support)));
    for (_, phrase) in found {
        let is_part = |other: &LeakingPhrase| {
            let (long, short) = (format!(" {} ", other.phrase), format!(" {} ", phrase.phrase));
            long.contains(&short) && 10 * other.support >= 9 * phrase.support
        };
        if !kept.iter().any(is_part) {
            kept.push(phrase);
        }
    }
    kept.sort_by_key(|phrase| (std::cmp::Reverse(phrase.support), phrase.phrase.clone()));
    kept.truncate(MOST_PHRASES);
    kept
}

/// The phrase of these counts of texts by class, if it predicts one.
fn leak(counts: &[u32], sizes: &[usize], classes: &[String]) -> Option<LeakingPhrase> {
    let (class, most) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    let support: u32 = counts.iter().sum();
    let all: usize = sizes.iter().sum();
    let precision = f64::from(*most) / f64::from(support);
    let recall = f64::from(*most) / sizes[class].max(1) as f64;
    let expected = f64::from(support) * (all - sizes[class]) as f64 / all.max(1) as f64;
    let is_leak = precision >= LEAST_PRECISION && recall >= LEAST_RECALL && expected >= LEAST_EXPECTED;
    is_leak.then(|| LeakingPhrase {
        phrase: String::new(),
        class: classes[class].clone(),
        support: support as usize,
        precision,
        recall,
    })
}

/// The hashes of the phrases of a row, each once, sorted.
fn of_text(texts: &Texts, row: usize) -> Vec<u64> {
    let mut hashes = Vec::new();
    each_phrase(texts, row, |hash, _, _| hashes.push(hash));
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Calls `found` with the hash of each phrase of a row, and its text and range of bytes.
fn each_phrase<'a>(
    texts: &'a Texts,
    row: usize,
    mut found: impl FnMut(u64, &'a str, std::ops::Range<usize>),
) {
    for (place, column) in texts.columns.iter().enumerate() {
        let text = column.of(row);
        let words: Vec<_> = words(text.as_bytes()).take(MOST_WORDS).collect();
        for length in 1..=LONGEST {
            for phrase in words.windows(length) {
                let start = (place * LONGEST + length) as u64;
                let hash = phrase.iter().fold(start, |hash, word| {
                    (hash ^ u64::from(word.hash)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
                });
                found(
                    hash.wrapping_mul(0xbf58_476d_1ce4_e5b9),
                    text,
                    phrase[0].start..phrase[length - 1].end,
                );
            }
        }
    }
}

/// Sets the words of the phrases with these hashes, from a text that has them.
fn named(texts: &Texts, rows: &[usize], all: &[Vec<u64>], found: &mut [(u64, LeakingPhrase)]) {
    for (hash, phrase) in found {
        let row = all.iter().position(|hashes| hashes.binary_search(hash).is_ok());
        let Some(row) = row else { continue };
        each_phrase(texts, rows[row], |other, text, range| {
            if other == *hash && phrase.phrase.is_empty() {
                let bytes = &text.as_bytes()[range.clone()];
                let own = words(bytes)
                    .map(|word| String::from_utf8_lossy(&bytes[word.start..word.end]).to_lowercase());
                phrase.phrase = own.collect::<Vec<_>>().join(" ");
            }
        });
    }
}
