//! The files of a release, packed from the program of this build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{last_accuracy, root, stderr, text};

/// Packs a release into the folder `files` in a new folder.
fn released() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = release(&folder.path().join("files"));
    assert!(output.status.success(), "{}", stderr(&output));
    folder
}

fn release(to: &Path) -> Output {
    let program = root().join("target/release/cresset");
    Command::new(root().join("scripts/release")).arg(to).arg(program).output().unwrap()
}

/// The files in the folder `files`: the part of the name from the version on, and the path.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = folder.join("files").read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (text(Path::new(path.file_name().unwrap())).to_string(), path)).collect()
}

fn only(folder: &Path, ending: &str) -> PathBuf {
    let mut files = files(folder).into_values().filter(|path| text(path).ends_with(ending));
    let file = files.next().unwrap_or_else(|| panic!("no file ends with {ending}"));
    assert_eq!(files.next(), None);
    file
}

fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs the environment of scripts/python-env packaging: make test"]
fn the_archive_runs_after_its_script_fetched_libtorch() {
    let release = released();
    let archive = only(release.path(), ".tar.gz");
    ran(Command::new("tar").arg("-xzf").arg(&archive).current_dir(release.path()));
    let name = text(Path::new(archive.file_name().unwrap())).trim_end_matches(".tar.gz").to_string();
    let unpacked = release.path().join(name);
    for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "share/man/man1/cresset-train.1"] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    let program = unpacked.join("bin/cresset");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(release.path()).env_remove("LD_LIBRARY_PATH").output().unwrap()
    };
    assert!(!run(&["--version"]).status.success(), "it has another libtorch");

    // The test runs with the libtorch that is in the cache.
    ran(Command::new(unpacked.join("scripts/fetch-libtorch")).env("CUDA", "0").env_remove("LIBTORCH"));
    let output = run(&["train", "--device", "cpu", "--out", "run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(last_accuracy(&release.path().join("run")) > 0.9);
}

#[test]
#[ignore = "needs the environment of scripts/python-env packaging: make test"]
fn two_releases_of_one_program_are_the_same_and_match_their_checksums() {
    let (first, second) = (released(), released());
    let (first_files, second_files) = (files(first.path()), files(second.path()));
    assert_eq!(first_files.len(), 4, "{first_files:?}");
    for (name, path) in &first_files {
        assert!(std::fs::read(path).unwrap() == std::fs::read(&second_files[name]).unwrap(), "{name}");
    }
    let checked = ran(Command::new("sha256sum")
        .args(["--check", "SHA256SUMS"])
        .current_dir(first.path().join("files")));
    assert_eq!(checked.lines().count(), 3, "{checked}");

    let refused = release(&first.path().join("files"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is not empty"), "{}", stderr(&refused));
}

#[test]
#[ignore = "needs the environment of scripts/python-env packaging: make test"]
fn the_bill_of_materials_has_every_crate_of_the_program_and_libtorch() {
    let release = released();
    let bill = std::fs::read(only(release.path(), ".cdx.json")).unwrap();
    let bill: serde_json::Value = serde_json::from_slice(&bill).unwrap();
    assert_eq!(bill["metadata"]["component"]["name"], "cresset");
    let components: BTreeMap<&str, &serde_json::Value> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| (component["name"].as_str().unwrap(), component))
        .collect();
    for (name, version) in [("tch", "0.24.0"), ("torch-sys", "0.24.0"), ("torch", "2.11.0")] {
        assert_eq!(components[name]["version"], version, "{name}");
        assert_eq!(components[name]["hashes"][0]["alg"], "SHA-256", "{name}");
    }
    // A dependency of tests alone.
    assert!(!components.contains_key("proptest"));
    let names = ran(Command::new("cargo").current_dir(root()).args([
        "tree",
        "--package=cresset-cli",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
        "--locked",
        "--offline",
    ]));
    assert!(names.lines().count() > 200, "{names}");
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        assert!(name == "cresset-cli" || components.contains_key(name), "{name}");
    }
}
