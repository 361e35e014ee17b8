//! Texts that are damaged, empty or much too long.

use std::path::{Path, PathBuf};

use super::texts::table;
use crate::support::{run, stderr, text};

/// The table of mails with more rows.
fn with_rows(folder: &Path, name: &str, rows: &str) -> PathBuf {
    let all = std::fs::read_to_string(table(folder, 60)).unwrap() + rows;
    let path = folder.join(name);
    std::fs::write(&path, all).unwrap();
    path
}

/// What a training of one epoch says, and its exit code.
fn trained(table: &Path, options: &[&str]) -> (Option<i32>, String) {
    let out = table.with_extension("run");
    let _ = std::fs::remove_dir_all(&out);
    let own = ["train", "--data", text(table), "--out", text(&out), "--threads", "1", "--epochs", "1"];
    let output = run([&own[..], options].concat());
    (output.status.code(), stderr(&output))
}

const COLUMNS: [&str; 4] = ["--text", "body", "--label", "kind"];

#[test]
fn long_texts_are_cut_and_counted_with_every_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let words = "word ".repeat(1_000_000);
    let letters = "a".repeat(10 << 20);
    let rows = format!("x,\"{words}\",1,ham\ny,{letters},1,spam\nz,{},1,ham\n", "日本".repeat(2_000));
    let path = with_rows(folder.path(), "long.csv", &rows);
    let model = ["--model", "bow", "--model-options", "rows=512"];
    let (code, said) = trained(&path, &[&COLUMNS[..], &model].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("only the first 1024 tokens are used of 2 texts that have more"), "{said}");
    let vocabulary = ["--vocab-size", "300", "--max-length", "64"];
    let (code, said) = trained(&path, &[&COLUMNS[..], &model, &vocabulary].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("only the first 64 tokens are used of"), "{said}");
}

#[test]
fn texts_without_words_are_refused_and_few_of_them_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.csv");
    let rows: String =
        (0..40).map(|row| format!("{},{},1\n", ["a", "b"][row % 2], ["...", ""][row % 3 / 2])).collect();
    std::fs::write(&empty, format!("kind,body,x\n{rows}")).unwrap();
    let (code, said) = trained(&empty, &COLUMNS);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("empty.csv, column 2 (body): none of the 1 different texts has a word"), "{said}");
    let folders = folder.path().join("folders");
    for number in 0..10 {
        let class = folders.join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join(format!("{number}.txt")), [" \n", ""][number % 3 / 2]).unwrap();
    }
    let (code, said) = trained(&folders, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("folders: none of the 10 different texts has a word"), "{said}");
    let some = with_rows(folder.path(), "some.csv", "e1,,1,ham\ne2,...,1,spam\n");
    let (code, said) = trained(&some, &COLUMNS);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn tables_in_other_encodings_and_with_nul_bytes_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let plain = std::fs::read_to_string(with_rows(folder.path(), "plain.csv", "g,Grüße,1,ham\n")).unwrap();
    let utf16 = |mark: &str| -> Vec<u8> {
        format!("{mark}{plain}").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let latin1: Vec<u8> = plain.chars().map(|c| u32::from(c) as u8).collect();
    let nul = plain.replace("Grüße", "a\0b").into_bytes();
    for (name, bytes, problem) in [
        (
            "marked.csv",
            utf16("\u{feff}"),
            "the file is text in UTF-16, not a text table in UTF-8; save it as CSV in UTF-8",
        ),
        ("unmarked.csv", utf16(""), "in an encoding such as UTF-16; save it as CSV in UTF-8"),
        (
            "latin1.csv",
            latin1,
            "line 62, column 2 (body): the text is not UTF-8; save the file as CSV in UTF-8",
        ),
        ("nul.csv", nul, "NUL byte"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (code, said) = trained(&path, &COLUMNS);
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains(problem) && said.contains(name), "{name}: {said}");
    }
}

#[test]
fn text_files_with_any_bytes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mails");
    for number in 0..40usize {
        let class = mails.join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        let mut bytes = format!("word{} and word{} ", number % 2, number % 5).into_bytes();
        if number < 4 {
            bytes.extend((0..=255u8).cycle().skip(number).take(900));
        }
        std::fs::write(class.join(format!("{number}.txt")), bytes).unwrap();
    }
    let (code, said) = trained(&mails, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("4 texts are not in UTF-8; read as Latin-1"), "{said}");
}
