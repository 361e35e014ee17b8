//! Images to batches: JPEGs of 500 × 375, RandomResizedCrop 224, flip and normalize, compared with torchvision.

use std::path::Path;
use std::time::Instant;

use cresset::data::random::{Purpose, stream};
use cresset::loader::{Batch, Pass};
use cresset::options::Config;
use cresset::run::Prepared;
use jpeg_encoder::{ColorType, Encoder};
use rand::RngExt;
use serde_json::json;

use crate::contest::{Contestant, Scale, compete, own, python, serve};
use crate::table::{Row, Verdict};

/// Images of a full run; a quick run uses a fifth.
const IMAGES: usize = 1500;
const BATCH: u32 = 64;
const CORES: usize = 2;

/// Numbers of torchvision workers to try; the best one counts.
const WORKERS: [&str; 4] = ["0", "1", "2", "3"];

/// Measures the group.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder for the images");
    let count = if scale == Scale::Full { IMAGES } else { IMAGES / 5 };
    let bytes = write_images(folder.path(), count);
    let mut ours = own("pictures", CORES);
    ours.arg(folder.path());
    let mut contestants = vec![Contestant::waiting("cresset", ours)];
    let workers = if scale == Scale::Full { &WORKERS[..] } else { &WORKERS[2..3] };
    contestants.extend(workers.iter().map(|workers| {
        let mut command = python("CRESSET_PYTHON", "loader_torchvision.py", CORES);
        command.arg(folder.path()).arg(workers);
        Contestant::waiting(format!("torchvision, {workers} workers"), command)
    }));
    let results = compete(contestants, scale.rounds());
    for (place, side) in results.iter().enumerate() {
        // Cresset uses a fifth for validation.
        let expected = if place == 0 { count * 4 / 5 } else { count };
        assert!(
            side.of("pictures").iter().all(|count| *count == expected as f64),
            "{}: not all images were read",
            side.name
        );
    }
    let row = Row {
        name: "JPEG folder, 224 px: images to batches",
        figure: "per_s",
        unit: "images/s",
        goal: 2.,
        more_is_better: true,
        check: format!(
            "{count} JPEGs of 500 × 375, {:.0} kB each, one epoch per round",
            bytes as f64 / count as f64 / 1e3
        ),
    };
    vec![Verdict::new(row, &results[0], &results[1..])]
}

/// Our side: reads the images like a training run, one epoch per round.
pub fn work(arguments: &[String]) {
    let [folder] = arguments else { panic!("a folder") };
    let config =
        Config { data: folder.clone(), augment: "random-resized-crop,flip".into(), ..Config::default() };
    let prepared = Prepared::new(&config).expect("the images are readable");
    let mut epoch = 0;
    let mut round = || {
        epoch += 1;
        let begun = Instant::now();
        let rows = |batch: cresset::error::Result<Batch>| batch.expect("a batch").labels.size()[0];
        let pictures: i64 = prepared.train.epoch(Pass::new(epoch, BATCH, 0)).map(rows).sum();
        json!({ "per_s": pictures as f64 / begun.elapsed().as_secs_f64(), "pictures": pictures })
    };
    let ready = round();
    serve(&ready, round);
}

/// Writes two classes of images with shapes of all sizes, like photographs, and some noise. Returns their size in bytes.
fn write_images(folder: &Path, count: usize) -> u64 {
    let mut bytes = 0;
    for number in 0..count {
        let class = folder.join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).expect("a folder for a class");
        let path = class.join(format!("{number:04}.jpg"));
        let encoder = Encoder::new_file(&path, 90).expect("a file");
        encoder.encode(&picture(number as u64), 500, 375, ColorType::Rgb).expect("an image");
        bytes += path.metadata().expect("an image was written").len();
    }
    bytes
}

fn picture(number: u64) -> Vec<u8> {
    let mut generator = stream(1, Purpose::Augment, number);
    let waves: Vec<[f32; 6]> = (0..18)
        .map(|wave| {
            let frequency = 0.5 * 1.35f32.powi(wave);
            let mut draw = |most: f32| generator.random_range(-most..=most);
            [draw(frequency), draw(frequency), draw(3.2), draw(1.), draw(1.), draw(1.)]
        })
        .collect();
    let mut pixels = Vec::with_capacity(500 * 375 * 3);
    for y in 0..375 {
        for x in 0..500 {
            let (u, v) = (x as f32 / 80., y as f32 / 80.);
            let mut color = [0f32; 3];
            for (index, [a, b, phase, red, green, blue]) in waves.iter().enumerate() {
                let value = (a * u + b * v + phase).sin() * 60. / (1. + index as f32 * 0.35);
                color = [color[0] + value * red, color[1] + value * green, color[2] + value * blue];
            }
            pixels.extend(color.map(|value| (128. + value + generator.random_range(-8f32..=8.)) as u8));
        }
    }
    pixels
}
