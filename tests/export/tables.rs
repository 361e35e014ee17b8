//! Exported models of tables, which take raw cells, against `cresset predict`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cresset::data::column::ColumnKind;
use cresset_bridge::script::Module;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::support::mixed::{mixed_run, unusual_rows, write_rows};
use crate::support::targets::{predicted, prices_run, tags_run};
use crate::support::{run, stderr, succeed, text};

fn module(file: &Path) -> Module {
    let (mut module, _) = Module::load(file, Device::Cpu, &[]).unwrap();
    module.set_training(false).unwrap();
    module
}

fn call(module: &Module, method: &str, rows: &[Vec<String>]) -> Vec<Tensor> {
    tch::no_grad(|| module.call_with_cells(method, None, rows)).unwrap()
}

/// Whether a module has the methods for raw cells.
fn has_methods(module: &Module) -> bool {
    let methods = module.methods().unwrap();
    [
        "encode_table",
        "predict_table",
        "encode_columns",
        "predict_columns",
        "column_names",
        "numeric_column_names",
    ]
    .iter()
    .all(|name| methods.iter().any(|method| method == name))
}

/// Fails unless `predict_table` gives the classes and probabilities of the command line.
fn check_classes(file: &Path, rows: &[Vec<String>], table: &Path, tolerance: f64) {
    let module = module(file);
    assert!(has_methods(&module), "{}", file.display());
    let found = call(&module, "predict_table", rows);
    let lines = predicted(file, table);
    assert_eq!(found[0].size(), [lines.len() as i64]);
    let metadata = cresset::predict::metadata(file).unwrap();
    for (row, line) in (0..).zip(&lines) {
        let class = &metadata.classes[found[0].int64_value(&[row]) as usize];
        assert_eq!(line["predictions"][0]["class"], **class, "{}", file.display());
        for (index, class) in (0..).zip(&metadata.classes) {
            let (a, b) =
                (found[1].double_value(&[row, index]), line["probabilities"][class].as_f64().unwrap());
            assert!((a - b).abs() <= tolerance, "{}: {a}, not {b}", file.display());
        }
    }
    let features = call(&module, "encode_table", rows).remove(0);
    let again = tch::no_grad(|| module.call("predict", &features)).unwrap();
    assert_eq!(again[1], found[1], "{}", file.display());
}

/// The file of a run, its variants, and compressed files.
fn files(run: &Path) -> Vec<(PathBuf, f64)> {
    let mut files = vec![(run.join("model.pt"), 1e-5)];
    for (number, options) in
        [&["--freeze"] as &[&str], &["--optimize"], &["--dtype", "bf16"], &["--dtype", "fp16", "--freeze"]]
            .into_iter()
            .enumerate()
    {
        let file = run.join(format!("variant-{number}.pt"));
        succeed([&["export", text(run), "--output", text(&file)], options].concat());
        files.push((file, 1e-2));
    }
    succeed(["compress", text(run), "--quantize", "int8"]);
    files.push((run.join("compressed/int8.pt"), 1e-5));
    files
}

#[test]
fn every_file_classifies_raw_cells_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let run = mixed_run(folder.path(), &["--recipe", "none"]);
    let layout = cresset::predict::metadata(&run.join("model.pt")).unwrap().input.table.unwrap();
    let kinds: Vec<_> = layout.columns.iter().map(|column| &column.kind).collect();
    assert!(
        matches!(
            kinds[..],
            [
                ColumnKind::Number,
                ColumnKind::Number,
                ColumnKind::Number,
                ColumnKind::Category { .. },
                ColumnKind::Code { .. },
                ColumnKind::Ordinal { .. },
                ColumnKind::Boolean,
                ColumnKind::Date { time: true },
                ColumnKind::List { .. },
                ColumnKind::Hash { rows: 40_000 },
                ColumnKind::Text { .. },
            ]
        ),
        "{kinds:?}"
    );
    let rows = unusual_rows();
    let table = write_rows(folder.path(), &rows);
    for (file, tolerance) in files(&run) {
        check_classes(&file, &rows, &table, tolerance);
    }
    let shown = succeed(["inspect", text(&run.join("model.pt"))]);
    assert!(shown.contains("predict_table"), "{shown}");
}

#[test]
fn the_model_of_the_automatic_recipe_classifies_raw_cells_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let run = mixed_run(folder.path(), &[]);
    let rows = unusual_rows();
    check_classes(&run.join("model.pt"), &rows, &write_rows(folder.path(), &rows), 1e-5);
}

