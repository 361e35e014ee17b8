//! Compiles the C++ part of the bridge against the libtorch that torch-sys found.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The sources that are compiled as one file (a unity build): parsing libtorch's headers takes 5 to 12 s, ten times as long as
/// the rest of a source file, so sources that need the same headers share them. They also share their anonymous namespaces.
const UNITS: [(&str, &[&str]); 2] = [
    (
        "torchscript",
        &[
            "api/autocast",
            "api/collections",
            "api/compiled_package",
            "api/conforming",
            "api/cutting",
            "api/embedding",
            "api/freezing",
            "api/gradients",
            "api/graph",
            "api/memory",
            "api/model_file",
            "api/operations",
            "api/optimizer",
            "api/package",
            "api/quantization",
            "api/random",
            "api/recording",
            "api/schema",
            "api/script",
            "kernels/adam",
            "kernels/allocator",
            "kernels/bernoulli",
            "kernels/compiled",
            "kernels/linear_chains",
            "kernels/matrix_product",
            "kernels/packed_layers",
            "kernels/perceptron",
            "kernels/product",
            "kernels/small_perceptron",
            "kernels/tally",
        ],
    ),
    (
        "autograd",
        &[
            "kernels/column_vectors",
            "kernels/convolution",
            "kernels/embedding_bag",
            "kernels/lstm",
            "kernels/norm",
        ],
    ),
];

/// The source files of the feature `distributed`, which share a unit with "autograd".
const DISTRIBUTED: [&str; 2] = ["api/process_group", "api/reducer"];

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys exports the path of libtorch");
    let libtorch = Path::new(&lib).parent().expect("lib/ has a parent");
    let version_file = libtorch.join("build-version");
    let version =
        std::fs::read_to_string(&version_file).expect("scripts/fetch-libtorch writes build-version");
    println!("cargo:rustc-env=LIBTORCH_VERSION={}", version.trim());
    // Its modification time changes when ./libtorch points elsewhere.
    println!("cargo:rerun-if-changed={}", version_file.display());

    compile(&libtorch.join("include"));

    let plugin = std::fs::canonicalize(&lib).expect("lib/ exists").join(plugin_name());
    println!("cargo:rustc-env=CUDA_PLUGIN={}", plugin.display());
    println!("cargo:rerun-if-changed=cuda");

    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    // libtorch ships the one used at run time.
    println!("cargo:rustc-link-lib=gomp");
    // The libraries load from their real folder, where they find each other and NVIDIA's.
    let real =
        std::fs::canonicalize(Path::new(&lib).join("libtorch_cpu.so")).expect("libtorch_cpu.so exists");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.parent().expect("a file has a folder").display());
}

/// Compiles all C++ except the plugin with libtorch's headers, `include`.
fn compile(include: &Path) {
    let is_distributed = std::env::var_os("CARGO_FEATURE_DISTRIBUTED").is_some();
    let bridges = ["src/ffi.rs", "src/ffi_distributed.rs"];
    let mut build = cxx_build::bridges(&bridges[..if is_distributed { 2 } else { 1 }]);
    build.files(UNITS.map(|(name, sources)| {
        let more = if is_distributed && name == "autograd" { &DISTRIBUTED[..] } else { &[] };
        write_unit(name, &[sources, more].concat())
    }));
    for folder in ["src", "src/api", "src/kernels"] {
        files_of(folder, &["cc", "h"])
            .iter()
            .for_each(|path| println!("cargo:rerun-if-changed={}", path.display()));
    }
    println!("cargo:rerun-if-changed=gloo");
    // Stubs of gloo's headers, which libtorch's packages omit.
    build.include("gloo").define("USE_DISTRIBUTED", None).define("USE_C10D_GLOO", None);
    // libtorch's headers then include the headers of single operations instead of all.
    build.define("AT_PER_OPERATOR_HEADERS", None);
    for folder in [include, &include.join("torch/csrc/api/include")] {
        build.flag("-isystem").flag(folder);
    }
    // Fuses multiply and add where the CPU can, and allows vectorized square roots.
    build.flag_if_supported("-ffp-contract=fast").flag_if_supported("-fno-math-errno");
    // Without OpenMP, `at::parallel_for` is a sequential loop.
    build.flag("-fopenmp");
    write_empty_libtorch(build.get_compiler().path());
    // NDEBUG as in libtorch's build: without it, some of its classes have additional members.
    build.std("c++17").define("_GLIBCXX_USE_CXX11_ABI", "1").define("NDEBUG", None).compile("cresset_bridge");
}

/// Links an empty shared library with the name of libtorch.so, which compiled packages name and need nothing of.
fn write_empty_libtorch(compiler: &Path) {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let library = Path::new(&out).join("empty_libtorch.so");
    let mut command = std::process::Command::new(compiler);
    command
        .args(["-shared", "-nostdlib", "-Wl,-soname,libtorch.so", "-x", "c++", "/dev/null", "-o"])
        .arg(&library);
    let status = command.status().expect("the C++ compiler can be started");
    assert!(status.success(), "{command:?} failed");
}

/// Writes a file that includes these sources, given without extension.
fn write_unit(name: &str, sources: &[&str]) -> PathBuf {
    let includes = sources.iter().fold(String::new(), |mut text, source| {
        writeln!(text, "#include \"cresset-bridge/src/{source}.cc\"")
            .expect("writing to a string cannot fail");
        text
    });
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    let path = Path::new(&out).join(format!("{name}.cc"));
    std::fs::write(&path, includes).expect("OUT_DIR is writable");
    path
}

/// The file name of the CUDA plugin for this crate, as scripts/build-cuda-plugin names it.
fn plugin_name() -> String {
    let mut sources = files_of("cuda", &["cc", "h"]);
    // All of `*.cc`, then all of `*.h`.
    sources.sort_by_key(|path| (path.extension().map(ToOwned::to_owned), path.clone()));
    let mut hash = Sha256::new();
    sources.iter().for_each(|path| hash.update(std::fs::read(path).expect("a source file is readable")));
    let hexadecimal = hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    });
    format!("libcresset_cuda-{hexadecimal}.so")
}

/// The files in a folder with one of these extensions.
fn files_of(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let has_ending =
        |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known));
    let entries = std::fs::read_dir(folder).expect("a folder of sources");
    entries.map(|entry| entry.expect("a folder entry").path()).filter(has_ending).collect()
}
