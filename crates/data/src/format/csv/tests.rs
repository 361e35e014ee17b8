mod converted;
mod files;
mod labeled;
mod notations;
mod schema;

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::Inputs;
use crate::column::{ColumnKind, FeatureGroup};
use crate::column_choice::ColumnChoice;
use crate::unknown::UnknownPolicy;

fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn table_with(name: &str, text: impl AsRef<[u8]>, options: &DataOptions) -> Result<Table> {
    let (_folder, path) = file(name, text.as_ref());
    read(&path, options)
}

fn table(text: impl AsRef<[u8]>) -> Result<Table> {
    table_with("a.csv", text, &DataOptions::default())
}

/// The labels as text.
fn labels(table: &Table) -> Vec<&str> {
    table.labels.iter().map(|label| table.label_texts[*label as usize].as_str()).collect()
}

fn problem(text: impl AsRef<[u8]>) -> String {
    problem_with(text, &DataOptions::default())
}

fn problem_with(text: impl AsRef<[u8]>, options: &DataOptions) -> String {
    let (_folder, path) = file("a.csv", text.as_ref());
    let text = Csv.read(&path, options).unwrap_err().to_string();
    text.split_once("a.csv").unwrap().1.to_string()
}

fn choose(label: &str) -> DataOptions {
    DataOptions { label: label.parse().unwrap(), ..DataOptions::default() }
}

#[test]
fn a_header_is_recognized_and_optional() {
    let with = table("x,y,kind\n1,2,a\n3,4,b\n").unwrap();
    let without = table("1,2,a\n3,4,b\n").unwrap();
    assert_eq!(with.values, without.values);
    assert_eq!(labels(&with), ["a", "b"]);
    assert_eq!((with.lines, without.lines), (vec![2, 3], vec![1, 2]));
    assert_eq!((with.rows, without.rows), (vec![0, 1], vec![0, 1]));
    assert_eq!(with.layout.feature_names(), ["x", "y"]);
    assert_eq!(without.layout.feature_names(), ["1", "2"]);
}

#[test]
fn a_header_over_categories_is_recognized_because_its_names_do_not_recur() {
    let rows = "red,round,a\nblue,long,b\nred,long,a\nblue,round,b\n";
    assert_eq!(table(format!("color,shape,kind\n{rows}")).unwrap().lines, [2, 3, 4, 5]);
    assert_eq!(table(rows).unwrap().lines, [1, 2, 3, 4]);
}

#[test]
fn a_byte_order_mark_spaces_and_windows_line_ends_are_ignored() {
    let table = table("\u{feff}1, 2 ,a\r\n3,4, b\r\n").unwrap();
    assert_eq!((&table.values[..], labels(&table)), (&[1., 2., 3., 4.][..], vec!["a", "b"]));
}

#[test]
fn the_delimiter_is_recognized() {
    for delimiter in [",", ";", "\t", "|"] {
        let text = "x,y,kind\n1,2,a\n3,4,b\n".replace(',', delimiter);
        let table = table(&text).unwrap();
        assert_eq!((&table.values[..], labels(&table)), (&[1., 2., 3., 4.][..], vec!["a", "b"]), "{text}");
    }
    // A comma in every row of a .tsv is not a delimiter.
    let table = table_with("a.tsv", "1\t2\ta,b\n3\t4\tc,d\n", &DataOptions::default()).unwrap();
    assert_eq!(labels(&table), ["a,b", "c,d"]);
    // Quoted delimiters do not count.
    let quoted = "\"a, b\";1;x\n\"c, d\";2;y\n\"a, b\";3;x\n\"c, d\";4;y\n";
    assert_eq!(super::tests::table(quoted).unwrap().layout.columns.len(), 2);
}

