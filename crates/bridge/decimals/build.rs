//! Compiles the C++ part.

fn main() {
    for file in ["src/decimals.cc", "src/decimals.h", "../src/kernels/processor.h"] {
        println!("cargo:rerun-if-changed={file}");
    }
    cxx_build::bridge("src/lib.rs").file("src/decimals.cc").std("c++17").compile("cresset_decimals");
}
