//! Tables of texts.

use super::*;
use crate::tokens::Tokenization;

/// A table of notes, which are missing, long, or over several lines, and of numbers of rows.
fn notes(rows: usize) -> String {
    let row = |row: usize| {
        let words = (0..row % 9).map(|word| format!("wörd{} ", row * word % 50)).collect::<String>();
        match row % 17 {
            5 => format!("{row},,{}\n", row % 2),
            7 => format!("{row},\"{words}\nover \"\"two\"\" lines, {row}\",{}\n", row % 2),
            _ => format!("{row},the note number {row} says {words},{}\n", row % 2),
        }
    };
    "id,note,label\n".to_string() + &(0..rows).map(row).collect::<String>()
}

fn of_text(columns: &str) -> DataOptions {
    DataOptions { text: Some(columns.into()), ..DataOptions::default() }
}

fn stored(dataset: &Dataset) -> &crate::stored::StoredRows {
    let Inputs::Stored(rows) = &dataset.inputs else { panic!("the rows are in a file") };
    rows
}

#[test]
fn texts_from_a_file_are_those_in_memory() {
    let folder = files(&[("a.csv", notes(20_000).as_bytes())]);
    for missing in [Missing::Value, Missing::Drop] {
        assert_same(folder.path(), "a.csv", &DataOptions { missing, ..of_text("note") });
    }
    assert_same(folder.path(), "a.csv", &DataOptions { max_length: Some(5), ..of_text("note") });
    // The only inputs, as the first rows show.
    assert_same(folder.path(), "a.csv", &DataOptions::default());
    let strict = DataOptions { missing: Missing::Error, ..of_text("note") };
    let error = streamed(folder.path(), "a.csv", &strict).unwrap_err().to_string();
    assert!(error.contains("a.csv, line 7, column 2 (note): missing value"), "{error}");
}

#[test]
fn pairs_of_texts_and_several_files_are_those_in_memory() {
    let part = |rows: std::ops::Range<usize>| {
        let row = |row: usize| format!("is {row} the question,\"it is, yes {}\",{}\n", row % 7, row % 3);
        "question,answer,label\n".to_string() + &rows.map(row).collect::<String>()
    };
    let folder = files(&[("p-1.csv", part(0..40).as_bytes()), ("p-2.csv", part(40..90).as_bytes())]);
    assert_same(folder.path(), "p-*.csv", &of_text("question,answer"));
    assert_same(folder.path(), "p-*.csv", &DataOptions::default());
    let pairs = streamed(folder.path(), "p-*.csv", &of_text("answer,question")).unwrap();
    let [first, second] = &pairs.table.as_ref().unwrap().columns[..] else { panic!("two columns") };
    assert_eq!((first.kind.features(), second.kind.features()), (4, 4));
}

#[test]
fn json_lines_and_compressed_texts_are_those_in_memory() {
    use std::io::Write as _;
    let line = |row: usize| format!("{{\"note\": \"a note of {row}\", \"label\": \"{}\"}}\n", row % 2);
    let lines: String = (0..60).map(line).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(notes(90).as_bytes()).unwrap();
    let folder = files(&[("a.jsonl", lines.as_bytes()), ("a.csv.gz", &gzip.finish().unwrap())]);
    for name in ["a.jsonl", "a.csv.gz"] {
        assert_same(folder.path(), name, &of_text("note"));
    }
}

#[cfg(feature = "parquet")]
#[test]
fn texts_of_parquet_files_are_those_in_memory() {
    let bytes = include_bytes!("../../tests/zstd.parquet");
    let folder = files(&[("a.parquet", bytes), ("b.parquet", bytes)]);
    for missing in [Missing::Value, Missing::Drop] {
        assert_same(folder.path(), "?.parquet", &DataOptions { missing, ..of_text("color") });
    }
}

#[test]
fn long_texts_make_small_blocks() {
    let long = "word ".repeat(300_000);
    let row = |row: usize| format!("{},{}\n", if row.is_multiple_of(3) { &long } else { "short" }, row % 2);
    let folder =
        files(&[("a.csv", ("note,label\n".to_string() + &(0..20).map(row).collect::<String>()).as_bytes())]);
    let found = streamed(folder.path(), "a.csv", &of_text("note")).unwrap();
    assert_eq!((found.rows(), stored(&found).blocks(), found.shape.features()), (20, 3, 1024));
    assert_eq!(found.truncations().unwrap().len(), 1);
    assert_same(folder.path(), "a.csv", &of_text("note"));
}

