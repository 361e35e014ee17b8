//! Classes and categories whose names differ only in case, white space, accents or number format, and are
//! probably the same.

use std::collections::BTreeMap;

use super::{AuditedData, Finding, Severity};
use crate::TaskKind;
use crate::column::ColumnKind;
use crate::error::excerpt;

/// The maximum number of groups in a message.
const SHOWN: usize = 8;

/// Classes or labels with similar names.
pub fn classes(audited: &AuditedData) -> Vec<Finding> {
    let counts = audited.dataset.label_counts();
    if counts.is_empty() {
        return Vec::new();
    }
    let similar_names: Vec<String> = similar_names(&audited.dataset.classes)
        .into_iter()
        .map(|group| {
            let named = group
                .into_iter()
                .map(|at| format!("{} ({})", shown(&audited.dataset.classes[at]), counts[at]));
            named.collect::<Vec<_>>().join(" and ")
        })
        .collect();
    if audited.dataset.task() == TaskKind::Multilabel {
        let summary = "labels differ only in case, white space, accents or number format";
        return finding(
            "lookalike-labels",
            summary,
            "if they are the same label, use one name",
            &similar_names,
        );
    }
    let summary = "classes differ only in case, white space, accents or number format";
    finding("lookalike-classes", summary, "if they are the same class, use one name", &similar_names)
}

/// Categories of a table column with similar names.
pub fn categories(audited: &AuditedData) -> Vec<Finding> {
    let columns = audited.dataset.table.iter().flat_map(|table| &table.columns);
    let mut found = Vec::new();
    for column in columns {
        let (ColumnKind::Category { categories, .. } | ColumnKind::Code { categories, .. }) = &column.kind
        else {
            continue;
        };
        for group in similar_names(categories) {
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
    finding("lookalike-categories", summary, "if they are the same category, use one name", &found)
}

fn finding(check: &'static str, description: &str, advice: &'static str, groups: &[String]) -> Vec<Finding> {
    if groups.is_empty() {
        return Vec::new();
    }
    let shown = groups.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    let more = groups.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let summary = format!("{description}: {shown}{more}");
    vec![Finding { check, severity: Severity::Warning, summary, advice, examples: Vec::new() }]
}

/// Groups of similar names, as indexes.
fn similar_names(names: &[String]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        groups.entry(normalized(name)).or_default().push(at);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    groups.sort();
    groups
}

/// A name without case, white space and accents; for a number, its value.
fn normalized(name: &str) -> String {
    let lower: String =
        name.chars().flat_map(char::to_lowercase).filter(|c| !is_blank(*c)).map(without_accent).collect();
    // Combining accents follow their letters.
    let plain: String = lower.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect();
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() => value.to_string(),
        // A name of only white space and accents stays as it is.
        _ if plain.is_empty() => name.to_string(),
        _ => plain,
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// Lower-case Latin letters and punctuation with their variants.
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

/// A quoted name, with unusual white space escaped.
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
    fn names_that_differ_only_in_spelling_are_similar() {
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
            assert_eq!(normalized(a), normalized(b), "{a:?} and {b:?}");
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
            assert_ne!(normalized(a), normalized(b), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn unusual_white_space_is_escaped() {
        assert_eq!(shown("New\u{a0}York"), "`New\\u{a0}York`");
    }
}
