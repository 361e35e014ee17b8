mod texts;

use std::fs;

use super::*;
use crate::options::Missing;
use crate::{Inputs, Split, SplitOptions, Targets};

/// A folder with these files.
fn files(all: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    all.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

/// The rows of a table in a file.
fn streamed(folder: &Path, name: &str, options: &DataOptions) -> Result<Dataset> {
    let path = folder.join(name);
    let mut files = table_files::files(&path);
    if files.is_empty() {
        files.push(path.clone());
    }
    let place = Place::within(folder.join("cache"), &files, options)?;
    read_at(&path, &files, options, &place)
}

fn in_memory(folder: &Path, name: &str, options: &DataOptions) -> Result<Dataset> {
    crate::format::read(&folder.join(name), options)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// The same table from memory and from a file has the same rows, labels, names and columns.
fn assert_same(folder: &Path, name: &str, options: &DataOptions) {
    let memory = in_memory(folder, name, options).unwrap();
    // Twice, the second time without reading the table.
    for _ in 0..2 {
        let file = streamed(folder, name, options).unwrap();
        let (Inputs::Floats(expected), Inputs::Stored(rows)) = (&memory.inputs, &file.inputs) else {
            panic!("one is in memory, and one in a file")
        };
        let all: Vec<i64> = (0..file.rows() as i64).collect();
        assert_eq!(bits(&rows.gather(&all).unwrap()), bits(expected));
        assert_eq!(
            (&file.table, &file.classes, &file.shape),
            (&memory.table, &memory.classes, &memory.shape)
        );
        assert_eq!((&file.labels, &file.targets), (&memory.labels, &memory.targets));
        assert_eq!((&file.sha256, rows.rows()), (&memory.sha256, memory.rows()));
        for index in (0..file.rows()).step_by(7) {
            assert_eq!(file.names.name(index), memory.names.name(index));
            assert_eq!(file.location(index), memory.location(index));
        }
    }
}

fn with_label(label: &str) -> DataOptions {
    DataOptions { label: label.parse().unwrap(), ..DataOptions::default() }
}

/// All kinds of columns, missing cells, and a row number, which is left out.
fn mixed(rows: usize) -> String {
    let row = |row: usize| {
        let size = if row % 11 == 3 { "NA".to_string() } else { format!("{}", (row * 37 % 101) as f64 / 8.) };
        let color = if row % 13 == 5 { "" } else { ["red", "blue", "grün"][row % 3] };
        format!(
            "{row},{size},{color},city {},{},2023-{:02}-{:02},{},\"{} {}\",{}\n",
            row % 90,
            ["yes", "no"][row % 2],
            1 + row % 12,
            1 + row % 28,
            ["new", "new|sale", "used", "used|sale"][row / 2 % 4],
            ["quick brown fox", "lazy old dog", "over the café"][row % 3],
            row % 70,
            ["buy", "sell", "keep"][row * row % 7 % 3],
        )
    };
    "id,size,color,city,paid,at,tags,note,label\n".to_string() + &(0..rows).map(row).collect::<String>()
}

#[test]
fn rows_from_a_file_are_those_in_memory() {
    // More rows than a block, and more text than a chunk.
    let folder = files(&[("a.csv", mixed(20_000).as_bytes())]);
    for missing in [Missing::Value, Missing::Drop, Missing::Mean] {
        assert_same(folder.path(), "a.csv", &DataOptions { missing, ..DataOptions::default() });
    }
    let basic = DataOptions {
        column_types: crate::options::ColumnTypes::Basic,
        ignore: Some("note,city".into()),
        ..DataOptions::default()
    };
    assert_same(folder.path(), "a.csv", &basic);
}

#[test]
fn several_files_are_one_table() {
    let part = |from: usize| mixed(30).lines().skip(from).map(|line| format!("{line}\n")).collect::<String>();
    let header = mixed(0);
    let second = header.clone() + "\n" + &part(12);
    let folder = files(&[
        ("p-1.csv", mixed(30).as_bytes()),
        ("p-2.csv", second.as_bytes()),
        ("p-3.csv", header.as_bytes()),
    ]);
    assert_same(folder.path(), "p-*.csv", &DataOptions::default());
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_are_read_as_their_rows_are() {
    let bytes = include_bytes!("../tests/zstd.parquet");
    let folder = files(&[("a.parquet", bytes), ("b.parquet", bytes)]);
    assert_same(folder.path(), "a.parquet", &DataOptions::default());
    assert_same(folder.path(), "?.parquet", &DataOptions::default());
    assert_same(folder.path(), "a.parquet", &DataOptions { missing: Missing::Drop, ..with_label("size") });
}

#[cfg(feature = "parquet")]
#[test]
fn no_damage_of_a_parquet_file_makes_it_panic() {
    let bytes = include_bytes!("../tests/zstd.parquet");
    for at in (0..bytes.len()).step_by(13) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x55;
        let folder = files(&[("a.parquet", &damaged)]);
        let _ = streamed(folder.path(), "a.parquet", &DataOptions::default());
    }
}

#[test]
fn numbers_are_predicted_as_from_memory() {
    let rows: String = (0..300).map(|row| format!("{},{}\n", row % 17, row as f64 / 7.)).collect();
    let folder = files(&[("a.csv", format!("x,y\n{rows}").as_bytes())]);
    assert_same(folder.path(), "a.csv", &with_label("y"));
    let found = streamed(folder.path(), "a.csv", &with_label("y")).unwrap();
    assert!(matches!(found.targets, Targets::Values(_)));
}

#[test]
fn the_split_is_that_of_rows_in_memory() {
    let folder = files(&[("a.csv", mixed(500).as_bytes())]);
    let plan = SplitOptions {
        share: 0.3,
        fold: None,
        bag: None,
        train_list: None,
        validation_list: None,
        test_list: None,
        method: None,
        seed: 7,
    };
    let options = DataOptions::default();
    let of = |dataset: Dataset| Split::new(&dataset, &plan).unwrap();
    let file = of(streamed(folder.path(), "a.csv", &options).unwrap());
    assert_eq!(file, of(in_memory(folder.path(), "a.csv", &options).unwrap()));
}

#[test]
fn hashed_columns_are_those_in_memory() {
    let schema = "[[column]]\nname = \"city\"\ntype = \"category\"\nhash = 1000\n[[column]]\nname = \"id\"\ntype = \"category\"\nhash = 7\n";
    let folder = files(&[("a.csv", mixed(400).as_bytes()), ("s.toml", schema.as_bytes())]);
    for missing in [Missing::Value, Missing::Drop] {
        let schema = Some(folder.path().join("s.toml"));
        let options = DataOptions { schema, missing, ..DataOptions::default() };
        assert_same(folder.path(), "a.csv", &options);
        let table = in_memory(folder.path(), "a.csv", &options).unwrap().table.unwrap();
        assert_eq!(table.columns[0].kind, ColumnKind::Hash { rows: 7 });
        assert_eq!(table.columns[3].kind, ColumnKind::Hash { rows: 1000 });
    }
}

#[test]
fn a_column_of_too_many_categories_is_hashed_as_in_memory() {
    let different = MAX_CATEGORIES + 1000;
    let line = |row: usize| format!("käufer {},{}\n", row * 11 % different, row % 2);
    let rows: String = (0..different * 5 / 4).map(line).collect();
    let folder = files(&[("a.csv", format!("user,label\n{rows},1\n").as_bytes())]);
    assert_same(folder.path(), "a.csv", &DataOptions::default());
    let file = streamed(folder.path(), "a.csv", &DataOptions::default()).unwrap();
    assert!(file.table.as_ref().unwrap().columns[0].kind == ColumnKind::Hash { rows: hashing::ROWS });
    let Inputs::Stored(rows) = &file.inputs else { panic!("the rows are in a file") };
    let row = hashing::row("käufer 11".as_bytes(), hashing::ROWS) as f32;
    let last = rows.rows() as i64 - 1;
    let found = rows.gather(&[1, different as i64 + 1, last]).unwrap();
    assert!(found[..2] == [row, row] && found[2].is_nan());
}

/// Columns that look like numbers at first, and then are texts.
#[test]
fn a_column_that_turns_out_to_be_text_is_read_again() {
    let rows: String = (0..3000)
        .map(|row| match row {
            0..1100 => format!("{row},{},{}\n", row % 5, ["a", "b"][row % 2]),
            _ => format!("{row},x{},{}\n", row % 5, ["a", "b"][row % 2]),
        })
        .collect();
    let folder = files(&[("a.csv", format!("n,c,label\n{rows}").as_bytes())]);
    assert_same(folder.path(), "a.csv", &DataOptions::default());
}

#[test]
fn faults_name_file_and_row_and_leave_no_file() {
    let bad = mixed(300).replace("299,", "299,99,");
    let folder = files(&[("p-1.csv", mixed(300).as_bytes()), ("p-2.csv", bad.as_bytes())]);
    let error = streamed(folder.path(), "p-*.csv", &DataOptions::default()).unwrap_err().to_string();
    assert!(error.contains("p-2.csv, line 301: the row has 10 value(s)"), "{error}");
    let left: Vec<_> =
        fs::read_dir(folder.path().join("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_str().unwrap().ends_with(".lock")), "{left:?}");

    let strict = DataOptions { missing: Missing::Error, ..DataOptions::default() };
    let error = streamed(folder.path(), "p-1.csv", &strict).unwrap_err().to_string();
    assert!(error.contains("p-1.csv, line 5, column 2 (size): missing value (`NA`)"), "{error}");
    fs::write(
        folder.path().join("d.csv"),
        "x,paid,label\n".to_string() + &"1,yes,a\n2,no,b\n".repeat(9) + "3,,nan\n",
    )
    .unwrap();
    let error = streamed(folder.path(), "d.csv", &DataOptions::default()).unwrap_err().to_string();
    assert!(error.contains("d.csv, line 20: `nan` is not a class"), "{error}");
}

#[test]
fn a_changed_table_is_stored_again() {
    let folder = files(&[("a.csv", mixed(50).as_bytes())]);
    let options = DataOptions::default();
    let first = streamed(folder.path(), "a.csv", &options).unwrap();
    fs::write(folder.path().join("a.csv"), mixed(60)).unwrap();
    let second = streamed(folder.path(), "a.csv", &options).unwrap();
    assert_eq!((first.rows(), second.rows()), (50, 60));
    assert_ne!(first.sha256, second.sha256);
}

#[test]
fn a_damaged_file_is_written_again() {
    let folder = files(&[("a.csv", mixed(50).as_bytes())]);
    let options = DataOptions::default();
    drop(streamed(folder.path(), "a.csv", &options).unwrap());
    let is_rows = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rows");
    let mut cache = fs::read_dir(folder.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
    let stored = cache.find(is_rows).unwrap();
    let bytes = fs::read(&stored).unwrap();
    fs::write(&stored, &bytes[..bytes.len() / 2]).unwrap();
    assert_same(folder.path(), "a.csv", &options);
    assert_eq!(fs::read(&stored).unwrap(), bytes);
}
