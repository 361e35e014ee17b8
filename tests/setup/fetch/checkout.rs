//! A throw-away checkout for the tests of the scripts: copies of them, a cache of its own, and a PATH of which every
//! program is known, so that each can be replaced by a fake.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::root;

/// Every program that the scripts need, besides python3.
const TOOLS: [&str; 29] = [
    "awk",
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "df",
    "dirname",
    "env",
    "flock",
    "getconf",
    "grep",
    "head",
    "ln",
    "mkdir",
    "mktemp",
    "mv",
    "paste",
    "readlink",
    "rm",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "tail",
    "touch",
    "tr",
    "uname",
];

/// `pip install` and `pip download` of the fake python3, which runs HOOK first and then "installs" a tiny tree.
const FAKE_PYTHON: &str = r#"#!/usr/bin/env bash
world='WORLD'
echo "$*" >>"$world/python-calls"
[ "$1" != -c ] || { echo "$0"; exit; }
[ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; exit; }
[ "$2" = pip ] || exec "$world/real-python3" "$@"
[ "$3" != --version ] || exit 0
while [ $# -gt 0 ]; do
  case "$1" in
    --target | --dest) into="$2" ;;
    -r) requirements="${2##*/}" ;;
  esac
  shift
done
# Without --target it is the pip of a virtual environment.
into="${into:-${0%/bin/python}}"
mkdir -p "$into" || exit 1
HOOK
lib="$into/nvidia/cu13/lib"
case "$requirements" in
  libtorch.txt)
    mkdir -p "$into/torch/lib" "$into/torch/include"
    touch "$into/torch/lib/"lib{torch,torch_cpu,c10,torch_cuda,c10_cuda,torch_python,shm}.so ;;
  libtorch-cpu.txt) mkdir -p "$lib" && touch "$lib/libcudart.so.13" "$lib/libcupti.so.13" ;;
  libtorch-cuda.txt)
    mkdir -p "$lib" "$lib/../include" "$into/nvidia/nccl/include"
    touch "$lib/libcudart.so.13" "$lib/libcupti.so.13" "$lib/libcublas.so.13"
    touch "$lib/../include/cublas_v2.h" "$into/nvidia/nccl/include/nccl.h" ;;
  requirements.txt)
    cp "$into/requirements.txt" "$world/requirements"
    "$world/real-python3" -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + "/headers.whl", "w") as wheel:
    wheel.writestr("nvidia/cu13/include/crt/host_config.h", "")
    wheel.writestr("nvidia/cu13/lib/large.so", "")' "$into" ;;
  datasets.txt) cp "$world/datasets.whl" "$into" ;;
esac
"#;

/// Keeps what it was called with, and makes what it was to make.
const FAKE_COMPILER: &str = r#"#!/usr/bin/env bash
printf '%s\n' "$@" >>'WORLD/compilations'
while [ "$1" != -o ]; do shift; done
echo compiled >"$2"
"#;

/// A hook that says that the download has begun, and waits until it may go on.
pub const SLOW: &str = r#"echo half >"$into/half-a-wheel"; mktemp >"$world/temporary"; touch "$world/started"
while [ ! -e "$world/go-on" ] && [ -e "$world/started" ]; do sleep 0.02; done"#;

/// A folder with everything that one test may touch.
pub struct Checkout {
    // The name has a space, as a user's folder may.
    world: PathBuf,
    _folder: tempfile::TempDir,
}

/// What a script left behind when it had ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.assert_only_sentences();
        self
    }

    /// The script ended with `code` and its last line on stderr starts with `sentence`, after the script's name.
    #[track_caller]
    pub fn failed(self, code: i32, sentence: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        let last = self.stderr.lines().last().unwrap_or_default();
        let said = last.split_once(": ").map_or("", |(_script, said)| said);
        assert!(said.starts_with(sentence), "expected: {sentence}\nall that was said: {}", self.stderr);
        assert_eq!(self.stdout, "");
        self.assert_only_sentences();
        self
    }

    /// No complaint of bash or of another program stands between the script's own sentences.
    #[track_caller]
    fn assert_only_sentences(&self) {
        let is_own = |line: &str| {
            ["fetch-libtorch: ", "fetch-data: ", "python-env: ", "build-cuda-plugin: "]
                .iter()
                .any(|own| line.starts_with(own))
        };
        assert!(self.stderr.lines().all(is_own), "{}", self.stderr);
    }
}

