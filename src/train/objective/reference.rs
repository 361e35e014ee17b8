//! Comparison of the losses for several labels and for values with PyTorch.

use super::asymmetric::ASYMMETRIC;
use super::huber::HUBER;
use super::mse::MSE;
use super::*;
use serde::Deserialize;
use std::path::Path;

/// The losses that `scripts/reference/multilabel.py` and `scripts/reference/regression.py` computed.
#[derive(Deserialize)]
struct Reference {
    losses: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    loss: String,
    options: String,
    outputs: Vec<Vec<f64>>,
    targets: Vec<Vec<f64>>,
    mean: f64,
    examples: Vec<f64>,
    /// Of the mean.
    gradient: Vec<Vec<f64>>,
}

fn cases() -> impl Iterator<Item = Case> {
    ["multilabel.json", "regression.json"].into_iter().flat_map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
        let reference: Reference = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        reference.losses
    })
}

fn largest(difference: Tensor) -> f64 {
    difference.abs().max().double_value(&[])
}

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    let mut compared = Vec::new();
    for case in cases() {
        let kind = [&ASYMMETRIC, &HUBER, &MSE].into_iter().find(|kind| kind.name == case.loss);
        let kind = kind.unwrap();
        let task = *kind.tasks.last().unwrap();
        let options = Options::parse(&case.options, &case.loss, kind.options).unwrap();
        let labels = Tensor::from_slice2(&case.targets);
        let outputs = Tensor::from_slice2(&case.outputs).set_requires_grad(true);
        let loss = |reduction| {
            let input = LossInput { logits: &outputs, labels: &labels, task, weights: None, reduction };
            (kind.loss)(&options, &input)
        };
        let mean = loss(Reduction::Mean);
        mean.backward();
        let about = format!("{} {}", case.loss, case.options);
        assert!((mean.double_value(&[]) - case.mean).abs() < 1e-12, "{about}: {mean:?}");
        assert!(largest(loss(Reduction::None) - Tensor::from_slice(&case.examples)) < 1e-12, "{about}");
        assert!(largest(outputs.grad() - Tensor::from_slice2(&case.gradient)) < 1e-12, "{about}");
        compared.push(kind.name);
    }
    compared.dedup();
    assert_eq!(compared, ["asymmetric", "huber", "mse"]);
}
