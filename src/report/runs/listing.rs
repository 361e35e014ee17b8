//! The runs in a folder.

use std::path::Path;

use super::facts::{Facts, facts};
use crate::error::{Error, Result};

/// The runs in a folder, and notes on its other subfolders.
#[derive(Debug, Default)]
pub struct Listing {
    /// The facts of each run, sorted by name.
    pub runs: Vec<Facts>,
    /// A note for each subfolder that is not a readable run.
    pub notes: Vec<String>,
}

/// Lists the runs in a folder. With `all`, includes the folds of each cross-validation.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::list;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let runs = folder.path();
/// let options = Config { epochs: 1, ..Config::default() };
/// Trainer::new("iris").options(options).out(runs.join("first")).fit()?;
/// let listing = list(runs, false)?;
/// assert_eq!(listing.runs[0]["name"], "first");
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the folder cannot be read. Invalid subfolders are skipped with a note.
pub fn list(dir: &Path, all: bool) -> Result<Listing> {
    if !dir.is_dir() {
        let problem = "there is no such folder; expected a folder with run folders";
        return Err(Error::artifact(dir, problem));
    }
    let mut listing = Listing::default();
    let mut names: Vec<String> = subfolders(dir)?;
    names.sort_by_key(|name| natural_key(name));
    for name in names {
        let path = dir.join(&name);
        match facts(&path, &name) {
            Ok(facts) => {
                listing.runs.push(facts);
                if all {
                    folds(&path, &name, &mut listing);
                }
            }
            Err(error) => listing.notes.push(skip_note(&path, &error)),
        }
    }
    Ok(listing)
}

fn folds(path: &Path, name: &str, listing: &mut Listing) {
    for number in 1.. {
        let fold = path.join(format!("fold-{number}"));
        if !fold.is_dir() {
            return;
        }
        match facts(&fold, &format!("{name}/fold-{number}")) {
            Ok(facts) => listing.runs.push(facts),
            Err(error) => listing.notes.push(skip_note(&fold, &error)),
        }
    }
}

fn skip_note(path: &Path, error: &Error) -> String {
    match error {
        _ if path.join(crate::search::SPACE_FILE).is_file() => {
            format!("{0} is a hyperparameter search; `cresset runs {0}` lists its trials", path.display())
        }
        Error::Artifact { path: of, problem } if of == path => {
            format!("skipped {}: {problem}", path.display())
        }
        error => format!("skipped {}: {error}", path.display()),
    }
}

fn subfolders(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).map_err(Error::io("read the folder", dir))?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Names with a leading dot are hidden files or left from unfinished writes.
    Ok(names.filter(|name| !name.starts_with('.')).collect())
}

/// A natural sort key, where `run-10` follows `run-9`.
fn natural_key(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0u64)];
    for character in name.chars() {
        let (text, number) = parts.last_mut().expect("there is a part");
        match character.to_digit(10) {
            Some(digit) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
            None if *number > 0 => parts.push((character.to_string(), 0)),
            None => text.push(character),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_run_comes_behind_the_ninth() {
        let mut names = ["b-1", "a-10", "a-9-x2", "a-9"];
        names.sort_by_key(|name| natural_key(name));
        assert_eq!(names, ["a-9", "a-9-x2", "a-10", "b-1"]);
    }
}