#[test]
fn any_column_can_be_the_label() {
    let text = "kind,x,y\na,1,2\nb,3,4\n";
    for label in ["first", "1", "kind"] {
        let table = table_with("a.csv", text, &choose(label)).unwrap();
        assert_eq!((&table.values[..], labels(&table)), (&[1., 2., 3., 4.][..], vec!["a", "b"]));
        assert_eq!(table.layout.feature_names(), ["x", "y"]);
    }
    let message = problem_with(text, &choose("kin"));
    assert!(
        message.starts_with(": the header has no column `kin`; did you mean `kind`? It has: kind, x, y"),
        "{message}"
    );
    assert_eq!(problem_with(text, &choose("4")), ": there is no column 4; the table has 3");
    // A name that is a number, which no column has.
    let rows: String = (1..7).map(|row| format!("{row},{},{}\n", row * 3 % 5, ["a", "b"][row % 2])).collect();
    let table = table_with("a.csv", format!("size,2015,2016\n{rows}"), &choose("2016")).unwrap();
    assert_eq!(
        (table.layout.feature_names(), table.label_texts),
        (vec!["size".into(), "2015".into()], vec!["b".into(), "a".into()])
    );
}

#[test]
fn ignored_and_group_columns_are_not_inputs() {
    let options = DataOptions {
        ignore: Some("id, note".into()),
        group: Some(ColumnChoice::Name("who".into())),
        ..DataOptions::default()
    };
    let text = "id,x,who,note,kind\n1,5,ann,free text,a\n2,6,bob,more of it,b\n3,7,ann,and more,a\n";
    let table = table_with("a.csv", text, &options).unwrap();
    assert_eq!(table.values, [5., 6., 7.]);
    assert_eq!(table.groups.unwrap(), ["ann", "bob", "ann"]);
    assert_eq!((table.layout.width, table.layout.columns[0].position), (5, 1));
}

#[test]
fn texts_become_one_hot_columns() {
    let text = "size,color,kind\n1,red,a\n2,blue,b\n3,red,a\n4,green,b\n";
    let table = table(text).unwrap();
    assert_eq!(table.layout.feature_names(), ["size", "color=blue", "color=green", "color=red"]);
    assert_eq!(table.values, [1., 0., 0., 1., 2., 1., 0., 0., 3., 0., 0., 1., 4., 0., 1., 0.]);
}

#[test]
fn a_column_of_identifiers_is_left_out_unless_it_is_kept() {
    let row = |row: u32| format!("name{row},{},{}\n", row % 7, row % 2);
    let text = format!("name,x,kind\n{}", (0..150).map(row).collect::<String>());
    assert_eq!(table(&text).unwrap().layout.feature_names(), ["x"]);
    let options = DataOptions { keep: Some("name".into()), ..DataOptions::default() };
    let kept = table_with("a.csv", &text, &options).unwrap();
    assert!(
        matches!(&kept.layout.columns[0].kind, ColumnKind::Code { categories, .. } if categories.len() == 150)
    );
    // Without other columns, nothing is left out.
    let alone: String = (0..20).map(|row| format!("k{row},{}\n", ["a", "b"][row % 2])).collect();
    assert_eq!(table(format!("key,kind\n{alone}")).unwrap().layout.columns.len(), 1);
}

#[test]
fn missing_values_are_rejected_dropped_or_kept_for_filling() {
    let text = "x,color,kind\n1,red,a\n,blue,b\n3,NA,a\n4,blue,b\n5,red,n/a\n";
    let with = |missing| DataOptions { missing, ..DataOptions::default() };
    let strict = with(Missing::Error);
    let message = problem_with(&text[..text.len() - "3,NA,a\n4,blue,b\n5,red,n/a\n".len()], &strict);
    assert!(message.starts_with(", line 3, column 1 (x): missing value; fill it in"), "{message}");
    let message = problem_with(text, &strict);
    assert!(
        message.contains("column 1 (x) has 1 missing value(s), the first in line 3; column 2 (color) has"),
        "{message}"
    );
    let dropped = table_with("a.csv", text, &with(Missing::Drop)).unwrap();
    assert_eq!((dropped.rows, dropped.lines), (vec![0, 3], vec![2, 5]));
    assert_eq!(dropped.values, [1., 0., 1., 4., 1., 0.]);
    let text = "x,color,kind\n1,red,a\n,blue,b\n3,?,a\n4,blue,b\n";
    let filled = table_with("a.csv", text, &with(Missing::Median)).unwrap();
    assert_eq!(filled.rows.len(), 4);
    let missing: Vec<_> = filled.values.iter().map(|value| value.is_nan()).collect();
    assert_eq!(missing.iter().filter(|missing| **missing).count(), 3);
    assert!(missing[3] && missing[7] && missing[8]);
    let valued = table_with("a.csv", text, &DataOptions::default()).unwrap();
    assert_eq!(valued.layout.feature_names(), ["x", "color=(missing)", "color=blue", "color=red"]);
    assert_eq!(valued.values[8..12], [3., 1., 0., 0.]);
    assert!(valued.values[4].is_nan() && valued.layout.missing_is_value);
}

