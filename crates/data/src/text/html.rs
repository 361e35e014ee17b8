//! The text of HTML.

/// Elements whose contents are not text.
const HIDDEN: [&str; 2] = ["script", "style"];

/// Named character references.
const NAMED: [(&str, char); 6] =
    [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];

/// The longest character reference.
const LONGEST: usize = 10;

/// The text of HTML, with a space for each tag. Comments, scripts and styles are left out.
pub fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find(['<', '&']) {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(reference) = rest.strip_prefix('&') {
            let (character, length) = reference_of(reference).unwrap_or(('&', 0));
            text.push(character);
            rest = &reference[length..];
            continue;
        }
        text.push(' ');
        rest = after_tag(rest);
    }
    text + rest
}

/// What follows the tag or comment at the start of `html`.
fn after_tag(html: &str) -> &str {
    if let Some(comment) = html.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |end| &comment[end + 3..]);
    }
    let Some(end) = html.find('>') else { return "" };
    let after = &html[end + 1..];
    let name: String = html[1..end].chars().take_while(char::is_ascii_alphanumeric).collect();
    match HIDDEN.iter().find(|hidden| name.eq_ignore_ascii_case(hidden)) {
        Some(hidden) => {
            let closing = format!("</{hidden}");
            let lower = after.to_ascii_lowercase();
            lower.find(&closing).map_or("", |at| &after[at..])
        }
        None => after,
    }
}

/// The character of a reference that starts after its `&`, and the number of its bytes.
fn reference_of(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = &text[..end];
    let character = match name.strip_prefix('#') {
        Some(number) => {
            let hexadecimal = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            char::from_u32(hexadecimal.unwrap_or_else(|| number.parse()).ok()?)?
        }
        None => NAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_become_spaces_and_references_characters() {
        assert_eq!(text("<p>one<br>two</p>"), " one two ");
        assert_eq!(text("a &lt; b &amp; c&nbsp;&#233;&#xE9; &unknown; &"), "a < b & c éé &unknown; &");
        assert_eq!(text("x<STYLE type=a>p { }</style>y<!-- <b> -->z"), "x  y z");
        assert_eq!(text("open <a href"), "open  ");
    }

    proptest! {
        #[test]
        fn any_text_is_taken(html in "[<>&;#x0-9a-z!/ é-]{0,60}") {
            text(&html);
        }
    }
}
