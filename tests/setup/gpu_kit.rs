//! The GPU kit without a GPU: its contents, and what its `run` reports, with fakes in the place of its programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::{root, stderr, text};

/// A folder with the script `run`, whose programs and Python are shell scripts.
struct FakeKit {
    folder: tempfile::TempDir,
}

/// The test that hangs, the one that fails, and the benchmark of one job.
const TESTS: &str = r#"
case "$*" in
  *resume*) sleep 60 ;;
  *transfers*) echo "thread 'main' panicked"; echo "assertion failed: tensor | 3"; exit 101 ;;
  *channels_last*) echo "0 passed" ;;
  *memory_is_explained*) kill -9 $$ ;;
  *) echo "note: fine"; echo "test result: ok. 1 passed" ;;
esac"#;

impl FakeKit {
    /// A kit that finds this GPU; none if it is empty.
    fn new(gpu: &str) -> Self {
        let kit = FakeKit { folder: tempfile::tempdir().unwrap() };
        for inside in ["bin", "lib", "torch/lib"] {
            std::fs::create_dir_all(kit.path(inside)).unwrap();
        }
        std::fs::copy(root().join("scripts/gpu-kit-run"), kit.path("run")).unwrap();
        std::fs::write(kit.path("README"), "GPU kit of Cresset 0.1.0, commit abc\n\nglibc 2.4 or newer\n")
            .unwrap();
        std::fs::write(kit.path("torch/lib/libtorch_cpu.so"), "").unwrap();
        std::fs::write(kit.path("torch/version.py"), "__version__ = '2.11.0+cu130'\n").unwrap();
        let found = match gpu {
            "" => {
                "–      CUDA          there is no NVIDIA driver on this machine (libcuda.so.1 was not found)"
            }
            gpu => &format!("ok     CUDA          1 GPU(s): {gpu}"),
        };
        kit.script("bin/cresset", &format!("echo 'ok     libtorch      2.11.0'; echo '{found}'"));
        kit.script("bin/gpu-tests", TESTS);
        kit.script(
            "bin/gpu-bench",
            "echo \"| $1 | PyTorch, eager | 9 (8–10) | 100 (90–110) | 0.19 | 0.20 | reached |\"",
        );
        kit.script("python", &format!("echo {}", kit.path("torch").display()));
        kit
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    fn script(&self, inside: &str, body: &str) {
        std::fs::write(self.path(inside), format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(self.path(inside), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new("bash");
        command.arg(self.path("run")).args(options).env("PYTHON", self.path("python")).output().unwrap()
    }
}

/// The rows of the table in a folder: check, result, seconds, remark.
fn rows(folder: &Path) -> Vec<[String; 4]> {
    let table = std::fs::read_to_string(folder.join("gpu-check.md")).unwrap();
    let checks = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let cells = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
        <[String; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("{cells:?}"))
    };
    checks.take_while(|line| !line.is_empty()).map(cells).collect()
}

fn result<'a>(rows: &'a [[String; 4]], check: &str) -> (&'a str, &'a str) {
    let row = rows.iter().find(|row| row[0] == check).unwrap_or_else(|| panic!("no row {check}"));
    (&row[1], &row[3])
}

#[test]
fn a_check_that_hangs_fails_or_crashes_costs_only_itself() {
    let kit = FakeKit::new("NVIDIA H100");
    let begun = Instant::now();
    let output = kit.run(&["--limit", "2"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let rows = rows(&kit.path("result"));
    assert_eq!(rows.len(), 19);
    assert_eq!(result(&rows, "accuracy as on the CPU"), ("ok", "fine"));
    assert_eq!(result(&rows, "resume, bit by bit"), ("TIMEOUT", "stopped after 2 s"));
    let (failed, why) = result(&rows, "plugin: transfers");
    assert_eq!(failed, "FAILED");
    assert!(
        why.starts_with("assertion failed: tensor / 3; see ") && why.ends_with("-plugin-transfers.txt"),
        "{why}"
    );
    // A test that does not exist, and one that a signal ended.
    assert_eq!(result(&rows, "channels last").0, "FAILED");
    assert_ne!(result(&rows, "out of memory").0, "ok");
    assert_eq!(result(&rows, "speed: resnet50").0, "ok");
    let table = std::fs::read_to_string(kit.path("result/gpu-check.md")).unwrap();
    assert!(
        table.contains("| digits | PyTorch, eager | 9 (8–10) | 100 (90–110) | 0.19 | 0.20 | reached |"),
        "{table}"
    );
    assert!(
        table.contains("Cresset 0.1.0, commit abc, torch 2.11.0+cu130, 1 GPU(s): NVIDIA H100"),
        "{table}"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), table);
}

#[test]
fn the_checks_end_in_time_and_the_rest_is_not_run() {
    let kit = FakeKit::new("NVIDIA H100");
    kit.script("bin/gpu-tests", "trap '' TERM; while :; do sleep 1; done");
    let (begun, out) = (Instant::now(), kit.path("out"));
    let output = kit.run(&["--minutes", "0.1", "--output", text(&out)]);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(output.status.code(), Some(1));
    let rows = rows(&out);
    assert_eq!((rows.len(), &rows[0][1], &rows[1][1]), (19, &"TIMEOUT".to_string(), &"not run".to_string()));
    assert_eq!(result(&rows, "speed: digits"), ("not run", "no time left"));
}

#[test]
fn each_check_says_that_there_is_no_gpu() {
    let kit = FakeKit::new("");
    // Output of an earlier run.
    std::fs::create_dir(kit.path("result")).unwrap();
    std::fs::write(kit.path("result/17-speed-digits.txt"), "| digits | cresset | 1 (1–1) | 9 (9–9) | | |\n")
        .unwrap();
    let output = kit.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let rows = rows(&kit.path("result"));
    assert_eq!(rows.len(), 19);
    assert!(rows.iter().all(|row| row[1] == "no GPU"), "{rows:?}");
    let table = std::fs::read_to_string(kit.path("result/gpu-check.md")).unwrap();
    assert!(table.contains("no GPU: there is no NVIDIA driver on this machine"), "{table}");
    assert!(!table.contains("| digits |"), "{table}");
}

#[test]
fn a_machine_that_lacks_something_is_told_what() {
    let refused = |change: &dyn Fn(&FakeKit), options: &[&str], expected: &str| {
        let kit = FakeKit::new("NVIDIA H100");
        change(&kit);
        let output = kit.run(options);
        assert_eq!(output.status.code(), Some(2), "{expected}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    };
    let glibc = |kit: &FakeKit| std::fs::write(kit.path("README"), "\nglibc 99.1 or newer\n").unwrap();
    refused(&glibc, &[], "the kit needs glibc 99.1 or newer, and this system has 2.");
    let version = |kit: &FakeKit| {
        std::fs::write(kit.path("torch/version.py"), "__version__ = '2.10.0+cu128'\n").unwrap();
    };
    refused(&version, &[], "has torch 2.10.0+cu128, and the kit needs 2.11.0+cu130");
    refused(&|kit| kit.script("python", "echo"), &[], "has no torch. Set PYTHON");
    refused(&|kit| std::fs::remove_file(kit.path("python")).unwrap(), &[], "was not found. Set PYTHON");
    let broken = |kit: &FakeKit| kit.script("bin/cresset", "echo 'libtorch_cpu.so: cannot open'; exit 127");
    refused(&broken, &[], "bin/cresset does not start: libtorch_cpu.so: cannot open");
    refused(&|_| (), &["--minutes", "soon"], "--minutes is soon, not a number");
    refused(&|_| (), &["--minutes"], "--minutes needs a value");
    refused(&|_| (), &["--quick", "1"], "unknown option --quick");
    refused(&|_| (), &["--output", "/dev/null/a"], "cannot write to /dev/null/a");
}

/// The kit that `make gpu-kit` packed.
fn packed() -> PathBuf {
    root().join("target/gpu-kit")
}

/// The bytes of all files of a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes(&path) } else { path.metadata().unwrap().len() }).sum()
}

#[test]
#[ignore = "needs the kit: make gpu-kit"]
fn the_packed_kit_is_complete_and_small() {
    let kit = packed();
    assert!(bytes(&kit) <= 55 << 20, "{} bytes", bytes(&kit));
    let plugins =
        kit.join("lib").read_dir().unwrap().filter(|file| {
            file.as_ref().unwrap().file_name().to_string_lossy().starts_with("libcresset_cuda-")
        });
    assert_eq!(plugins.count(), 1);
    let listed = Command::new(kit.join("bin/gpu-tests")).args(["--list", "--ignored"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let script = std::fs::read_to_string(kit.join("run")).unwrap();
    let calls = script.lines().filter(|line| line.trim_start().starts_with("rust_test \""));
    let called: Vec<_> = calls.filter_map(|line| line.split_whitespace().last()).collect();
    for name in &called {
        assert!(listed.contains(&format!("gpu::{name}: test")), "{name} is not in\n{listed}");
    }
    // Each GPU test is a check.
    let tests = listed.lines().filter(|line| line.starts_with("gpu::")).count();
    assert_eq!((called.len(), tests), (16, 16));
}

#[test]
#[ignore = "needs the kit: make gpu-kit"]
fn the_packed_kit_starts_in_a_bare_directory_with_the_cpu_libraries() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        eprintln!("not checked: this machine has an NVIDIA driver");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kit = folder.path().join("kit");
    assert!(Command::new("cp").arg("-r").args([packed(), kit.clone()]).status().unwrap().success());
    // The folder `torch` of the wheel, which Python finds and whose lib/ is libtorch.
    let library = std::fs::canonicalize(root().join("libtorch/lib/libtorch_cpu.so")).unwrap();
    let packages = library.ancestors().nth(3).unwrap();
    let mut command = Command::new(kit.join("run"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("PYTHONPATH", packages);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let rows = rows(&kit.join("result"));
    assert_eq!(rows.len(), 19);
    assert!(rows.iter().all(|row| row[1] == "no GPU"), "{rows:?}");
    let trained = Command::new(kit.join("bin/cresset"))
        .args(["train", "--epochs", "1", "--device", "cpu", "--out", text(&folder.path().join("out"))])
        .env_clear()
        .env(
            "LD_LIBRARY_PATH",
            format!("{}:{}", kit.join("lib").display(), library.parent().unwrap().display()),
        )
        .current_dir(&kit)
        .output()
        .unwrap();
    assert!(trained.status.success(), "{}", stderr(&trained));
}
