//! The wheel that `make wheel` packs, in a virtual environment of its own.
//!
//! The environment has no torch: the folders `torch` and `nvidia` of the torch wheel in the cache are linked into it, which
//! takes no download. pip installs the wheel without its dependencies.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{last_accuracy, root, stderr, text};

/// The wheel in target/wheels.
fn wheel() -> PathBuf {
    let folder = root().join("target/wheels").read_dir().expect("`make wheel` packs the wheel");
    let mut wheels = folder.map(|entry| entry.unwrap().path()).filter(|path| text(path).ends_with(".whl"));
    let wheel = wheels.next().expect("`make wheel` packs the wheel");
    assert_eq!(wheels.next(), None);
    wheel
}

/// A virtual environment with the wheel, and a working directory.
pub struct Environment {
    folder: tempfile::TempDir,
}

impl Environment {
    fn new() -> Self {
        Environment::with(Path::new("python3"))
    }

    /// With the version of this Python.
    pub fn with(python: &Path) -> Self {
        let environment = Environment { folder: tempfile::tempdir().unwrap() };
        let venv = environment.path("venv");
        ran(Command::new(python).args(["-m", "venv", text(&venv)]));
        let mut pip = Command::new(venv.join("bin/pip"));
        ran(pip.args(["install", "--quiet", "--no-index", "--no-deps", text(&wheel())]));
        std::fs::create_dir(environment.path("work")).unwrap();
        environment
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The folder of the installed packages.
    pub fn packages(&self) -> PathBuf {
        let lib = self.path("venv/lib").read_dir().unwrap().next().unwrap().unwrap().path();
        lib.join("site-packages")
    }

    /// Links torch and the packages that it needs into the environment.
    pub fn add_torch(&self) {
        for package in ["torch", "nvidia"] {
            symlink(torch_packages().join(package), self.packages().join(package)).unwrap();
        }
    }

    /// Runs the program in PATH with nothing else in the environment, in the working directory.
    fn cresset(&self, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(self.path("venv/bin/cresset"));
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
        command.current_dir(self.path("work")).output().unwrap()
    }
}

/// The folder in the cache that has the torch wheel's folder `torch`.
fn torch_packages() -> PathBuf {
    let library = std::fs::canonicalize(root().join("libtorch/lib/libtorch_cpu.so")).unwrap();
    library.ancestors().nth(3).unwrap().to_path_buf()
}

/// Runs a command, which must succeed, and returns what it wrote to standard output.
pub fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let written = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{command:?}: {written}{}", stderr(&output));
    written
}

/// The libraries that the dynamic linker initialized, from its log.
fn libraries(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap();
    let started = text.lines().filter_map(|line| line.split_once("calling init: "));
    started.map(|(_, library)| library.trim().to_string()).collect()
}

#[test]
#[ignore = "needs the wheel: make test"]
fn the_installed_wheel_trains_and_exports_without_python() {
    let environment = Environment::new();
    environment.add_torch();
    for (arguments, expected) in [
        (&["train", "--device", "cpu", "--out", "run"][..], "run/model.pt"),
        (&["export", "run", "--output", "model.onnx"][..], "model.onnx"),
    ] {
        let log = environment.path(arguments[0]);
        let output =
            environment.cresset(arguments, &[("LD_DEBUG", Path::new("libs")), ("LD_DEBUG_OUTPUT", &log)]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(environment.path("work").join(expected).is_file());
        // The linker adds the ID of the process. One process alone: the launcher becomes the program.
        let logs = environment.folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        let logs: Vec<_> =
            logs.filter(|path| path.extension().is_some() && path.with_extension("") == log).collect();
        assert_eq!(logs.len(), 1, "{logs:?}");
        let libraries = libraries(&logs[0]);
        assert!(
            libraries.iter().any(|library| library.ends_with("/torch/lib/libtorch_cpu.so")),
            "{libraries:?}"
        );
        let python = libraries
            .iter()
            .find(|library| library.contains("python") && !library.contains("/site-packages/"));
        assert_eq!(python, None);
        assert!(!libraries.iter().any(|library| library.ends_with("libtorch_python.so")), "{libraries:?}");
    }
    assert!(last_accuracy(&environment.path("work/run")) > 0.9);
}

#[test]
#[ignore = "needs the wheel: make test"]
fn torch_in_another_folder_is_found_and_its_absence_is_named() {
    let environment = Environment::new();
    let missing = environment.cresset(&["--version"], &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("torch was not found"), "{}", stderr(&missing));
    let elsewhere = environment.cresset(&["--version"], &[("PYTHONPATH", &torch_packages())]);
    assert!(elsewhere.status.success(), "{}", stderr(&elsewhere));
    environment.add_torch();
    // Through a link, as a user may have in ~/bin, and as a module.
    let link = environment.path("link");
    symlink(environment.path("venv/bin/cresset"), &link).unwrap();
    let version = format!("cresset {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(ran(Command::new(&link).arg("--version")), version);
    let mut module = Command::new(environment.path("venv/bin/python"));
    assert_eq!(ran(module.args(["-m", "cresset", "--version"])), version);
}

#[test]
#[ignore = "needs the wheel: make test"]
fn the_wheel_is_small_depends_on_torch_and_has_no_libtorch() {
    let wheel = wheel();
    let (_, tag) = text(&wheel).split_once("-py3-none-manylinux_2_").expect("a platform tag");
    let tagged: u32 = tag.strip_suffix("_x86_64.whl").unwrap().parse().unwrap();
    assert!(wheel.metadata().unwrap().len() <= 25_000_000);
    let environment = Environment::new();
    let packages = environment.packages();
    let info = packages.join(format!("cresset-{}.dist-info", env!("CARGO_PKG_VERSION")));
    let metadata = std::fs::read_to_string(info.join("METADATA")).unwrap();
    assert!(metadata.contains("\nRequires-Dist: torch==2.11.0\n"), "{metadata}");
    let record = std::fs::read_to_string(info.join("RECORD")).unwrap();
    assert!(!record.contains("libtorch") && !record.contains("libc10"), "{record}");
    let symbols = ran(Command::new("objdump").arg("-T").arg(packages.join("cresset/bin/cresset")));
    let glibc = symbols
        .split("(GLIBC_2.")
        .skip(1)
        .map(|rest| rest.split([')', '.']).next().unwrap().parse::<u32>().unwrap());
    let newest = glibc.max().expect("the program needs glibc");
    assert!((28..=tagged).contains(&newest), "glibc 2.{newest} is needed, the tag has 2.{tagged}");
    for file in ["bin/cresset", "share/cresset/data/digits.csv", "_run.py", "py.typed"] {
        assert!(packages.join("cresset").join(file).is_file(), "{file}");
    }
    for file in ["bin/cresset", "share/man/man1/cresset-train.1", "share/zsh/site-functions/_cresset"] {
        assert!(environment.path("venv").join(file).is_file(), "{file}");
    }
}
