//! Characters that show that a text was read or written in a wrong way.

use encoding_rs::WINDOWS_1252;

use super::texts;
use crate::audit::{AuditedData, Finding, FlaggedExample, Severity};
use crate::error::excerpt;
use crate::text::{self, Encoding};
use crate::{Names, parallel};

/// Texts in another encoding than the rest, and texts that were read in a wrong one.
pub fn encodings(audited: &AuditedData) -> Vec<Finding> {
    let Some(texts) = texts(audited) else { return Vec::new() };
    let rows: Vec<usize> = (0..audited.dataset.rows()).collect();
    let remarks = parallel::map(&rows, |row| {
        let garbled = texts.columns.iter().find_map(|column| garbled(column.of(*row)));
        garbled.or_else(|| encoding_of_file(audited, *row))
    });
    finding(
        audited,
        &remarks,
        ("mixed-encodings", "text(s) in another encoding than UTF-8, or read in a wrong one"),
        "convert them to UTF-8 at their source",
    )
}

/// Texts with control characters, other than tabs and the ends of lines.
pub fn control(audited: &AuditedData) -> Vec<Finding> {
    let Some(texts) = texts(audited) else { return Vec::new() };
    let rows: Vec<usize> = (0..audited.dataset.rows()).collect();
    let remarks = parallel::map(&rows, |row| {
        let all = texts.columns.iter().flat_map(|column| column.of(*row).chars());
        let mut control = all.filter(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}'));
        let first = control.next()?;
        let more = control.count();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Some(format!("U+{:04X}{more}", u32::from(first)))
    });
    finding(
        audited,
        &remarks,
        ("control-characters", "text(s) with control characters"),
        "they are often remains of a damaged file or of a terminal; remove them at their source",
    )
}

/// The finding for the examples with remarks.
fn finding(
    audited: &AuditedData,
    remarks: &[Option<String>],
    (check, description): (&'static str, &str),
    advice: &'static str,
) -> Vec<Finding> {
    let flagged = |(row, remark): (usize, &Option<String>)| Some(audited.flag(row, remark.clone()?, false));
    let examples: Vec<FlaggedExample> = remarks.iter().enumerate().filter_map(flagged).collect();
    if examples.is_empty() {
        return Vec::new();
    }
    let summary = format!("{} {description}", examples.len());
    vec![Finding { check, severity: Severity::Warning, summary, advice, examples }]
}

/// The encoding of the file of a text, if it is not UTF-8.
fn encoding_of_file(audited: &AuditedData, row: usize) -> Option<String> {
    let Names::Files(names) = &audited.dataset.names else { return None };
    let bytes = std::fs::read(audited.dataset.path.join(&names[row])).ok()?;
    let (_, encoding) = text::of_file(&bytes);
    (encoding != Encoding::Utf8).then(|| format!("read as {}", encoding.name()))
}

/// What is wrong with a text that has the replacement character, or characters of UTF-8 that were read as Windows-1252: `Ã¼` for `ü`.
fn garbled(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Some("it has the replacement character U+FFFD".to_string());
    }
    let characters: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| !c.is_ascii()).collect();
    characters.iter().find_map(|(start, first)| {
        let length = match first {
            'Â'..='ß' => 2,
            'à'..='ï' => 3,
            'ð'..='ô' => 4,
            _ => return None,
        };
        let end = text[*start..].char_indices().nth(length).map_or(text.len(), |(end, _)| start + end);
        let part = &text[*start..end];
        let (bytes, _, is_lossy) = WINDOWS_1252.encode(part);
        let meant =
            std::str::from_utf8(&bytes).ok().filter(|meant| !is_lossy && meant.chars().count() == 1)?;
        Some(format!("{} is probably {}", excerpt(part), excerpt(meant)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_that_was_read_as_windows_1252_is_found() {
        assert_eq!(garbled("GrÃ¼ÃŸe").unwrap(), "Ã¼ is probably ü");
        assert_eq!(garbled("itâ€™s").unwrap(), "â€™ is probably ’");
        assert!(garbled("a \u{fffd} b").unwrap().contains("U+FFFD"));
        for text in ["Grüße, naïve café", "Â", "Ação", "été à l’œuvre", "ÄÖÜ", "日本"] {
            assert_eq!(garbled(text), None, "{text}");
        }
    }
}
