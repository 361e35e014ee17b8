//! The same digits in each format that is read: each trains with one command, and to the same accuracy.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use cresset::data::{self, DataOptions, Inputs};
use cresset::export::Metadata;
use cresset::predict::Classifier;
use support::{succeed, text};
use tch::Device;

struct Digits {
    /// 64 values a digit, from 0 to 255.
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

fn digits() -> Digits {
    let dataset = data::load("digits", &DataOptions::default()).unwrap();
    let Inputs::Floats(values) = &dataset.inputs else { panic!("a table holds floats") };
    // 16 is white; 255 / 16 a step keeps every difference.
    let pixels = values.iter().map(|value| (value * 255. / 16.).round() as u8).collect();
    Digits { pixels, labels: dataset.labels.iter().map(|label| *label as u8).collect() }
}

fn train(data: &Path, options: &[&str]) -> Metadata {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(["train", "--data", text(data), "--out", text(&run)].iter().chain(options));
    Classifier::load(&run.join("model.pt"), Device::Cpu).unwrap().metadata().clone()
}

fn assert_digits(metadata: &Metadata) {
    let accuracy = metadata.metrics.held_out["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.93, "{accuracy}");
    assert_eq!(metadata.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn idx_files_train_by_themselves_and_as_a_folder_with_its_test_portion() {
    let Digits { pixels, labels } = digits();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: std::ops::Range<usize>| -> PathBuf {
        let count = (rows.len() as u32).to_be_bytes();
        let images =
            [&[0, 0, 8, 3], &count[..], &[0, 0, 0, 8, 0, 0, 0, 8], &pixels[64 * rows.start..64 * rows.end]];
        let path = folder.path().join(format!("{name}-images-idx3-ubyte.gz"));
        std::fs::write(&path, packed(&images.concat())).unwrap();
        let labels = [&[0, 0, 8, 1], &count[..], &labels[rows]].concat();
        std::fs::write(folder.path().join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
        path
    };
    let train_file = write("train", 0..1500);
    write("t10k", 1500..1797);
    let metadata = train(folder.path(), &[]);
    assert_digits(&metadata);
    assert_eq!((metadata.metrics.train_rows, metadata.metrics.held_out_rows), (1200, 300));
    assert_eq!(metadata.metrics.test.unwrap().rows, 297);
    assert!(train(&train_file, &[]).metrics.test.is_none());
}

#[test]
fn numpy_arrays_train() {
    let Digits { pixels, labels } = digits();
    let folder = tempfile::tempdir().unwrap();
    let npy = |shape: &str, items: &[u8]| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), items].concat()
    };
    let (x, y) = (npy("(1797, 8, 8)", &pixels), npy("(1797,)", &labels));
    let path = folder.path().join("images.npy");
    std::fs::write(&path, &x).unwrap();
    std::fs::write(folder.path().join("labels.npy"), &y).unwrap();
    assert_digits(&train(&path, &[]));

    let path = folder.path().join("digits.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in [("x.npy", x), ("y.npy", y)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
    assert_digits(&train(&path, &[]));
}

#[test]
fn cifar_files_train_with_the_names_of_their_classes() {
    let Digits { pixels, labels } = digits();
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for (row, label) in labels.iter().enumerate().filter(|(row, label)| **label < 2 && *row < 600) {
        records.push(*label);
        // Each of the 8 × 8 pixels becomes 4 × 4, in three channels.
        let pixel = |at: usize| pixels[64 * row + at % 1024 / 128 * 8 + at % 32 / 4];
        records.extend((0..3 * 1024).map(pixel));
    }
    std::fs::write(folder.path().join("data_batch_1.bin"), &records).unwrap();
    std::fs::write(folder.path().join("batches.meta.txt"), "zero\none\n").unwrap();
    let metadata = train(folder.path(), &["--epochs", "3"]);
    assert_eq!(metadata.classes, ["one", "zero"]);
    assert!(metadata.metrics.held_out["accuracy"].as_f64().unwrap() > 0.9);
}
