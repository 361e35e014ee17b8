//! Escaping of untrusted text for terminals. Names of files, classes and columns may contain any character,
//! including line breaks, terminal control sequences and bidirectional overrides.

use std::fmt::Write;
use std::path::Path;

pub use cresset_options::text::{is_hidden, line, lines};

/// Joins names with commas, on one line.
pub fn list(names: &[String]) -> String {
    line(&names.join(", ")).into_owned()
}

/// Formats a path on one line.
pub fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// Formats a path as a shell argument, quoted if needed.
pub fn argument(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(is_hidden) {
        // Syntax of POSIX (2024), bash and zsh.
        let mut quoted = "$'".to_string();
        for character in text.chars() {
            match character {
                '\'' | '\\' => quoted.extend(['\\', character]),
                '\n' => quoted += "\\n",
                '\t' => quoted += "\\t",
                '\r' => quoted += "\\r",
                character if is_hidden(character) => {
                    let mut bytes = [0; 4];
                    for byte in character.encode_utf8(&mut bytes).bytes() {
                        write!(quoted, "\\{byte:03o}").expect("writing to a string does not fail");
                    }
                }
                character => quoted.push(character),
            }
        }
        return quoted + "'";
    }
    let is_plain = |character: char| character.is_alphanumeric() || "/._-+=:,@%".contains(character);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(line("a\nb\u{1b}[31m\u{202e}c\u{9b}2J"), "a\\nb\\u{1b}[31m\\u{202e}c\\u{9b}2J");
        assert_eq!(lines("a\tb\nc\r\u{2028}"), "a\tb\nc\\r\\u{2028}");
        assert_eq!(line("Äpfel 猫 👩‍🔬"), "Äpfel 猫 👩‍🔬");
    }

    #[test]
    fn an_argument_is_quoted_if_it_needs_it() {
        let argument = |text: &str| argument(Path::new(text));
        assert_eq!(argument("runs/a-1"), "runs/a-1");
        assert_eq!(argument("my run"), "'my run'");
        assert_eq!(argument("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(argument("a\nb"), "$'a\\nb'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_shell_reads_an_argument_as_it_was(text in "([ -~]|[\\n\\t\\r\u{1}\u{1b}\u{202e}äß猫]){1,12}") {
            let argument = argument(Path::new(&text));
            prop_assert!(!argument.chars().any(is_hidden));
            let output = Command::new("bash").args(["-c", &format!("printf %s {argument}")]).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }

        #[test]
        fn a_line_is_one_line_of_visible_characters(text: String) {
            prop_assert!(!line(&text).chars().any(is_hidden));
            prop_assert!(lines(&text).chars().all(|c| !is_hidden(c) || c == '\n' || c == '\t'));
        }
    }
}