#[test]
fn labels_and_numbers_are_predicted_from_raw_cells() {
    let folder = tempfile::tempdir().unwrap();
    let cells = |rows: &[&[&str]]| -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect()
    };
    let file = tags_run(folder.path()).join("model.pt");
    let table = folder.path().join("tag-rows.csv");
    std::fs::write(&table, "a,b,c\n0.9,0.8,0.9\n-0.9,-0.9,-0.9\n").unwrap();
    let found =
        call(&module(&file), "predict_table", &cells(&[&["0.9", "0.8", "0.9"], &["-0.9", "-0.9", "-0.9"]]));
    let lines = predicted(&file, &table);
    for (row, line) in (0..).zip(&lines) {
        let labels = ["hot", "rare", "wide"].iter().zip(Vec::<bool>::try_from(found[0].get(row)).unwrap());
        let labels: Vec<_> = labels.filter(|(_, is)| *is).map(|(label, _)| *label).collect();
        assert_eq!(line["labels"], serde_json::json!(labels));
    }

    let file = prices_run(folder.path()).join("model.pt");
    std::fs::write(&table, "x,y,color\n0.5,0.1,red\n-0.5,0.4,blue\n").unwrap();
    let module = module(&file);
    let rows = cells(&[&["0.5", "0.1", "red"], &["-0.5", "0.4", "blue"]]);
    let found = call(&module, "predict_table", &rows);
    let values: Vec<f64> =
        predicted(&file, &table).iter().map(|line| line["value"].as_f64().unwrap()).collect();
    for (row, value) in (0..).zip(&values) {
        assert!((found[0].double_value(&[row]) - value).abs() < 1e-3, "{values:?}");
    }
    // The same with numbers as a tensor.
    let numbers = Tensor::from_slice2(&[[0.5f32, 0.1], [-0.5, 0.4]]);
    let texts = cells(&[&["red"], &["blue"]]);
    let again = tch::no_grad(|| module.call_with_cells("predict_columns", Some(&numbers), &texts)).unwrap();
    assert_eq!(again[0], found[0]);
    assert_eq!((found[0].kind(), found[1].size()), (Kind::Float, vec![2, 2]));
}

#[test]
fn a_cell_that_cannot_be_read_is_refused_with_the_message_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = mixed_run(folder.path(), &["--recipe", "none"]).join("model.pt");
    let module = module(&file);
    for (column, cell, says) in [
        (0, "tall", "column 1 (size): `tall` is not a number"),
        (0, "1e39", "column 1 (size): `1e39` is not a finite number"),
        (1, "€5", "column 2 (price): `€5` is not a number"),
        (
            5,
            "medium",
            "column 6 (grade): unknown category `medium` in this column; known categories are low, middle, high",
        ),
        (6, "perhaps", "column 7 (paid): `perhaps` is not a boolean, such as true or no"),
        (7, "31/2/2023", "column 8 (at): `31/2/2023` is not a date such as 31/12/2020"),
    ] {
        let mut rows = unusual_rows();
        rows[2][column] = cell.to_string();
        let error = module.call_with_cells("predict_table", None, &rows).unwrap_err().0;
        assert!(error.contains(&format!("row 3, {says}")), "{error}");
        let refused = run(["predict", text(&file), text(&write_rows(folder.path(), &rows))]);
        let said = String::from_utf8_lossy(&refused.stdout);
        assert!(said.contains(says), "{said}{}", stderr(&refused));
    }
}

/// Runs a program with a text as its standard input.
fn with_input(command: &mut Command, input: &[u8]) -> std::process::Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Fails unless a program printed the class and the probability of each line of `cresset predict`.
fn check_printed(printed: &str, lines: &[Value]) {
    assert_eq!(printed.lines().count(), lines.len());
    for (shown, line) in printed.lines().zip(lines) {
        let (class, probability) = shown.rsplit_once(' ').unwrap();
        assert_eq!(line["predictions"][0]["class"], *class);
        let expected = line["probabilities"][class].as_f64().unwrap();
        assert!((probability.parse::<f64>().unwrap() - expected).abs() < 1e-5, "{shown}: {line}");
    }
}

#[test]
fn a_cpp_program_classifies_raw_cells() {
    let folder = tempfile::tempdir().unwrap();
    let file = mixed_run(folder.path(), &["--recipe", "none"]).join("model.pt");
    let program = folder.path().join("classify_table");
    let command = super::programs::shown_command("g++ ")
        .replace("classify.cpp -o classify", "classify_table.cpp -o classify");
    super::programs::bash(&command.replace("-o classify", &format!("-o {}", text(&program))));
    let rows: Vec<_> = unusual_rows();
    // The cell with a tab in it would be two cells.
    let line = |row: &Vec<String>| row.join("\r").replace('\t', " ").replace('\r', "\t") + "\n";
    let lines: String = rows.iter().map(line).collect();
    let output = with_input(Command::new(&program).arg(&file), lines.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let table = write_rows(folder.path(), &rows);
    check_printed(&String::from_utf8(output.stdout).unwrap(), &predicted(&file, &table));

    // Texts of a C++ program may be no UTF-8.
    let latin = b"1\t$1\t1 %\tgr\xfcn\tcity 1\tlow\tyes\t\t\t\t\n";
    let refused = with_input(Command::new(&program).arg(&file), latin);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("row 1, column 4 (color): the text is not UTF-8"), "{said}");
}
