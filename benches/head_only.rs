//! `cresset train --head-only`: 1,000 JPEGs of 500 × 375 pixels in ten classes, from the files to an exported classifier, with the
//! ImageNet weights of EfficientNet-Lite0; and the same job with timm and scikit-learn: `make bench-head`.

#[path = "support/lite0.rs"]
mod lite0;
mod support;

use std::path::Path;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use support::{ratio, seconds, spread};

const CLASSES: u64 = 10;
const EACH: u64 = 100;
const SIZE: (u32, u32) = (500, 375);
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/peers/head_timm.py");

/// The largest ratio to the peer, and the most seconds.
const GOAL: (f64, f64) = (0.4, 30.);

fn main() {
    support::enter_checkout();
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-head` sets CRESSET_PYTHON");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    (0..CLASSES).for_each(|class| write_class(&path(&format!("photos/{class}")), class));
    lite0::write(&python, &path("weights"));

    let (mut ours, mut again, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let run = |name: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
            command.args(["train", "--head-only", "--data"]).arg(path("photos"));
            command.arg("--pretrained").arg(path("weights")).args(["--device", "cpu", "--out"]);
            command
                .arg(path(&format!("{name}-{round}")))
                .env("XDG_CACHE_HOME", path(&format!("cache-{round}")));
            let (seconds, said) = seconds(&mut command);
            let accuracy = said.lines().find(|line| line.starts_with("validation accuracy"));
            println!("cresset, {name}: {seconds:.2} s, {}", accuracy.unwrap_or("no accuracy"));
            seconds
        };
        ours.push(run("first"));
        again.push(run("cached"));
        let mut command = Command::new(&python);
        command.arg(PEER).arg(path("photos")).arg(path("weights/model.safetensors")).arg(path("peer.pt"));
        let (seconds, said) = seconds(&mut command);
        println!("timm and scikit-learn: {seconds:.2} s, {}", said.trim());
        theirs.push(seconds);
    }
    println!("\n| seconds | median (min–max) of {rounds} rounds | ratio |\n| --- | --- | --- |");
    println!("| cresset | {} | |", spread(&ours, 2));
    println!("| cresset, cached features | {} | |", spread(&again, 2));
    println!("| timm, scikit-learn | {} | {:.2} |", spread(&theirs, 2), ratio(&ours, &theirs));
    let (found, time) = (ratio(&ours, &theirs), support::median(&ours));
    println!("\ngoal: ratio ≤ {}, found {found:.2}; ≤ {} s, found {time:.2} s", GOAL.0, GOAL.1);
}

/// Writes the photos of a class: stripes of its own direction and color, with other colors and noise.
fn write_class(folder: &Path, class: u64) {
    std::fs::create_dir_all(folder).expect("a folder");
    for number in 0..EACH {
        let mut random = ChaCha8Rng::seed_from_u64(class * EACH + number);
        let angle = class as f32 * std::f32::consts::PI / CLASSES as f32 + random.random_range(-0.2..0.2);
        let (frequency, phase) = (random.random_range(0.05..0.15), random.random_range(0f32..6.));
        let tint: [f32; 3] = std::array::from_fn(|channel| {
            90. + 60. * (class as f32 + 2. * channel as f32).sin() + random.random_range(-40f32..40.)
        });
        let image = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
            let along = x as f32 * angle.cos() + y as f32 * angle.sin();
            let stripe = 50. * (along * frequency + phase).sin();
            Rgb(tint.map(|tint| (tint + stripe + random.random_range(-25f32..25.)).clamp(0., 255.) as u8))
        });
        let file = std::fs::File::create(folder.join(format!("{number:03}.jpg"))).expect("a file");
        image.write_with_encoder(JpegEncoder::new_with_quality(file, 90)).expect("an image");
    }
}
