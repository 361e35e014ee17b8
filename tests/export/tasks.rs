//! Exported models of several labels and of a number, loaded by libtorch without cresset, against `cresset predict`.

use std::path::{Path, PathBuf};

use crate::support::targets::{predicted, prices_run, tagged_images_run, tags_run};
use crate::support::{succeed, text};
use safetensors::SafeTensors;
use serde_json::Value;
use tch::{CModule, IValue, Kind, Tensor};

/// Raw inputs, and the file from which `cresset predict` reads the same. The rows of the prices have red as the second category.
pub struct Inputs {
    pub values: Tensor,
    pub file: PathBuf,
}

pub fn tags(folder: &Path) -> Inputs {
    let values =
        Tensor::from_slice2(&[[0.9f32, 0.8, 0.9], [-0.9, -0.9, -0.9], [0.9, -0.9, -0.5], [0.02, -0.2, 0.9]]);
    let file = folder.join("tag-rows.csv");
    std::fs::write(&file, "a,b,c\n0.9,0.8,0.9\n-0.9,-0.9,-0.9\n0.9,-0.9,-0.5\n0.02,-0.2,0.9\n").unwrap();
    Inputs { values, file }
}

pub fn prices(folder: &Path) -> Inputs {
    let values = Tensor::from_slice2(&[[0.5f32, 0.1, 0., 1.], [-0.5, 0.4, 1., 0.]]);
    let file = folder.join("price-rows.csv");
    std::fs::write(&file, "x,y,color\n0.5,0.1,red\n-0.5,0.4,blue\n").unwrap();
    Inputs { values, file }
}

/// The results of the method `predict` of a module for inputs.
fn predict(module: &CModule, inputs: &Tensor) -> (Tensor, Tensor) {
    let pair =
        tch::no_grad(|| module.method_is("predict", &[IValue::Tensor(inputs.shallow_clone())])).unwrap();
    <(Tensor, Tensor)>::try_from(pair).unwrap()
}

/// The probabilities of the labels in a line of `cresset predict`, in the order of the labels.
fn probabilities(line: &Value, labels: &[&str]) -> Vec<f64> {
    labels.iter().map(|label| line["probabilities"][label].as_f64().unwrap()).collect()
}

/// Fails unless `predict` of a file gives the labels of `cresset predict`, and its probabilities up to rounding.
fn check_labels(file: &Path, inputs: &Inputs, labels: &[&str]) {
    let module = CModule::load(file).unwrap();
    let (found, shares) = predict(&module, &inputs.values);
    assert_eq!((found.kind(), shares.kind()), (Kind::Bool, Kind::Float));
    let lines = predicted(file, &inputs.file);
    assert_eq!(found.size(), [lines.len() as i64, labels.len() as i64]);
    for (row, line) in (0..).zip(&lines) {
        let expected = probabilities(line, labels);
        let shares = Vec::<f64>::try_from(shares.get(row).to_kind(Kind::Double)).unwrap();
        let difference = shares.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(difference < 1e-5, "{}: {shares:?}, not {expected:?}", file.display());
        let found = Vec::<bool>::try_from(found.get(row)).unwrap();
        let found: Vec<_> = labels.iter().zip(found).filter(|(_, is)| *is).map(|(label, _)| *label).collect();
        assert_eq!(line["labels"], serde_json::json!(found), "{}", file.display());
    }
}

/// Fails unless `predict` of a file gives the numbers of `cresset predict` and their intervals.
fn check_numbers(file: &Path, inputs: &Inputs) {
    let module = CModule::load(file).unwrap();
    let (values, bounds) = predict(&module, &inputs.values);
    let lines = predicted(file, &inputs.file);
    assert_eq!((values.size(), bounds.size()), (vec![lines.len() as i64], vec![lines.len() as i64, 2]));
    let forward = tch::no_grad(|| module.forward_ts(&[&inputs.values])).unwrap();
    assert_eq!(forward.view(-1), values);
    for (row, line) in (0..).zip(&lines) {
        let found =
            [values.double_value(&[row]), bounds.double_value(&[row, 0]), bounds.double_value(&[row, 1])];
        let expected =
            [&line["value"], &line["interval"][0], &line["interval"][1]].map(|value| value.as_f64().unwrap());
        let is_close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(is_close, "{}: {found:?}, not {expected:?}", file.display());
    }
}

/// The files of a run: plain, in all variants, and int8.
fn files(run: &Path) -> Vec<PathBuf> {
    let mut files = vec![run.join("model.pt")];
    for (number, options) in
        [&["--freeze"] as &[&str], &["--optimize"], &["--dtype", "bf16"], &["--dtype", "fp16", "--freeze"]]
            .into_iter()
            .enumerate()
    {
        let file = run.join(format!("variant-{number}.pt"));
        succeed([&["export", text(run), "--output", text(&file)], options].concat());
        files.push(file);
    }
    succeed(["compress", text(run), "--quantize", "int8"]);
    files.push(run.join("compressed/int8.pt"));
    files
}

#[test]
fn every_file_predicts_the_labels_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = tags(folder.path());
    for file in files(&tags_run(folder.path())) {
        check_labels(&file, &inputs, &["hot", "rare", "wide"]);
    }
}

#[test]
fn every_file_predicts_the_numbers_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = prices(folder.path());
    for file in files(&prices_run(folder.path())) {
        check_numbers(&file, &inputs);
    }
}

#[test]
fn images_get_the_labels_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = tagged_images_run(folder.path());
    for name in ["0", "7", "11"] {
        let file = folder.path().join(format!("tagged/{name}.png"));
        let pixels = image::open(&file).unwrap().to_rgb8().into_raw();
        let values = Tensor::from_slice(&pixels).view([1, 16, 16, 3]).permute([0, 3, 1, 2]).contiguous();
        check_labels(&run.join("model.pt"), &Inputs { values, file }, &["blue", "green", "red"]);
    }
}

#[test]
fn a_file_of_weights_has_the_thresholds_or_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    for (run, task, field) in [
        (tags_run(folder.path()), "multilabel", "thresholds"),
        (prices_run(folder.path()), "regression", "interval"),
    ] {
        let file = folder.path().join(format!("{task}.safetensors"));
        let said = succeed(["export", text(&run), "--output", text(&file)]);
        assert!(said.contains(": validation "), "{said}");
        let bytes = std::fs::read(&file).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let outputs: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["outputs"]).unwrap();
        assert_eq!(outputs["task"], task);
        let metadata = cresset::predict::metadata(&run.join("model.pt")).unwrap();
        assert_eq!(outputs, serde_json::to_value(&metadata.outputs).unwrap());
        assert!(!outputs[field].is_null(), "{outputs}");
    }
}
