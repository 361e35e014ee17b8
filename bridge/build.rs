//! Compiles the C++ half of the bridge against the libtorch that torch-sys found.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// One C++ file a topic, beside the Rust file of the same name.
const TOPICS: [&str; 22] = [
    "allocator",
    "autocast",
    "compiled",
    "convolution",
    "cutting",
    "decimals",
    "freezing",
    "gradients",
    "graph",
    "lstm",
    "memory",
    "model_file",
    "norm",
    "optimizer",
    "perceptron",
    "process_group",
    "quantization",
    "random",
    "recording",
    "reducer",
    "script",
    "tally",
];

/// What these are made of.
const PARTS: [&str; 7] =
    ["adam", "conforming", "linear_chains", "operations", "packed_layers", "product", "small_perceptron"];

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    let libtorch = Path::new(&lib).parent().expect("lib/ has a parent");
    let version_file = libtorch.join("build-version");
    let version =
        std::fs::read_to_string(&version_file).expect("scripts/fetch-libtorch writes build-version");
    println!("cargo:rustc-env=LIBTORCH_VERSION={}", version.trim());
    // Touched when ./libtorch is made to lead elsewhere.
    println!("cargo:rerun-if-changed={}", version_file.display());

    let include = libtorch.join("include");
    let mut build = cxx_build::bridge("src/ffi.rs");
    for name in TOPICS.iter().chain(&PARTS) {
        build.file(format!("src/{name}.cc"));
        println!("cargo:rerun-if-changed=src/{name}.cc");
        println!("cargo:rerun-if-changed=src/{name}.h");
    }
    for header in
        ["src/exception.h", "src/plain.h", "src/process.h", "src/subnormals.h", "src/vector.h", "gloo"]
    {
        println!("cargo:rerun-if-changed={header}");
    }
    // Stand-ins for the headers of gloo, which libtorch's packages leave out.
    build.include("gloo").define("USE_DISTRIBUTED", None).define("USE_C10D_GLOO", None);
    for folder in [include.clone(), include.join("torch/csrc/api/include")] {
        build.flag("-isystem").flag(folder);
    }
    // A product and a sum are rounded once where the processor can, and roots of many values are taken together.
    build.flag_if_supported("-ffp-contract=fast").flag_if_supported("-fno-math-errno");
    // Without it, `at::parallel_for` is a loop on one core.
    build.flag("-fopenmp");
    // NDEBUG as libtorch was built: without it, some of its classes have members more.
    build.std("c++17").define("_GLIBCXX_USE_CXX11_ABI", "1").define("NDEBUG", None).compile("cresset_bridge");

    let plugin = std::fs::canonicalize(&lib).expect("lib/ exists").join(plugin_name());
    println!("cargo:rustc-env=CUDA_PLUGIN={}", plugin.display());
    println!("cargo:rerun-if-changed=cuda");

    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // The one that libtorch brings along, at run time.
    println!("cargo:rustc-link-lib=gomp");
    // The libraries load from their real folder, where they find each other and NVIDIA's.
    let real =
        std::fs::canonicalize(Path::new(&lib).join("libtorch_cpu.so")).expect("libtorch_cpu.so exists");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.parent().expect("a file has a folder").display());
}

/// The file of the CUDA plugin that fits this crate, as scripts/build-cuda-plugin names it.
fn plugin_name() -> String {
    let mut sources: Vec<PathBuf> = std::fs::read_dir("cuda")
        .expect("cuda/ holds the plugin's sources")
        .map(|entry| entry.expect("an entry of cuda/").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "cc" || ending == "h"))
        .collect();
    // All of `*.cc`, then all of `*.h`.
    sources.sort_by_key(|path| (path.extension().map(ToOwned::to_owned), path.clone()));
    let mut hash = Sha256::new();
    sources.iter().for_each(|path| hash.update(std::fs::read(path).expect("a source can be read")));
    let hexadecimal = hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    });
    format!("libcresset_cuda-{hexadecimal}.so")
}
