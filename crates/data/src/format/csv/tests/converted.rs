//! Tables in JSON lines and Parquet.

use super::*;

fn jsonl(text: &str) -> Result<Table> {
    table_with("a.jsonl", text, &DataOptions::default())
}

fn refused(text: &str) -> String {
    let error = jsonl(text).unwrap_err().to_string();
    error.split_once("a.jsonl").unwrap().1.to_string()
}

#[test]
fn json_lines_are_a_table_with_the_keys_of_all_objects() {
    let text = "{\"x\": 1, \"c\": \"7\", \"kind\": \"a\"}\n\n{\"kind\": \"b\", \"x\": 2.5, \"paid\": true}\n{\"kind\": \"a\", \"x\": null, \"c\": \"8\", \"paid\": false}\n";
    let options = DataOptions { label: "kind".parse().unwrap(), ..DataOptions::default() };
    let table = table_with("a.jsonl", text, &options).unwrap();
    // The texts `7` and `8` stay categories.
    assert_eq!(table.layout.feature_names(), ["x", "c=(missing)", "c=7", "c=8", "paid"]);
    assert_eq!((&table.lines[..], labels(&table)), (&[1, 3, 4][..], vec!["a", "b", "a"]));
    assert_eq!(table.values[5..10], [2.5, 1., 0., 0., 1.]);
    assert!(table.values[10].is_nan());
}

#[test]
fn json_lines_may_be_compressed_with_zstd() {
    let text = b"{\"x\": 1, \"kind\": \"a\"}\n{\"x\": 2, \"kind\": \"b\"}\n";
    let packed = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
    let table = table_with("a.jsonl.zst", packed, &DataOptions::default()).unwrap();
    assert_eq!((&table.values[..], labels(&table)), (&[1., 2.][..], vec!["a", "b"]));
}

#[test]
fn an_arrow_file_is_refused_with_a_remedy() {
    for name in ["a.arrow", "a.feather"] {
        let (_folder, path) = file(name, b"ARROW1\0\0");
        let error = crate::format::read(&path, &DataOptions::default()).unwrap_err().to_string();
        assert!(
            error.contains("Arrow IPC (Feather) file") && error.contains("save it as Parquet"),
            "{error}"
        );
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_pages_may_be_compressed_with_zstd() {
    // By pyarrow: 300 rows with i / 2, red, blue or green, and a or b.
    let bytes = include_bytes!("zstd.parquet");
    let table = table_with("a.parquet", bytes, &DataOptions::default()).unwrap();
    assert_eq!(table.layout.feature_names(), ["size", "color=blue", "color=green", "color=red"]);
    assert_eq!(table.values[4..12], [0.5, 1., 0., 0., 1., 0., 1., 0.]);
    assert_eq!((table.values[4 * 299], labels(&table)[299]), (149.5, "b"));
    // Damaged pages are an error.
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x55;
        let _ = table_with("a.parquet", damaged, &DataOptions::default());
    }
}

#[test]
fn faults_of_json_lines_name_their_line() {
    let good = "{\"x\": 1, \"kind\": \"a\"}\n";
    for (line, expected) in [
        ("{\"x\": [1], \"kind\": \"b\"}", ", line 2: the value of `x` is nested"),
        ("{\"x\": {\"y\": 1}, \"kind\": \"b\"}", ", line 2: the value of `x` is nested"),
        ("{\"x\": 1, \"x\": 2, \"kind\": \"b\"}", ", line 2: the object has the key `x` twice"),
        ("[1, 2]", ", line 2: the line is not a JSON object"),
        ("{\"x\": 1", ", line 2: the line is not a JSON object"),
        ("{\"x\": 1, \"kind\": \"a\\u0000b\"}", ", line 2, column 2: `a\\u{0}b` contains a NUL byte"),
        ("{\"x\": 1e60, \"kind\": \"b\"}", ", line 2, column 1 (x): `1e"),
    ] {
        let error = refused(&format!("{good}{line}\n"));
        assert!(error.starts_with(expected), "{line}: {error}");
    }
    assert!(refused("\n\n").starts_with(": the file is empty"));
    assert!(refused("{}\n").starts_with(": the table has no columns"));
}

#[test]
fn whole_numbers_beyond_the_precision_are_rounded_and_large_tables_have_many_categories() {
    let table = jsonl("{\"x\": 9007199254740993, \"kind\": \"a\"}\n{\"x\": -5, \"kind\": \"b\"}\n").unwrap();
    assert_eq!(table.values, [9_007_199_254_740_992., -5.]);
    let rows: String = (0..200_000)
        .map(|row| format!("{{\"city\": \"c{}\", \"kind\": \"{}\"}}\n", row % 100_000, row % 2))
        .collect();
    let table = jsonl(&rows).unwrap();
    assert!(
        matches!(&table.layout.columns[0].kind, ColumnKind::Code { categories, .. } if categories.len() == 100_000)
    );
    assert_eq!(table.values[0], table.values[100_000]);
}

#[test]
fn rows_for_a_model_are_read_by_key() {
    let model = table("x,color,kind\n1,red,a\n2,blue,b\n").unwrap().layout;
    let (_folder, path) =
        file("rows.jsonl", b"{\"color\": \"blue\", \"x\": 5}\n{\"x\": 6, \"color\": \"red\"}\n");
    let strict = RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false };
    assert_eq!(read_rows(&path, &model, strict).unwrap().values, [5., 1., 0., 6., 0., 1.]);
    let stream = RowStream::open(&path, &std::sync::Arc::new(model), strict).unwrap();
    let rows: Vec<_> = stream.flat_map(|chunk| chunk.unwrap().rows()).collect();
    let lines: Vec<_> = rows.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2]);
    assert_eq!(rows[1].1.as_ref().unwrap().values, [6., 0., 1.]);
}

