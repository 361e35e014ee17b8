//! Training on ten gigabytes of images, and its memory use.
//!
//! The files are hard links to a few different ones, which saves disk space but no work: the program lists, reads and decodes
//! each file separately.

use std::path::Path;
use std::process::Command;

use jpeg_encoder::{ColorType, Encoder};

use crate::support::watched;

const BYTES: u64 = 10_000_000_000;
const SIZE: (u16, u16) = (1800, 1350);
const DIFFERENT: usize = 8;
const CLASSES: [&str; 2] = ["a", "b"];

/// The memory limit of the process, in MB.
const LIMIT: f64 = 1000.;

/// Trains for one epoch, and prints the time and the peak resident set size.
pub fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("pictures");
    let count = write(&data);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args([
        "train",
        "--recipe",
        "none",
        "--epochs",
        "1",
        "--image-size",
        "64",
        "--model",
        "cnn",
        "--model-options",
        "width=4",
        "--data",
    ]);
    command.arg(&data).arg("--out").arg(folder.path().join("run"));
    let (seconds, _, peak) = watched(&mut command);
    println!(
        "{count} JPEGs of {} × {}, {:.1} GB in total: an epoch of training and an evaluation took {seconds:.0} s and {peak:.0} MB",
        SIZE.0,
        SIZE.1,
        BYTES as f64 / 1e9
    );
    assert!(peak < LIMIT, "the process used more than {LIMIT} MB");
}

/// Writes files until their total size is reached, and returns their number.
fn write(data: &Path) -> usize {
    let files: Vec<_> = (0..DIFFERENT)
        .map(|number| {
            let path = data.join(CLASSES[number % 2]).join(format!("original-{number}.jpg"));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for a class");
            let encoder = Encoder::new_file(&path, 95).expect("a file");
            encoder.encode(&pixels(number), SIZE.0, SIZE.1, ColorType::Rgb).expect("an image");
            path
        })
        .collect();
    let mut bytes = 0;
    let mut count = 0;
    while bytes < BYTES {
        let original = &files[count % DIFFERENT];
        let name = format!("{count:06}.jpg");
        std::fs::hard_link(original, original.with_file_name(name)).expect("a name");
        bytes += original.metadata().expect("a file").len();
        count += 1;
    }
    count + DIFFERENT
}

/// Waves with noise, which makes the file large.
fn pixels(number: usize) -> Vec<u8> {
    let (width, height) = (usize::from(SIZE.0), usize::from(SIZE.1));
    let mut state = number as u32 + 1;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as u8
    };
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let wave = ((x * (number + 1)) as f32 / 90.).sin() + (y as f32 / 70.).cos();
            pixels.extend([0, 1, 2].map(|_| (100. + wave * 40.) as u8 + noise()));
        }
    }
    pixels
}
