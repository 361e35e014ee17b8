//! Code snippets that show how to load an exported model.

use std::path::Path;

use crate::model::Outputs;

/// A path as a string literal for C++, Python and Rust.
///
/// ```
/// use cresset::export::usage::literal;
/// use std::path::Path;
///
/// assert_eq!(literal(Path::new("my \"model\".pt")), r#""my \"model\".pt""#);
/// ```
pub fn literal(path: &Path) -> String {
    serde_json::to_string(&path.to_string_lossy()).expect("a string serializes to JSON")
}

/// A Python snippet; `features` is the number of values of an input.
///
/// ```
/// use cresset::model::Outputs;
///
/// let snippet = cresset::export::usage::python("model.pt", 64, &Outputs::Classification);
/// assert!(snippet.contains(r#"torch.jit.load("model.pt")"#) && snippet.contains("torch.zeros(1, 64)"));
/// ```
pub fn python(path: &str, features: i64, outputs: &Outputs) -> String {
    if *outputs == Outputs::Ranking {
        return format!(
            "import torch\n\nmodel = torch.jit.load(\"{path}\")\nitems, scores = model.recommend(\"USER\", 10, [])  # items to leave out\n\
             users, items = model.user_vector([\"USER\"]), model.item_vector(model.item_names())\n"
        );
    }
    let [forward, predict] = outputs.names();
    format!(
        "import torch\n\nmodel = torch.jit.load(\"{path}\")\ninput = torch.zeros(1, {features})  # raw values, any number of rows\n\
         {forward} = model(input)\n{predict} = model.predict(input)\n"
    )
}

/// A C++ snippet.
///
/// ```
/// use cresset::model::Outputs;
///
/// let snippet = cresset::export::usage::cpp("model.pt", 64, &Outputs::Classification);
/// assert!(snippet.contains(r#"torch::jit::load("model.pt")"#));
/// ```
pub fn cpp(path: &str, features: i64, outputs: &Outputs) -> String {
    if *outputs == Outputs::Ranking {
        return format!(
            "auto model = torch::jit::load(\"{path}\");\nauto result = model.get_method(\"recommend\")({{\"USER\", 10, \
             c10::List<std::string>()}});\n"
        );
    }
    let [forward, _] = outputs.names();
    format!(
        "auto model = torch::jit::load(\"{path}\");\nauto input = torch::zeros({{1, {features}}});\nauto {forward} = \
         model.forward({{input}}).toTensor();\n"
    )
}

/// A Rust snippet with the crate tch.
///
/// ```
/// use cresset::model::Outputs;
///
/// let snippet = cresset::export::usage::rust("model.pt", 64, &Outputs::Classification);
/// assert!(snippet.contains(r#"tch::CModule::load("model.pt")"#));
/// ```
pub fn rust(path: &str, features: i64, outputs: &Outputs) -> String {
    if *outputs == Outputs::Ranking {
        return format!(
            "use tch::IValue;\n\nlet model = tch::CModule::load(\"{path}\")?;\nlet nothing = IValue::StringList(Vec::new());\n\
             let result = model.method_is(\"recommend\", &[\"USER\".into(), IValue::Int(10), nothing])?;\n"
        );
    }
    let [forward, _] = outputs.names();
    format!(
        "let model = tch::CModule::load(\"{path}\")?;\nlet input = tch::Tensor::zeros([1, {features}], (tch::Kind::Float, \
         tch::Device::Cpu));\nlet {forward} = model.forward_ts(&[input])?;\n"
    )
}