/// Numbers, texts, booleans and days, if present, and a label.
type SampleRow = (Option<f32>, Option<String>, Option<bool>, i32, bool);

fn as_csv(rows: &[SampleRow]) -> String {
    let mut text = "x,text,flag,day,kind\n".to_string();
    for (x, word, flag, day, kind) in rows {
        let x = x.map_or(String::new(), |x| x.to_string());
        let flag = flag.map_or(String::new(), |flag| flag.to_string());
        let (year, month, day) = crate::dates::civil(i64::from(*day));
        let word = word.clone().unwrap_or_default();
        text +=
            &format!("{x},{word},{flag},{year:04}-{month:02}-{day:02},{}\n", if *kind { "a" } else { "b" });
    }
    text
}

fn as_json(rows: &[SampleRow]) -> String {
    let mut text = String::new();
    for (x, word, flag, day, kind) in rows {
        let (year, month, day) = crate::dates::civil(i64::from(*day));
        let day = format!("{year:04}-{month:02}-{day:02}");
        let kind = if *kind { "a" } else { "b" };
        text +=
            &serde_json::json!({ "x": x, "text": word, "flag": flag, "day": day, "kind": kind }).to_string();
        text.push('\n');
    }
    text
}

#[cfg(feature = "parquet")]
fn as_parquet(rows: &[SampleRow]) -> Vec<u8> {
    use ::parquet::basic::Compression;
    use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, FloatType, Int32Type};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    let schema = "message m { optional float x; optional binary text (UTF8); optional boolean flag; required int32 day (DATE); required binary kind (UTF8); }";
    let schema = std::sync::Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    macro_rules! column {
        ($kind:ty, $values:expr) => {{
            let values: Vec<Option<_>> = $values.collect();
            let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
            let values: Vec<_> = values.into_iter().flatten().collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<$kind>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }};
    }
    column!(FloatType, rows.iter().map(|row| row.0));
    column!(ByteArrayType, rows.iter().map(|row| row.1.as_ref().map(|text| ByteArray::from(text.as_str()))));
    column!(BoolType, rows.iter().map(|row| row.2));
    column!(Int32Type, rows.iter().map(|row| Some(row.3)));
    column!(ByteArrayType, rows.iter().map(|row| Some(ByteArray::from(if row.4 { "a" } else { "b" }))));
    group.close().unwrap();
    writer.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn all_formats_of_a_table_give_the_same_examples(
        rows in prop::collection::vec(
            (
                prop::option::of(-1e6f32..1e6),
                prop::option::of("(red|blue|it was a [a-z]{1,6} day)"),
                prop::option::of(any::<bool>()),
                -50_000i32..50_000,
                any::<bool>(),
            ),
            2..40,
        )
    ) {
        // Without these rows, booleans could be words and dates ambiguous, and a column have no value.
        let first = [true, false].map(|flag| (Some(0.5), Some("red".to_string()), Some(flag), 0, flag));
        let rows: Vec<SampleRow> = first.into_iter().chain(rows).collect();
        let csv = table(as_csv(&rows)).unwrap();
        let bits = |table: &Table| table.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let json = table_with("a.jsonl", as_json(&rows), &DataOptions::default()).unwrap();
        prop_assert_eq!(&json.layout, &csv.layout);
        prop_assert_eq!((bits(&json), labels(&json)), (bits(&csv), labels(&csv)));
        #[cfg(feature = "parquet")]
        {
            let parquet = table_with("a.parquet", as_parquet(&rows), &DataOptions::default()).unwrap();
            prop_assert_eq!(&parquet.layout, &csv.layout);
            prop_assert_eq!((bits(&parquet), labels(&parquet)), (bits(&csv), labels(&csv)));
        }
    }

    #[test]
    fn no_bytes_of_json_lines_make_the_reader_panic(text in "([{}\\[\\]\",:0-9a-c\n]|\"a\":){0,60}") {
        let _ = jsonl(&text);
    }
}

