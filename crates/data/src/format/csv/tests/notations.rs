//! Tables in various number notations.

use super::*;
use crate::format::options::ColumnTypes;

#[test]
fn formatted_numbers_and_dates_are_parsed() {
    let text = "when;sl;income;share;kind\n31.12.1970;5,1;1.234,50 €;9%;a\n1.1.1970;0,25;999 €;10 %;b\n2.1.1970;7;12.000 €;100%;a\n";
    let table = table(text).unwrap();
    assert_eq!(table.layout.columns[0].features(), 5);
    let without_parts = |values: &[f32], at: usize| {
        let rows = values.chunks(8).flat_map(|row| [&row[..at + 1], &row[at + 5..]].concat());
        rows.collect::<Vec<_>>()
    };
    let numbers = [364., 5.1, 1234.5, 0.09, 0., 0.25, 999., 0.1, 1., 7., 12_000., 1.];
    assert_eq!(without_parts(&table.values, 0), numbers);
    let options = DataOptions { column_types: ColumnTypes::Basic, ..DataOptions::default() };
    assert_eq!(table_with("a.csv", text, &options).unwrap().values, numbers);
    // New rows for a model are parsed in the same way.
    let (_folder, path) = file("rows.csv", b"5,15;1.1.1971;(3.000,00 \xe2\x82\xac);50%\n");
    let text = "sl;when;income;share\n".to_string() + &std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text).unwrap();
    let strict = RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false };
    let rows = read_rows(&path, &table.layout, strict).unwrap();
    assert_eq!(without_parts(&rows.values, 0), [365., 5.15, -3000., 0.5]);
    // Also without a header.
    let semicolons = super::tests::table("5,1;3,5;a\n4,9;3,0;b\n4,7;3,2;a\n").unwrap();
    assert_eq!(semicolons.values, [5.1, 3.5, 4.9, 3., 4.7, 3.2]);
    let (_folder, path) = file("rows.csv", b"5,15;3,5\n");
    assert_eq!(
        read_rows(
            &path,
            &semicolons.layout,
            RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false }
        )
        .unwrap()
        .values,
        [5.15, 3.5]
    );
}

#[test]
fn decimal_and_thousands_separators_are_inferred_from_the_column_or_the_table() {
    for (text, expected) in [
        // Quoted and ambiguous: thousands.
        ("x,y\n\"23,000\",a\n\"2,000\",b\n\"5,000\",a\n", [23_000., 2000., 5000.]),
        ("x;y\n23,500;a\n2,125;b\n5,250;a\n", [23.5, 2.125, 5.25]),
        ("x;y\n23,500;a\n900;b\n5,250;a\n", [23_500., 900., 5250.]),
        ("x;y\n0,500;a\n2,125;b\n5,250;a\n", [0.5, 2.125, 5.25]),
        ("x;y\n1.250;a\n2.125;b\n5.250;a\n", [1.25, 2.125, 5.25]),
        ("x;y\n1,250.5;a\n2,125;b\n5;a\n", [1250.5, 2125., 5.]),
    ] {
        assert_eq!(table(text).unwrap().values, expected, "{text}");
    }
    // Another column decides.
    let table = table("x;z;y\n1.250;0,5;a\n2.125;1,5;b\n12;2,5;a\n").unwrap();
    assert_eq!(table.values, [1250., 0.5, 2125., 1.5, 12., 2.5]);
}

