//! `scripts/build-cuda-plugin`, alone and as `scripts/fetch-libtorch` calls it. The compiler is a fake.

use super::checkout::{Checkout, Outcome};
use std::fs;

fn with_cuda(checkout: &Checkout) -> Outcome {
    checkout.finish(checkout.command("fetch-libtorch").env("CUDA", "1")).succeeded()
}

/// The plugins beside the libraries of the checkout.
fn plugins(checkout: &Checkout) -> Vec<String> {
    let lib = fs::read_dir(checkout.path("checkout/libtorch/lib")).unwrap();
    let names = lib.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut plugins: Vec<_> = names.filter(|name| name.starts_with("libcresset_cuda-")).collect();
    plugins.sort();
    plugins
}

fn compilations(checkout: &Checkout) -> usize {
    let calls = fs::read_to_string(checkout.path("compilations")).unwrap_or_default();
    calls.lines().filter(|argument| *argument == "-shared").count()
}

#[test]
fn it_is_built_once_where_cuda_is_wanted_under_the_name_that_the_program_looks_for() {
    let checkout = Checkout::new();
    checkout.run("fetch-libtorch").succeeded();
    assert_eq!((plugins(&checkout).len(), compilations(&checkout)), (0, 0));

    with_cuda(&checkout);
    let name = cresset_bridge::cuda::Plugin::path().file_name().unwrap().to_str().unwrap();
    assert_eq!(plugins(&checkout), [name]);
    let again = with_cuda(&checkout);
    assert_eq!((again.stderr.as_str(), compilations(&checkout)), ("", 1));

    // Other sources make another plugin.
    fs::write(checkout.path("checkout/crates/bridge/cuda/more.cc"), "// more\n").unwrap();
    with_cuda(&checkout);
    assert_eq!((plugins(&checkout).len(), compilations(&checkout)), (2, 2));
}

#[test]
fn header_files_that_came_with_the_cuda_libraries_are_not_fetched_again() {
    let checkout = Checkout::new();
    with_cuda(&checkout);
    let fetched = fs::read_to_string(checkout.path("requirements")).unwrap();
    assert!(fetched.contains("nvidia-cuda-crt==") && !fetched.contains("nvidia-cublas=="), "{fetched}");

    // On a machine that has no CUDA libraries, all of them are.
    let checkout = Checkout::new();
    checkout.run("fetch-libtorch").succeeded();
    let built = checkout.run("build-cuda-plugin").succeeded();
    assert!(fs::read_to_string(built.stdout.trim_end()).unwrap().contains("compiled"));
    let fetched = fs::read_to_string(checkout.path("requirements")).unwrap();
    for package in ["cuda-runtime", "nccl-cu13", "cublas", "cusparse", "cusolver", "cuda-crt", "cuda-cccl"] {
        assert!(fetched.contains(&format!("nvidia-{package}==")), "{package} is missing in {fetched}");
    }
    let headers = checkout.list("cache/cresset");
    let headers: Vec<_> = headers.iter().filter(|inside| inside.starts_with("cuda-headers-")).collect();
    assert!(headers.iter().any(|inside| inside.ends_with("include/crt/host_config.h")), "{headers:?}");
    assert!(!headers.iter().any(|inside| inside.ends_with("large.so") || inside.ends_with(".whl")));
}

#[test]
fn a_plugin_that_cannot_be_compiled_is_said_and_cuda_is_used_without() {
    let checkout = Checkout::new();
    checkout.fake("c++", "#!/bin/sh\necho 'graph.cc:9:1: error: no such thing' >&2\nexit 1\n");
    let outcome = with_cuda(&checkout);
    let said = outcome.stderr;
    assert!(said.contains("could not be compiled: graph.cc:9:1: error: no such thing. All that"), "{said}");
    assert!(said.contains("going on without the CUDA plugin: CUDA works, but without CUDA graphs"), "{said}");
    assert!(plugins(&checkout).is_empty());

    checkout.remove_tool("c++");
    checkout.run("build-cuda-plugin").failed(
        1,
        "the compiler c++ was not found. Install one (Debian, Ubuntu: apt install g++) or set CXX.",
    );
}

#[test]
fn without_a_libtorch_or_its_cuda_half_it_says_what_is_missing() {
    let checkout = Checkout::new();
    checkout
        .run("build-cuda-plugin")
        .failed(1, &format!("{} is no view of libtorch", checkout.path("checkout/libtorch").display()));
    checkout.run("fetch-libtorch").succeeded();
    fs::remove_file(checkout.path("cache/cresset/libtorch-2.11.0/torch/lib/libtorch_cuda.so")).unwrap();
    checkout.run("build-cuda-plugin").failed(1, "the libtorch in ");
    assert_eq!(compilations(&checkout), 0);
}
