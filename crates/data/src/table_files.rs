//! Tables of several files, given as a pattern such as `part-*.csv`: the rows of all files, in the order of their names.
//!
//! A line number of such a table has the index of the file in its upper bits.

use std::path::{Path, PathBuf};

/// The bits of a line number for the lines of a file.
const LINE_BITS: u32 = 40;

/// Patterns are matched as in a shell: `*` leaves out hidden files and does not cross folders.
pub const AS_IN_A_SHELL: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files of a pattern, in the order of their names; none if the path is no pattern, or names a file itself.
pub fn files(pattern: &Path) -> Vec<PathBuf> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Vec::new();
    };
    // A path that cannot be accessed is reported by its reader.
    if pattern.try_exists().unwrap_or(true) {
        return Vec::new();
    }
    let found = glob::glob_with(text, AS_IN_A_SHELL).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = found.filter(|path| !path.is_dir()).collect();
    files.sort_unstable();
    files
}

/// Whether a table can be read again, which a pipe cannot.
pub(crate) fn are_files(path: &Path) -> bool {
    path.is_file() || !files(path).is_empty()
}

/// The number of a line of the file with this index.
pub(crate) fn line_of(file: usize, line: u64) -> u64 {
    (file as u64) << LINE_BITS | line
}

/// The line of a line number in its file.
pub(crate) fn file_line(line: u64) -> u64 {
    line & ((1 << LINE_BITS) - 1)
}

/// The file and the line of a line number of the table at `path`.
pub(crate) fn place(path: &Path, line: u64) -> (PathBuf, u64) {
    let (file, own) = ((line >> LINE_BITS) as usize, file_line(line));
    match files(path).into_iter().nth(file) {
        Some(file) => (file, own),
        None => (path.to_path_buf(), line),
    }
}

/// A line number in a message about the table at `path`: `3`, or `3 of part-2.csv`.
pub(crate) fn shown_line(path: &Path, line: u64) -> String {
    match place(path, line) {
        (file, own) if file != path => format!("{own} of {}", crate::terminal::path(&file)),
        _ => line.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_the_files_of_its_folder_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b-2.csv", "b-10.csv", "a.csv", ".b-0.csv", "[x].csv", "b-3.tsv"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("b-4.csv")).unwrap();
        let found = |pattern: &str| -> Vec<String> {
            let files = files(&folder.path().join(pattern));
            files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_string()).collect()
        };
        assert_eq!(found("b-*.csv"), ["b-10.csv", "b-2.csv"]);
        assert_eq!(found("?.csv"), ["a.csv"]);
        for none in ["a.csv", "[x].csv", "c-*.csv", "[", "b-4.csv"] {
            assert!(found(none).is_empty(), "{none}");
        }
        let pattern = folder.path().join("b-*.csv");
        assert_eq!(place(&pattern, line_of(1, 7)), (folder.path().join("b-2.csv"), 7));
        assert_eq!(shown_line(Path::new("a.csv"), 7), "7");
        assert!(shown_line(&pattern, line_of(0, 3)).ends_with("b-10.csv"));
    }
}
