//! What the tests share: the program, the digits, and folders that go away.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod browser;
#[allow(dead_code, reason = "every program of tests uses a part of it")]
pub mod collector;
pub mod coverage;
pub mod encoder;
pub mod http;
pub mod hub;
pub mod job;
pub mod mixed;
#[allow(dead_code, reason = "every program of tests uses a part of it")]
pub mod mlflow;
pub mod onnx;
pub mod pretrained;
pub mod samples;
pub mod server;
pub mod shift;
pub mod shown;
pub mod sizes;
pub mod targets;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cresset::data::Dataset;
use cresset::model::preprocessing::TensorDataset;
use tch::{Device, Tensor};

/// `target/…/cresset`, or the program of the GPU kit, to be run in the checkout or kit, without a model hub and with an empty cache of
/// models.
pub fn cresset() -> Command {
    let program = kit().map(|kit| kit.join("bin/cresset"));
    let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_cresset").into()));
    command.current_dir(root());
    without_hub(&mut command);
    command
}

/// Lets a command find no model of a hub, so that no test needs a network.
pub fn without_hub(command: &mut Command) {
    command.env("HF_HUB_OFFLINE", "1").env("HF_HUB_CACHE", root().join("target/no-models"));
}

/// Runs the program with these arguments.
pub fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    cresset().args(arguments).output().expect("cresset starts")
}

/// Runs the program, which must end well, and gives what it printed.
pub fn succeed<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}

/// The files of a folder: paths relative to it, and contents.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Trains a run into `out`. With the options of an earlier call, its files are copied instead, which have the same bits.
pub fn train_once(out: &Path, options: &[&str]) {
    static RUNS: Mutex<BTreeMap<String, Files>> = Mutex::new(BTreeMap::new());
    let key = options.join(" ");
    let known = RUNS.lock().unwrap().get(&key).cloned();
    let Some(files) = known else {
        succeed(["train", "--out", text(out)].iter().chain(options));
        let mut files = Files::new();
        read_files(out, out, &mut files);
        RUNS.lock().unwrap().insert(key, files);
        return;
    };
    for (within, contents) in files {
        let path = out.join(within);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).unwrap();
        std::fs::write(path, contents).unwrap();
    }
}

fn read_files(root: &Path, folder: &Path, files: &mut Files) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_files(root, &path, files);
        } else {
            files.push((path.strip_prefix(root).unwrap().to_path_buf(), std::fs::read(&path).unwrap()));
        }
    }
}

/// What a program wrote to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// Does something with each item, two at a time. Most commands of the program take one processor for a good part of their time,
/// because libtorch takes a while to load.
pub fn two_at_a_time<T: Sync>(items: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            each(item);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

/// The checkout.
pub fn root() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    kit().unwrap_or_else(|| checkout.expect("crates/cli is in the checkout").to_path_buf())
}

/// The folder of the GPU kit, if the tests run there: it has no checkout and no cargo.
fn kit() -> Option<PathBuf> {
    std::env::var_os("CRESSET_KIT").map(PathBuf::from)
}

/// A file with the first `count` rows of the digits, without their labels.
pub fn unlabelled_digits(folder: &Path, count: usize) -> PathBuf {
    let digits =
        std::fs::read_to_string(root().join("data/digits.csv")).expect("`make data` fetches the digits");
    let rows = digits.lines().take(count).map(|line| line.rsplit_once(',').expect("a label stands last").0);
    let path = folder.join(format!("rows-{count}.csv"));
    std::fs::write(&path, rows.map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    path
}

/// The first `count` digits as PNG files of 8 × 8 pixels, `folder/NUMBER.png`.
pub fn digit_images(folder: &Path, dataset: &Dataset, count: i64) -> Vec<PathBuf> {
    let values = Vec::<f32>::try_from(first_rows(dataset, count).view(-1)).unwrap();
    let write = |(number, values): (usize, &[f32])| {
        let path = folder.join(format!("{number}.png"));
        let pixel = |x: u32, y: u32| image::Luma([(values[(8 * y + x) as usize] * 255. / 16.).round() as u8]);
        image::GrayImage::from_fn(8, 8, pixel).save(&path).unwrap();
        path
    };
    values.chunks(64).enumerate().map(write).collect()
}

/// The numbers in each line that an example prints, behind so many words.
pub fn logits_of(printed: &str, words: usize) -> Vec<Vec<f32>> {
    let numbers =
        |line: &str| line.split_whitespace().skip(words).map(|word| word.parse().unwrap()).collect();
    printed.lines().map(numbers).collect()
}

/// The largest difference between two tables of numbers, which must have the same shape.
pub fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(x, y)| (x - y).abs()).fold(0., f32::max)
}

/// The contents of the files that must be equal when two runs computed the same.
pub fn bits(run: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let files = ["model.pt", "checkpoints/last.safetensors", "checkpoints/best.safetensors", "split.csv"];
    files.map(|file| (file, std::fs::read(run.join(file)).unwrap_or_else(|e| panic!("{file}: {e}")))).to_vec()
}

/// The validation accuracy (0 to 1) after the last epoch of a run.
pub fn last_accuracy(run: &Path) -> f64 {
    let records = cresset::train::MetricsLog::read(&run.join("metrics.csv")).unwrap();
    records.last().expect("an epoch ended").validation_accuracy
}

/// Fails unless two runs computed the same.
pub fn assert_same_bits(a: &Path, b: &Path) {
    for ((file, first), (_, second)) in bits(a).into_iter().zip(bits(b)) {
        assert!(first == second, "{file} differs between {} and {}", a.display(), b.display());
    }
}

/// The first `count` examples of a data set, raw: (N, features).
pub fn first_rows(dataset: &Dataset, count: i64) -> Tensor {
    TensorDataset::of(dataset, &(0..count).collect::<Vec<_>>(), Device::Cpu).inputs
}

/// A folder of color images, 40 pixels wide and high, so many of each of three classes: mostly red, green or blue.
pub fn color_images(folder: &Path, each: usize) {
    for (class, name) in ["red", "green", "blue"].into_iter().enumerate() {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for number in 0..each {
            let image = image::RgbImage::from_fn(40, 40, |x, y| {
                let noise =
                    |channel: usize| ((x * 7 + y * 13 + number as u32 * 31 + channel as u32 * 5) % 90) as u8;
                image::Rgb(std::array::from_fn(|channel| {
                    noise(channel) + if channel == class { 140 } else { 0 }
                }))
            });
            image.save(folder.join(name).join(format!("{number}.png"))).unwrap();
        }
    }
}
