//! Escapes untrusted text for Markdown and YAML.

use crate::data::terminal;

/// Untrusted text on one line, escaped so that Markdown renders it literally.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let text = terminal::line(text);
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_word = |character: char| character.is_alphanumeric();
        let is_mark = match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '#' | '&' | '$' => true,
            // Literal within a word.
            '_' => !(is_word(before) && characters.peek().copied().is_some_and(is_word)),
            // At the start: list, rule or heading.
            '-' | '+' | '=' => plain.is_empty(),
            _ => false,
        };
        if is_mark {
            plain.push('\\');
        }
        plain.push(character);
        before = character;
    }
    plain
}

/// Untrusted text as inline code.
pub fn code(text: &str) -> String {
    format!("`{}`", terminal::line(text).replace('`', " ").replace('|', "\\|"))
}

/// A table. A column whose name ends in `:` is right-aligned.
pub fn table<S: AsRef<str>>(columns: &[S], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<_> = columns.iter().map(|name| name.as_ref().trim_end_matches(':').to_string()).collect();
    let rule = |name: &S| if name.as_ref().ends_with(':') { "---:" } else { "---" }.to_string();
    let rules: Vec<_> = columns.iter().map(rule).collect();
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    format!("{}{}{rows}", line(&names), line(&rules))
}

/// A string as a YAML scalar.
pub fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
    if is_word && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_string();
    }
    // JSON strings are YAML strings, except for characters that YAML does not allow.
    let json = serde_json::to_string(text).expect("a string serializes");
    json.chars()
        .map(|character| match u32::from(character) {
            code @ (0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) => format!("\\u{code:04x}"),
            _ => character.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_markdown_would_read_is_escaped() {
        assert_eq!(plain("a|b <i> class_0 *c*"), "a\\|b \\<i\\> class_0 \\*c\\*");
        assert_eq!(plain("a\nb\u{1b}[1m"), "a\\\\nb\\\\u{1b}\\[1m");
        assert_eq!(plain("_a_ &lt; $x$"), "\\_a\\_ \\&lt; \\$x\\$");
        assert_eq!(plain("- a=1"), "\\- a=1");
        assert_eq!(code("a\nb`|"), "`a\\nb \\|`");
        assert_eq!(
            table(&["x", "n:"], [vec!["a".into(), "1".into()]]),
            "| x | n |\n| --- | ---: |\n| a | 1 |\n"
        );
    }

    #[test]
    fn what_yaml_would_read_as_something_else_is_quoted() {
        for (text, expected) in [
            ("apache-2.0", "apache-2.0"),
            ("no", "\"no\""),
            ("1e3", "\"1e3\""),
            ("a: b", "\"a: b\""),
            ("- \"x\"\n", "\"- \\\"x\\\"\\n\""),
            ("\u{85}\u{feff}", "\"\\u0085\\ufeff\""),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
