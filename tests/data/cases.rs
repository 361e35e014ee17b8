//! What users brought and what becomes of it. Each folder of `tests/cases/` holds small inputs and a `case.toml`, which says
//! what a user does with them, with what exit code each command ends, and the decisive words and figures. The commands run in
//! a copy of the folder. `CRESSET_CASE=NAME` runs the cases whose names contain NAME.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::support::{self, cresset, stderr, two_at_a_time};
use serde::Deserialize;

/// What libtorch and Rust say to programmers.
const FORBIDDEN: [&str; 5] =
    ["frame #", "Exception raised", "Internal torch error", "panicked", "RUST_BACKTRACE"];

/// A `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What a user does, and what used to go wrong.
    about: String,
    /// Where it was reported first.
    #[serde(default)]
    source: Option<String>,
    step: Vec<Step>,
}

/// A command and what it must do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The arguments of `cresset`, separated by blanks.
    run: String,
    /// A file whose contents the program reads from its standard input.
    #[serde(default)]
    stdin: Option<PathBuf>,
    /// The exit code.
    #[serde(default)]
    exit: i32,
    /// Texts that must be in what is printed on standard output.
    #[serde(default)]
    stdout: Vec<String>,
    /// Texts that must be in what is printed on standard error.
    #[serde(default)]
    stderr: Vec<String>,
    /// Texts that must be in neither.
    #[serde(default)]
    absent: Vec<String>,
    /// The first number behind a text on standard output, and the least that it may be.
    #[serde(default)]
    at_least: Vec<(String, f64)>,
    /// Files that must exist afterwards.
    #[serde(default)]
    files: Vec<PathBuf>,
    /// Files and folders that must not exist afterwards.
    #[serde(default)]
    no_files: Vec<PathBuf>,
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The first number behind `text` in what was printed.
fn number_behind(text: &str, printed: &str) -> Option<f64> {
    let behind = &printed[printed.find(text)? + text.len()..];
    let number = behind.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '-');
    let end = number.find(|c: char| !c.is_ascii_digit() && !".-".contains(c)).unwrap_or(number.len());
    number[..end].trim_end_matches('.').parse().ok()
}

/// What is wrong with a step, a line each.
fn faults(step: &Step, folder: &Path) -> Vec<String> {
    let mut command = cresset();
    command.args(step.run.split_whitespace()).current_dir(folder);
    if let Some(input) = &step.stdin {
        command.stdin(std::fs::File::open(folder.join(input)).unwrap());
    }
    let output = command.output().expect("cresset starts");
    let (printed, said) = (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output));
    let mut faults = Vec::new();
    if output.status.code() != Some(step.exit) {
        faults.push(format!("ended with {}, not {}", output.status, step.exit));
    }
    let lacks = |place: &str, texts: &[String], whole: &str| {
        let missing = texts.iter().filter(|text| !whole.contains(text.as_str()));
        missing.map(|text| format!("`{text}` is not on {place}")).collect::<Vec<_>>()
    };
    faults.extend(lacks("stdout", &step.stdout, &printed));
    faults.extend(lacks("stderr", &step.stderr, &said));
    let unwanted = step.absent.iter().map(String::as_str).chain(FORBIDDEN);
    let unwanted = unwanted.filter(|text| printed.contains(text) || said.contains(text));
    faults.extend(unwanted.map(|text| format!("`{text}` is printed")));
    for (text, least) in &step.at_least {
        let found = number_behind(text, &printed);
        if found.is_none_or(|found| found < *least) {
            faults.push(format!("`{text}` is followed by {found:?}, which should be at least {least}"));
        }
    }
    let missing = step.files.iter().filter(|file| !folder.join(file).exists());
    faults.extend(missing.map(|file| format!("{} is missing", file.display())));
    let unwanted = step.no_files.iter().filter(|file| folder.join(file).exists());
    faults.extend(unwanted.map(|file| format!("{} exists", file.display())));
    if !faults.is_empty() {
        faults.push(format!("it printed\n{printed}\nand said\n{said}"));
    }
    faults
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// What is wrong with the first step of a case that does not end as it should.
fn failure(folder: &Path) -> Option<String> {
    let name = name_of(folder);
    let text = std::fs::read_to_string(folder.join("case.toml")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let case: Case = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let place = tempfile::tempdir().unwrap();
    copy(folder, place.path());
    case.step.iter().find_map(|step| {
        let faults = faults(step, place.path());
        if faults.is_empty() {
            return None;
        }
        let source = case.source.as_deref().unwrap_or("no report");
        let faults = faults.join("\n  ");
        Some(format!("{name} ({}; {source}): cresset {}\n  {faults}", case.about, step.run))
    })
}

#[test]
fn every_case_ends_as_its_file_says() {
    let wanted = std::env::var("CRESSET_CASE").unwrap_or_default();
    let cases = support::root().join("tests/cases");
    let folders = cases.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
    folders.sort();
    folders.retain(|folder| name_of(folder).contains(&wanted));
    let failed = Mutex::new(Vec::new());
    two_at_a_time(&folders, |folder| {
        if let Some(failure) = failure(folder) {
            failed.lock().unwrap().push(failure);
        }
    });
    let (run, mut failed) = (folders.len(), failed.into_inner().unwrap());
    failed.sort();
    assert!(run > 0, "no case is called {wanted}");
    assert!(failed.is_empty(), "{} of {run} cases failed\n\n{}", failed.len(), failed.join("\n\n"));
}
