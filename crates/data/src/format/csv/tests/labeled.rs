//! Labeled rows for a model, in memory and stored.

use super::*;
use crate::stored::{LabelsOfRows, StoredRows};
use crate::{Targets, TaskKind};

const ALLOWED: RowPolicy = RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false };

/// Rows of numbers and categories, with some missing ones.
fn rows(count: usize) -> String {
    let mut text = "x,color,kind\n".to_string();
    for row in 0..count {
        let color = ["red", "blue", ""][row % 3];
        let x = if row % 7 == 3 { String::new() } else { (row as f32 / 4.).to_string() };
        text += &format!("{x},{color},{}\n", if row % 5 == 0 { "a" } else { "b" });
        if row % 1000 == 999 {
            text.push('\n');
        }
    }
    text
}

fn read_with(text: &str, task: TaskKind, classes: &[&str], in_memory: usize) -> Result<LabeledRows> {
    let layout = table("x,color,kind\n1,red,a\n2,,b\n3,blue,b\n").unwrap().layout;
    let (_folder, path) = file("rows.csv", text.as_bytes());
    let classes: Vec<String> = classes.iter().map(|class| class.to_string()).collect();
    let model =
        RowsOfModel { layout: &layout, allowed: ALLOWED, range: None, task, classes: &classes, in_memory };
    LabeledRows::read(&path, &model)
}

/// The values of all rows in their order as bits, and their labels.
fn all(rows: &StoredRows) -> (Vec<u32>, LabelsOfRows) {
    let places: Vec<i64> = (0..rows.rows() as i64).collect();
    let values = rows.gather(&places).unwrap();
    (values.iter().map(|value| value.to_bits()).collect(), rows.all_labels().unwrap())
}

#[test]
fn stored_rows_are_those_in_memory() {
    // More than a chunk of the text, and more than a block.
    let text = rows(150_000);
    let of = |in_memory| read_with(&text, TaskKind::Classification, &["b", "a"], in_memory).unwrap();
    let LabeledRows::Table(table) = of(usize::MAX) else { panic!("the rows are in memory") };
    let expected = table.labels_for(TaskKind::Classification, &["b", "a"].map(String::from)).unwrap();
    for in_memory in [0, 300_000] {
        let LabeledRows::Stored { rows, targets, names } = of(in_memory) else {
            panic!("the rows are stored")
        };
        let (values, labels) = all(&rows);
        // A missing value is one NaN.
        let bits = |value: &f32| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
        assert_eq!(values, table.values.iter().map(bits).collect::<Vec<_>>());
        assert_eq!(labels, LabelsOfRows::Indexes(expected.labels.clone()));
        assert!(matches!(targets, Targets::Classes));
        assert_eq!(names.count(), 150_000);
        for index in [0, 998, 999, 1000, 149_999] {
            assert_eq!((names.row(index), names.line(index)), (table.rows[index], table.lines[index]));
        }
    }
}

#[test]
fn stored_numbers_are_targets() {
    let text: String = "x,color,kind\n".to_string()
        + &(0..9000).map(|row| format!("{row},red,{}\n", (row % 50) as f32 / 2.)).collect::<String>();
    let found = read_with(&text, TaskKind::Regression, &["kind"], 0).unwrap();
    let LabeledRows::Stored { rows, targets: Targets::Values(values), .. } = found else { panic!("numbers") };
    let LabelsOfRows::Indexes(labels) = all(&rows).1 else { panic!("indexes") };
    let expected: Vec<f32> = (0..9000).map(|row| (row % 50) as f32 / 2.).collect();
    assert_eq!(labels.iter().map(|label| values[*label as usize]).collect::<Vec<_>>(), expected);
}

#[test]
fn faults_of_stored_rows_are_those_of_rows_in_memory() {
    let read = |text: &str, in_memory| {
        let found =
            read_with(text, TaskKind::Classification, &["a", "b"], in_memory).map(|found| match found {
                LabeledRows::Table(table) => {
                    table.labels_for(TaskKind::Classification, &["a", "b"].map(String::from))
                }
                LabeledRows::Stored { .. } => panic!("there is a fault"),
            });
        match found {
            Ok(labels) => labels.unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    for (text, expected) in [
        ("x,color,kind\n1,red,a\noops,red,b\n", "line 3, column 1 (x): `oops` is not a number"),
        ("x,color,kind\n1,red,a\n2,red,c\n", "line 3"),
        ("x,color\n1,red\n", "no label"),
        ("x,color,kind\n", "the file has a header but no rows"),
    ] {
        let [stored, in_memory] = [0, usize::MAX].map(|values| read(text, values));
        assert!(stored.contains(expected), "{stored}");
        let place = |error: &str| error.split_once("rows.csv").unwrap().1.to_string();
        assert_eq!(place(&stored), place(&in_memory));
    }
}
