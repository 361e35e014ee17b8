//! Whole programs that use an exported model, from start to end: `cresset predict` on a folder of images and on a table, and a
//! Python script that does the same with Pillow and torch.jit: `make bench-more`.

mod support;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma};
use support::{digits, ratio, seconds, spread};

const ROUNDS: usize = 3;
const PICTURES: usize = 2_000;
const ROWS: usize = 100_000;

const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/peers/inference_torch.py");

fn main() {
    support::enter_checkout();
    let folder = tempfile::tempdir().expect("a folder");
    let rows = digits();
    let run = folder.path().join("run");
    seconds(Command::new(env!("CARGO_BIN_EXE_cresset")).arg("train").arg("--out").arg(&run));
    let mlp = run.join("model.pt");
    println!(
        "median (min–max) of {ROUNDS} rounds; ratio = cresset / Python, the median of the rounds' ratios\n"
    );
    println!("| inputs/s of whole programs | cresset | cresset --threads 1 | Python | ratio | ratio |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let pictures = folder.path().join("pictures");
    write_images(&pictures, &rows);
    programs("folder", PICTURES, &mlp, &pictures);
    let many: Vec<_> = rows.iter().map(String::as_str).cycle().take(ROWS).collect();
    let table = folder.path().join("rows.csv");
    std::fs::write(&table, many.join("\n")).expect("a table");
    programs("table", ROWS, &mlp, &table);
}

/// Writes digits as PNG files of 32 × 32 pixels.
fn write_images(folder: &Path, rows: &[String]) {
    std::fs::create_dir_all(folder).expect("a folder");
    for (number, row) in rows.iter().cycle().take(PICTURES).enumerate() {
        let cells: Vec<u32> = row.split(',').map(|cell| cell.parse().expect("a number")).collect();
        let shade = |x: u32, y: u32| Luma([(cells[(y / 4 * 8 + x / 4) as usize] * 255 / 16) as u8]);
        let picture = GrayImage::from_fn(32, 32, shade);
        picture.save(folder.join(format!("{number:05}.png"))).expect("an image");
    }
}

/// Measures whole programs on `inputs` inputs.
fn programs(job: &str, inputs: usize, model: &Path, source: &Path) {
    let mut speeds = [Vec::new(), Vec::new(), Vec::new()];
    let out = source.with_extension("out");
    for _ in 0..ROUNDS {
        for (options, speeds) in
            [&["--device", "cpu"][..], &["--threads", "1", "--device", "cpu"]].iter().zip(&mut speeds)
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
            let (seconds, printed) = seconds(command.arg("predict").arg(model).arg(source).args(*options));
            std::fs::write(&out, printed).expect("a file");
            speeds.push(inputs as f64 / seconds);
        }
        let ours = classes(&out);
        let (seconds, _) = seconds(python().arg(job).arg(model).arg(source).arg(&out));
        speeds[2].push(inputs as f64 / seconds);
        let theirs = classes(&out);
        let same = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        assert!(ours.len() == inputs && theirs.len() == inputs, "{job}: not one row per input");
        // Pillow and fast_image_resize may round a pixel differently.
        assert!(same * 1000 >= inputs * 995, "{job}: only {same} of {inputs} classes agree");
    }
    let mut line = format!("| {job}, {inputs} inputs |");
    speeds.iter().for_each(|speeds| {
        write!(line, " {} |", spread(speeds, 0)).expect("writing to a string cannot fail")
    });
    println!("{line} {:.2} | {:.2} |", ratio(&speeds[0], &speeds[2]), ratio(&speeds[1], &speeds[2]));
}

fn classes(out: &Path) -> Vec<String> {
    let records = csv::Reader::from_path(out).expect("an output").into_records();
    records.map(|record| record.expect("a row")[1].to_string()).collect()
}

fn python() -> Command {
    let python = std::env::var("CRESSET_PYTHON").expect("`make bench-more` sets CRESSET_PYTHON");
    let mut command = Command::new(python);
    command.arg(PEER);
    command
}
