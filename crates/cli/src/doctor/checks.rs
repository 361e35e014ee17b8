//! Checks of the machine, with a remedy for each problem.

use std::path::{Path, PathBuf};
use std::process::Command;

use cresset_bridge::cuda::{self, Plugin, Reason};
use cresset_bridge::kernels::{Kernel, TABLE};
use tch::Device;

use cresset::data::builtin::DATASETS;
use cresset::options::device::{self, Threads};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No problem.
    Good,
    /// An optional part is missing.
    Absent,
    /// A required part is broken.
    Fault,
}

/// A check of one part of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the part.
    pub name: &'static str,
    /// The result.
    pub state: State,
    /// Details, such as a version or a path.
    pub found: String,
    /// The remedy, if there is a problem.
    pub remedy: Option<String>,
}

/// Runs all checks.
pub fn examine() -> Vec<Check> {
    let mut checks = vec![
        tool("Rust", "cargo", "install Rust with rustup, to rebuild cresset"),
        tool("C++ compiler", "c++", "install g++ (Debian, Ubuntu: apt install g++), to rebuild cresset"),
    ];
    checks.extend(versions());
    checks.extend([threads(), cache()]);
    checks.extend(DATASETS.iter().map(|dataset| match dataset.path() {
        Some(path) => good(dataset.name, path.display().to_string()),
        None => absent(dataset.name, "not downloaded", "run `make data`"),
    }));
    checks
}

/// What the program is built of and runs on: libtorch, CUDA, kernels and features.
pub fn versions() -> Vec<Check> {
    let mut checks = vec![libtorch(), cuda_state()];
    checks.extend(cuda_plugin());
    checks.extend([kernels(), features()]);
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

/// Computes a sum with the libtorch of this process.
fn libtorch() -> Check {
    let version = cresset_bridge::LIBTORCH_VERSION;
    let folder = loaded_from("libtorch_cpu.so").unwrap_or_else(|| PathBuf::from("an unknown folder"));
    let sum = tch::Tensor::from_slice(&[1f32, 2., 3.]).f_sum(tch::Kind::Float);
    match sum.map(|sum| sum.double_value(&[])) {
        Ok(6.) => good("libtorch", format!("{version} in {}", folder.display())),
        _ => Check {
            name: "libtorch",
            state: State::Fault,
            found: format!("{version} in {} cannot add three numbers", folder.display()),
            remedy: Some(format!(
                "delete {} and run `make train`, which downloads it again",
                folder.display()
            )),
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
            let memory = (0..count).filter_map(|index| cuda::memory(Device::Cuda(index)).ok());
            let unequal = unequal_memory(&memory.map(|memory| memory.total).collect::<Vec<_>>());
            good("CUDA", format!("{count} GPU(s): {}{unequal}", gpus.join(", ")))
        }
        Err(reason) => absent("CUDA", reason.to_string(), reason.remedy()),
    }
}

/// A remark on GPUs whose memory differs by more than a tenth; `total` in bytes.
fn unequal_memory(total: &[i64]) -> String {
    let (Some(least), Some(most)) = (total.iter().min(), total.iter().max()) else { return String::new() };
    if most - least <= most / 10 {
        return String::new();
    }
    format!(
        ". Their memory differs: with one process per GPU, all have the same batch size, so it must fit in {:.1} GB; \
         `--device cuda:{}` selects the largest",
        *least as f64 / 1e9,
        total.iter().position(|bytes| bytes == most).unwrap_or_default()
    )
}

/// The name of a GPU, and its memory if that is known.
fn gpu(index: usize) -> String {
    let name = device::name(Device::Cuda(index));
    match cuda::memory(Device::Cuda(index)) {
        Ok(memory) => {
            format!("{name} with {:.1} of {:.1} GB free", memory.free as f64 / 1e9, memory.total as f64 / 1e9)
        }
        Err(_) => name,
    }
}

/// The plugin for CUDA graphs, asynchronous transfers, NCCL and memory statistics. None without a GPU.
fn cuda_plugin() -> Option<Check> {
    match Plugin::open() {
        Ok(_) => Some(good("CUDA plugin", Plugin::path().display().to_string())),
        Err(Reason::NoCuda(_)) => None,
        Err(reason) => Some(absent("CUDA plugin", reason.to_string(), reason.remedy())),
    }
}

/// Which of this project's kernels may run in this process.
fn kernels() -> Check {
    let named = |is_kept: fn(Kernel) -> bool| {
        let kept = TABLE.iter().filter(|entry| is_kept(entry.kernel));
        kept.map(|entry| entry.name).collect::<Vec<_>>()
    };
    let on = named(|kernel| kernel.is_enabled() && kernel.is_supported());
    let unsupported = named(|kernel| !kernel.is_supported());
    let mut found = format!("{} of {} on", on.len(), TABLE.len());
    if !on.is_empty() {
        found += &format!(": {}", on.join(", "));
    }
    if !unsupported.is_empty() {
        found += &format!("; not on this CPU: {}", unsupported.join(", "));
    }
    good("kernels", found)
}

/// The optional features that are compiled in.
fn features() -> Check {
    let features = [
        ("distributed", cfg!(feature = "distributed")),
        ("hub", cfg!(feature = "hub")),
        ("serve", cfg!(feature = "serve")),
        ("onnx", cfg!(feature = "onnx")),
        ("tensorboard", cfg!(feature = "tensorboard")),
        ("tui", cfg!(feature = "tui")),
    ];
    let names: Vec<_> = features.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    good("features", if names.is_empty() { "none".to_string() } else { names.join(", ") })
}

fn threads() -> Check {
    good("threads", format!("{} (change it with --threads)", Threads::Auto.count()))
}

fn cache() -> Check {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    match home.map(|home| home.join("cresset")).filter(|cache| cache.is_dir()) {
        Some(cache) => good("cache", cache.display().to_string()),
        None => absent("cache", "missing", "nothing to do; `make train` creates it when it downloads files"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_of_different_size_are_remarked() {
        let gb = 1_000_000_000;
        assert_eq!(unequal_memory(&[]), "");
        assert_eq!(unequal_memory(&[24 * gb, 25 * gb]), "");
        let said = unequal_memory(&[12 * gb, 24 * gb]);
        assert!(said.contains("must fit in 12.0 GB") && said.contains("--device cuda:1"), "{said}");
    }
}
