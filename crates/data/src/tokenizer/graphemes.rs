//! How characters join to grapheme clusters (Unicode Standard Annex #29), as the crate `tokenizers` splits text.

use std::sync::OnceLock;

use unicode_segmentation::UnicodeSegmentation;

/// Properties of a character that decide whether it joins the characters before it. They are derived from what the crate
/// `unicode-segmentation` does with short texts, so they always agree with it.
pub mod class {
    /// Joins whatever is before it, other than controls.
    pub const EXTENDS: i64 = 1;
    /// Nothing joins it, and it joins nothing.
    pub const CONTROL: i64 = 1 << 1;
    /// What comes after it joins it.
    pub const PREPENDS: i64 = 1 << 2;
    /// A consonant of Hangul can come after it, a vowel, or a final consonant.
    pub const BEFORE: [i64; 3] = [1 << 3, 1 << 4, 1 << 5];
    /// It joins a consonant of Hangul, a vowel, or a final consonant.
    pub const AFTER: [i64; 3] = [1 << 6, 1 << 7, 1 << 8];
    /// A pictograph, which a zero-width joiner joins to another one.
    pub const PICTOGRAPH: i64 = 1 << 9;
    /// May be between a pictograph and the joiner.
    pub const WITHIN_PICTOGRAPHS: i64 = 1 << 10;
    /// A consonant of an Indic script that a linker joins to another one.
    pub const CONSONANT: i64 = 1 << 11;
    /// Joins Indic consonants.
    pub const LINKER: i64 = 1 << 12;
    /// May be between Indic consonants and a linker.
    pub const WITHIN_CONSONANTS: i64 = 1 << 13;
}

/// The zero-width joiner.
pub const JOINER: char = '\u{200D}';

/// A leading consonant, a vowel and a final consonant of Hangul.
const HANGUL: [char; 3] = ['\u{1100}', '\u{1160}', '\u{11A8}'];

/// A pictograph of two bytes, an Indic consonant and its linker.
const PICTOGRAPH: char = '\u{A9}';
const CONSONANT: char = '\u{915}';
const LINKER: char = '\u{94D}';

/// The properties of a character, a sum of [`class`].
pub fn class_of(c: char) -> i64 {
    static CLASSES: OnceLock<Vec<u16>> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let of = |point: u32| char::from_u32(point).map_or(0, |c| derived(c) as u16);
        (0..=u32::from(char::MAX)).map(of).collect()
    });
    i64::from(classes[u32::from(c) as usize])
}

fn derived(c: char) -> i64 {
    let is_one = |text: &[char]| text.iter().collect::<String>().graphemes(true).count() == 1;
    if !is_one(&[c, '\u{301}']) {
        return class::CONTROL;
    }
    if is_one(&['a', c]) {
        let of = |is: bool, value: i64| if is { value } else { 0 };
        return class::EXTENDS
            + of(is_one(&[PICTOGRAPH, c, JOINER, PICTOGRAPH]), class::WITHIN_PICTOGRAPHS)
            + of(is_one(&[CONSONANT, c, CONSONANT]), class::LINKER)
            + of(is_one(&[CONSONANT, c, LINKER, CONSONANT]), class::WITHIN_CONSONANTS);
    }
    if is_one(&[c, 'a']) {
        return class::PREPENDS;
    }
    let mut found = 0;
    for ((other, before), after) in HANGUL.into_iter().zip(class::BEFORE).zip(class::AFTER) {
        if is_one(&[c, other]) {
            found += before;
        }
        if is_one(&[other, c]) {
            found += after;
        }
    }
    if is_one(&[PICTOGRAPH, JOINER, c]) {
        found += class::PICTOGRAPH;
    }
    if is_one(&[CONSONANT, LINKER, c]) {
        found += class::CONSONANT;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_standard() {
        assert_eq!(class_of('a'), 0);
        assert_eq!(class_of('\n'), class::CONTROL);
        assert_eq!(class_of('\u{903}'), class::EXTENDS, "a spacing mark");
        assert_eq!(class_of('\u{600}'), class::PREPENDS);
        assert_eq!(class_of('\u{1160}') & class::AFTER[0], class::AFTER[0]);
        assert!(class_of('\u{AC00}') & class::BEFORE[1] > 0 && class_of('\u{AC01}') & class::BEFORE[1] == 0);
        assert_eq!(class_of('☺'), class::PICTOGRAPH);
        let accent = class_of('\u{301}');
        assert!(accent & class::EXTENDS > 0 && accent & class::WITHIN_PICTOGRAPHS > 0, "{accent:b}");
    }
}
