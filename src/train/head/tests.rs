use std::path::Path;

use serde::Deserialize;
use tch::{Device, Kind, Reduction, Tensor};

use super::linear::{Loss, Scaling};
use super::*;

/// Computed by scripts/reference/linear_head.py with scikit-learn.
#[derive(Deserialize)]
struct Reference {
    features: Vec<Vec<f32>>,
    labels: Vec<i64>,
    solutions: Vec<Solution>,
}

/// The layer of standardized features.
#[derive(Deserialize)]
struct Solution {
    strength: f64,
    class_weights: Vec<f32>,
    weight: Vec<Vec<f64>>,
    bias: Vec<f64>,
    loss: f64,
}

fn reference() -> Reference {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/linear_head.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn task(reference: &Reference, class_weights: Option<Vec<f32>>) -> HeadTask {
    let part = || LabeledFeatures {
        values: Tensor::from_slice2(&reference.features),
        labels: Tensor::from_slice(&reference.labels),
    };
    HeadTask { train: part(), validation: part(), classes: 3, class_weights, smoothing: 0., seed: 0 }
}

fn largest(tensor: Tensor) -> f64 {
    tensor.abs().max().double_value(&[])
}

#[test]
fn a_linear_head_is_the_logistic_regression_of_scikit_learn() {
    let reference = reference();
    for Solution { strength, class_weights, weight, bias, loss } in &reference.solutions {
        let task = task(&reference, Some(class_weights.clone()));
        let mut attempts = Attempts::default();
        let head = fit("linear", &format!("regularization={strength}"), &task, &mut attempts).unwrap();
        assert_eq!(attempts.all()[0].setting, format!("regularization={strength}"));

        let scaling = Scaling::of(&task.train.values);
        let (weight, bias) = (Tensor::from_slice2(weight), Tensor::from_slice(bias));
        let (expected_weight, expected_bias) = scaling.fold(&weight, &bias);
        let difference = (&head["weight"] - &expected_weight) / expected_weight.abs().max();
        assert!(largest(difference) < 1e-3, "weight at {strength}");
        let logits = |weight: &Tensor, bias: &Tensor| task.train.values.linear(weight, Some(bias));
        let difference = logits(&head["weight"], &head["bias"]) - logits(&expected_weight, &expected_bias);
        // Adding a number to all biases changes nothing, so only differences of logits are determined.
        let difference = &difference - difference.mean_dim(1, true, Kind::Float);
        assert!(largest(difference) < 1e-3, "logits at {strength}");

        let inputs = scaling.apply(&task.train.values);
        let own = Loss::new(&inputs, &task);
        let (value, gradient) = own.at(&Tensor::cat(&[weight.view(-1), bias], 0), *strength);
        assert!((value - loss).abs() < 1e-9, "{value} {loss}");
        assert!(largest(gradient) < 1e-4);
        let fitted = head["weight"].to_kind(Kind::Double) * inputs_deviation(&task);
        let shift =
            head["bias"].to_kind(Kind::Double)
                + head["weight"]
                    .to_kind(Kind::Double)
                    .matmul(&task.train.values.to_kind(Kind::Double).mean_dim(0, false, Kind::Double));
        let (value, _) = own.at(&Tensor::cat(&[fitted.view(-1), shift], 0), *strength);
        assert!((value - loss).abs() < 1e-6, "{value} {loss}");
    }
}

/// The standard deviation of each feature, float64.
fn inputs_deviation(task: &HeadTask) -> Tensor {
    task.train.values.to_kind(Kind::Double).std_dim(0, false, false)
}

#[test]
fn the_gradient_is_that_of_pytorchs_cross_entropy_with_weights_and_smoothing() {
    let task = HeadTask { smoothing: 0.1, ..task(&reference(), Some(vec![0.5, 1., 3.])) };
    let inputs = Scaling::of(&task.train.values).apply(&task.train.values);
    let loss = Loss::new(&inputs, &task);
    tch::manual_seed(0);
    let x = Tensor::randn([loss.parameters()], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let (weight, bias) = loss.layer(&x);
    let weights = Tensor::from_slice(&[0.5f64, 1., 3.]);
    let expected = inputs.linear(&weight, Some(&bias)).cross_entropy_loss(
        &task.train.labels,
        Some(&weights),
        Reduction::Mean,
        -100,
        0.1,
    ) + weight.square().sum(Kind::Double) * 0.25;
    expected.backward();
    let (value, gradient) = tch::no_grad(|| loss.at(&x, 0.5));
    assert!((value - expected.double_value(&[])).abs() < 1e-9);
    assert!(largest(gradient - x.grad()) < 1e-9);
}

#[test]
fn the_regularization_with_the_lowest_validation_loss_is_chosen() {
    let reference = reference();
    let all = task(&reference, None);
    let half = |start: i64| LabeledFeatures {
        values: all.train.values.slice(0, start, None, 2),
        labels: all.train.labels.slice(0, start, None, 2),
    };
    let task = HeadTask { train: half(0), validation: half(1), ..all };
    let mut attempts = Attempts::default();
    let head = fit("linear", "", &task, &mut attempts).unwrap();
    let (best, chosen) = attempts.best().unwrap();
    assert!(best > 0 && best + 1 < attempts.all().len(), "the best is at an end: {:?}", attempts.all());
    let logits = task.validation.values.linear(&head["weight"], Some(&head["bias"]));
    let loss = logits.cross_entropy_for_logits(&task.validation.labels).double_value(&[]);
    assert!((loss - chosen.validation_loss).abs() < 1e-4, "{loss} {chosen:?}");
    // The same again, bit by bit.
    assert_eq!(fit("linear", "", &task, &mut Attempts::default()).unwrap(), head);
}

#[test]
fn constant_features_are_ignored_and_infinite_ones_are_refused() {
    let mut task = task(&reference(), None);
    let plain = fit("linear", "regularization=0.1", &task, &mut Attempts::default()).unwrap();
    let widened = |values: &Tensor, value: f64| {
        Tensor::cat(&[values, &Tensor::full([values.size()[0], 1], value, (Kind::Float, Device::Cpu))], 1)
    };
    let values = task.train.values.shallow_clone();
    task.train.values = widened(&values, 0.1);
    task.validation.values = widened(&values, 0.1);
    let head = fit("linear", "regularization=0.1", &task, &mut Attempts::default()).unwrap();
    assert!(largest(head["weight"].narrow(1, 5, 1)) < 1e-6);
    assert!(largest(head["weight"].narrow(1, 0, 5) - &plain["weight"]) < 1e-4);
    task.validation.values = widened(&values, f64::INFINITY);
    let error = fit("linear", "", &task, &mut Attempts::default()).unwrap_err().to_string();
    assert!(error.contains("NaN or infinite"), "{error}");
}

#[test]
fn an_mlp_head_learns_what_a_linear_one_cannot() {
    // The class is the sign of the product of two features.
    tch::manual_seed(5);
    let values = Tensor::rand([400, 2], (Kind::Float, Device::Cpu)) * 2 - 1;
    let labels = (values.select(1, 0) * values.select(1, 1)).gt(0.).to_kind(Kind::Int64);
    let part = |start: i64| LabeledFeatures {
        values: values.slice(0, start, None, 2) * 1000. + 5.,
        labels: labels.slice(0, start, None, 2),
    };
    let task = HeadTask {
        train: part(0),
        validation: part(1),
        classes: 2,
        class_weights: None,
        smoothing: 0.,
        seed: 1,
    };
    let mut attempts = Attempts::default();
    let head = fit("mlp", "width=32,epochs=150,lr=0.02,patience=150", &task, &mut attempts).unwrap();
    let (_, best) = attempts.best().unwrap();
    let mut linear = Attempts::default();
    fit("linear", "", &task, &mut linear).unwrap();
    assert!(best.validation_accuracy > 0.9 && linear.best().unwrap().1.validation_accuracy < 0.7, "{best:?}");
    let hidden = task.validation.values.linear(&head["hidden.weight"], Some(&head["hidden.bias"])).relu();
    let loss =
        hidden.linear(&head["weight"], Some(&head["bias"])).cross_entropy_for_logits(&task.validation.labels);
    assert!((loss.double_value(&[]) - best.validation_loss).abs() < 1e-3, "{loss:?} {best:?}");
    let mut again = Attempts::default();
    assert_eq!(fit("mlp", "width=32,epochs=150,lr=0.02,patience=150", &task, &mut again).unwrap(), head);
}

/// Large features are multiplied in float32.
#[test]
fn float32_products_find_the_same_minimum() {
    tch::manual_seed(3);
    let (rows, width) = (500, 300);
    let values = Tensor::randn([rows, width], (Kind::Float, Device::Cpu));
    let labels =
        (values.narrow(1, 0, 4) + Tensor::randn([rows, 4], (Kind::Float, Device::Cpu))).argmax(1, false);
    let part = || LabeledFeatures { values: values.shallow_clone(), labels: labels.shallow_clone() };
    let task = HeadTask {
        train: part(),
        validation: part(),
        classes: 4,
        class_weights: None,
        smoothing: 0.,
        seed: 0,
    };
    let head = fit("linear", "regularization=0.01", &task, &mut Attempts::default()).unwrap();
    let inputs = Scaling::of(&values).apply(&values);
    let loss = Loss::new(&inputs, &task);
    let deviation = values.to_kind(Kind::Double).std_dim(0, false, false);
    let mean = values.to_kind(Kind::Double).mean_dim(0, false, Kind::Double);
    let weight = head["weight"].to_kind(Kind::Double);
    let bias = head["bias"].to_kind(Kind::Double) + weight.matmul(&mean);
    let x = Tensor::cat(&[(weight * deviation).view(-1), bias], 0);
    let (value, gradient) = loss.at(&x, 0.01);
    // The loss is strongly convex, so that the gradient bounds the distance from the minimum.
    let excess = gradient.square().sum(Kind::Double).double_value(&[]) / (2. * 0.01);
    assert!(excess < 1e-6, "{excess} {value}");
}
