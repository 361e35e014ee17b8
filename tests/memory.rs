//! The memory of a training: it does not grow with the epochs, nor with the number of pictures that are streamed.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jpeg_encoder::{ColorType, Encoder};
use support::job::epochs;
use support::{cresset, text};

/// A line of /proc/PID/status in MB; none when the process has ended.
fn status_mb(child: &Child, line: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let found = status.lines().find_map(|known| known.strip_prefix(line))?;
    found.split_whitespace().next()?.parse::<f64>().ok().map(|kb| kb / 1024.)
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("cresset starts")
}

/// Of a tape of 300 kB for each step or epoch, say, this would see 24 MB and more.
#[test]
fn a_hundred_epochs_take_no_more_memory_than_thirty() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = cresset();
    let mut child = start(
        command
            .args(["train", "--epochs", "130", "--model", "cnn", "--model-options", "width=4"])
            .args(["--out", text(&out)]),
    );
    let (mut early, mut late) = (0f64, 0f64);
    while child.try_wait().unwrap().is_none() {
        let resident = status_mb(&child, "VmRSS:").unwrap_or(0.);
        match epochs(&out).len() {
            20..=30 => early = early.max(resident),
            110..=129 => late = late.max(resident),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    assert!(early > 50. && late > 50., "{early} MB and {late} MB were seen");
    assert!(late <= early + 6., "{early} MB after 20 to 30 epochs, {late} MB after 110 to 130");
}

/// Names of a picture, as many as are wanted, in two classes.
fn write_pictures(data: &Path, count: usize) {
    let (width, height) = (600u16, 450u16);
    let size = usize::from(width) * usize::from(height) * 3;
    for class in ["a", "b"] {
        let original = data.join(class).join("0.jpg");
        std::fs::create_dir_all(original.parent().unwrap()).unwrap();
        let shade = |place: usize| ((place * if class == "a" { 7 } else { 13 }) % 251) as u8;
        let pixels: Vec<u8> = (0..size).map(shade).collect();
        Encoder::new_file(&original, 90).unwrap().encode(&pixels, width, height, ColorType::Rgb).unwrap();
        for number in 1..count / 2 {
            std::fs::hard_link(&original, original.with_file_name(format!("{number}.jpg"))).unwrap();
        }
    }
}

/// The memory (MB) that a training on so many streamed pictures takes most of its time. Not its peak, which is how the sizes of
/// a few moments happen to add up: of more moments, the largest is larger.
fn usual_mb(folder: &Path, pictures: usize) -> f64 {
    let data = folder.join(pictures.to_string());
    write_pictures(&data, pictures);
    let out = folder.join(format!("run-{pictures}"));
    let mut command = cresset();
    command.args([
        "train",
        "--epochs",
        "1",
        "--augment",
        "random-resized-crop",
        "--model-options",
        "width=4",
    ]);
    let mut child = start(command.args(["--data", text(&data), "--out", text(&out)]));
    let mut seen = Vec::new();
    while child.try_wait().unwrap().is_none() {
        seen.extend(status_mb(&child, "VmRSS:"));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    seen.sort_by(f64::total_cmp);
    seen[seen.len() / 2]
}

/// At 224 × 224 and a byte a value, the pictures of the larger folder would take 360 MB more if all were kept: 180 MB halfway.
#[test]
fn streamed_pictures_take_the_same_memory_however_many_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (usual_mb(folder.path(), 800), usual_mb(folder.path(), 3_200));
    assert!(few > 100. && many <= few + 60., "{few} MB for 800 pictures, {many} MB for 3,200");
}
