//! Commands that are killed, or whose disk is full: nothing half-written is left that looks whole.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{self, cresset, run, stderr, succeed, text};

/// Runs the program where no file may have more than so many blocks of 1024 bytes, which is like a full disk.
fn limited(blocks: u32, arguments: &[&str]) -> Output {
    let limited = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let program = env!("CARGO_BIN_EXE_cresset");
    Command::new("bash").args(["-c", &limited, program]).args(arguments).output().unwrap()
}

/// The names in a folder, sorted, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn refused(output: &Output) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large") && said.contains("ulimit -f"), "{said}");
    assert!(!said.contains(".partial-"), "{said}");
    said
}

#[test]
fn a_synthetic_image_folder_is_complete_or_absent() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("set");
    let mut child = cresset()
        .args(["data", "synth", "digits", "--per-class", "100000", "--output", text(&out)])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // It is under way when its hidden folder holds a class.
    let is_writing = || {
        let partial = names(place.path()).into_iter().find(|name| name.starts_with('.'));
        partial.is_some_and(|name| place.path().join(name).join("set/0").is_dir())
    };
    while !is_writing() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.exists());

    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("set");
    let full = limited(0, &["data", "synth", "digits", "--per-class", "1", "--output", text(&out)]);
    assert!(refused(&full).contains(text(&out.join("0"))));
    assert_eq!(names(place.path()), [""; 0]);

    // Then it works, into an empty folder too, and never into one that holds something.
    std::fs::create_dir(&out).unwrap();
    let synth = ["data", "synth", "digits", "--per-class", "1", "--output", text(&out)];
    succeed(synth);
    assert_eq!(names(&out), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(run(synth).status.code(), Some(2));
}

#[test]
fn compressed_models_are_published_together() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let folder = text(&out);
    succeed(["train", "--threads", "1", "--epochs", "1", "--out", folder]);
    let before = names(&out);
    let full = limited(4, &["compress", folder, "--quantize", "int8"]);
    assert_eq!(full.status.code(), Some(1), "{}", stderr(&full));
    assert_eq!(names(&out), before);

    succeed(["compress", folder, "--quantize", "int8"]);
    let compressed = out.join("compressed");
    assert_eq!(names(&compressed), ["compression.csv", "int8.pt"]);
    let table = std::fs::read(compressed.join("compression.csv")).unwrap();
    limited(4, &["compress", folder, "--dtype", "bf16"]);
    assert_eq!(std::fs::read(compressed.join("compression.csv")).unwrap(), table);
    assert_eq!(names(&compressed), ["compression.csv", "int8.pt"]);

    // Models that were made before stay beside new ones.
    let said = succeed(["compress", folder, "--dtype", "bf16"]);
    assert_eq!(names(&compressed), ["bf16.pt", "compression.csv", "int8.pt"]);
    assert!(!said.contains(".partial-"), "{said}");
    assert_eq!(names(&out).len(), before.len() + 1);
}

#[test]
fn a_file_that_exceeds_the_disk_is_not_written() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let folder = text(&out);
    succeed(["train", "--threads", "1", "--epochs", "1", "--out", folder]);
    let model = out.join("model.pt");
    let written = place.path().join("written");
    std::fs::create_dir(&written).unwrap();
    let at = |name: &str| written.join(name).to_str().unwrap().to_string();
    for name in ["a.onnx", "a.safetensors", "a.pth"] {
        refused(&limited(4, &["export", folder, "--output", &at(name)]));
    }
    let full = limited(4, &["export", folder, "--output", &at("a.pt")]);
    assert_eq!(full.status.code(), Some(1), "{}", stderr(&full));
    refused(&limited(1, &["report", folder, "--output", &at("a.html")]));
    refused(&limited(0, &["card", folder, "--output", &at("a.md")]));
    refused(&limited(0, &["eval", folder, "--csv", &at("a.csv")]));
    let digits = text(&support::root().join("data/digits.csv")).to_string();
    let rows = support::unlabelled_digits(place.path(), 200);
    refused(&limited(4, &["predict", text(&model), text(&rows), "--embeddings", &at("a.npy")]));
    refused(&limited(0, &["data", "audit", &digits, "--html", &at("audit.html")]));
    refused(&limited(0, &["data", "preview", "digits", "--output", &at("a.png")]));
    assert_eq!(names(&written), [""; 0]);
}

/// A reader that has seen enough ends nothing but the output.
#[test]
fn a_closed_pipe_is_not_a_failure() {
    let place = tempfile::tempdir().unwrap();
    let piped = |command: &str| {
        let line = format!("{command} 2>&1 | head -n 1; exit ${{PIPESTATUS[0]}}");
        let mut bash = Command::new("bash");
        bash.args(["-c", &line, env!("CARGO_BIN_EXE_cresset")]).current_dir(place.path()).output().unwrap()
    };
    for command in ["\"$0\" models", "\"$0\" train --help", "\"$0\" train --epochs 3 --threads 1 --out run"] {
        let output = piped(command);
        assert_eq!(output.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
    assert!(place.path().join("run/model.pt").is_file());
}