#[cfg(feature = "parquet")]
#[test]
fn a_column_without_a_value_in_the_first_rows_has_the_type_of_the_file() {
    let row = |number: i32| {
        let x = (number >= 1500).then_some(number as f32);
        let word = (number == 1999).then(|| "7".to_string());
        (x, word, None, 0, number % 2 == 0)
    };
    let rows: Vec<SampleRow> = (0..2000).map(row).collect();
    let table = table_with("a.parquet", as_parquet(&rows), &DataOptions::default()).unwrap();
    // The text `7` is a category, and the flag has no value at all.
    assert_eq!(table.layout.feature_names()[..4], ["x", "text=(missing)", "text=7", "day"]);
    assert_eq!(table.values[table.width() * 1999..][..3], [1999., 0., 1.]);
}

#[test]
fn a_pipe_of_json_lines_is_converted_for_a_model() {
    let model = table("x,color,kind\n1,red,a\n2,blue,b\n").unwrap().layout;
    let strict = RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false };
    let source = Box::new(std::io::Cursor::new(b"{\"color\": \"blue\", \"x\": 5}\n".to_vec()));
    let stream = RowStream::new("a.jsonl".into(), source, &std::sync::Arc::new(model), strict);
    let rows: Vec<_> = stream.flat_map(|chunk| chunk.unwrap().rows()).collect();
    assert_eq!(rows[0].1.as_ref().unwrap().values, [5., 1., 0.]);
}

#[test]
fn rows_above_a_damaged_part_of_a_compressed_file_are_read_for_a_model() {
    use std::io::Write;
    let model = table("x,color,kind\n1,red,a\n2,blue,b\n").unwrap().layout;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    let lines = (0..50_000).map(|row| format!("{row},red\n")).collect::<String>();
    encoder.write_all(format!("x,color\n{lines}").as_bytes()).unwrap();
    let mut packed = encoder.finish().unwrap();
    packed.truncate(packed.len() - 1000);
    let (_folder, path) = file("a.csv.gz", &packed);
    let strict = RowPolicy { missing: false, unknown: UnknownPolicy::Error, no_label: false };
    let stream = RowStream::open(&path, &std::sync::Arc::new(model), strict).unwrap();
    let (mut read, mut faults) = (0, Vec::new());
    stream.for_each(|chunk| match chunk {
        Ok(chunk) => read += chunk.rows().len(),
        Err(fault) => faults.push(fault.error.to_string()),
    });
    assert!(read > 40_000 && faults.len() == 1, "{read} {faults:?}");
    assert!(faults[0].contains("cannot read the file"), "{faults:?}");
}

#[cfg(feature = "parquet")]
#[test]
fn faults_of_parquet_name_their_row_and_damage_is_refused() {
    let row = |x, kind| (x, Some("red".to_string()), Some(true), 0, kind);
    let bytes = as_parquet(&[row(Some(1.), true), row(Some(f32::INFINITY), false), row(Some(2.), true)]);
    let read = |bytes: &[u8]| table_with("a.parquet", bytes, &DataOptions::default());
    let error = read(&bytes).unwrap_err().to_string();
    assert!(error.contains("a.parquet, row 2, column 1 (x): `inf` is not a finite number"), "{error}");
    for length in [0, 4, 11, bytes.len() / 2, bytes.len() - 1] {
        let error = read(&bytes[..length]).unwrap_err().to_string();
        assert!(error.contains("a.parquet: cannot read the Parquet file"), "{error}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let _ = read(&damaged);
    }
}
