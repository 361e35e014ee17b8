//! Tiny wheels for the tests of the scripts.

use crate::checkout::{Checkout, Outcome};
use std::fs;
use std::process::Command;

/// A wheel of one file each, with what pip insists on; prints "name sha256" a line.
const MAKE_WHEELS: &str = r#"
import gzip, hashlib, sys, zipfile
def wheel(name, project, version, path, content):
    info = f"{project}-{version}.dist-info"
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_x86_64\n")
        archive.writestr(f"{info}/RECORD", "")
    print(name, hashlib.sha256(open(name, "rb").read()).hexdigest())
digits = b"0,16,7\n"
packed = gzip.compress(digits)
print("csv", hashlib.sha256(digits).hexdigest())
print("gz", hashlib.sha256(packed).hexdigest())
tag = "cp312-cp312-manylinux_2_28_x86_64.whl"
wheel(f"torch-2.11.0-{tag}", "torch", "2.11.0", "torch/lib/libtorch_cpu.so", b"\0" * 2_000_000)
wheel(f"nvidia_cuda_runtime-13.0.96-{tag}", "nvidia_cuda_runtime", "13.0.96", "nvidia/cu13/lib/libcudart.so.13", b"cudart")
wheel("digits.whl", "scikit_learn", "1.9.1", "sklearn/datasets/data/digits.csv.gz", packed)
"#;

/// Makes tiny wheels in the world's folder; gives the SHA-256 of the thing of that name.
pub fn make_wheels(checkout: &Checkout) -> impl Fn(&str) -> String {
    let made = Command::new(checkout.path("real-python3"))
        .args(["-c", MAKE_WHEELS])
        .current_dir(checkout.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lines = String::from_utf8(made.stdout).unwrap();
    move |name| {
        let line = lines.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(' ').unwrap().1.to_owned()
    }
}

/// The copied fetch-data expects the tiny digits of our own wheel.
pub fn expect_tiny_digits(checkout: &Checkout) {
    let sha256 = make_wheels(checkout);
    let script = checkout.path("checkout/scripts/fetch-data");
    let text: Vec<String> = fs::read_to_string(&script)
        .unwrap()
        .lines()
        .map(|line| match line.split_once("_sha256=") {
            Some((name @ ("csv" | "gz"), _)) => format!("{name}_sha256={}", sha256(name)),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(script, text.join("\n")).unwrap();
}

/// A real pip that finds the tiny wheels and nothing else; `torch` is the SHA-256 that its requirement names.
pub fn fetch_with_real_pip(checkout: &Checkout, torch: &str, cudart: &str) -> Outcome {
    checkout.fake("python3", "#!/bin/sh\nexec \"WORLD/real-python3\" \"$@\"\n");
    let scripts = checkout.path("checkout/scripts");
    fs::write(scripts.join("libtorch.txt"), format!("torch==2.11.0 --hash=sha256:{torch}\n")).unwrap();
    let runtime = format!("nvidia-cuda-runtime==13.0.96 --hash=sha256:{cudart}\n");
    fs::write(scripts.join("libtorch-cpu.txt"), runtime).unwrap();
    let mut command = checkout.command("fetch-libtorch");
    // PIP_FIND_LINKS separates folders by spaces, and the world's name has one: a URL.
    let links = format!("file://{}", checkout.path("").display()).replace(' ', "%20");
    checkout.finish(command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", links))
}
