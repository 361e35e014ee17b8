//! What the README shows, run and compared.

mod support;

use std::process::Command;

use support::{cresset, root, stderr};

/// The contents of the README's code blocks in a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let opening = format!("\n```{language}\n");
    readme.split(&opening).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_string()).collect()
}

#[test]
fn every_command_works() {
    let folder = tempfile::tempdir().unwrap();
    for linked in ["data", "recipes"] {
        std::os::unix::fs::symlink(root().join(linked), folder.path().join(linked)).unwrap();
    }
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut run = 0;
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[0] {
            "cresset" => {
                let output = cresset().args(&words[1..]).current_dir(folder.path()).output().unwrap();
                assert!(output.status.success(), "{line}: {}", stderr(&output));
                run += 1;
            }
            "make" => {
                assert!(makefile.contains(&format!("\n{}:", words[1])), "the Makefile has no {}", words[1])
            }
            // Run by the tests of the C++ program.
            "g++" | "cmake" => {}
            other => panic!("nothing runs `{other}`: {line}"),
        }
    }
    assert!(run >= 7, "only {run} commands were found");
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
    assert_eq!(without_digits(&together), without_digits(&blocks("text")[0]));
}

#[test]
fn the_programs_shown_are_the_examples() {
    let files: [(&str, &[&str]); 3] = [
        ("cpp", &["cpp/classify.cpp"]),
        ("python", &["python/classify.py", "python/classify_onnx.py"]),
        ("rust", &["rust/classify.rs"]),
    ];
    for (language, files) in files {
        let shown = blocks(language);
        assert_eq!(shown.len(), files.len(), "{language}");
        for (shown, file) in shown.iter().zip(files) {
            let example = std::fs::read_to_string(root().join("examples").join(file)).unwrap();
            assert!(example.contains(shown), "{file} does not hold what the README shows");
        }
    }
}

#[test]
fn every_command_and_every_target_is_listed() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let help = cresset().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help") {
        assert!(readme.contains(&format!("| `cresset {name}` |")), "the README does not list {name}");
    }
    let listed = Command::new("make").arg("help").current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for target in ["train", "test", "accuracy", "bench", "doctor"] {
        assert!(listed.contains(&format!("make {target} ")), "{listed}");
    }
}