#[test]
fn compressed_tables_are_read_and_decompression_bombs_are_rejected() {
    use std::io::Write;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let table = table_with("a.csv.gz", pack(b"1,2,a\n3,4,b\n"), &DataOptions::default()).unwrap();
    assert_eq!(labels(&table), ["a", "b"]);
    let (_folder, path) = file("a.csv.gz", &pack(b"1,2,a\n3,4,b\n")[..12]);
    assert!(read(&path, &DataOptions::default()).unwrap_err().to_string().contains("not gzip, or damaged"));
    let zstd =
        |bytes: &[u8]| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
    let table = table_with("a.tsv.zst", zstd(b"1\t2\ta\n3\t4\tb\n"), &DataOptions::default()).unwrap();
    assert_eq!(labels(&table), ["a", "b"]);
    // A bomb of lines ends at the limit of its codec, and one without them earlier.
    let bomb = pack(&vec![b'1'; (1 << 26) + (1 << 21)]);
    let (_folder, path) = file("a.csv.gz", &bomb);
    let message = read(&path, &DataOptions::default()).unwrap_err().to_string();
    assert!(message.contains("line 1: the row is longer than 64 MiB"), "{message}");
}

#[test]
fn errors_name_line_and_column() {
    assert_eq!(
        problem("1,2,a\n3,x,b\n"),
        ", line 2, column 2: `x` is not a number; correct it, ignore the column with --ignore 2, or set its type with --schema"
    );
    let strict = DataOptions { missing: Missing::Error, ..DataOptions::default() };
    let missing = |text: &str| problem_with(text, &strict);
    assert!(missing("p,q,k\n1,2,a\n3,,b\n").starts_with(", line 3, column 2 (q): missing value; fill it in"));
    assert!(missing("1,2,a\n3,NaN,b\n").starts_with(", line 2, column 2: missing value (`NaN`)"));
    assert!(problem("1,2,a\n3,1e99,b\n").starts_with(", line 2, column 2: `1e99` is not a finite number"));
    assert_eq!(problem("1,2,a\n3,b\n"), ", line 2: the row has 2 value(s), but the first row has 3");
    assert_eq!(
        missing("1,2,a\n3,4,\n"),
        ", line 2: the row has no label (column 3 is empty); fill it in, or drop such rows with --missing value"
    );
    let dropped = table_with("a.csv", "1,2,a\n3,4,\n5,6,b\n", &DataOptions::default()).unwrap();
    assert_eq!(dropped.rows, [0, 2]);
    assert!(problem("").starts_with(": the file is empty"));
    assert!(problem("x,kind\n").starts_with(": the file has a header but no rows"));
    assert!(problem(b"1,2,a\n3,\xff,b\n").starts_with(", line 2, column 2: the text is not UTF-8"));
    assert!(problem("1\n2\n").contains("single value"));
    assert!(problem(b"1,2,a\n3\0,4,b\n").starts_with(", line 2: unexpected NUL byte"));
}

