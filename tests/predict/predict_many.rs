//! Predicting at scale: inputs of all kinds, bad ones among them, batches, embeddings.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::{self, cresset, root, run, stderr, succeed, text, train_once};
use cresset::predict::{Batching, Classifier, Sources};
use image::{GrayImage, Luma};
use tch::{Device, Kind, Tensor};

fn model(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    train_once(&run, &["--epochs", "3"]);
    run.join("model.pt")
}

/// The rows of the digits, unlabelled.
fn digits() -> Vec<String> {
    let digits = std::fs::read_to_string(root().join("data/digits.csv")).unwrap();
    digits.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect()
}

/// So many of the digits as images, `folder/sub/0000.png` and so on, and the odd ones one folder further down.
fn images(folder: &Path, count: usize) -> Vec<PathBuf> {
    let image = |(index, row): (usize, &String)| {
        let cells: Vec<u32> = row.split(',').map(|cell| cell.parse().unwrap()).collect();
        let path = folder.join(["even", "odd/deep"][index % 2]).join(format!("{index:04}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shade = |x: u32, y: u32| Luma([(cells[(8 * y + x) as usize] * 255 / 16) as u8]);
        GrayImage::from_fn(8, 8, shade).save(&path).unwrap();
        path
    };
    digits().iter().take(count).enumerate().map(image).collect()
}

/// Runs `cresset` with `input` on its standard input.
fn run_with(arguments: &[&str], input: &str) -> Output {
    let mut child = cresset()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The rows of a CSV output without its header.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let records = csv::Reader::from_reader(&output.stdout[..]).into_records();
    records.map(|record| record.unwrap().iter().map(str::to_string).collect()).collect()
}

#[test]
fn files_folders_patterns_tables_and_standard_input_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let shown = folder.path().join("shown");
    let all = images(&shown, 12);
    let table = support::unlabelled_digits(folder.path(), 3);
    let (pattern, odd) = (shown.join("e*/*[02468].png"), shown.join("odd"));
    let inputs = [text(&all[7]), text(&odd), "-", text(&pattern), text(&table), text(&all[0])];
    let standard = digits()[..2].join("\n");
    let arguments = [&["predict", text(&model), "--batch-size", "4"][..], &inputs].concat();
    let output = run_with(&arguments, &standard);
    assert!(output.status.success(), "{}", stderr(&output));

    let mut expected = vec![text(&all[7]).to_string()];
    let names = |parity: usize| all.iter().skip(parity).step_by(2).map(|path| text(path).to_string());
    expected.extend(names(1));
    expected.extend(["-:1", "-:2"].map(String::from));
    expected.extend(names(0));
    expected.extend((1..=3).map(|line| format!("{}:{line}", text(&table))));
    expected.push(text(&all[0]).to_string());
    let rows = rows(&output);
    assert_eq!(rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>(), expected);
    // The same digit is the same class wherever it comes from.
    let class = |input: &str| &rows.iter().find(|row| row[0] == input).unwrap()[1];
    assert_eq!(class("-:1"), class(text(&all[0])));
    assert_eq!(class("-:2"), class(&format!("{}:2", text(&table))));
}

#[test]
fn lists_of_paths_are_read_from_files_and_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let all = images(&folder.path().join("shown"), 6);
    let list = all.iter().rev().map(|path| text(path).to_string() + "\n").collect::<String>();
    let from_pipe = run_with(&["predict", text(&model), "--paths-from", "-"], &list);
    let path = folder.path().join("list.txt");
    std::fs::write(&path, &list).unwrap();
    let from_file = run(["predict", text(&model), "--paths-from", text(&path)]);
    assert!(from_pipe.status.success() && from_pipe.stdout == from_file.stdout, "{}", stderr(&from_pipe));
    let named: Vec<_> = rows(&from_pipe).iter().map(|row| row[0].clone() + "\n").collect();
    assert_eq!(named.concat(), list);

    let twice = run(["predict", text(&model), "-", "--paths-from", "-"]);
    assert!(twice.status.code() == Some(2) && stderr(&twice).contains("can be read only once"));
    let absent = run(["predict", text(&model), "--paths-from", "absent"]);
    assert!(absent.status.code() == Some(2) && stderr(&absent).contains("absent: cannot read the list"));
    let empty = run_with(&["predict", text(&model), "--paths-from", "-"], "");
    assert!(empty.status.success() && empty.stdout == b"input,class,probability,error\n");
}

/// Whether a row names the same input and the same class with the same probability, but for its last figure: matrix products of
/// another number of rows may be rounded otherwise.
fn is_as_before(row: &[String], before: &[String]) -> bool {
    let probability = |row: &[String]| row[2].parse::<f64>().unwrap_or(f64::NAN);
    row[..2] == before[..2] && (probability(row) - probability(before)).abs() < 2e-6
}

