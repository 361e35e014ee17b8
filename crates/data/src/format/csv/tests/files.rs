//! Tables of several files.

use super::*;

/// Writes the files, and gives the pattern `part-*.EXTENSION`.
fn parts(extension: &str, texts: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (number, text) in (1..).zip(texts) {
        std::fs::write(folder.path().join(format!("part-{number}.{extension}")), text).unwrap();
    }
    let pattern = folder.path().join(format!("part-*.{extension}"));
    (folder, pattern)
}

/// The error of the files, from the name of the file on.
fn problem_of(extension: &str, texts: &[&str]) -> String {
    let (folder, pattern) = parts(extension, texts);
    let error = Csv.read(&pattern, &DataOptions::default()).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn several_files_are_one_table() {
    let texts =
        ["x,c,kind\n1,u,a\n2,\"v\nw\",b\n", "\n\r\n x ,\"c\" ,kind\n\n3,u,a\n", "", "x,c,kind\n4,z,c"];
    let (folder, pattern) = parts("csv", &texts);
    let table = read(&pattern, &DataOptions::default()).unwrap();
    assert_eq!(labels(&table), ["a", "b", "a", "c"]);
    assert_eq!((table.width(), table.rows.as_slice()), (4, &[0, 1, 2, 3][..]));
    assert_eq!(table.sha256, crate::sha256(texts.concat().as_bytes()));
    let places: Vec<_> = (0..4).map(|row| table.location(row).to_string()).collect();
    let place = |file: u32, line: u32| format!("{}/part-{file}.csv, line {line}", folder.path().display());
    assert_eq!(places, [place(1, 2), place(1, 3), place(2, 5), place(4, 2)]);
    let column = read_column(&pattern, &"c".parse().unwrap(), table.lines[0]).unwrap();
    let cells: Vec<_> = table.lines.iter().map(|line| column.cells[line].as_str()).collect();
    assert_eq!((column.name.as_str(), cells), ("c", vec!["u", "v\nw", "u", "z"]));

    let policy = RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false };
    assert_eq!(read_rows(&pattern, &table.layout, policy).unwrap().values, table.values);
}

#[test]
fn files_without_a_header_and_json_lines_are_one_table() {
    let (_folder, pattern) = parts("tsv", &["1\t2\ta\n", "1\t2\ta\n3\t4\tb\n"]);
    let table = read(&pattern, &DataOptions::default()).unwrap();
    assert_eq!((labels(&table), &table.values[..]), (vec!["a", "a", "b"], &[1., 2., 1., 2., 3., 4.][..]));
    let object = |x: u32, kind: &str| format!("{{\"x\": {x}, \"kind\": \"{kind}\"}}\n");
    let texts = [object(1, "a"), format!("\n{}", object(2, "b"))];
    let (folder, pattern) = parts("jsonl", &[&texts[0], &texts[1]]);
    let table = read(&pattern, &DataOptions::default()).unwrap();
    assert_eq!((labels(&table), &table.values[..]), (vec!["a", "b"], &[1., 2.][..]));
    assert_eq!(table.location(1).to_string(), format!("{}/part-2.jsonl, line 2", folder.path().display()));
}

#[test]
fn faults_name_the_file_and_its_line() {
    let first = "x,y,kind\n1,2,a\n3,4,b\n";
    for (second, expected) in [
        ("x,y,kind\n1,2,a\n5,z,b\n", "part-2.csv, line 3, column 2 (y): `z` is not a number"),
        ("x,y,kind\n\n5,b\n", "part-2.csv, line 3: the row has 2 value(s), but the header has 3"),
        ("\nx,z,kind\n1,2,a\n", "part-2.csv, line 2: the header differs from that of "),
        ("x,y,w,kind\n1,2,3,a\n", "part-2.csv, line 1: the header differs from that of "),
        ("1,2,a\n", "part-2.csv, line 1: the header differs from that of "),
        ("x,y,kind\n1,\0,a\n", "part-2.csv, line 2: unexpected NUL byte"),
    ] {
        let error = problem_of("csv", &[first, second]);
        assert!(error.starts_with(expected), "{second:?}: {error}");
    }
    let differs = problem_of("csv", &[first, "x,z,kind\n1,2,a\n"]);
    assert!(
        differs.ends_with("part-1.csv, which is a part of the same table: column 2 is `z`, and there `y`"),
        "{differs}"
    );
    let several = problem_of("csv", &[first, "x,y,kind\n1,?,a\n5,z\n6,u,b\n"]);
    assert!(several.contains("the first in line 3 of part-2.csv with 2"), "{several}");
    assert!(several.contains("`u` in line 4 of part-2.csv, column 2 (y), is not a number"), "{several}");
}

#[test]
fn a_column_is_one_of_texts_if_those_of_later_files_are() {
    let rows = |range: std::ops::Range<u32>, text: &str| -> String {
        range.map(|row| format!("{text}{},{}\n", row % 7, ["a", "b"][row as usize % 2])).collect()
    };
    let texts = [format!("c,kind\n{}", rows(0..10, "")), format!("c,kind\n{}", rows(0..90, "x"))];
    let (_folder, pattern) = parts("csv", &[&texts[0], &texts[1]]);
    let table = read(&pattern, &DataOptions::default()).unwrap();
    assert!(
        matches!(table.layout.columns[0].kind, ColumnKind::Category { .. }),
        "{:?}",
        table.layout.columns
    );
    assert_eq!(table.rows.len(), 100);
}

proptest! {
    #[test]
    fn the_rows_of_a_table_do_not_depend_on_its_files(
        rows in prop::collection::vec("[0-9]{1,3},(\"u\nv\"|w|),[ab]\r?\n(\n)?", 2..20), cuts in prop::collection::vec(0usize..20, 0..4)
    ) {
        let header = "x,c,kind\n";
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.clamp(1, rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let texts: Vec<_> = cuts.windows(2).map(|cut| header.to_string() + &rows[cut[0]..cut[1]].concat()).collect();
        let (_folder, pattern) = parts("csv", &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let result = |table: Result<Table>| table.map(|table| {
            let bits: Vec<u32> = table.values.iter().map(|value| value.to_bits()).collect();
            (bits, table.labels, table.label_texts, table.rows, table.layout)
        });
        let whole = table(header.to_string() + &rows.concat());
        match (result(read(&pattern, &DataOptions::default())), result(whole)) {
            (Ok(parts), Ok(whole)) => prop_assert_eq!(parts, whole),
            (parts, whole) => prop_assert!(parts.is_err() && whole.is_err()),
        }
    }
}
