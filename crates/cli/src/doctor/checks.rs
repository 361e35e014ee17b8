//! Looks at the machine and says what is missing and what to do about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cresset_bridge::cuda::{self, Plugin, Reason};
use tch::Device;

use cresset::data::builtin::DATASETS;
use cresset::options::device::{self, Threads};

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// Something is absent that not everybody needs.
    Absent,
    /// Something is broken that everybody needs.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The thing.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    pub remedy: Option<String>,
}

/// Looks at everything.
pub fn examine() -> Vec<Check> {
    let mut checks = vec![
        tool("Rust", "cargo", "install Rust with rustup, to build cresset again"),
        tool("C++ compiler", "c++", "install g++ (Debian, Ubuntu: apt install g++), to build cresset again"),
        libtorch(),
        cuda_state(),
    ];
    checks.extend(cuda_plugin());
    checks.extend([threads(), cache()]);
    checks.extend(DATASETS.iter().map(|dataset| match dataset.path() {
        Some(path) => good(dataset.name, path.display().to_string()),
        None => absent(dataset.name, "not fetched", "run `make data`"),
    }));
    checks
}

fn good(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, state: State::Good, found: found.into(), remedy: None }
}

fn absent(name: &'static str, found: impl Into<String>, remedy: &str) -> Check {
    Check { name, state: State::Absent, found: found.into(), remedy: Some(remedy.to_string()) }
}

fn tool(name: &'static str, program: &str, remedy: &str) -> Check {
    let output =
        Command::new(program).arg("--version").output().ok().filter(|output| output.status.success());
    match output {
        Some(output) => {
            good(name, String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default())
        }
        None => absent(name, format!("`{program}` was not found"), remedy),
    }
}

/// The libraries that this very process runs on, computing something with them.
fn libtorch() -> Check {
    let version = cresset_bridge::LIBTORCH_VERSION;
    let place = loaded_from("libtorch_cpu.so").unwrap_or_else(|| PathBuf::from("an unknown place"));
    let sum = tch::Tensor::from_slice(&[1f32, 2., 3.]).f_sum(tch::Kind::Float);
    match sum.map(|sum| sum.double_value(&[])) {
        Ok(6.) => good("libtorch", format!("{version} in {}", place.display())),
        _ => Check {
            name: "libtorch",
            state: State::Fault,
            found: format!("{version} in {} cannot add three numbers", place.display()),
            remedy: Some(format!("delete {} and run `make train`, which fetches it again", place.display())),
        },
    }
}

fn loaded_from(library: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.ends_with(library))?;
    Path::new(path).parent().map(Path::to_path_buf)
}

fn cuda_state() -> Check {
    match cuda::load() {
        Ok(count) => {
            let gpus: Vec<_> = (0..count).map(gpu).collect();
            good("CUDA", format!("{count} GPU(s): {}", gpus.join(", ")))
        }
        Err(reason) => absent("CUDA", reason.to_string(), reason.remedy()),
    }
}

/// A GPU by its name, with its memory if that can be told.
fn gpu(index: usize) -> String {
    let name = device::name(Device::Cuda(index));
    match cuda::memory(Device::Cuda(index)) {
        Ok(memory) => {
            format!("{name} with {:.1} of {:.1} GB free", memory.free as f64 / 1e9, memory.total as f64 / 1e9)
        }
        Err(_) => name,
    }
}

/// What CUDA graphs, transfers beside the computation, NCCL and figures of memory need: nothing to speak of without a GPU.
fn cuda_plugin() -> Option<Check> {
    match Plugin::open() {
        Ok(_) => Some(good("CUDA plugin", Plugin::path().display().to_string())),
        Err(Reason::NoCuda(_)) => None,
        Err(reason) => Some(absent("CUDA plugin", reason.to_string(), reason.remedy())),
    }
}

fn threads() -> Check {
    good("threads", format!("{} (change it with --threads)", Threads::Auto.count()))
}

fn cache() -> Check {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    match home.map(|home| home.join("cresset")).filter(|cache| cache.is_dir()) {
        Some(cache) => good("cache", cache.display().to_string()),
        None => absent("cache", "there is none", "nothing; `make train` makes it when it fetches something"),
    }
}
