//! The same digits in each format that is read: each trains with one command, and to the same accuracy.

use std::path::Path;

use crate::support::samples::Digits;
use crate::support::{succeed, text};
use cresset::export::Metadata;
use cresset::predict::Classifier;
use tch::Device;

fn train(data: &Path, options: &[&str]) -> Metadata {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--recipe", "none", "--data", text(data), "--out", text(&run)].iter().chain(options));
    Classifier::load_on(&run.join("model.pt"), Device::Cpu).unwrap().metadata().clone()
}

fn assert_digits(metadata: &Metadata) {
    let accuracy = metadata.metrics.validation["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.93, "{accuracy}");
    assert_eq!(metadata.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn idx_files_train_alone_and_as_a_folder_with_a_test_set() {
    let (digits, folder) = (Digits::read(), tempfile::tempdir().unwrap());
    digits.write_idx(folder.path(), "train", 0..1500);
    digits.write_idx(folder.path(), "t10k", 1500..1797);
    let metadata = train(folder.path(), &[]);
    assert_digits(&metadata);
    assert_eq!((metadata.metrics.train_rows, metadata.metrics.validation_rows), (1200, 300));
    assert_eq!(metadata.metrics.test.unwrap().rows, 297);
    let train_file = folder.path().join("train-images-idx3-ubyte.gz");
    assert!(train(&train_file, &[]).metrics.test.is_none());
}

#[test]
fn numpy_arrays_train() {
    let (digits, folder) = (Digits::read(), tempfile::tempdir().unwrap());
    let (x, y) = digits.npy();
    let path = folder.path().join("images.npy");
    std::fs::write(&path, &x).unwrap();
    std::fs::write(folder.path().join("labels.npy"), &y).unwrap();
    assert_digits(&train(&path, &[]));

    let path = folder.path().join("digits.npz");
    digits.write_npz(&path);
    assert_digits(&train(&path, &[]));
}

#[test]
fn cifar_files_train_with_the_names_of_their_classes() {
    let folder = tempfile::tempdir().unwrap();
    Digits::read().write_cifar(folder.path());
    let metadata = train(folder.path(), &["--epochs", "3"]);
    assert_eq!(metadata.classes, ["one", "zero"]);
    assert!(metadata.metrics.validation["accuracy"].as_f64().unwrap() > 0.9);
}