#[test]
fn blank_lines_and_windows_line_ends_are_counted() {
    assert_eq!(
        problem("1,2,a\n\n\n3,x,b\n"),
        ", line 4, column 2: `x` is not a number; correct it, ignore the column with --ignore 2, or set its type with --schema"
    );
    assert_eq!(
        problem("\r\n1,2,a\r\n3,4,b\r\n\r\n3,x,b\r\n"),
        ", line 5, column 2: `x` is not a number; correct it, ignore the column with --ignore 2, or set its type with --schema"
    );
    assert!(problem(b"1,2,a\n\n3,4,\xff\n").starts_with(", line 3, column 3: the text is not UTF-8"));
    assert_eq!(table("\n\nx,k\n\n1,a\r\n\r\n\r\n2,b").unwrap().lines, [5, 8]);
}

#[test]
fn an_unclosed_quotation_mark_is_reported() {
    for (text, expected) in [
        ("1,2,a\n3,4,\"b\n5,6,a\n7,8,b\n", ", line 2: the label `b\\n5,6,a\\n7,8,b` has more than one line"),
        ("1,2,a\n3,\"4,b\n5,6,a\n", ", line 2: the row has 2 value(s)"),
        ("\"1,2,a\n3,4,b\n", ", line 1: a row needs at least one value"),
        ("1,2,a\n\"3\n,\",4,b\n", ", line 2, column 1: `3\\n,` is not a number"),
    ] {
        let problem = problem(text);
        assert!(problem.starts_with(expected) && problem.contains("quotation mark"), "{problem}");
    }
}

#[test]
fn a_first_row_with_one_invalid_cell_is_not_a_header() {
    assert_eq!(
        problem("1,oops,a\n3,4,b\n"),
        ", line 1, column 2: `oops` is not a number; correct it, ignore the column with --ignore 2, or set its type with --schema"
    );
}

#[test]
fn a_large_file_is_read_in_chunks_to_the_same_rows() {
    let row = |row: u32| format!("{row},{},{}\n", ["red", "blue", "green"][(row / 7 % 3) as usize], row % 5);
    let text: String = (0..300_000).map(row).collect();
    assert!(text.len() > 3 << 20);
    // Chunks with a quotation mark use the general parser.
    let whole = format!("\"0\"{}", &text[1..]);
    let (cut, whole) = (table(&text).unwrap(), table(&whole).unwrap());
    assert_eq!(labels(&cut), labels(&whole));
    assert_eq!((cut.values, cut.lines, cut.rows), (whole.values, whole.lines, whole.rows));
    // An error after the first chunk has the right line.
    assert_eq!(
        problem(format!("{text}1,red\n")),
        ", line 300001: the row has 2 value(s), but the first row has 3"
    );
    // The first of several errors is reported, whichever chunk was parsed first.
    let faulty = text.replacen("\n150000,", "\n150000,,", 1) + "1\n";
    assert_eq!(problem(faulty), ", line 150001: the row has 4 value(s), but the first row has 3");
}

#[test]
fn a_large_table_of_numbers_is_read_exactly_and_has_the_hash_of_the_file() {
    // Numbers of all lengths, in rows with any alignment to the eight-byte blocks.
    let value = |row: u32, column: u32| {
        let number = (row.wrapping_mul(2_654_435_761) ^ column.wrapping_mul(40_503)) % 20_000_000;
        let sign = if number.is_multiple_of(3) { "-" } else { "" };
        match number % 5 {
            0 => format!("{sign}{}", number % 1000),
            1 => format!("{sign}{}.5", number % 100),
            2 => format!("{sign}0.{number}"),
            _ => format!("{sign}{}.{:04}", number % 10, number % 10_000),
        }
    };
    let rows: Vec<Vec<String>> =
        (0..20_000).map(|row| (0..21).map(|column| value(row, column)).collect()).collect();
    for label in [0, 9, 21] {
        let line = |row: &Vec<String>| {
            let mut cells = row.clone();
            cells.insert(label, if row[0].len().is_multiple_of(2) { "even" } else { "odd" }.into());
            cells.join(",") + "\n"
        };
        let text: String = rows.iter().map(line).collect();
        assert!(text.len() > 2 << 20);
        let table = table_with("a.csv", &text, &choose(&(label + 1).to_string())).unwrap();
        assert_eq!(table.sha256, crate::sha256(text.as_bytes()));
        assert_eq!(table.lines, (1..=20_000).collect::<Vec<_>>());
        let expected = rows.iter().flatten().map(|cell| cell.parse::<f32>().unwrap().to_bits());
        assert!(table.values.iter().map(|value| value.to_bits()).eq(expected), "label {label}");
    }
}

