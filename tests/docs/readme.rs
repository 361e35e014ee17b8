//! What the README shows, run and compared.

use std::process::Command;

use crate::support::shown::{Reader, blocks, page, subcommands};
use crate::support::{cresset, root, stderr};

/// The contents of the README's code blocks in a language.
fn readme(language: &str) -> Vec<String> {
    blocks(&page("README.md"), language)
}

#[test]
fn every_command_works() {
    let mut reader = Reader::new();
    reader.follow(&page("README.md"));
    assert!(reader.ran >= 7, "only {} commands were found", reader.ran);
}

/// Digits may differ from machine to machine; everything else may not.
fn without_digits(text: &str) -> Vec<String> {
    let masked =
        |line: &str| line.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect::<String>();
    text.lines().map(|line| masked(line).replace(' ', "").replace("##", "#").replace("##", "#")).collect()
}

#[test]
fn the_default_job_prints_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("data"), folder.path().join("data")).unwrap();
    // On a machine with a GPU the device would be another one.
    let output = cresset().args(["train", "--device", "cpu"]).current_dir(folder.path()).output().unwrap();
    let (printed, progress) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
    let (head, tail) = printed.split_once("\n\n").unwrap();
    let together = format!("{head}\n\n{progress}{tail}");
    assert_eq!(without_digits(&together), without_digits(&readme("text")[0]));
}

/// What the README shows of a program: the language, the example, and the example's arguments in place of file names.
type Shown = (&'static str, &'static str, [(&'static str, &'static str); 2]);

const SHOWN: [Shown; 2] = [
    (
        "python",
        "python/classify.py",
        [(r#""runs/mine/model.pt""#, "sys.argv[1]"), (r#""digit.png""#, "path")],
    ),
    ("cpp", "cpp/classify.cpp", [(r#""runs/mine/model.pt""#, "argv[1]"), (r#""digit.png""#, "argv[i]")]),
];

#[test]
fn the_programs_shown_are_lines_of_the_examples() {
    for (language, file, arguments) in SHOWN {
        let example = std::fs::read_to_string(root().join("examples").join(file)).unwrap();
        let mut lines = example.lines().map(str::trim);
        let [shown] = &readme(language)[..] else { panic!("the README shows one program in {language}") };
        for line in shown.lines() {
            let expected =
                arguments.iter().fold(line.to_string(), |line, (name, own)| line.replace(name, own));
            assert!(lines.any(|own| own == expected), "{file} has no line `{expected}` there");
        }
    }
}

#[test]
fn the_book_shows_every_example() {
    let export = page("docs/export.md");
    for file in [
        "cpp/classify.cpp",
        "cpp/CMakeLists.txt",
        "cpp/classify_pt2.cpp",
        "cpp/classify_table.cpp",
        "python/classify.py",
        "python/classify_onnx.py",
        "python/classify_pt2.py",
        "python/classify_table.py",
        "rust/classify.rs",
        "rust/classify_pt2.rs",
    ] {
        let include = format!("{{{{#include ../examples/{file}}}}}");
        assert!(export.contains(&include), "docs/export.md does not show {file}");
    }
}

#[test]
fn every_command_and_every_target_is_listed() {
    let readme = page("README.md");
    let help = cresset().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for name in subcommands(&help) {
        assert!(readme.contains(&format!("| `cresset {name}` |")), "the README does not list {name}");
    }
    let listed = Command::new("make").arg("help").current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for target in ["train", "test", "accuracy", "bench", "doctor"] {
        assert!(listed.contains(&format!("make {target} ")), "{listed}");
    }
}
