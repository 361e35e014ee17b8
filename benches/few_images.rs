//! A pretrained EfficientNet-Lite0 compared with training from scratch on few images of Fashion-MNIST: `make bench-few-images`.
//!
//! The images are those of Debian's package `dataset-fashion-mnist`, or of the folder `FASHION_MNIST`. The test set is the first 200
//! test images of each class.

#[path = "support/lite0.rs"]
mod lite0;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use cresset::data::{self, DataOptions, Dataset, Inputs, Subset};
use cresset::predict;
use image::GrayImage;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

const PACKAGE: &str = "/usr/share/datasets/fashion-mnist";

/// Training images of each class, a fifth of them for validation.
const COUNTS: [usize; 3] = [10, 50, 200];

/// Test images of each class.
const TESTED: usize = 200;

const SEEDS: u64 = 3;

/// The name of a method and the options that it adds; all but the first are for the pretrained weights.
const METHODS: [(&str, &[&str]); 3] = [
    ("from scratch, automatic recipe", &[]),
    ("Lite0, `--head-only`", &["--head-only", "--image-size", "128"]),
    (
        "Lite0, `--head-only --finetune`",
        &["--head-only", "--finetune", "--image-size", "128", "--epochs", "5", "--lr", "0.0003"],
    ),
];

fn main() {
    support::enter_checkout();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-few-images` sets CRESSET_PYTHON");
    lite0::write(&python, &path("weights"));
    let source = std::env::var("FASHION_MNIST").unwrap_or(PACKAGE.to_string());
    let dataset = data::read(&source, &DataOptions::default()).expect("Fashion-MNIST is installed");

    println!("| images per class | | mean | seeds 0 to {} |\n| --- | --- | --- | --- |", SEEDS - 1);
    for count in COUNTS {
        let photos: Vec<PathBuf> = (0..SEEDS)
            .map(|seed| {
                let photos = path(&format!("{count}-{seed}"));
                write(&dataset, Subset::Train, count, seed, &photos.join("train"));
                write(&dataset, Subset::Test, TESTED, 0, &photos.join("test"));
                photos
            })
            .collect();
        for (index, (name, options)) in METHODS.iter().enumerate() {
            let found: Vec<f64> = (0..SEEDS)
                .map(|seed| {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
                    command.args(["train", "--seed", &seed.to_string(), "--data"]);
                    command.arg(&photos[seed as usize]).args(*options).env("HF_HUB_OFFLINE", "1");
                    if index > 0 {
                        command.arg("--pretrained").arg(path("weights"));
                    }
                    let out = path(&format!("{count}-{seed}-{index}"));
                    let (_, _) = support::seconds(command.arg("--out").arg(&out));
                    100. * test_accuracy(&out)
                })
                .collect();
            let each: Vec<_> = found.iter().map(|accuracy| format!("{accuracy:.1}")).collect();
            let mean = found.iter().sum::<f64>() / SEEDS as f64;
            println!("| {count} | {name} | {mean:.1} % | {} |", each.join(", "));
        }
    }
}

/// Writes `count` images of each class of a subset as PNG files; the first ones for the test set, else random ones.
fn write(dataset: &Dataset, subset: Subset, count: usize, seed: u64, folder: &Path) {
    let Inputs::Bytes(pixels) = &dataset.inputs else { panic!("IDX files have bytes") };
    let subsets = dataset.portions.as_ref().expect("the files are those of a training set and a test set");
    let size = dataset.shape.features() as usize;
    for (class, name) in dataset.classes.iter().enumerate() {
        let is_wanted = |row: &usize| subsets[*row] == subset && dataset.labels[*row] == class as i64;
        let mut rows: Vec<usize> = (0..dataset.rows()).filter(is_wanted).collect();
        if subset == Subset::Train {
            rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for row in rows.into_iter().take(count) {
            let image =
                GrayImage::from_raw(28, 28, pixels[row * size..][..size].to_vec()).expect("28 × 28 pixels");
            image.save(folder.join(format!("{row}.png"))).expect("an image");
        }
    }
}

/// The accuracy on the test set, from 0 to 1.
fn test_accuracy(run: &Path) -> f64 {
    let metadata = predict::metadata(&run.join("model.pt")).expect("the run exported a model");
    let test = metadata.metrics.test.expect("there is a test set");
    test.figures["accuracy"].as_f64().expect("a number")
}