fn model() -> TableLayout {
    table("size,color,kind\n1,red,a\n2,blue,b\n3,red,a\n4,blue,b\n").unwrap().layout
}

fn rows_for_model(text: &str, missing: bool) -> Result<Table> {
    let (_folder, path) = file("rows.csv", text.as_bytes());
    read_rows(&path, &model(), RowPolicy { missing, unknown: UnknownPolicy::Error, no_label: false })
}

#[test]
fn rows_for_a_model_are_found_by_the_names_of_the_header() {
    let expected = [1., 0., 1., 2., 1., 0.];
    for text in [
        "color,id,size\nred,7,1\nblue,8,2\n",
        "size,color,kind\n1,red,a\n2,blue,b\n",
        "kind;color;size\na;red;1\nb;blue;2\n",
        "1,red\n2,blue\n",
        "1,red,a\n2,blue,b\n",
    ] {
        assert_eq!(rows_for_model(text, false).unwrap().values, expected, "{text}");
    }
}

#[test]
fn an_unknown_category_is_encoded_as_zeros() {
    let mut model = model();
    if let ColumnKind::Category { unknown, .. } = &mut model.columns[1].kind {
        *unknown = true;
    }
    let (_folder, path) = file("rows.csv", b"size,color\n1,red\n2,pink\n");
    let read = |unknown| read_rows(&path, &model, RowPolicy { missing: false, unknown, no_label: false });
    assert_eq!(read(UnknownPolicy::Allow).unwrap().values, [1., 0., 1., 2., 0., 0.]);
    let message = read(UnknownPolicy::Error).unwrap_err().to_string();
    assert!(
        message.ends_with("unknown category `pink` in this column; known categories are blue, red"),
        "{message}"
    );
    let row = |text: &[u8]| {
        let allowed = RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false };
        read_row(text, &std::sync::Arc::new(model.clone()), allowed)
            .map(|row| (row.values, row.unknown.len()))
    };
    assert!(
        row(b"size,color\n").unwrap_err().to_string().contains("column 1 (size): `size` is not a number")
    );
    assert_eq!(row(b"2,pink\n").unwrap(), (vec![2., 0., 0.], 1));
    assert_eq!(row(b"2,blue\n").unwrap(), (vec![2., 1., 0.], 0));
}

#[test]
fn repeated_column_names_get_a_number_and_cannot_be_selected() {
    let text = "v,v,v.1,label\n1,2,3,a\n4,5,6,b\n";
    assert_eq!(table(text).unwrap().layout.feature_names(), ["v", "v.2", "v.1"]);
    let message = table_with("a.csv", text, &choose("v")).unwrap_err().to_string();
    assert!(message.contains("several columns named `v`; select one by its number (1, 2)"), "{message}");
}

#[test]
fn rows_that_do_not_match_the_model_are_rejected() {
    let problem = |text, missing| {
        let message = rows_for_model(text, missing).unwrap_err().to_string();
        message.split_once("rows.csv").unwrap().1.to_string()
    };
    let message = problem("size,color\n1,red\n2,pink\n", false);
    assert_eq!(
        message,
        ", line 3, column 2 (color): unknown category `pink` in this column; known categories are blue, red; \
         retrain the model to support unknown categories"
    );
    assert!(problem("1\n2\n", false).contains("has 1 value(s), but the model takes 2"));
    assert!(problem("size,color\n,red\n", false).contains("missing value"));
    assert!(rows_for_model("size,color\n,red\n1,NA\n", true).unwrap().values[0].is_nan());
}