#[test]
fn other_tokens_need_no_other_file() {
    let folder = files(&[("a.csv", notes(300).as_bytes())]);
    let hashed = of_text("note");
    let found = streamed(folder.path(), "a.csv", &hashed).unwrap();
    let short = DataOptions { max_length: Some(3), ..hashed.clone() };
    let reread = found.reread(&hashed, &short).unwrap().unwrap();
    let memory = in_memory(folder.path(), "a.csv", &short).unwrap();
    let Inputs::Floats(expected) = &memory.inputs else { panic!("the rows are in memory") };
    let all: Vec<i64> = (0..300).collect();
    assert_eq!((&reread.shape, &reread.table), (&memory.shape, &memory.table));
    assert!(stored(&reread).gather(&all).unwrap() == *expected);
    streamed(folder.path(), "a.csv", &short).unwrap();
    let is_rows = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rows");
    let cache = fs::read_dir(folder.path().join("cache")).unwrap();
    assert_eq!(cache.map(|entry| entry.unwrap().path()).filter(is_rows).count(), 1);
}

/// Compares the features of rows in memory and in a file, which are the same but for the padding.
fn assert_same_tokens(memory: &Dataset, file: &Dataset) {
    let (short, long) = (memory.shape.features() as usize, file.shape.features() as usize);
    let Inputs::Floats(expected) = &memory.inputs else { panic!("the rows are in memory") };
    let found = stored(file).gather(&(0..memory.rows() as i64).collect::<Vec<_>>()).unwrap();
    assert!(short <= long, "{short} {long}");
    for (expected, found) in expected.chunks(short).zip(found.chunks(long)) {
        assert_eq!((expected, found[short..].iter().all(|id| *id == 0.)), (&found[..short], true));
    }
}

#[test]
fn character_ngrams_are_those_in_memory() {
    let names = "name,label\nAnn,f\nZoë,f\nBob,m\nMaximilian,m\n".repeat(3);
    let folder = files(&[("a.csv", names.as_bytes()), ("notes.csv", notes(60).as_bytes())]);
    for (name, column) in [("a.csv", "name"), ("notes.csv", "note")] {
        let options = DataOptions { char_ngrams: 4, ..of_text(column) };
        let read = |read: fn(&Path, &str, &DataOptions) -> Result<Dataset>| {
            read(folder.path(), name, &options).unwrap()
        };
        assert_same_tokens(&read(in_memory), &read(streamed));
    }
}

#[cfg(feature = "tokenizers")]
#[test]
fn a_vocabulary_is_trained_on_the_texts_of_the_training_rows() {
    use crate::format::trained_vocabulary::TrainedVocabulary;

    let folder = files(&[("a.csv", notes(400).as_bytes())]);
    let options = DataOptions { vocab_size: Some(200), ..of_text("note") };
    let rows: Vec<i64> = (0..400).filter(|row| row % 4 != 0).collect();
    let trained = |dataset: Dataset| {
        let vocabulary = TrainedVocabulary::of(&options).unwrap().unwrap();
        dataset.with_trained_vocabulary(vocabulary, &rows, &options).unwrap()
    };
    let memory = trained(in_memory(folder.path(), "a.csv", &options).unwrap());
    let file = trained(streamed(folder.path(), "a.csv", &options).unwrap());
    let model = |dataset: &Dataset| match &dataset.table.as_ref().unwrap().columns[0].kind {
        ColumnKind::Tokens { tokenization: Tokenization::Vocabulary { tokenizer }, .. } => {
            let json: serde_json::Value = serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
            json["model"].clone()
        }
        kind => panic!("{kind:?}"),
    };
    assert_eq!(model(&memory), model(&file));
    assert_same_tokens(&memory, &file);
}

#[test]
fn texts_without_words_and_texts_found_too_late_are_refused() {
    let empty = files(&[("a.csv", b"note,label\n...,a\n!,b\n" as &[u8])]);
    let error = streamed(empty.path(), "a.csv", &of_text("note")).unwrap_err().to_string();
    assert!(error.contains("column 1 (note): none of the texts has a word"), "{error}");
    // The first thousand rows, and more than the first chunk, have categories.
    let few: String = (0..90_000).map(|row| format!("category {},{}\n", row % 9, row % 2)).collect();
    let row = |row: usize| format!("all different texts with words {row},{}\n", row % 2);
    let texts: String = (0..20_000).map(row).collect();
    let late = files(&[("a.csv", format!("note,label\n{few}{texts}").as_bytes())]);
    if let Err(error) = streamed(late.path(), "a.csv", &DataOptions::default()) {
        assert!(error.to_string().contains("select the text columns with --text"), "{error}");
    }
}
