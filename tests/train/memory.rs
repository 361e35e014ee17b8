//! The memory of a training: it does not grow with the epochs, nor with the number of images that are streamed.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::job::epochs;
use crate::support::{cresset, run, stderr, text};
use jpeg_encoder::{ColorType, Encoder};

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

/// An array of 256 values a row in NumPy's format, and its labels beside it. Gives its size in MB.
fn write_array(folder: &Path, name: &str, rows: usize, descr: &str, row: &[u8]) -> f64 {
    let array = |name: &str, descr: &str, shape: &str, rows: &mut dyn Iterator<Item = Vec<u8>>| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(name)).unwrap());
        file.write_all(b"\x93NUMPY\x01\x00").unwrap();
        file.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
        rows.for_each(|row| file.write_all(&row).unwrap());
        file.flush().unwrap();
    };
    array(&format!("{name}.npy"), descr, &format!("({rows}, 256)"), &mut (0..rows).map(|_| row.to_vec()));
    array(
        &format!("{name}_labels.npy"),
        "|u1",
        &format!("({rows},)"),
        &mut (0..rows).map(|row| vec![row as u8 % 2]),
    );
    (rows * row.len()) as f64 / 1048576.
}

/// The most memory (MB) that a training on an array takes.
fn peak_mb(folder: &Path, name: &str) -> f64 {
    let (data, out) = (folder.join(format!("{name}.npy")), folder.join(format!("run-{name}")));
    let mut command = cresset();
    command.args([
        "train",
        "--recipe",
        "none",
        "--epochs",
        "1",
        "--batch-size",
        "4096",
        "--model-options",
        "depth=0",
    ]);
    let mut child = start(command.args(["--data", text(&data), "--out", text(&out)]));
    let mut peak = 0f64;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(status_mb(&child, "VmHWM:").unwrap_or(0.));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn data_in_memory_takes_no_more_than_twice_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let row: Vec<u8> = (0..256).flat_map(|value| (value as f32 / 256.).to_le_bytes()).collect();
    write_array(folder.path(), "small", 5_000, "<f4", &row);
    let size = write_array(folder.path(), "large", 200_000, "<f4", &row);
    let (small, large) = (peak_mb(folder.path(), "small"), peak_mb(folder.path(), "large"));
    // Buffers of 16 MB each, and some bytes for each row, come on top; a third copy would take 195 MB.
    assert!(small > 50. && large - small < 2. * size + 90., "{small} MB, and {large} MB for {size} MB more");
}

#[test]
fn files_that_are_not_data_are_rejected_without_memory_or_delay() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |data: &Path, says: &str| {
        let refused = run(["train", "--data", text(data), "--out", text(&folder.path().join("run"))]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{says}: {}", stderr(&refused));
    };
    // Nobody writes into this pipe.
    let pipe = folder.path().join("pipe.npy");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refuse(&pipe, "this is a pipe; expected a regular file");
    refuse(Path::new("/dev/zero"), "this is a device");
    // A header that lies, alone and with a hole behind it.
    write_array(folder.path(), "lying", 1, "<f4", &[0; 1024]);
    let lying = folder.path().join("lying.npy");
    let bytes = std::fs::read(&lying).unwrap();
    let at = bytes.windows(7).position(|window| window == b"(1, 256").unwrap();
    let text = [&bytes[..at], b"(2222222222, 256", &bytes[at + 7..]].concat();
    let length = text.iter().position(|byte| *byte == b'\n').unwrap() - 9;
    let bytes = [&text[..8], &(length as u16).to_le_bytes(), &text[10..]].concat();
    std::fs::write(&lying, bytes).unwrap();
    refuse(&lying, "its values would take 2.1 TiB, but the file has");
    std::fs::File::options().write(true).open(&lying).unwrap().set_len(2222222222 * 1024 + 200).unwrap();
    refuse(&lying, "its values would take 2.1 TiB, but the file has");
}

/// Names of an image, as many as are wanted, in two classes.
fn write_images(data: &Path, count: usize) {
    let (width, height) = (320u16, 240u16);
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

/// The memory (MB) that a training on so many streamed images takes most of its time. Not its peak, which is how the sizes of
/// a few moments happen to add up: of more moments, the largest is larger.
fn usual_mb(folder: &Path, images: usize) -> f64 {
    let data = folder.join(images.to_string());
    write_images(&data, images);
    let out = folder.join(format!("run-{images}"));
    let mut command = cresset();
    command.args([
        "train",
        "--recipe",
        "none",
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

/// At 224 × 224 and a byte a value, the images of the larger folder would take 360 MB more if all were kept: 180 MB halfway.
#[test]
fn memory_does_not_grow_with_the_number_of_streamed_images() {
    let folder = tempfile::tempdir().unwrap();
    let (few, many) = (usual_mb(folder.path(), 800), usual_mb(folder.path(), 3_200));
    assert!(few > 100. && many <= few + 60., "{few} MB for 800 images, {many} MB for 3,200");
}

/// What the program says with `limit_kb` of address space, in which it must fail.
fn refused_with(limit_kb: u32, options: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let command =
        format!("ulimit -v {limit_kb}; exec \"$0\" train --device cpu {options} --out {}", text(&out));
    let program = cresset().get_program().to_os_string();
    let mut shell = Command::new("bash");
    let output =
        shell.args(["-c", &command]).arg(program).current_dir(crate::support::root()).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("Exception raised from") && !said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_model_that_does_not_fit_is_an_error_with_advice() {
    // One of its weights has 17 GB.
    let said = refused_with(12_000_000, "--model-options width=65536,depth=2");
    assert!(said.contains("out of memory while creating the model. Choose a smaller one"), "{said}");
}

#[test]
fn a_batch_that_does_not_fit_is_an_error_with_advice_wherever_memory_runs_out() {
    // A hidden layer has 377 MB, and the limits let the forward or the backward pass fail.
    let options = "--epochs 1 --kernels libtorch --model-options width=65536 --batch-size 1437";
    for limit_kb in [1_000_000, 1_250_000, 1_500_000] {
        let said = refused_with(limit_kb, options);
        let advice =
            "out of memory with batch size 1437. For the same steps with less memory, use --batch-size 718";
        assert!(said.contains(advice), "{limit_kb}: {said}");
    }
}
