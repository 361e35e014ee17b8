//! Code that loads a TorchScript file and predicts.

use std::path::Path;

use cresset::data::InputShape;
use cresset::export::Metadata;

/// Python and C++ that load `model` and predict with the one of its `methods` that takes the rawest inputs.
pub fn code(model: &Path, metadata: &Metadata, methods: &[String]) -> String {
    let path = format!("{:?}", model.display().to_string());
    let (python, cpp) = calls(&metadata.input.shape, methods);
    format!(
        "\nPython\n  model = torch.jit.load({path})\n  result = {python}\n\nC++\n  auto model = torch::jit::load({path});\n  \
         auto result = {cpp};\n"
    )
}

/// The call in Python and in C++: for a user, a text, a row of a table, or a tensor of this shape.
fn calls(input: &InputShape, methods: &[String]) -> (String, String) {
    let has = |name: &str| methods.iter().any(|method| method == name);
    if has("recommend") {
        return (
            r#"model.recommend("USER", 10, [])"#.to_string(),
            r#"model.get_method("recommend")({"USER", 10, c10::List<std::string>()})"#.to_string(),
        );
    }
    if has("predict_text") {
        return (
            r#"model.predict_text(["a text"])"#.to_string(),
            r#"model.get_method("predict_text")({c10::List<std::string>({"a text"})})"#.to_string(),
        );
    }
    if has("predict_table") {
        return (
            "model.predict_table([row])  # a list of texts, one for each of model.column_names()".to_string(),
            r#"model.get_method("predict_table")({c10::List<c10::List<std::string>>({row})})"#.to_string(),
        );
    }
    let sizes: Vec<_> = std::iter::once(&1).chain(&input.0).map(i64::to_string).collect();
    let zeros = format!("torch::zeros({{{}}})", sizes.join(", "));
    (
        format!("model.predict(torch.zeros({}))", sizes.join(", ")),
        format!(r#"model.get_method("predict")({{{zeros}}})"#),
    )
}