#[test]
fn invalid_cells_of_a_numeric_column_are_reported() {
    let message = problem("x;y\n5,1;a\n4,9;b\n4.7;a\n3,1;b\n");
    assert_eq!(
        message,
        ", line 4, column 1 (x): `4.7` is not a number; correct it, ignore the column with --ignore x, or set its type with --schema"
    );
    let message = problem("x,y\n$5,a\n€6,b\n$7,a\nn.d.,b\n$4,b\n");
    assert!(
        message.starts_with(", line 3, column 1 (x): `€6` is not a number (one of 2 such cells)"),
        "{message}"
    );
    let message = problem("when,y\n3/4/2020,a\n5/6/2021,b\n7/7/2021,b\n");
    assert!(
        message.starts_with(", column 1 (when): ambiguous day and month in dates such as `3/4/2020`"),
        "{message}"
    );
    let dates = table("when,y\n3/4/1970,a\n1/13/1970,b\n").unwrap().values;
    assert_eq!([dates[0], dates[5]], [62., 12.]);
    // A date in the other order, after more dates than the sample of the first rows.
    let many: String = (0..1500).map(|row| format!("{}/13/2020,{}\n", row % 12 + 1, row % 2)).collect();
    let message = problem(format!("when,y\n{many}13/1/2020,1\n"));
    assert!(
        message.starts_with(
            ", line 1502, column 1 (when): `13/1/2020` is not a date such as 12/31/2020; correct it"
        ),
        "{message}"
    );
}

#[test]
fn a_numeric_header_is_recognized_in_training_and_prediction() {
    let rows: String =
        (0..12).map(|row| format!("{0}.5,{0}.25,{1}.1,{2}\n", row, row % 5, ["a", "b"][row % 2])).collect();
    let table = table(format!("0,1,2,target\n{rows}")).unwrap();
    assert_eq!((table.rows.len(), &table.label_texts[..]), (12, &["a".to_string(), "b".into()][..]));
    assert_eq!(table.layout.feature_names(), ["0", "1", "2"]);
    for text in ["0,1,2,target\n1,2,3,a\n", "0,1,2\n1,2,3\n", "2,1,0\n3,2,1\n", "1,2,3\n"] {
        let (_folder, path) = file("rows.csv", text.as_bytes());
        assert_eq!(
            read_rows(
                &path,
                &table.layout,
                RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false }
            )
            .unwrap()
            .values,
            [1., 2., 3.],
            "{text}"
        );
    }
}

#[test]
fn all_line_ends_are_supported() {
    for end in ["\r", "\r\n", "\r\r\n", "\n"] {
        let text = ["x,y", "1,a", "2,\"b\"", "3,a", ""].join(end);
        let table = table(&text).unwrap();
        assert_eq!((&table.values[..], labels(&table)), (&[1., 2., 3.][..], vec!["a", "b", "a"]), "{text:?}");
        assert_eq!(table.lines, [2, 3, 4]);
    }
    assert_eq!(labels(&table("x,y\r1,a\n2,b\r\n3,a").unwrap()), ["a", "b", "a"]);
}

#[test]
fn the_type_of_a_binary_file_is_reported() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"1,2,a\n3,4,b\n").unwrap();
    let table = table_with("a.csv", encoder.finish().unwrap(), &DataOptions::default()).unwrap();
    assert_eq!(labels(&table), ["a", "b"]);
    for (bytes, kind) in [
        (&b"PK\x03\x04\x14\0\x06\0[Content_Types].xml"[..], "an Excel workbook"),
        (b"PK\x03\x04\x14\0\0\0a.csv1,2,a", "a zip archive"),
        (b"\xff\xfe1\0,\0a\0", "text in UTF-16, not a text table in UTF-8; save it as CSV in UTF-8"),
        (b"\xfe\xff\x001\0,\0a", "text in UTF-16"),
        (b"\0\0\0\x18ftypheic\0\0", "a HEIC or AVIF image"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
    ] {
        let message = problem(bytes);
        assert!(message.starts_with(", line 1: the file is ") && message.contains(kind), "{message}");
    }
    assert_eq!(super::tests::table("GIF8,y\n1,a\n2,b\n").unwrap().lines, [2, 3]);
}

#[test]
fn unicode_white_space_is_trimmed() {
    let table = table("x\u{a0},\u{200b}kind\n1\u{a0},a\u{a0}\n\u{202f}2,a\n3,b\u{feff}\n").unwrap();
    assert_eq!((&table.values[..], labels(&table)), (&[1., 2., 3.][..], vec!["a", "a", "b"]));
    assert_eq!(table.layout.feature_names(), ["x"]);
}

