//! Explanations of small models trained in the tests.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::data::{self, DataOptions};
use crate::distributed::World;
use crate::model::preprocessing::TensorDataset;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::{self, Outcome};
use crate::train::Silent;

fn trained(folder: &Path, config: Config) -> Classifier {
    let out = folder.join(&config.model);
    let run = run::start(&config, Some(&out), &World::alone()).unwrap();
    assert!(matches!(run::finish(run, &mut Silent, &|| false).unwrap(), Outcome::Trained(_)));
    Classifier::load_on(&out.join("model.pt"), Device::Cpu).unwrap()
}

fn model(folder: &Path, name: &str, options: &str, epochs: u32) -> Classifier {
    let (model, model_options) = (name.to_string(), options.to_string());
    trained(folder, Config { model, model_options, epochs, ..Config::default() })
}

fn digits(count: i64) -> Tensor {
    let dataset = data::load("digits", &DataOptions::default()).unwrap();
    TensorDataset::of(&dataset, &(0..count).collect::<Vec<_>>(), Device::Cpu).inputs
}

fn attribution(classifier: &Classifier, method: &str, options: &str, raw: &Tensor, class: usize) -> Tensor {
    Explainer::new(method, options).unwrap().attribute(&Subject::new(classifier, class), raw).unwrap()
}

#[test]
fn integrated_gradients_sum_up_to_the_difference_of_the_logits() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in
        [("mlp", ""), ("cnn", "width=8"), ("lstm", "width=16,depth=1"), ("vit", "width=32,depth=2")]
    {
        let classifier = model(folder.path(), name, options, 3);
        let raw = digits(5);
        let black = classifier.logits(&raw.narrow(0, 0, 1).zeros_like()).unwrap();
        for row in 0..5 {
            let one = raw.narrow(0, row, 1);
            let logits = classifier.logits(&one).unwrap();
            let class = logits.argmax(-1, false).int64_value(&[0]);
            let difference = logits.double_value(&[0, class]) - black.double_value(&[0, class]);
            let sum = attribution(&classifier, "integrated-gradients", "", &one, class as usize);
            let sum = sum.sum(Kind::Double).double_value(&[]);
            assert!((sum - difference).abs() <= 0.01 * difference.abs(), "{name}: {sum}, not {difference}");
        }
    }
}

/// The ranks of the values of a map.
fn ranks(map: &Tensor) -> Tensor {
    map.flatten(0, -1).argsort(-1, false).argsort(-1, false).to_kind(Kind::Double)
}

/// Spearman's rank correlation.
fn correlation(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let (a, b) = (&a - a.mean(Kind::Double), &b - b.mean(Kind::Double));
    ((&a * &b).sum(Kind::Double) / (a.norm() * b.norm())).double_value(&[])
}

/// A map that does not change with random weights reflects the input, not the model (Adebayo et al., "Sanity Checks for
/// Saliency Maps", 2018).
#[test]
fn no_map_survives_random_weights() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "cnn", "width=16", 6);
    let elsewhere = tempfile::tempdir().unwrap();
    // The same architecture, practically untrained.
    let random = Config {
        model: "cnn".into(),
        model_options: "width=16".into(),
        epochs: 1,
        lr: 1e-9,
        seed: 99,
        ..Config::default()
    };
    let random = trained(elsewhere.path(), random);
    let raw = digits(8);
    for kind in EXPLAINERS {
        let mean = (0..8).map(|row| {
            let one = raw.narrow(0, row, 1);
            let class = classifier.logits(&one).unwrap().argmax(-1, false).int64_value(&[0]) as usize;
            let [a, b] = [&classifier, &random].map(|of| attribution(of, kind.name, "", &one, class));
            correlation(&a, &b)
        });
        let mean = mean.sum::<f64>() / 8.;
        assert!(mean.abs() < 0.6, "{}: the maps correlate by {mean}", kind.name);
        let one = raw.narrow(0, 0, 1);
        let again = attribution(&classifier, kind.name, "", &one, 0);
        assert_eq!(again, attribution(&classifier, kind.name, "", &one, 0), "{} repeats", kind.name);
    }
}

#[test]
fn every_method_recovers_the_weights_of_a_linear_model() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "mlp", "depth=0", 3);
    let raw = digits(1);
    let weight = classifier.module().unwrap().parameters().unwrap().remove(0).1.get(3).view([1, 8, 8]) / 16.;
    let close = |found: &Tensor, expected: &Tensor| found.allclose(expected, 1e-3, 1e-4, false);
    assert!(close(&attribution(&classifier, "smooth-grad", "", &raw, 3), &weight));
    let product = &weight * raw.view([1, 8, 8]);
    assert!(close(&attribution(&classifier, "integrated-gradients", "", &raw, 3), &product));
    assert!(close(&attribution(&classifier, "occlusion", "window=1", &raw, 3), &product));
}

#[test]
fn a_table_is_explained_column_by_column_and_grad_cam_rejects_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: "iris".into(), epochs: 30, ..Config::default() };
    let classifier = trained(folder.path(), config);
    let raw = Tensor::from_slice(&[5.1f32, 3.5, 1.4, 0.2]).view([1, 4]);
    for method in ["integrated-gradients", "smooth-grad", "occlusion"] {
        assert_eq!(attribution(&classifier, method, "", &raw, 0).size(), [4]);
    }
    let subject = Subject::new(&classifier, 0);
    let refused = Explainer::new("grad-cam", "").unwrap().attribute(&subject, &raw).unwrap_err().to_string();
    assert!(refused.contains("needs a model with convolutions"), "{refused}");
}

#[test]
fn grad_cam_maps_have_the_size_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = model(folder.path(), "resnet9", "width=8", 3);
    let raw = digits(4);
    for row in 0..4 {
        let map = attribution(&classifier, "grad-cam", "", &raw.narrow(0, row, 1), row as usize);
        assert_eq!(map.size(), [1, 8, 8]);
        assert!(map.min().double_value(&[]) >= 0. && map.max().double_value(&[]) > 0.);
    }
}
