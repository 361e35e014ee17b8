//! Boolean cells of tables.

/// The spellings of true and false, in lower case.
pub const SPELLINGS: [(&str, &str); 6] =
    [("true", "false"), ("yes", "no"), ("on", "off"), ("t", "f"), ("y", "n"), ("1", "0")];

/// Parses a boolean in any spelling, ignoring case: `true`, `yes`, `on`, `t`, `y`, `1` and their opposites.
pub fn boolean(text: &str) -> Option<bool> {
    let is = |spelling: &str| text.eq_ignore_ascii_case(spelling);
    SPELLINGS.iter().find_map(|(yes, no)| if is(yes) { Some(true) } else { is(no).then_some(false) })
}

/// Whether the distinct texts of a column are booleans: both words of one spelling, in any case.
pub fn are_booleans<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut found: Vec<String> = texts.take(MAX_SPELLINGS + 1).map(str::to_ascii_lowercase).collect();
    if found.len() > MAX_SPELLINGS {
        return false;
    }
    found.sort_unstable();
    found.dedup();
    SPELLINGS.iter().any(|(yes, no)| {
        let mut pair = [*yes, *no];
        pair.sort_unstable();
        found == pair
    })
}

/// `true`, `True` and `TRUE`, and the same for false; more are no booleans.
const MAX_SPELLINGS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_of_one_spelling_are_booleans_in_any_case() {
        for texts in
            [&["true", "False", "TRUE"][..], &["No", "yes"], &["f", "T"], &["0", "1"], &["off", "on"]]
        {
            assert!(are_booleans(texts.iter().copied()), "{texts:?}");
        }
        for texts in [&["yes"][..], &["yes", "false"], &["true", "false", "maybe"], &[], &["y", "no"]] {
            assert!(!are_booleans(texts.iter().copied()), "{texts:?}");
        }
        assert_eq!(["YES", "n", "2"].map(boolean), [Some(true), Some(false), None]);
    }
}
