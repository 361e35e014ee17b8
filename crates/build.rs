//! Gives the programs of this package the place of libtorch (their rpath), so that they run with no environment variable.

use std::path::Path;

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is");
    // Touched when ./libtorch is made to lead elsewhere.
    println!("cargo:rerun-if-changed={lib}/../build-version");
    let real =
        std::fs::canonicalize(Path::new(&lib).join("libtorch_cpu.so")).expect("libtorch_cpu.so exists");
    let folder = real.parent().expect("a file has a folder");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
}
