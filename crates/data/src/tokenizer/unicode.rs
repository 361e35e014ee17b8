//! The Unicode tables that the crate `tokenizers` uses, in its versions: the exported tokenizer must agree with them.

use regex_syntax::hir::{Class, HirKind};
use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

/// The canonical decomposition of a character, not in canonical order.
pub fn decomposition(c: char) -> Vec<char> {
    let mut parts = Vec::new();
    decompose_canonical(c, |part| parts.push(part));
    parts
}

/// The canonical combining class of a character; 0 for most.
pub fn combining_class(c: char) -> u8 {
    canonical_combining_class(c)
}

/// Whether BERT's normalizer removes the character when it removes accents.
pub fn is_accent(c: char) -> bool {
    c.is_mark_nonspacing()
}

/// Whether BERT's normalizer removes the character when it cleans text.
pub fn is_control(c: char) -> bool {
    match c {
        '\0' | '\u{fffd}' => true,
        '\t' | '\n' | '\r' => false,
        _ => c.is_other(),
    }
}

/// Whether BERT's pre-tokenizer makes a token of the character.
pub fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_punctuation()
}

/// The characters of a class of regular expressions, such as `\p{L}`, as inclusive ranges in ascending order.
///
/// # Panics
/// Never for the classes `\p{L}`, `\p{N}` and `\s`.
pub fn ranges(class: &str) -> Vec<(char, char)> {
    let parsed = regex_syntax::parse(class).expect("a class");
    match parsed.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().map(|range| (range.start(), range.end())).collect()
        }
        _ => Vec::new(),
    }
}