proptest! {
    #[test]
    fn numbers_and_labels_survive_the_file(
        rows in prop::collection::vec((prop::collection::vec(-1e30f32..1e30, 3), "[a-z0-9 ,\"]{1,8}"), 1..20)
    ) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        let mut expected = Vec::new();
        for (values, label) in &rows {
            // Cells are trimmed, so the expected label is trimmed too; an empty one is an error.
            let label = if label.trim().is_empty() { "blank" } else { label.trim() };
            expected.push(label.to_string());
            let mut cells: Vec<_> = values.iter().map(f32::to_string).collect();
            cells.push(label.to_string());
            writer.write_record(&cells).unwrap();
        }
        let table = table(writer.into_inner().unwrap()).unwrap();
        prop_assert_eq!(&table.values, &rows.iter().flat_map(|(values, _)| values.clone()).collect::<Vec<_>>());
        prop_assert_eq!(labels(&table), expected);
    }

    /// A quoted cell makes all rows use the general parser.
    #[test]
    fn the_fast_and_the_general_parser_agree(
        rows in prop::collection::vec(
            (
                prop::collection::vec(
                    prop_oneof![
                        20 => "-?[0-9]{1,4}[.]?[0-9]{0,4}",
                        1 => "[0-9]{8,10}| 7|-1[.]5e-3|NA|x||nan|[.]5",
                    ],
                    20,
                ),
                "[ab]|NA||b b| a",
            ),
            1..12,
        ),
        columns in 1usize..20, end in "\n|\r\n", missing in 0usize..3, last_end: bool
    ) {
        let text = |mark: &str| {
            let line = |(cells, label): &(Vec<String>, String)| format!("{},{mark}{label}{mark}", cells[..columns].join(","));
            let lines = rows.iter().map(line).collect::<Vec<_>>().join(&end);
            if last_end { lines + &end } else { lines }
        };
        let missing = [Missing::Error, Missing::Drop, Missing::Mean][missing];
        let read = |mark| {
            let options = DataOptions { missing, ..DataOptions::default() };
            let (_folder, path) = file("a.csv", text(mark).as_bytes());
            let message = |error: Error| error.to_string().replace(&path.display().to_string(), "");
            read(&path, &options).map_err(message).map(|table| {
                let bits: Vec<_> = table.values.iter().map(|value| value.to_bits()).collect();
                (bits, table.labels, table.label_texts, table.rows, table.lines, table.layout)
            })
        };
        prop_assert_eq!(read(""), read("\""));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes: Vec<u8>, label in "first|last|2|x", missing in 0usize..4, group: bool
    ) {
        let missing = [Missing::Error, Missing::Drop, Missing::Mean, Missing::Median][missing];
        let group = group.then_some(ColumnChoice::Number(1));
        let options = DataOptions { missing, group, ..choose(&label) };
        let (_folder, path) = file("a.csv", &bytes);
        if let Ok(dataset) = Csv.read(&path, &options) {
            let Inputs::Floats(values) = &dataset.inputs else { unreachable!() };
            prop_assert_eq!(values.len(), dataset.rows() * dataset.shape.features() as usize);
        }
        let _ = read_rows(&path, &model(), RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false });
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-c1-9,;\n\"?. -]{0,80}") {
        let (_folder, path) = file("a.csv", text.as_bytes());
        let _ = Csv.read(&path, &DataOptions::default());
        let _ = read_rows(&path, &model(), RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false });
    }
}

#[test]
fn a_row_with_millions_of_columns_is_rejected() {
    let row = "1,".repeat(2_000_000);
    let problem = table(format!("{row}a\n{row}b\n")).unwrap_err().to_string();
    assert!(problem.contains("line 1: the row has 2000001 columns; the maximum is 1048576"), "{problem}");
}

