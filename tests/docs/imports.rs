//! Which top-level modules of a crate import each other, read from its source code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each module, the modules that it imports, with the files that import them. Paths are relative to the crate's folder
/// of sources.
pub type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<PathBuf>>>;

/// Reads the imports between the modules of a crate, without those of its unit tests.
pub fn imports(sources: &Path) -> Imports {
    let mut files = Vec::new();
    collect(sources, &mut files);
    let within: Vec<_> = files.iter().map(|file| file.strip_prefix(sources).unwrap().to_path_buf()).collect();
    let modules: BTreeSet<String> = within.iter().map(|file| module_of(file)).collect();
    let mut found = Imports::new();
    for (file, within) in files.iter().zip(within).filter(|(_, within)| !is_root(within)) {
        let code = without_tests(&code_of(&std::fs::read_to_string(file).unwrap()));
        let module = module_of(&within);
        for prefix in ["crate::".to_string(), "super::".repeat(depth(&within))] {
            for name in names_after(&prefix, &code) {
                if name != module && modules.contains(&name) {
                    let of_module = found.entry(module.clone()).or_default();
                    of_module.entry(name).or_default().insert(within.clone());
                }
            }
        }
    }
    found
}

/// The Rust files below a folder, without unit tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The root of a crate declares all modules, and is imported by none.
fn is_root(within: &Path) -> bool {
    within == Path::new("lib.rs") || within == Path::new("main.rs")
}

/// The top-level module that a file belongs to.
fn module_of(within: &Path) -> String {
    let first = Path::new(within.components().next().unwrap().as_os_str());
    first.file_stem().unwrap().to_str().unwrap().to_string()
}

/// How many modules a file is below the root of the crate: 1 for `model.rs` and `model/mod.rs`.
fn depth(within: &Path) -> usize {
    within.components().count() - usize::from(within.ends_with("mod.rs"))
}

/// Source code without comments, and with empty literals.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest));
        let is_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match skipped {
            // `r` and `b` begin a literal only at the start of a word.
            Some(length) if !(is_word && first.is_alphabetic()) => {
                code.push(' ');
                rest = &rest[length..];
            }
            _ => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// The length of the comment at the start of a text. Comments between `/*` and `*/` nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut at = text.strip_prefix("/*").map(|_| 2)?;
    let mut open = 1;
    while open > 0 && at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (open, at) = (open + 1, at + 2),
            [b'*', b'/', ..] => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// The length of the string or character literal at the start of a text.
fn literal(text: &str) -> Option<usize> {
    let unmarked = text.trim_start_matches(['b', 'c']);
    let mark = text.len() - unmarked.len();
    if mark > 1 {
        return None;
    }
    if let Some(raw) = unmarked.strip_prefix('r') {
        let inner = raw.trim_start_matches('#');
        let end = format!("\"{}", "#".repeat(raw.len() - inner.len()));
        let inside = inner.strip_prefix('"')?;
        return Some(text.len() - inside.len() + inside.find(&end)? + end.len());
    }
    let length = if let Some(escaped) = unmarked.strip_prefix("'\\") {
        // Skips what may be a quote: `'\''`.
        3 + escaped[1..].find('\'')? + 1
    } else if let Some(inside) = unmarked.strip_prefix('\'') {
        // A lifetime has no second quote: `'a`.
        let one = inside.chars().next()?.len_utf8();
        inside[one..].starts_with('\'').then_some(1 + one + 1)?
    } else {
        string(unmarked)?
    };
    Some(mark + length)
}

/// The length of the string at the start of a text, with its quotes.
fn string(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(1 + end + 1)
}

/// Code without the items behind `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut parts = code.split("#[cfg(test)]");
    let mut kept = parts.next().unwrap_or_default().to_string();
    for part in parts {
        kept += &part[item(part)..];
    }
    kept
}

/// The length of the item at the start of a code: to its semicolon, or to the end of its block.
fn item(code: &str) -> usize {
    let mut open = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 && (c == ';' || c == '}') {
            return at + 1;
        }
    }
    code.len()
}

/// The names that follow a path in code: `A` and `B` of `crate::A::x` and `crate::{A::{x, y}, B}`, say.
fn names_after(path: &str, code: &str) -> Vec<String> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let found = code.match_indices(path).filter(|(at, _)| !code[..*at].ends_with(is_inside));
    found.flat_map(|(at, _)| first_names(&code[at + path.len()..])).collect()
}

fn first_names(code: &str) -> Vec<String> {
    let word = |text: &str| {
        let text = text.trim_start();
        text[..text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())].to_string()
    };
    let Some(group) = code.trim_start().strip_prefix('{') else { return vec![word(code)] };
    let (mut names, mut open, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        if open == 0 && (c == ',' || c == '}') {
            names.push(word(&group[start..at]));
            start = at + 1;
        }
        match c {
            '{' => open += 1,
            '}' if open == 0 => break,
            '}' => open -= 1,
            _ => {}
        }
    }
    names
}

#[test]
fn paths_in_comments_literals_and_unit_tests_are_no_imports() {
    let code = r###"
        use crate::{a::{x, y}, b as c, d};
        // crate::comment
        /* crate::comment /* nested */ crate::comment */
        const TEXT: &str = "crate::text \" crate::text";
        const RAW: &str = r#"crate::raw " crate::raw"#;
        const QUOTES: [char; 3] = ['"', '\'', '\u{22}'];
        fn f<'a>(of: &'a crate::e::Of<'a>) -> char { '/' }
        #[cfg(test)]
        use crate::test_only::Thing;
        #[cfg(test)]
        mod tests { fn g() { crate::test_only::g() } }
        fn h() { crate::f::h(); other_crate::no::h(); super::super::g::h() }
    "###;
    let code = without_tests(&code_of(code));
    assert_eq!(names_after("crate::", &code), ["a", "b", "d", "e", "f"]);
    assert_eq!(names_after("super::super::", &code), ["g"]);
    assert_eq!(depth(Path::new("model/mod.rs")), depth(Path::new("model.rs")));
}
