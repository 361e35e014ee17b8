use super::*;
use serde_json::Value;
use std::path::Path;

fn reference() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/optimizers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn matrix(rows: i64, columns: i64, of: impl Fn(f64, f64) -> f64) -> Tensor {
    let value = |place: i64| of((place / columns) as f64, (place % columns) as f64);
    Tensor::from_slice(&(0..rows * columns).map(value).collect::<Vec<f64>>()).view([rows, columns])
}

fn parameter(name: &str, tensor: Tensor) -> Parameter {
    Parameter {
        name: name.to_string(),
        tensor: tensor.set_requires_grad(true),
        rate: 1.,
        is_head: false,
        is_sparse: false,
    }
}

/// The problem of scripts/reference/optimizers.py.
fn end(optimizer: &str, options: &str, weight_decay: f64, steps: u64) -> [Vec<f64>; 2] {
    let w = matrix(4, 3, |i, j| (i + 2. * j).sin());
    let b = matrix(1, 3, |_, j| j.cos()).view(3);
    let parameters = [parameter("w", w), parameter("b", b)];
    let x = matrix(8, 4, |i, j| (3. * i + j).cos());
    let y = matrix(8, 3, |i, j| (i * j + 1.).sin());
    let mut optimizer = Optimizer::new(optimizer, options, weight_decay, &parameters).unwrap();
    let mut gradients =
        cresset_bridge::gradients::Gradients::of(parameters.iter().map(|one| &one.tensor)).unwrap();
    let [w, b] = parameters.each_ref().map(|one| &one.tensor);
    for _ in 0..steps {
        gradients.clear().unwrap();
        ((x.matmul(w) + b).tanh() - &y).square().mean(Kind::Double).backward();
        optimizer.step(0.05).unwrap();
    }
    [w, b].map(|tensor| Vec::try_from(tensor.detach().view(-1)).unwrap())
}

#[test]
fn every_optimizer_follows_its_reference_implementation() {
    let reference = reference();
    let cases = reference["optimizers"].as_object().unwrap();
    for kind in OPTIMIZERS {
        assert!(cases.contains_key(kind.name), "{} is not in the reference", kind.name);
    }
    for (name, case) in cases {
        let kind = name.split(',').next().unwrap();
        let decay = case["weight_decay"].as_f64().unwrap();
        let steps = reference["steps"].as_u64().unwrap();
        let found = end(kind, case["options"].as_str().unwrap(), decay, steps);
        for (found, expected) in found.iter().zip(["w", "b"]) {
            for (found, expected) in found.iter().zip(case["end"][expected].as_array().unwrap()) {
                let difference = (found - expected.as_f64().unwrap()).abs();
                assert!(difference < 1e-6, "{name}: {found}, the reference has {expected}");
            }
        }
    }
}

#[test]
fn parameters_without_a_gradient_and_their_state_stay() {
    let [busy, idle] = ["busy", "idle"].map(|name| parameter(name, Tensor::from_slice(&[1f32, 2.])));
    let idle = Parameter { rate: 0.5, ..idle };
    let mut optimizer = Optimizer::new("adam", "", 0., &[busy, idle]).unwrap();
    // Two groups, because the learning rate factors differ.
    let state = optimizer.state();
    assert_eq!(state.keys().filter(|name| name.starts_with("step.")).count(), 2);
    optimizer.step(0.1).unwrap();
    assert!(optimizer.state().values().all(|tensor| tensor.abs().sum(Kind::Float).double_value(&[]) == 0.));
}

#[test]
fn the_rate_of_a_parameter_scales_its_steps() {
    let [full, tenth] = ["full", "tenth"].map(|name| parameter(name, Tensor::from_slice(&[1f32])));
    let tenth = Parameter { rate: 0.1, ..tenth };
    let (one, other) = (full.tensor.shallow_clone(), tenth.tensor.shallow_clone());
    let mut optimizer = Optimizer::new("sgd", "", 0., &[full, tenth]).unwrap();
    (&one + &other).sum(Kind::Float).backward();
    optimizer.step(0.5).unwrap();
    assert_eq!(one.double_value(&[0]), 0.5);
    assert!((other.double_value(&[0]) - 0.95).abs() < 1e-7);
}

#[test]
fn faulty_options_are_named() {
    let problem = Optimizer::new("sgd", "momentun=0.5", 0., &[]).err().unwrap().to_string();
    assert!(
        problem.contains("the optimizer sgd") && problem.contains("did you mean `momentum`?"),
        "{problem}"
    );
}
