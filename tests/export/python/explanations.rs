//! Explanations by other programs.

use super::python;
use crate::support::{succeed, text};

/// captum's integrated gradients on the same exported models, and ours.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn explanations_agree_with_captum() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
import sys, numpy, torch
from captum.attr import IntegratedGradients
model = torch.jit.load(sys.argv[1])
digits = torch.tensor(numpy.loadtxt("data/digits.csv", delimiter=",", max_rows=3)[:, :64], dtype=torch.float32)
for row, x in enumerate(digits):
    x = x.reshape(1, 1, 8, 8)
    target = int(model(x).argmax())
    theirs = IntegratedGradients(model).attribute(x, torch.zeros_like(x), target=target, n_steps=256).flatten()
    ours = torch.from_numpy(numpy.load(f"{sys.argv[2]}/digits-{row + 1}.integrated-gradients.npy")).flatten()
    print(float(torch.cosine_similarity(theirs.double(), ours.double(), dim=0)))
"#;
    for (model, options) in [("cnn", "width=8"), ("resnet9", "width=8"), ("vit", "width=32,depth=2")] {
        let (out, explained) = (folder.path().join(model), folder.path().join(format!("{model}-explained")));
        succeed([
            "train",
            "--model",
            model,
            "--model-options",
            options,
            "--epochs",
            "3",
            "--out",
            text(&out),
        ]);
        let file = out.join("model.pt");
        succeed(["explain", text(&file), "data/digits.csv", "--limit", "3", "--out", text(&explained)]);
        let printed = python(&["-c", script, text(&file), text(&explained)]);
        let cosines: Vec<f64> = printed.lines().map(|line| line.parse().unwrap()).collect();
        println!("{model}: {cosines:?}");
        assert!(cosines.len() == 3 && cosines.iter().all(|cosine| *cosine >= 0.99), "{model}: {printed}");
    }
}
