//! Compression of the recipes' models of the digits: `cargo bench --bench compression`.
//!
//! Each model is quantized and pruned, with the original model as the teacher of the pruned one. The results are for
//! seed 0; latencies are measured with one thread.

mod support;

use std::path::Path;
use std::process::Command;

/// The recipe, and the pruned fractions of the channels.
const MODELS: [(&str, &str); 5] =
    [("resnet9", "0.5,0.75"), ("cnn", "0.5,0.75"), ("mlp", "0.5"), ("vit", "0.5"), ("lstm", "")];

fn main() {
    support::enter_checkout();
    let folder = tempfile::tempdir().expect("a folder for the runs");
    for (recipe, shares) in MODELS {
        let run = folder.path().join(recipe);
        let config = format!("recipes/{recipe}.toml");
        cresset(&["train", "--threads", "1", "--seed", "0", "--config", &config, "--out", text(&run)]);
        let mut arguments = vec!["compress", text(&run), "--quantize", "int8", "--dtype", "bf16"];
        if !shares.is_empty() {
            arguments.extend(["--prune", shares, "--distill", text(&run)]);
        }
        let said = cresset(&arguments);
        let table = said.split("\n\n").nth(1).expect("the table follows an empty line");
        println!("{recipe}\n{table}\n");
    }
}

/// Runs the program, and returns its standard output.
fn cresset(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cresset")).args(arguments).output().expect("cresset can be started");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}