#[test]
fn the_type_of_a_column_is_inferred_from_all_of_its_rows() {
    // The first thousand rows have no value, or only numbers.
    let row = |row: usize| {
        let (late, mixed) =
            if row < 1500 { (String::new(), row.to_string()) } else { (format!("t{}", row % 3), "x".into()) };
        format!("{late},{mixed},{},{}\n", row % 5, ["a", "b"][row % 2])
    };
    let rows: String = (0..4000).map(row).collect();
    let table = table(format!("late,mixed,z,kind\n{rows}")).unwrap();
    let kinds: Vec<_> = table.layout.columns.iter().map(|column| column.kind.name()).collect();
    assert_eq!(kinds, ["category", "category", "number"]);
    assert_eq!(table.layout.columns[0].features(), 4);
    assert!(matches!(table.layout.columns[1].kind, ColumnKind::Code { .. }));
}

#[test]
fn columns_of_all_types_become_features_in_groups() {
    let genres = ["Action|Comedy", "Comedy", "Action", "", "Drama|Action", "Drama|Comedy"];
    let row = |row: usize| {
        format!(
            "{},2020-{:02}-01 06:00,{},{},city {},it was number {row} of the day,{}\n",
            row,
            row % 12 + 1,
            ["yes", "no", ""][row % 3],
            genres[row % 6],
            row % 70,
            ["a", "b"][row % 2]
        )
    };
    let rows: String = (0..210).map(row).collect();
    let text = format!("id,when,paid,genres,city,note,kind\n{rows}");
    let table = table(&text).unwrap();
    let kinds: Vec<_> = table.layout.columns.iter().map(|column| column.kind.name()).collect();
    assert_eq!(kinds, ["date", "boolean", "list", "category", "text"]);
    let groups = table.layout.feature_groups();
    assert_eq!(
        groups[7..10],
        [FeatureGroup::Number, FeatureGroup::Indicators { count: 4 }, FeatureGroup::Code { categories: 70 }]
    );
    assert_eq!(table.layout.features(), groups.iter().map(FeatureGroup::features).sum::<usize>());
    assert_eq!(table.layout.feature_names().len(), table.layout.features());
    let names = &table.layout.feature_names()[7..13];
    assert_eq!(names, ["paid", "genres=(missing)", "genres=Action", "genres=Comedy", "genres=Drama", "city"]);
    // Row 3 has no genre, and row 2 no answer.
    let width = table.width();
    assert_eq!(table.values[3 * width + 7..][..6], [1., 1., 0., 0., 0., 23.]);
    assert!(table.values[2 * width + 7].is_nan());
    // New rows become the same features, also by name and one by one; unknown categories and items are reported.
    let (_folder, path) = file("rows.csv", text.as_bytes());
    let allowed = RowPolicy { missing: true, unknown: UnknownPolicy::Allow, no_label: false };
    let mut model = table.layout.clone();
    for column in &mut model.columns {
        if let ColumnKind::Code { unknown, .. } = &mut column.kind {
            *unknown = true;
        }
    }
    let same =
        |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()) && a.len() == b.len();
    assert!(same(&read_rows(&path, &model, allowed).unwrap().values, &table.values));
    let model = std::sync::Arc::new(model);
    let found = read_row(b"1960-02-01,YES,Action|Western,Rome,\"a\"\n", &model, allowed).unwrap();
    let unknown: Vec<_> = found.unknown.iter().map(|unknown| unknown.text.as_str()).collect();
    assert_eq!(unknown, ["Action|Western", "Rome"]);
    assert_eq!((found.values[7], found.values[12]), (1., -1.));
    let error = read_row(b"then,YES,Action,city 1,a\n", &model, allowed).unwrap_err().to_string();
    assert!(error.contains("column 1 (when): `then` is not a date such as 2020-12-31"), "{error}");
    let error = read_row(b"2020-01-01,maybe,Action,city 1,a\n", &model, allowed).unwrap_err().to_string();
    assert!(error.contains("column 2 (paid): `maybe` is not a boolean"), "{error}");
}