/// A script that is running, in a process group of its own, as under `make` in a terminal.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Checkout {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = folder.path().join("a world");
        for inside in ["checkout", "checkout/data", "bin", "out", "tmp"] {
            fs::create_dir_all(world.join(inside)).unwrap();
        }
        copy_files("scripts", &world.join("checkout/scripts"));
        copy_files("crates/bridge/cuda", &world.join("checkout/crates/bridge/cuda"));
        let checkout = Self { world, _folder: folder };
        for tool in TOOLS {
            symlink(on_path(tool), checkout.path("bin").join(tool)).unwrap();
        }
        checkout.write_program(
            "real-python3",
            &format!("#!/bin/sh\nexec '{}' \"$@\"\n", real_python().display()),
        );
        checkout.fake_pip("");
        checkout.fake("c++", FAKE_COMPILER);
        checkout
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.world.join(inside)
    }

    /// Puts a program in the place of the real one; WORLD in its text is this checkout's world.
    pub fn fake(&self, name: &str, text: &str) {
        self.write_program(&format!("bin/{name}"), text);
    }

    /// python3 becomes a fake whose pip runs `hook` before it writes anything.
    pub fn fake_pip(&self, hook: &str) {
        self.fake("python3", &FAKE_PYTHON.replace("HOOK", hook));
    }

    pub fn remove_tool(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    fn write_program(&self, inside: &str, text: &str) {
        let (path, source) = (self.path(inside), self.path("program"));
        fs::write(&source, text.replace("WORLD", self.world.to_str().unwrap())).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        // By another process: a program that this one has open for writing, or that a test beside this one has inherited
        // open for a moment, cannot be run ("text file busy"). The destination may be a link to the real program.
        let cp = Command::new("cp").args(["-p", "--remove-destination"]).arg(source).arg(path).status();
        assert!(cp.unwrap().success());
    }

    /// The command that runs a script of this checkout, on a machine without a GPU.
    pub fn command(&self, script: &str) -> Command {
        // A test run in the background may ignore interruptions, and its children would then, too.
        let mut command = Command::new(on_path("env"));
        command
            .args(["--default-signal=INT,TERM,HUP", "bash"])
            .arg(self.path("checkout/scripts").join(script))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("TMPDIR", self.path("tmp"))
            .env("CUDA", "0")
            .process_group(0);
        command
    }

    pub fn run(&self, script: &str) -> Outcome {
        self.finish(&mut self.command(script))
    }

    pub fn finish(&self, command: &mut Command) -> Outcome {
        self.start_command(command).wait()
    }

    pub fn start(&self, script: &str) -> Running {
        self.start_command(&mut self.command(script))
    }

    fn start_command(&self, command: &mut Command) -> Running {
        let number = fs::read_dir(self.path("out")).unwrap().count();
        let (stdout, stderr) =
            (self.path(&format!("out/{number}-stdout")), self.path(&format!("out/{number}-stderr")));
        let child = command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&stdout).unwrap())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Running { child, stdout, stderr }
    }

    /// Starts a script whose pip is slow, and returns when the download is half done.
    pub fn start_half_a_download(&self, script: &str) -> Running {
        self.start_half_a_download_of(&mut self.command(script))
    }

    pub fn start_half_a_download_of(&self, command: &mut Command) -> Running {
        let _ = fs::remove_file(self.path("started"));
        self.fake_pip(SLOW);
        let running = self.start_command(command);
        wait_for("the fake pip to begin", || self.path("started").exists());
        running
    }

    pub fn let_pip_go_on(&self) {
        fs::write(self.path("go-on"), "").unwrap();
    }

    /// How many times a script called python3.
    pub fn python_calls(&self) -> usize {
        fs::read_to_string(self.path("python-calls")).unwrap_or_default().lines().count()
    }

    /// How many times pip was to install or download something.
    pub fn downloads(&self) -> usize {
        let calls = fs::read_to_string(self.path("python-calls")).unwrap_or_default();
        calls.lines().filter(|call| call.contains("--only-binary")).count()
    }

    /// All files and folders in `inside`, as paths from there, sorted; what is reached through a link is left out.
    pub fn list(&self, inside: &str) -> Vec<String> {
        let top = self.path(inside);
        let (mut found, mut folders) = (Vec::new(), vec![top.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                found.push(entry.path().strip_prefix(&top).unwrap().to_str().unwrap().to_owned());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// Nothing half-made is left, temporary files included: the cache holds its lock and empty folders at most.
    #[track_caller]
    pub fn assert_nothing_half_made(&self) {
        let folders = [".lock", "data", "libtorch-2.11.0", "views"];
        for left in self.list("cache/cresset") {
            assert!(folders.contains(&left.as_str()), "{left} is left in the cache");
        }
        assert_eq!(self.list("checkout/data"), [""; 0]);
        assert_eq!(self.list("tmp"), [""; 0]);
        assert!(fs::symlink_metadata(self.path("checkout/libtorch")).is_err(), "./libtorch was made");
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        // A fake pip that a failed test left behind ends by this.
        let _ = fs::remove_file(self.path("started"));
    }
}

impl Running {
    /// Sends a signal to the whole process group, as Ctrl-C in a terminal does.
    pub fn signal_group(&self, signal: &str) {
        self.kill(signal, &format!("-{}", self.child.id()));
    }

    pub fn signal_script_alone(&self, signal: &str) {
        self.kill(signal, &self.child.id().to_string());
    }

    fn kill(&self, signal: &str, whom: &str) {
        let status =
            Command::new("bash").args(["-c", "kill -s \"$1\" -- \"$2\"", "bash", signal, whom]).status();
        assert!(status.unwrap().success());
    }

    pub fn wait_until_it_says(&self, text: &str) {
        wait_for(text, || fs::read_to_string(&self.stderr).unwrap().contains(text));
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn wait(mut self) -> Outcome {
        let mut status = None;
        wait_for("the script to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        Outcome {
            code: status.code().or_else(|| status.signal().map(|signal| 128 + signal)),
            stdout: fs::read_to_string(&self.stdout).unwrap(),
            stderr: fs::read_to_string(&self.stderr).unwrap(),
        }
    }
}

#[track_caller]
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited a minute for: {what}");
        sleep(Duration::from_millis(10));
    }
}

fn copy_files(folder: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn on_path(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("PATH is set");
    let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("these tests need the program {tool}"))
}

/// The interpreter itself, not a wrapper that needs an environment of its own.
fn real_python() -> PathBuf {
    let said =
        Command::new(on_path("python3")).args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    PathBuf::from(String::from_utf8(said.stdout).unwrap().trim_end())
}
