//! How often a training reads its data.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::{run, stderr, text};

/// Trains with the automatic recipe, and resumes. Returns what both print with `-vv`.
fn trained_and_resumed(folder: &Path, options: &[&str]) -> [String; 2] {
    let out = folder.join("run");
    let own = ["train", "-vv", "--epochs", "1", "--threads", "1", "--out", text(&out)];
    let commands = [[&own[..], options].concat(), vec!["train", "-vv", "--resume", text(&out)]];
    commands.map(|command| {
        let output = run(command);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    })
}

fn assert_read_once(said: &[String]) {
    for said in said {
        assert_eq!(said.matches("reading the data").count(), 1, "{said}");
    }
}

#[test]
fn a_table_is_read_once_and_warnings_are_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let rows: String = (0..60).map(|row| format!("{row},{},{}\n", row % 7, ["no", "yes"][row % 2])).collect();
    std::fs::write(&table, format!("id,x,answer\n{rows}")).unwrap();
    let said = trained_and_resumed(folder.path(), &["--data", text(&table)]);
    assert_read_once(&said);
    assert_eq!(said[0].matches("left out column 1 (id)").count(), 1, "{}", said[0]);
}

#[test]
fn photographs_that_the_recipe_reduces_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    for number in 0..36u8 {
        let class = photos.join(["dark", "light"][usize::from(number % 2)]);
        std::fs::create_dir_all(&class).unwrap();
        let pixel = image::Rgb([number % 2 * 150 + number, 90, number]);
        image::RgbImage::from_pixel(80, 70, pixel).save(class.join(format!("{number}.png"))).unwrap();
    }
    let options = ["--data", text(&photos), "--batch-size", "8"];
    let said = trained_and_resumed(folder.path(), &options);
    assert_read_once(&said);
    let options = std::fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(options.contains("image_size = \"64x64\""), "{options}");
}

#[test]
fn texts_that_the_recipe_cuts_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("texts.csv");
    let mut rows = "body,kind\n".to_string();
    for row in 0..40 {
        let words = if row == 0 { 400 } else { 5 + row };
        writeln!(rows, "{}, {}", format!("word{row} ").repeat(words), ["a", "b"][row % 2]).unwrap();
    }
    std::fs::write(&table, rows).unwrap();
    let model = ["--model", "transformer", "--model-options", "rows=256,width=16,depth=1,heads=2"];
    let data = ["--data", text(&table), "--text", "body", "--label", "kind"];
    let said = trained_and_resumed(folder.path(), &[&data[..], &model].concat());
    assert_read_once(&said);
    for said in &said {
        assert_eq!(said.matches("only the first 256 tokens are used of 1 texts").count(), 1, "{said}");
    }
}
