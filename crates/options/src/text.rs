//! Foreign text in messages. The names of files, classes and columns may hold anything; none of it may break a line, control
//! the terminal or change the direction of writing.

use std::borrow::Cow;

/// Whether a character controls a terminal or the text beside it, instead of being visible.
pub fn is_hidden(character: char) -> bool {
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Text on one line, with escapes such as `\n` and `\u{1b}` for hidden characters.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Lines of text: like [`line()`], but keeps line ends and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| is_hidden(character) && !['\n', '\t'].contains(&character))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line.into()
}

/// Foreign text for a message: on one line, escaped, and at most 60 characters long.
pub fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let start: String = text.chars().take(LONGEST).collect();
    let end = if start.len() < text.len() { "…" } else { "" };
    format!("{}{end}", line(&start))
}

/// [`excerpt`] in backquotes.
pub fn quoted(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// `; did you mean …?` with the most similar one of `candidates`, if one is similar.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("; did you mean `{near}`?"))
}

/// The one of `candidates` that is most similar to `word`, if any is similar.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
