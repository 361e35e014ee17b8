//! The CUDA plugin as it is compiled, without a GPU: what it needs is there, and nothing else is shown of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::{root, stderr, text};
use cresset_bridge::cuda::Plugin;

/// The libraries beside the system's own that the plugin may take something from.
const LIBRARIES: [&str; 4] = ["libtorch_cuda.so", "libc10_cuda.so", "libtorch_cpu.so", "libc10.so"];

/// The names of the dynamic symbols of a library, of a kind that `nm` has an option for.
fn symbols(kind: &str, library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm").args(["-D", "-P", kind, text(library)]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    // Those of libc and the like have a version behind them: `memcpy@GLIBC_2.14`.
    lines.lines().filter_map(|line| line.split([' ', '@']).next()).map(str::to_string).collect()
}

#[test]
#[ignore = "needs the plugin, which scripts/build-cuda-plugin makes"]
fn libtorch_and_the_system_provide_every_symbol_that_the_plugin_needs() {
    let libtorch = std::fs::canonicalize(root().join("libtorch/lib/libtorch_cpu.so")).unwrap();
    let mut provided = BTreeSet::new();
    for library in LIBRARIES {
        provided.append(&mut symbols("--defined-only", &libtorch.with_file_name(library)));
    }
    provided.append(&mut symbols("--defined-only", &root().join("libtorch/lib/libcudart.so.13")));
    let output =
        Command::new("nm").args(["-D", "-P", "--undefined-only", text(Plugin::path())]).output().unwrap();
    assert!(output.status.success(), "run scripts/build-cuda-plugin: {}", stderr(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    // `w` is a symbol that may be missing, and a version tells that the system has it.
    let needed = lines.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, kind) = (words.next()?, words.next()?);
        (kind != "w" && !name.contains("@GLIBC") && !name.contains("@CXXABI") && !name.contains("@GCC"))
            .then_some(name)
    });
    let needed: Vec<_> = needed.map(|name| name.split('@').next().unwrap_or(name)).collect();
    assert!(needed.len() > 20, "{needed:?}");
    let missing: Vec<_> = needed.into_iter().filter(|name| !provided.contains(*name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
#[ignore = "needs the plugin, which scripts/build-cuda-plugin makes"]
fn the_plugin_exports_only_its_own_functions() {
    // What is in header files alone is marked as weak, and the same wherever it is.
    let strong =
        Command::new("nm").args(["-D", "-P", "--defined-only", text(Plugin::path())]).output().unwrap();
    let lines = String::from_utf8(strong.stdout).unwrap();
    let shown =
        lines.lines().filter(|line| line.contains(" T ") || line.contains(" D ") || line.contains(" B "));
    let shown: BTreeSet<_> = shown.map(|line| line.split(' ').next().unwrap()).collect();
    let foreign: Vec<_> = shown.iter().filter(|name| !name.starts_with("cresset_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(shown.contains("cresset_new_nccl") && shown.contains("cresset_graph_replay"), "{shown:?}");
}

#[test]
fn the_program_does_not_link_cuda() {
    let needed = Command::new("ldd").arg(env!("CARGO_BIN_EXE_cresset")).output().unwrap();
    let needed = String::from_utf8(needed.stdout).unwrap();
    assert!(needed.contains("libtorch_cpu.so"), "{needed}");
    for library in ["libtorch_cuda", "libc10_cuda", "libcresset_cuda", "libnccl", "libcublas"] {
        assert!(!needed.contains(library), "{needed}");
    }
}
