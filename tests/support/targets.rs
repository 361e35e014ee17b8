//! Data with several labels or a number for each example, and choices of items.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::samples::write_clicks;
use super::{succeed, text, train_once};

/// A value from -1 to 1 that looks random.
fn value(row: usize, column: usize) -> f64 {
    ((row * 37 + column * 61 + row * column * 13) % 101) as f64 / 50. - 1.
}

/// Cells of a table, with four digits.
fn cells(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(",")
}

/// The labels of which the condition holds, separated by `|`.
fn joined(labels: &[(&str, bool)]) -> String {
    let names = labels.iter().filter(|(_, holds)| *holds).map(|(name, _)| *name);
    names.collect::<Vec<_>>().join("|")
}

/// A table with three columns and any of the labels hot, rare and wide, for which simple rules hold.
pub fn write_tags(folder: &Path) -> PathBuf {
    let row = |row: usize| {
        let [a, b, c] = [0, 1, 2].map(|column| value(row, column));
        let labels = joined(&[("hot", a > 0.), ("rare", a + c > 0.9), ("wide", b > -0.2)]);
        format!("{},{labels}\n", cells(&[a, b, c]))
    };
    let path = folder.join("tags.csv");
    std::fs::write(&path, "a,b,c,tags\n".to_string() + &(0..300).map(row).collect::<String>()).unwrap();
    path
}

/// A table with two numbers, a category, and a price near 120.
pub fn write_prices(folder: &Path) -> PathBuf {
    let row = |row: usize| {
        let [x, y] = [0, 1].map(|column| value(row, column));
        let (color, factor) = [("red", 10.), ("blue", -15.)][row % 2];
        format!("{},{color},{:.3}\n", cells(&[x, y]), 120. + 30. * x + factor * y)
    };
    let path = folder.join("prices.csv");
    std::fs::write(&path, "x,y,color,price\n".to_string() + &(0..300).map(row).collect::<String>()).unwrap();
    path
}

/// A list of images of 16 × 16 pixels, each with any of the labels red, green and blue: the channels that are bright.
pub fn write_tagged_images(folder: &Path) -> PathBuf {
    let images = folder.join("tagged");
    std::fs::create_dir(&images).unwrap();
    let row = |row: usize| {
        let labels =
            [("red", row.is_multiple_of(2)), ("green", row.is_multiple_of(3)), ("blue", row % 5 < 2)];
        let image = image::RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb(std::array::from_fn(|channel| {
                let noise = (x as usize * 7 + y as usize * 13 + row * 31 + channel * 5) % 60;
                noise as u8 + if labels[channel].1 { 150 } else { 0 }
            }))
        });
        image.save(images.join(format!("{row}.png"))).unwrap();
        format!("tagged/{row}.png,{}\n", joined(&labels))
    };
    let path = folder.join("list.csv");
    std::fs::write(&path, "image,label\n".to_string() + &(0..120).map(row).collect::<String>()).unwrap();
    path
}

/// Trains a run on a file of this module, on the CPU, and gives its folder.
pub fn trained(folder: &Path, data: &Path, task: &str, options: &[&str]) -> PathBuf {
    let run = folder.join(format!("run-{}", data.file_stem().unwrap().to_str().unwrap()));
    let base = ["train", "--data", text(data), "--task", task, "--recipe", "none", "--device", "cpu"];
    succeed(base.iter().chain(&["--out", text(&run)]).chain(options));
    run
}

/// A run on [`write_tags`].
pub fn tags_run(folder: &Path) -> PathBuf {
    trained(folder, &write_tags(folder), "multilabel", &["--epochs", "15"])
}

/// A run on [`write_prices`].
pub fn prices_run(folder: &Path) -> PathBuf {
    trained(folder, &write_prices(folder), "regression", &["--epochs", "15"])
}

/// A run on [`write_tagged_images`].
pub fn tagged_images_run(folder: &Path) -> PathBuf {
    let list = write_tagged_images(folder);
    let options = ["--model", "cnn", "--model-options", "width=4", "--epochs", "4", "--image-size", "16"];
    trained(folder, &list, "multilabel", &options)
}

/// The lines of `cresset predict --output jsonl`, with all labels.
pub fn predicted(model: &Path, input: &Path) -> Vec<Value> {
    let said = succeed([
        "predict",
        text(model),
        text(input),
        "--output",
        "jsonl",
        "--top-k",
        "9",
        "--probabilities",
    ]);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A run on the choices of users in `clicks.csv`.
pub fn clicks_run(folder: &Path) -> PathBuf {
    let (data, out) = (folder.join("clicks.csv"), folder.join("run"));
    write_clicks(&data);
    let options = ["--data", text(&data), "--user", "user", "--item", "item", "--split", "leave-one-out:day"];
    train_once(&out, &[&options[..], &["--threads", "1"]].concat());
    out
}
