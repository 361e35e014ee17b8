//! Texts of all scripts, with what tokenizers find difficult.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Ranges of blocks of 128 code points. Planes without characters have only their first block here.
const BLOCKS: [std::ops::Range<u32>; 4] = [
    0..0x40000 / 128,
    0xE0000 / 128..0xE1000 / 128,
    0xF0000 / 128..0xF0080 / 128,
    0x10FF80 / 128..0x110000 / 128,
];

const WORDS: [&str; 24] = [
    "the",
    "The",
    "THE",
    "dog",
    "unbelievably",
    "don't",
    "we'll",
    "it's",
    "I've",
    "they're",
    "3.50",
    "2024",
    "e-mail",
    "(a/b)",
    "naïve",
    "Crème",
    "Größe",
    "Привет",
    "мир",
    "東京",
    "สวัสดีครับ",
    "العربية",
    "한국어",
    "Ελλάδα",
];

const DIFFICULT: [&str; 40] = [
    "[MASK]",
    "[CLS]",
    "<mask>",
    "  <mask>  ",
    "</s>",
    "<s>",
    "[UNK",
    "[MASK][MASK]",
    "<<mask>>",
    "##ing",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "\u{1F3F3}\u{FE0F}\u{200D}\u{1F308}",
    "\u{1F1E9}\u{1F1EA}",
    "e\u{301}",
    "e\u{301}\u{323}",
    "\u{323}\u{301}",
    "\u{1D15E}",
    "\u{1D165}\u{1D16D}\u{302E}\u{302F}",
    "\u{AC01}",
    "\u{1112}\u{1161}\u{11AB}",
    "İstanbul",
    "ΣΑΣ",
    "ǅ",
    "ﬁ",
    "Å",
    "\u{2126}",
    "\u{0}",
    "\u{FFFD}",
    "\u{85}",
    "\u{A0}",
    "\u{3000}",
    "\u{2000}",
    "\u{200B}",
    "\u{FEFF}",
    "\u{E000}",
    "\u{10FFFF}",
    "\u{AD}",
    "\u{F900}",
    "''s",
    "\u{2019}s",
];

const SEPARATORS: [&str; 16] = [
    " ", " ", " ", " ", " ", "  ", "   ", "\n", "\t", "\r\n", " \n", "\n \n", "\u{b}", "\u{c}", "", "\u{A0} ",
];

/// Texts that go through all blocks of characters, and then mixed ones, `count` in all and always the same. Some of the mixed ones are
/// not valid UTF-8.
pub(super) fn texts(count: usize) -> impl Iterator<Item = Vec<u8>> {
    let blocks = BLOCKS.into_iter().flatten().map(|number| block(number).into_bytes());
    blocks.chain(mixed(usize::MAX)).take(count)
}

/// `count` texts of words and difficult parts.
pub(super) fn mixed(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count as u64).map(text)
}

/// Text to train vocabularies on.
pub(super) fn corpus() -> Vec<String> {
    let documents = [include_str!("../../../../README.md"), include_str!("../../../../CONTRIBUTING.md")];
    let lines = documents.iter().flat_map(|document| document.lines()).map(str::to_string);
    let words = WORDS.map(|word| format!("{word} {word} {word}"));
    lines.chain(words).collect()
}

fn text(number: u64) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let mut text = String::new();
    for _ in 0..random.random_range(0..12) {
        part(&mut random, &mut text);
        text.push_str(SEPARATORS[random.random_range(0..SEPARATORS.len())]);
    }
    let mut bytes = text.into_bytes();
    if random.random_bool(0.2) {
        damage(&mut random, &mut bytes);
    }
    bytes
}

/// All characters of a block, first half of them joined, the rest separated.
fn block(number: u32) -> String {
    let characters = (number * 128..(number + 1) * 128).filter_map(char::from_u32);
    let separate = |(index, c)| if index < 64 { String::from(c) } else { format!(" {c}") };
    characters.enumerate().map(separate).collect()
}

fn part(random: &mut ChaCha8Rng, text: &mut String) {
    match random.random_range(0..10) {
        0..5 => text.push_str(WORDS[random.random_range(0..WORDS.len())]),
        5 => text.push_str(DIFFICULT[random.random_range(0..DIFFICULT.len())]),
        6 => {
            let first = random.random_range(0..0x110000);
            for _ in 0..random.random_range(1..8) {
                text.extend(char::from_u32(first + random.random_range(0..64)));
            }
        }
        7 => (0..random.random_range(1..8)).for_each(|_| text.push(random.random_range('!'..='~'))),
        8 if random.random_bool(0.1) => {
            let c = ['a', 'é', '中', '!', '\u{1F600}'][random.random_range(0..5)];
            (0..random.random_range(95..130)).for_each(|_| text.push(c));
        }
        8 => (0..random.random_range(1..12)).for_each(|_| text.push(random.random_range('a'..='z'))),
        // A word with the punctuation of a sentence.
        _ => {
            text.push_str(WORDS[random.random_range(0..WORDS.len())]);
            text.push([',', '.', '?', '!', ':', '"', '\''][random.random_range(0..7)]);
        }
    }
}

/// Changes, removes or inserts bytes.
fn damage(random: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..3) {
            0 if at < bytes.len() => bytes[at] = random.random_range(0x80..=0xFF),
            1 if at < bytes.len() => _ = bytes.remove(at),
            _ => bytes.insert(at, random.random_range(0x80..=0xFF)),
        }
    }
}
