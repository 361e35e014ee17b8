//! The structure of the source code: modules do not import each other in a cycle.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::imports::{Imports, imports};
use crate::support::root;

/// The folders of sources of all crates.
fn crates() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = folders.map(|folder| folder.join("src")).filter(|path| path.is_dir()).collect();
    found.push(root().join("src"));
    found.sort();
    found
}

/// A shortest cycle through each import that is on one. A cycle starts with the first of its modules by name.
fn cycles(imports: &Imports) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (from, imported) in imports {
        for to in imported.keys() {
            if let Some(mut cycle) = path(imports, to, from) {
                let first = (0..cycle.len()).min_by_key(|at| &cycle[*at]).unwrap();
                cycle.rotate_left(first);
                found.insert(cycle);
            }
        }
    }
    found
}

/// The modules of a shortest chain of imports.
fn path(imports: &Imports, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = VecDeque::from([vec![from.to_string()]]);
    while let Some(path) = waiting.pop_front() {
        let last = path.last().unwrap();
        if last == to {
            return Some(path);
        }
        let next = imports.get(last).into_iter().flat_map(|imported| imported.keys());
        waiting.extend(
            next.filter(|name| seen.insert(name))
                .map(|name| [&path[..], std::slice::from_ref(name)].concat()),
        );
    }
    None
}

/// A cycle with the files of each import: `a → b → a`, and a line for each arrow.
fn described(imports: &Imports, cycle: &[String]) -> String {
    let next = |at: usize| &cycle[(at + 1) % cycle.len()];
    let mut text = format!("{} → {}\n", cycle.join(" → "), cycle[0]);
    for (at, from) in cycle.iter().enumerate() {
        let files = imports[from][next(at)].iter().map(|file| file.display().to_string());
        text += &format!("  {from} imports {} in {}\n", next(at), files.collect::<Vec<_>>().join(", "));
    }
    text
}

#[test]
fn no_modules_of_a_crate_import_each_other_in_a_cycle() {
    let mut found = String::new();
    let mut count = 0;
    for sources in crates() {
        let imports = imports(&sources);
        count += imports.values().map(|imported| imported.len()).sum::<usize>();
        for cycle in cycles(&imports) {
            let within = sources.strip_prefix(root()).unwrap();
            found += &format!("{}: {}", within.display(), described(&imports, &cycle));
        }
    }
    assert!(found.is_empty(), "modules import each other in a cycle:\n{found}");
    assert!(count > 50, "only {count} imports were found");
}

#[test]
fn a_cycle_is_named_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, code: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, code).unwrap();
    };
    write("lib.rs", "pub mod data;\npub use crate::run::Run;\n");
    write("data.rs", "#[cfg(test)]\nmod tests {\n    use crate::run::Run;\n}\n");
    write("model/mod.rs", "use crate::{data, train::{self, Step}};\n");
    write("model/tests.rs", "use crate::run::Run;\n");
    write("train/mod.rs", "use super::run::Run;\n");
    write("train/step.rs", "fn step() { crate::model::step() }\n");
    write("run.rs", "// use crate::report;\nuse crate::data;\n");
    assert_eq!(
        all(folder.path()),
        [
            "model → train → model\n  model imports train in model/mod.rs\n  train imports model in train/step.rs\n"
        ]
    );

    write("run.rs", "use crate::model::Model;\n");
    let found = all(folder.path());
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("model → train → model\n"), "{found:?}");
    assert!(found[1].starts_with("model → train → run → model\n"), "{found:?}");
    assert!(
        found[1].contains("  train imports run in train/mod.rs\n  run imports model in run.rs\n"),
        "{found:?}"
    );
}

fn all(sources: &Path) -> Vec<String> {
    let imports = imports(sources);
    cycles(&imports).iter().map(|cycle| described(&imports, cycle)).collect()
}

#[test]
fn the_library_has_only_folders_beside_its_root_error_and_prelude() {
    let entries = std::fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| !path.is_dir());
    let names: BTreeSet<_> =
        files.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["lib.rs", "error.rs", "prelude.rs"].map(str::to_string).into());
}
