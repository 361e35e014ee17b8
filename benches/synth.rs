//! The benefit of synthetic images: the digits with 5, 10 and 50 real images per class, alone and with 200 synthetic images
//! per class. Both are trained for the same number of steps and tested on all other digits.
//!
//! Run it with `cargo bench --bench synth`.

use std::path::Path;

use cresset::data::random::{Purpose, stream};
use cresset::data::{self, DataOptions, Dataset};
use cresset::distributed::World;
use cresset::loader::synthesis::Synthesis;
use cresset::options::Config;
use cresset::run::{self, Outcome};
use cresset::train::Silent;
use rand::seq::SliceRandom;

const SYNTHETIC: u32 = 200;
const EPOCHS: u32 = 20;
const SEEDS: u64 = 10;

fn main() {
    println!(
        "real / class   accuracy: real alone    with {SYNTHETIC} synthetic per class   gain (min–max of {SEEDS} seeds)"
    );
    for real in [5, 10, 50] {
        let pairs: Vec<_> = (0..SEEDS).map(|seed| compare(real, seed)).collect();
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| 100. * pairs.iter().map(of).sum::<f64>() / SEEDS as f64;
        let mut gains: Vec<_> = pairs.iter().map(|(alone, with)| 100. * (with - alone)).collect();
        gains.sort_by(f64::total_cmp);
        println!(
            "{real:>12}   {:>18.2} %   {:>27.2} %   {:+.2} points ({:+.2}–{:+.2})",
            mean(&|pair| pair.0),
            mean(&|pair| pair.1),
            mean(&|pair| pair.1 - pair.0),
            gains[0],
            gains[gains.len() - 1]
        );
    }
}

/// The accuracy without and with synthetic images.
fn compare(real: usize, seed: u64) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder for the images");
    let (chosen, rest) = choose(real, seed);
    let digits = || data::load("digits", &DataOptions::default()).expect("`make data` fetches the digits");
    let (chosen, rest) = (digits().select(&chosen), digits().select(&rest));
    let accuracy = |name: &str, per_class: u32| {
        let root = folder.path().join(name);
        write(&chosen, &root.join("train"), per_class, seed);
        write(&rest, &root.join("test"), 0, seed);
        // The same number of steps with few images as with many.
        let epochs = EPOCHS * (real as u32 + SYNTHETIC) / (real as u32 + per_class);
        train(&root, &folder.path().join(format!("run-{name}")), epochs, seed)
    };
    (accuracy("alone", 0), accuracy("with", SYNTHETIC))
}

/// The rows of `real` images of each class, and those of all others.
fn choose(real: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let dataset = data::load("digits", &DataOptions::default()).expect("`make data` fetches the digits");
    let mut rows: Vec<usize> = (0..dataset.rows()).collect();
    rows.shuffle(&mut stream(seed, Purpose::Split, 1));
    let mut counts = vec![0; dataset.classes.len()];
    rows.into_iter().partition(|row| {
        let count = &mut counts[dataset.labels[*row] as usize];
        *count += 1;
        *count <= real
    })
}

fn write(dataset: &Dataset, folder: &Path, per_class: u32, seed: u64) {
    let augmentation = "digits".parse().expect("a valid preset");
    let synthesis = Synthesis { per_class, mixed: 0.5, augmentation, seed };
    synthesis.write(dataset, folder).expect("the images are written");
}

fn train(data: &Path, out: &Path, epochs: u32, seed: u64) -> f64 {
    let (data, recipe) = (data.to_string_lossy().into_owned(), "none".to_string());
    let config = Config { data, recipe, epochs, seed, ..Config::default() };
    let run = run::start(&config, Some(out), &World::alone()).expect("the run starts");
    match run::finish(run, &mut Silent, &|| false).expect("the run finishes") {
        Outcome::Trained(trained) => trained.evaluations.test.expect("there is a test set").accuracy(),
        Outcome::Interrupted { .. } | Outcome::CompletedOnRank0 => {
            unreachable!("it is alone, and nobody interrupts")
        }
    }
}
