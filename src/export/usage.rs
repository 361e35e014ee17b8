//! Code snippets that show how to load an exported model.

use std::path::Path;

/// A path as a string literal for C++, Python and Rust.
pub fn literal(path: &Path) -> String {
    serde_json::to_string(&path.to_string_lossy()).expect("a string serializes to JSON")
}

/// A Python snippet; `features` is the number of values of an input.
pub fn python(path: &str, features: i64) -> String {
    format!(
        "import torch\n\nmodel = torch.jit.load(\"{path}\")\ninput = torch.zeros(1, {features})  # raw values, any number of rows\n\
         logits = model(input)\nclasses, probabilities = model.predict(input)\n"
    )
}

/// A C++ snippet.
pub fn cpp(path: &str, features: i64) -> String {
    format!(
        "auto model = torch::jit::load(\"{path}\");\nauto input = torch::zeros({{1, {features}}});\nauto logits = \
         model.forward({{input}}).toTensor();\n"
    )
}

/// A Rust snippet with the crate tch.
pub fn rust(path: &str, features: i64) -> String {
    format!(
        "let model = tch::CModule::load(\"{path}\")?;\nlet input = tch::Tensor::zeros([1, {features}], (tch::Kind::Float, \
         tch::Device::Cpu));\nlet logits = model.forward_ts(&[input])?;\n"
    )
}