#[test]
fn all_errors_are_reported_with_one_command() {
    let row = |row: usize| format!("n{row},{},{},{}\n", row * 7 % 10, row % 3, ["a", "b"][row % 2]);
    let good: String = (0..60).map(row).collect();
    let text = format!("name,x,z,kind\n{good}n60,,1,a\nn61,oops,1,b\nn62,1,1,\n");
    let (_folder, path) = file("a.csv", text.as_bytes());
    let strict = DataOptions { missing: Missing::Error, ..DataOptions::default() };
    let message = Csv.read(&path, &strict).unwrap_err().to_string();
    for part in [
        "a.csv: the table has 3 problems: column 2 (x) has 1 missing value(s), the first in line 62",
        "1 row(s) have no label (column 4 (kind)), the first in line 64",
        "`oops` in line 63, column 2 (x), is not a number",
        "a.csv --ignore x",
    ] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    assert!(message.len() < 1000, "{message}");
    let faults = Faults::of(&path, &strict).unwrap();
    let table = read(&path, &faults.remedied.unwrap()).unwrap();
    assert_eq!((table.rows.len(), table.layout.feature_names()), (62, vec!["z".to_string()]));
    // If missing values are read, rows without a label are dropped.
    let text = "x,z,kind\n1,2,a\n,3,b\n4,5,\n6,7,b\n";
    let message = problem_with(text, &strict);
    assert!(message.ends_with("a.csv"), "{message}");
    assert_eq!(table_with("a.csv", text, &DataOptions::default()).unwrap().lines, [2, 3, 5]);
    // Errors that no option works around have no command.
    let message = problem_with("x,z,kind\n1,2,a\n,3,b\n4,5\n6,7,b\n", &strict);
    assert!(
        message.contains("1 row(s) do not have 3 values, the first in line 4 with 2")
            && message.ends_with("Correct the table"),
        "{message}"
    );
}

#[test]
fn the_delimiter_is_inferred_from_rows_and_cells() {
    // A few rows are invalid.
    assert!(problem("x;y\n1,5;a\n2,5;b\n3,5;a;b\n4,5;b\n").starts_with(", line 4: the row has 3 value(s)"));
    for (text, width) in [
        ("Doe, John;1;a\nRoe, Ann;2;b\nDoe, Jane;3;a\n", 3),
        ("1\tx,y\ta\n2\tx,z\tb\n", 3),
        ("a|1,5\nb|2,5\na|3,25\n", 2),
        ("x,y\n1,a;b\n2,a;c\n", 2),
    ] {
        assert_eq!(table(text).map(|table| table.layout.width).unwrap_or(0), width, "{text}");
    }
}

#[test]
fn a_pipe_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("rows.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let allowed = RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false };
    let message = read_rows(&pipe, &model(), allowed).unwrap_err().to_string();
    assert!(message.contains("this is a pipe; expected a regular file"), "{message}");
}

#[test]
fn codes_among_numbers_are_categories() {
    // Diagnoses, of which the first rows are numbers.
    let rows = |codes: &[&str]| {
        let numbers: String = (0..100).map(|row| format!("{}.5,{}\n", 200 + row % 10, row % 2)).collect();
        let codes: String = codes.iter().map(|code| format!("{code},1\n")).collect();
        format!("diagnosis,kind\n{numbers}{codes}")
    };
    let read = |codes: &[&str]| table_with("a.csv", rows(codes), &DataOptions::default());
    let table = read(&["V27", "E909.1", "V45", "250.83", "136A", "V27"]).unwrap();
    assert_eq!(table.rows.len(), 106);
    let features = table.layout.feature_names();
    assert!(features.iter().all(|name| name.starts_with("diagnosis")), "{features:?}");
    // Fewer are typing errors, and so is what is no code.
    for codes in [&["V27", "V27", "V45", "E1"][..], &["V27", "V27", "V45", "E1", "1O2", "V3"]] {
        let message = read(codes).unwrap_err().to_string();
        assert!(message.contains("`V27` is not a number (one of "), "{message}");
    }
    let units = ["10k", "11k", "12k", "13k", "14k", "V27"];
    assert!(read(&units).unwrap_err().to_string().contains("`10k` is not a number"));
}
