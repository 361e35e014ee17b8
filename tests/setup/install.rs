//! What `make install` and `make uninstall` write and remove, completions, man pages and versions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::shown::subcommands;
use crate::support::{root, run, stderr, succeed, text};

/// The completions that the script for bash offers for the last of these words.
fn completions_in_bash(words: &[&str]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("cresset");
    std::fs::write(&script, succeed(["completions", "bash"])).unwrap();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let ask = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _cresset cresset '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn bash_completes_commands_options_and_choices() {
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(completions_in_bash(&["cresset", "tr"]), names(&["train"]));
    assert_eq!(completions_in_bash(&["cresset", "data", "au"]), names(&["audit"]));
    assert_eq!(completions_in_bash(&["cresset", "train", "--optimizer-o"]), names(&["--optimizer-options"]));
    let optimizers = completions_in_bash(&["cresset", "train", "--optimizer", "ada"]);
    assert!(optimizers.is_superset(&names(&["adam", "adamw", "adagrad"])), "{optimizers:?}");
}

#[test]
fn each_shell_has_completions_of_every_command() {
    let commands = subcommands(&succeed(["--help"]));
    for (shell, head) in
        [("bash", "_cresset() {"), ("zsh", "#compdef cresset"), ("fish", "complete -c cresset")]
    {
        let script = succeed(["completions", shell]);
        assert!(script.contains(head), "{shell}: {}", &script[..200]);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} lacks {command}");
        }
    }
    assert_eq!(run(["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_man_page_with_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    succeed(["man", text(&pages)]);
    let page =
        |name: &str| std::fs::read_to_string(pages.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(page("cresset.1").contains("cresset\\-train(1)"));
    for command in subcommands(&succeed(["--help"])) {
        assert!(page(&format!("cresset-{command}.1")).contains(".SH SYNOPSIS"), "{command}");
    }
    let train = page("cresset-train.1");
    assert!(train.contains("\\fB\\-\\-weight\\-decay\\fR"), "{train}");
    assert!(train.contains(&format!(".TH cresset-train 1  \"cresset {}\"", env!("CARGO_PKG_VERSION"))));
    assert!(page("cresset-data-audit.1").contains("\\-\\-html"));
    // A file is in the place of the folder.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let refused = run(["man", text(&folder.path().join("file"))]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("cannot create "), "{}", stderr(&refused));
}

#[test]
fn the_verbose_version_has_libtorch_cuda_kernels_and_features_as_doctor_has() {
    let short = format!("cresset {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(succeed(["--version"]), short);
    assert_eq!(succeed(["-V"]), short);
    let long = succeed(["--version", "--verbose"]);
    assert_eq!(succeed(["-v", "-V"]), long);
    let rest = long.strip_prefix(&short).unwrap_or_else(|| panic!("{long}"));
    let doctor = succeed(["doctor"]);
    let mut names = Vec::new();
    for line in rest.lines() {
        assert!(doctor.lines().any(|checked| checked.ends_with(line)), "doctor does not print {line}");
        names.extend(line.split_whitespace().next());
    }
    for name in ["libtorch", "CUDA", "kernels", "features"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(rest.contains("distributed, hub, serve, tensorboard, tui"), "{rest}");
    let libtorch_only = succeed(["-Vv", "--kernels", "libtorch"]);
    let none = format!("kernels       0 of {} on", cresset_bridge::kernels::TABLE.len());
    assert!(libtorch_only.contains(&none), "{libtorch_only}");
}

#[test]
fn without_a_command_the_program_refuses() {
    assert_eq!(run::<&str>([]).status.code(), Some(2));
    let output = run(["-v"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("a command is missing"), "{}", stderr(&output));
}

/// Runs `make TARGET` with a staging folder.
fn make(target: &str, staging: &Path) -> Output {
    let mut command = Command::new("make");
    command.arg(target).env("DESTDIR", staging).env("PREFIX", "/opt/cresset").env("MAKEFLAGS", "");
    let output = command.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// All files below a folder, relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(text(path.strip_prefix(folder).unwrap()).to_string());
            }
        }
    }
    found
}

#[test]
fn an_installed_program_trains_and_is_removed_completely() {
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("staging");
    let prefix = staging.join("opt/cresset");
    std::fs::create_dir_all(prefix.join("share/man/man1")).unwrap();
    std::fs::write(prefix.join("share/man/man1/crest.1"), "of another program").unwrap();
    let said = stderr(&make("install", &staging));
    assert!(said.contains("it loads libtorch from /"), "{said}");
    let installed = files(&prefix);
    for file in [
        "bin/cresset",
        "share/bash-completion/completions/cresset",
        "share/zsh/site-functions/_cresset",
        "share/fish/vendor_completions.d/cresset.fish",
        "share/man/man1/cresset.1",
        "share/man/man1/cresset-data-audit.1",
        "share/cresset/data/digits.csv",
    ] {
        assert!(installed.contains(file), "{file} is not in {installed:?}");
    }
    train_in(&folder.path().join("elsewhere"), prefix.join("bin/cresset"));
    make("uninstall", &staging);
    assert_eq!(files(&staging), BTreeSet::from(["opt/cresset/share/man/man1/crest.1".to_string()]));
}

/// Trains on the installed digits for an epoch, in a new folder and without the environment.
fn train_in(folder: &Path, program: PathBuf) {
    std::fs::create_dir(folder).unwrap();
    let mut command = Command::new(program);
    command.args(["train", "--epochs", "1", "--out", "run"]).env_clear().current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.join("run/model.pt").is_file());
}

#[test]
fn a_relative_prefix_is_refused() {
    let mut command = Command::new(root().join("scripts/install"));
    let output = command.env("PREFIX", "here").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("PREFIX is here, which is no absolute path"), "{}", stderr(&output));
}
