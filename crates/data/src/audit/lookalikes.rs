//! Classes and categories that are probably one: their names differ in case, white space, accents or number format alone.

use std::collections::BTreeMap;

use super::{Finding, Severity, Subject};
use crate::column::ColumnKind;
use crate::error::excerpt;

/// Groups that are named.
const SHOWN: usize = 8;

/// Classes whose names look alike.
pub fn classes(subject: &Subject) -> Vec<Finding> {
    let counts = super::classes::counts(subject.dataset);
    let alike: Vec<String> = alike(&subject.dataset.classes)
        .into_iter()
        .map(|group| {
            let named = group
                .into_iter()
                .map(|at| format!("{} ({})", shown(&subject.dataset.classes[at]), counts[at]));
            named.collect::<Vec<_>>().join(" and ")
        })
        .collect();
    let summary = "classes differ only in case, white space, accents or number format";
    finding("lookalike-classes", summary, "give them one name if they are one class", &alike)
}

/// Categories of a table's column whose names look alike.
pub fn categories(subject: &Subject) -> Vec<Finding> {
    let columns = subject.dataset.table.iter().flat_map(|table| &table.columns);
    let mut found = Vec::new();
    for column in columns {
        let ColumnKind::Category { categories, .. } = &column.kind else { continue };
        for group in alike(categories) {
            let names: Vec<_> = group.into_iter().map(|at| shown(&categories[at])).collect();
            found.push(format!(
                "{} in column {} ({})",
                names.join(" and "),
                column.position + 1,
                excerpt(&column.name)
            ));
        }
    }
    let summary = "categories differ only in case, white space, accents or number format";
    finding("lookalike-categories", summary, "write them alike if they are one category", &found)
}

fn finding(check: &'static str, what: &str, advice: &'static str, groups: &[String]) -> Vec<Finding> {
    if groups.is_empty() {
        return Vec::new();
    }
    let shown = groups.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    let more = groups.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let summary = format!("{what}: {shown}{more}");
    vec![Finding { check, severity: Severity::Warning, summary, advice, examples: Vec::new() }]
}

/// The names that look alike, by their places.
fn alike(names: &[String]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        groups.entry(folded(name)).or_default().push(at);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

/// A name as it sounds: without case, white space and accents; of a number, its value.
fn folded(name: &str) -> String {
    let lower: String =
        name.chars().flat_map(char::to_lowercase).filter(|c| !is_blank(*c)).map(without_accent).collect();
    // Combining accents stand behind their letters.
    let plain: String = lower.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect();
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => value.to_string(),
        // A name that is nothing but blanks and accents is its own.
        _ if plain.is_empty() => name.to_string(),
        _ => plain,
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// Small Latin letters with accents, by the letter that they are without.
const ACCENTS: [(char, &str); 22] = [
    ('a', "àáâãäåāăą"),
    ('c', "çćĉċč"),
    ('d', "ďđ"),
    ('e', "èéêëēĕėęě"),
    ('g', "ĝğġģ"),
    ('h', "ĥħ"),
    ('i', "ìíîïĩīĭįı"),
    ('j', "ĵ"),
    ('k', "ķ"),
    ('l', "ĺļľŀł"),
    ('n', "ñńņňŉ"),
    ('o', "òóôõöøōŏő"),
    ('r', "ŕŗř"),
    ('s', "śŝşšș"),
    ('t', "ţťŧț"),
    ('u', "ùúûüũūŭůűų"),
    ('w', "ŵ"),
    ('y', "ýÿŷ"),
    ('z', "źżž"),
    ('-', "‐‑‒–—−"),
    ('\'', "’‘ʼ`´"),
    ('"', "“”„"),
];

fn without_accent(c: char) -> char {
    let base = ACCENTS.iter().find(|(_, accented)| !c.is_ascii() && accented.contains(c));
    base.map_or(c, |(base, _)| *base)
}

/// A name in quotation marks, with the blanks visible that do not look like one.
fn shown(name: &str) -> String {
    let mut text = String::new();
    for c in excerpt(name).chars() {
        if c != ' ' && is_blank(c) || ('\u{300}'..='\u{36f}').contains(&c) {
            text.extend(c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_writing_alone_are_alike() {
        for (a, b) in [
            ("Setosa", "setosa"),
            ("New York", "new  york"),
            ("New York", "New\u{a0}York"),
            ("café", "Cafe"),
            ("cafe\u{301}", "café"),
            ("1", "1.0"),
            ("01", "1"),
            ("1e2", "100"),
            ("a-b", "a–b"),
        ] {
            assert_eq!(folded(a), folded(b), "{a:?} and {b:?}");
        }
        for (a, b) in [
            ("a", "b"),
            ("1", "10"),
            ("1.5", "15"),
            ("-1", "1"),
            ("a b", "a-b"),
            ("ß", "s"),
            ("+", "-"),
            ("猫", "犬"),
        ] {
            assert_ne!(folded(a), folded(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn a_blank_that_looks_like_none_is_shown() {
        assert_eq!(shown("New\u{a0}York"), "`New\\u{a0}York`");
    }
}
