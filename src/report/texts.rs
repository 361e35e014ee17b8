//! Texts with the words that count in color.

use std::fmt::Write;

use crate::predict::explain::text::WordValue;
use crate::report::html::{escaped, policy};

const STYLE: &str = include_str!("page.css");

/// The most characters of a text that are shown.
const MAX_SHOWN: usize = 4000;

/// A text as HTML: words with a positive value have a red background, those with a negative one a blue one.
///
/// ```
/// use cresset::predict::explain::text::WordValue;
/// use cresset::report::texts::highlighted;
///
/// let word = WordValue { word: "prize".to_string(), start: 2, end: 7, value: 0.5 };
/// assert_eq!(highlighted("A prize", &[word]), "A <mark class=\"for\" style=\"--share:0.60\" title=\"+0.5\">prize</mark>");
/// ```
pub fn highlighted(text: &str, words: &[WordValue]) -> String {
    let most = words.iter().map(|word| word.value.abs()).fold(0., f64::max);
    let (mut html, mut at) = (String::new(), 0);
    for WordValue { start, end, value, .. } in words {
        let (Some(before), Some(word)) = (text.get(at..*start), text.get(*start..*end)) else { continue };
        if *start > MAX_SHOWN {
            break;
        }
        let (class, sign) = if *value < 0. { ("against", "−") } else { ("for", "+") };
        write!(
            html,
            "{}<mark class=\"{class}\" style=\"--share:{:.2}\" title=\"{sign}{}\">{}</mark>",
            plain(before),
            0.6 * value.abs() / most.max(f64::MIN_POSITIVE),
            (value.abs() * 1e4).round() / 1e4,
            escaped(word)
        )
        .expect("writing to a string does not fail");
        at = *end;
    }
    let rest: String =
        text.get(at..).unwrap_or_default().chars().take(MAX_SHOWN.saturating_sub(at)).collect();
    let is_cut = rest.len() < text.len() - at.min(text.len());
    html + &plain(&rest) + if is_cut { "…" } else { "" }
}

/// Text between words, with its line breaks.
fn plain(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// An explained text on the page of [`page`].
pub struct ShownText {
    /// Its name.
    pub name: String,
    /// What is predicted.
    pub predicted: String,
    /// The text as HTML ([`highlighted`]).
    pub html: String,
}

/// A page of explained texts, which loads nothing from the network.
pub fn page(method: &str, texts: &[ShownText]) -> String {
    let item = |ShownText { name, predicted, html }: &ShownText| {
        format!(
            "<li><b>{}</b> <span class=\"soft\">{}</span><p>{html}</p></li>\n",
            escaped(predicted),
            escaped(name)
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{}\">\n<title>Explained texts</title>\n<style>{STYLE}</style></head>\n<body><header><h1>Explained texts</h1></header>\n\
         <main><p>Red words support the prediction, blue words oppose it ({}). The value of a word is in its tooltip.</p>\n<ul \
         class=\"texts\">\n{}</ul></main></body></html>\n",
        policy(STYLE, None),
        escaped(method),
        texts.iter().map(item).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(start: usize, end: usize, value: f64) -> WordValue {
        WordValue { word: String::new(), start, end, value }
    }

    #[test]
    fn words_are_colored_by_their_sign_and_markup_stays_text() {
        let text = "<b>free</b>\nlünch & more";
        let html = highlighted(text, &[word(3, 7, 1.), word(12, 18, -0.5)]);
        assert_eq!(
            html,
            "&lt;b&gt;<mark class=\"for\" style=\"--share:0.60\" title=\"+1\">free</mark>&lt;/b&gt;\n<mark class=\"against\" \
             style=\"--share:0.30\" title=\"−0.5\">lünch</mark> &amp; more"
        );
        // A range that is not one of characters, and a long text.
        assert_eq!(highlighted("ü", &[word(1, 2, 1.)]), "ü");
        assert!(highlighted(&"a ".repeat(5000), &[word(0, 1, 0.)]).ends_with('…'));
    }

    #[test]
    fn a_page_of_texts_runs_nothing() {
        let shown =
            ShownText { name: "<script>".to_string(), predicted: "spam".to_string(), html: String::new() };
        let page = page("occlusion", &[shown]);
        assert!(page.contains("script-src 'none'") && !page.contains("<script>"), "{page}");
    }
}
