//! The Dockerfile, which no test builds: Hadolint accepts it, and its steps are those of this checkout.

use std::process::Command;

use crate::support::root;
use crate::support::shown::page;

#[test]
#[ignore = "needs Hadolint: make test"]
fn hadolint_has_no_remarks_on_the_dockerfile() {
    let hadolint = std::env::var("CRESSET_HADOLINT").expect("`make test` sets CRESSET_HADOLINT");
    let output = Command::new(hadolint).arg("Dockerfile").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let text = page("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(String::from).collect()
}

#[test]
fn the_dockerfile_builds_with_the_targets_and_the_rust_of_this_checkout() {
    let (instructions, makefile) = (instructions(), page("Makefile"));
    let commands =
        instructions.iter().filter_map(|line| line.strip_prefix("RUN ")).flat_map(|run| run.split("&&"));
    let made: Vec<_> = commands.filter_map(|command| command.trim().strip_prefix("make ")).collect();
    assert_eq!(made, ["build data", "install DESTDIR=/image"]);
    for target in made.iter().flat_map(|targets| targets.split(' ')).filter(|word| !word.contains('=')) {
        assert!(makefile.contains(&format!("\n{target}:")), "the Makefile has no {target}");
    }
    let manifest = page("Cargo.toml");
    let rust =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(instructions[0].starts_with(&format!("FROM rust:{rust}-")), "{}", instructions[0]);
    assert!(instructions.contains(&format!("ENV RUSTUP_TOOLCHAIN={rust}.0")), "{instructions:?}");
    // The argument reaches scripts/fetch-libtorch.
    assert!(instructions.contains(&"ARG CUDA=0".to_string()), "{instructions:?}");
    assert!(instructions.iter().any(|line| line.starts_with("ENV CUDA=$CUDA XDG_CACHE_HOME=/opt")));
}