#[test]
fn a_bad_input_in_the_middle_is_a_row_with_its_error_and_the_others_are_classified() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let shown = folder.path().join("shown");
    let all = images(&shown, 8);
    let sound = rows(&run(["predict", text(&model), text(&shown)]));
    let whole = std::fs::read(&all[4]).unwrap();
    std::fs::write(&all[4], &whole[..whole.len() / 2]).unwrap();
    for (form, size) in [("csv", "64"), ("csv", "1"), ("jsonl", "3"), ("plain", "3")] {
        let arguments = ["--output", form, "--batch-size", size];
        let output = run([&["predict", text(&model), text(&shown)], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).ends_with("1 of 8 inputs could not be classified\n"), "{}", stderr(&output));
        let printed = String::from_utf8(output.stdout.clone()).unwrap();
        for (index, before) in sound.iter().enumerate() {
            // In the order of their names, 0000, 0002 and 0004 are the first ones.
            let is_bad = index == 2;
            match form {
                "csv" => {
                    let row = &rows(&output)[index];
                    assert_eq!(is_as_before(row, before), !is_bad, "{row:?} {before:?}");
                    assert_eq!(row[3].starts_with("the image is damaged"), is_bad);
                }
                "jsonl" => {
                    let line: serde_json::Value =
                        serde_json::from_str(printed.lines().nth(index).unwrap()).unwrap();
                    assert_eq!(line["input"], before[0]);
                    assert_eq!(line["error"].is_string(), is_bad);
                    assert_eq!(line["predictions"][0]["class"] == before[1], !is_bad);
                }
                _ => {
                    let line = printed.lines().nth(index).unwrap();
                    assert_eq!(line, if is_bad { "" } else { &before[1] });
                    assert!(stderr(&output).contains("0004.png: the image is damaged"));
                }
            }
        }
    }
}

#[test]
fn results_are_written_while_standard_input_is_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut child = cresset()
        .args(["predict", text(&model), "-", "--batch-size", "8", "--output", "plain"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let digits = digits();
    let mut write = |rows: &[String]| stdin.write_all((rows.join("\n") + "\n").as_bytes()).unwrap();
    write(&digits[..11]);
    let mut found = String::new();
    for _ in 0..8 {
        stdout.read_line(&mut found).unwrap();
    }
    write(&digits[11..20]);
    drop(stdin);
    stdout.read_to_string(&mut found).unwrap();
    assert!(child.wait().unwrap().success());
    let table = support::unlabelled_digits(folder.path(), 20);
    assert_eq!(found, succeed(["predict", text(&model), text(&table), "--output", "plain"]));
}

#[test]
fn a_closed_pipe_ends_the_program_while_standard_input_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let mut child = cresset()
        .args(["predict", text(&model), "-", "--batch-size", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    stdin.write_all((digits()[..2].join("\n") + "\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    drop(stdin);
}

#[test]
fn embeddings_are_in_the_order_of_the_inputs_and_nan_for_a_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let (table, npy) = (folder.path().join("t.csv"), folder.path().join("e.npy"));
    let mut lines = digits()[..10].to_vec();
    lines[3] = "oops".to_string() + &lines[3][1..];
    std::fs::write(&table, lines.join("\n")).unwrap();
    let output =
        run(["predict", text(&model), text(&table), "--batch-size", "4", "--embeddings", text(&npy)]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let embeddings = Tensor::read_npy(&npy).unwrap();
    assert_eq!((embeddings.size(), embeddings.kind()), (vec![10, 128], Kind::Float));

    let values: Vec<f32> = digits()[..10].join(",").split(',').map(|cell| cell.parse().unwrap()).collect();
    let raw = Tensor::from_slice(&values).view([10, 64]);
    let module = tch::CModule::load(&model).unwrap();
    let features = module.method_ts("features", &[raw]).unwrap();
    for row in 0..10 {
        let difference = (embeddings.get(row) - features.get(row)).abs().max().double_value(&[]);
        assert!(if row == 3 { difference.is_nan() } else { difference < 1e-6 }, "row {row}: {difference}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 3, "nothing else is left behind");
}

#[test]
fn the_probabilities_of_all_classes_sum_to_1() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let table = support::unlabelled_digits(folder.path(), 20);
    let output = run(["predict", text(&model), text(&table), "--probabilities", "--top-k", "2"]);
    let header = csv::Reader::from_reader(&output.stdout[..]).headers().unwrap().clone();
    assert_eq!(header.iter().skip(4).take(3).collect::<Vec<_>>(), ["probability_2", "p_0", "p_1"]);
    for row in rows(&output) {
        let all: Vec<f64> = row[5..15].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!((all.iter().sum::<f64>() - 1.).abs() < 1e-5, "{row:?}");
        let best = all.iter().copied().fold(0., f64::max);
        assert_eq!(row[2].parse::<f64>().unwrap(), best);
        assert_eq!(all[row[1].parse::<usize>().unwrap()], best);
    }
    let printed = succeed(["predict", text(&model), text(&table), "--probabilities", "--output", "jsonl"]);
    let line: serde_json::Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    let all = line["probabilities"].as_object().unwrap();
    let sum: f64 = all.values().map(|value| value.as_f64().unwrap()).sum();
    assert!(all.len() == 10 && (sum - 1.).abs() < 1e-9);
}

#[test]
fn results_are_bit_identical_for_any_number_of_threads_and_close_for_single_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path());
    let shown = folder.path().join("shown");
    images(&shown, 100);
    let classifier = Classifier::load_on(&path, Device::Cpu).unwrap();
    let digits = support::root().join("data/digits.csv");
    let probabilities = |threads, size| -> Vec<f64> {
        let sources = Sources::new(vec![shown.clone(), digits.clone()], None).unwrap();
        let stream = classifier.stream(sources, Batching { size, threads, features: false }).unwrap();
        stream.flat_map(|batch| batch.unwrap().rows).flat_map(|row| row.probabilities.unwrap()).collect()
    };
    let found = probabilities(1, 64);
    assert_eq!(found.len(), 10 * (100 + 1797));
    assert!(found == probabilities(5, 64));
    let one_by_one = probabilities(3, 1);
    assert!(found.iter().zip(&one_by_one).all(|(a, b)| (a - b).abs() < 1e-6));
}
