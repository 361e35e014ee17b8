//! ONNX files in onnxruntime, against the logits of their modules.

use std::path::Path;
use std::process::Command;

use cresset::export::{ExportFormat, ExportedModel};
use cresset_bridge::script::Module;
use tch::Tensor;

use super::{stderr, text};

/// Checks each ONNX file in a folder, and runs it on the inputs beside it.
const RUN: &str = r#"
import sys, pathlib, numpy, onnx, onnxruntime
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path)
    [given], [result] = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[0]) == ("input", "tensor(float)", "batch"), given
    assert result.name == "logits" and "batch" in result.shape[0], result
    for inputs in path.parent.glob(path.stem + ".*.input.npy"):
        [logits] = session.run(None, {"input": numpy.load(inputs)})
        numpy.save(str(inputs).replace("input.npy", "logits.npy"), logits)
"#;

/// Runs Python with onnx and onnxruntime.
pub fn python(arguments: &[&str]) -> String {
    let python = std::env::var("CRESSET_PYTHON_ONNX").expect("`make test` sets CRESSET_PYTHON_ONNX");
    let output = Command::new(python).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// ONNX files in a folder, with the logits that they must give.
pub struct Bench {
    batches: Vec<i64>,
    expected: Vec<(String, Tensor)>,
}

impl Bench {
    /// No files yet; each is to be tried with batches of these sizes.
    pub fn of_batches(batches: &[i64]) -> Self {
        Bench { batches: batches.to_vec(), expected: Vec::new() }
    }

    /// Writes the model as ONNX, inputs of each batch size beside it, and keeps the module's own logits.
    pub fn add(
        &mut self,
        folder: &Path,
        name: &str,
        exported: &ExportedModel,
        input: impl Fn(i64) -> Tensor,
    ) {
        let format = ExportFormat::named("onnx").unwrap();
        (format.write)(exported, &folder.join(format!("{name}.onnx")))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        self.expect(folder, name, &exported.module, input);
    }

    /// Writes inputs of each batch size beside a model, and keeps the module's own logits.
    pub fn expect(&mut self, folder: &Path, name: &str, module: &Module, input: impl Fn(i64) -> Tensor) {
        for batch in self.batches.clone() {
            let (inputs, name) = (input(batch), format!("{name}.{batch}"));
            inputs.write_npy(folder.join(format!("{name}.input.npy"))).unwrap();
            let logits = tch::no_grad(|| module.call("forward", &inputs)).unwrap().remove(0);
            self.expected.push((name, logits.detach()));
        }
    }

    /// Fails unless onnxruntime computes the same logits.
    pub fn check(self, folder: &Path) {
        python(&["-c", RUN, text(folder)]);
        assert!(!self.expected.is_empty());
        for (name, expected) in self.expected {
            let logits = Tensor::read_npy(folder.join(format!("{name}.logits.npy"))).unwrap();
            assert_eq!(logits.size(), expected.size(), "{name}");
            let difference = (&logits - &expected).abs().max().double_value(&[]);
            assert!(difference <= 1e-4, "{name}: {difference}");
        }
    }
}
