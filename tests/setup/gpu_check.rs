//! What `scripts/gpu-check` says and writes. The GPU, the build and the tests that it runs are fakes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{root, stderr};

const GPU: &str = "NVIDIA H100 80GB HBM3, 81559 MiB, 580.95.05";

/// A checkout with the script alone, and a PATH whose first folder has fakes of the programs that it calls.
struct Fakes {
    folder: tempfile::TempDir,
}

impl Fakes {
    fn new(gpu: &str) -> Self {
        let fakes = Fakes { folder: tempfile::tempdir().unwrap() };
        for inside in ["bin", "checkout/scripts", "out"] {
            std::fs::create_dir_all(fakes.path(inside)).unwrap();
        }
        std::fs::copy(root().join("scripts/gpu-check"), fakes.path("checkout/scripts/gpu-check")).unwrap();
        let smi = if gpu.is_empty() {
            "echo No devices were found; exit 6".into()
        } else {
            format!("echo '{gpu}'")
        };
        fakes.write("bin/nvidia-smi", &smi);
        fakes.write("bin/make", "[ \"$CUDA\" = 1 ] && echo built");
        fakes.write("checkout/scripts/python-env", "echo /a/python");
        fakes
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, folder: &Path) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.arg(self.path("checkout/scripts/gpu-check")).arg(folder).env("PATH", path).output().unwrap()
    }
}

#[test]
fn without_a_gpu_it_says_so_and_writes_nothing() {
    let fakes = Fakes::new("");
    let output = fakes.run(&fakes.path("out"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no NVIDIA GPU on this machine"), "{}", stderr(&output));
    assert!(stderr(&output).contains("Run it on a machine with a GPU"), "{}", stderr(&output));
    assert_eq!((output.stdout.len(), fakes.path("out").read_dir().unwrap().count()), (0, 0));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let fakes = Fakes::new(GPU);
    let output = fakes.run(&fakes.path("bin/make"));
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("cannot write to {}. Give another folder", fakes.path("bin/make").display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

#[test]
fn a_failed_build_is_reported_with_the_log() {
    let fakes = Fakes::new(GPU);
    fakes.write("bin/make", "echo no compiler; exit 2");
    let output = fakes.run(&fakes.path("out"));
    assert_eq!(output.status.code(), Some(1));
    let log = fakes.path("out/gpu-check.log");
    assert!(stderr(&output).contains(&format!("the build failed; {} tells why", log.display())));
    assert_eq!(std::fs::read_to_string(log).unwrap(), "no compiler\n");
}

#[test]
fn the_table_has_a_row_for_each_check_and_the_times_and_a_failure_is_the_exit_code() {
    let fakes = Fakes::new(GPU);
    for (result, code) in [("ok", 0), ("FAILED", 1)] {
        fakes.write(
            "bin/cargo",
            &format!(
                "[ \"$CRESSET_PYTHON\" = /a/python ] || exit 9\n\
                 if [ \"$1\" = bench ]; then echo '| digits | cresset |'; exit; fi\n\
                 echo 'running 2 tests'\necho 'test gpu::a_run ... ok'\necho 'test gpu::the_bits_of_two ... {result}'\n\
                 echo 'test result: done.'\nexit {code}"
            ),
        );
        let output = fakes.run(&fakes.path("out"));
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let table = std::fs::read_to_string(fakes.path("out/gpu-check.md")).unwrap();
        assert_eq!(table, String::from_utf8(output.stdout).unwrap());
        let rows = format!("| a run | ok |\n| the bits of two | {result} |\n");
        for part in [&format!("- {GPU}\n")[..], &rows, "| digits | cresset |\n"] {
            assert!(table.contains(part), "{table}");
        }
        assert!(!table.contains("result"), "{table}");
    }
}
