//! Tiny wheels for the tests of the scripts.

use super::checkout::{Checkout, Outcome};
use std::fs;
use std::process::Command;

/// Wheels of a few files each, with what pip insists on; prints "name sha256" a line.
const MAKE_WHEELS: &str = r#"
import gzip, hashlib, sys, zipfile
def wheel(name, project, version, files):
    info = f"{project}-{version}.dist-info"
    with zipfile.ZipFile(name, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_x86_64\n")
        archive.writestr(f"{info}/RECORD", "")
    print(name, hashlib.sha256(open(name, "rb").read()).hexdigest())
place = "sklearn/datasets/data/"
tiny = {
    place + "digits.csv.gz": gzip.compress(b"0,16,7\n"),
    place + "iris.csv": b"1,4,setosa,versicolor,virginica\n5.1,3.5,1.4,0.2,1\n",
    place + "diabetes_data_raw.csv.gz": gzip.compress(b"59 2 32.1\n", mtime=0),
    place + "diabetes_target.csv.gz": gzip.compress(b"1.51e+02\n", mtime=0),
    place + "wine_data.csv": b"0,13,a,b,c\n",
    place + "breast_cancer.csv": b"0,30,malignant,benign\n",
}
tag = "cp312-cp312-manylinux_2_28_x86_64.whl"
wheel(f"torch-2.11.0-{tag}", "torch", "2.11.0", {"torch/lib/libtorch_cpu.so": b"\0" * 2_000_000})
wheel(f"nvidia_cuda_runtime-13.0.96-{tag}", "nvidia_cuda_runtime", "13.0.96", {"nvidia/cu13/lib/libcudart.so.13": b"cudart"})
wheel("datasets.whl", "scikit_learn", "1.9.1", tiny)
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

/// The copied fetch-data expects the tiny data sets of our own wheel.
pub fn expect_tiny_datasets(checkout: &Checkout) {
    let _sha256 = make_wheels(checkout);
    let unpacked = checkout.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    fs::copy(checkout.path("datasets.whl"), unpacked.join("datasets.whl")).unwrap();
    let command = "\"$1\" \"$2\" . && sha256sum *.csv >\"$3\"";
    let made = Command::new("bash")
        .args(["-c", command, "bash"])
        .arg(checkout.path("real-python3"))
        .arg(checkout.path("checkout/scripts/unpack_datasets.py"))
        .arg(checkout.path("checkout/scripts/datasets.sha256"))
        .current_dir(&unpacked)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::remove_dir_all(unpacked).unwrap();
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
