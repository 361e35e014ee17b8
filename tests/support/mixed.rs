//! A table with all kinds of columns.

use std::path::{Path, PathBuf};

use super::{succeed, text};

/// The names of the input columns of [`write_mixed`].
pub const COLUMNS: [&str; 10] =
    ["size", "price", "share", "color", "city", "grade", "paid", "at", "tags", "buyer"];

/// The cells of a row with the name of the city, the last column a free text.
fn cells(row: usize) -> Vec<String> {
    let size =
        if row % 11 == 3 { "NA".to_string() } else { format!("{:.3}", ((row * 37) % 101) as f64 / 10.) };
    let words = ["quick", "brown", "fox", "lazy", "dog", "café", "jumps", "over", "the"];
    let note: Vec<_> =
        (0..5).map(|word| words[(row * 7 + word * word * 3 + row / 9) % words.len()]).collect();
    vec![
        size,
        format!("\"${},{:03}.50\"", 1 + row % 7, (row * 13) % 1000),
        format!("{} %", row % 40),
        ["red", "blue", "grün"][row % 3].to_string(),
        format!("city {}", row % 90),
        ["low", "middle", "high"][(row / 3) % 3].to_string(),
        if row.is_multiple_of(5) { "" } else { ["yes", "No"][row % 2] }.to_string(),
        format!("{}/{}/2023 {:02}:30", 13 + row % 15, 1 + row % 12, row % 24),
        ["new", "new|sale", "used", "used|sale"][(row / 2) % 4].to_string(),
        format!("Käufer {}", row * 7 % 310),
        format!("{} {row}", note.join(" ")),
    ]
}

/// A table with all kinds of columns, and a label that depends on some of them; and a schema for the ordinal column and
/// the one that is hashed.
pub fn write_mixed(folder: &Path) -> (PathBuf, PathBuf) {
    let line = |row: usize| {
        let label = if row.is_multiple_of(3) || (row * 37) % 101 > 70 { "buy" } else { "sell" };
        format!("{},{label}\n", cells(row).join(","))
    };
    let header = format!("{},note,label\n", COLUMNS.join(","));
    let path = folder.join("mixed.csv");
    std::fs::write(&path, header + &(0..400).map(line).collect::<String>()).unwrap();
    let schema = folder.join("schema.toml");
    let grade = "[[column]]\nname = \"grade\"\ntype = \"ordinal\"\norder = [\"low\", \"middle\", \"high\"]\n";
    let buyer = "[[column]]\nname = \"buyer\"\ntype = \"category\"\nhash = 40000\n";
    std::fs::write(&schema, [grade, buyer].concat()).unwrap();
    (path, schema)
}

/// A run on [`write_mixed`].
pub fn mixed_run(folder: &Path, options: &[&str]) -> PathBuf {
    let (data, schema) = write_mixed(folder);
    let run = folder.join("run-mixed");
    let base =
        ["train", "--data", text(&data), "--schema", text(&schema), "--device", "cpu", "--epochs", "3"];
    succeed(base.iter().chain(&["--out", text(&run)]).chain(options));
    run
}

/// Rows for the model, with missing and unknown values, unusual notations and white space.
pub fn unusual_rows() -> Vec<Vec<String>> {
    let rows = [
        [
            "1.5",
            "$1,000.00",
            "12 %",
            "red",
            "city 3",
            "low",
            "yes",
            "13/1/2023 10:30",
            "new|sale",
            "Käufer 7",
            "the quick fox",
        ],
        [
            "",
            "(5.5)",
            "0.3",
            "pink",
            "city 999",
            "NA",
            "?",
            "2023-02-28T23:59:59.5+02:00",
            "sale|other",
            "",
            "",
        ],
        [
            " -7e-2\t",
            "-$3",
            "9%",
            "grün",
            "null",
            "high",
            "TRUE",
            "",
            "",
            "\u{a0}日本の人 ",
            "Café, dog & FOX; brown!",
        ],
        [
            "10.250001",
            "1,234,567.891",
            "-1.5%",
            "",
            "city 0",
            "middle",
            "0",
            "31/12/2023 2:05 PM",
            "used",
            "käufer 1234567",
            "x",
        ],
    ];
    rows.map(|row| row.map(String::from).to_vec()).to_vec()
}

/// Writes rows as a table with the header of the model, and gives its path.
pub fn write_rows(folder: &Path, rows: &[Vec<String>]) -> PathBuf {
    let path = folder.join("rows.csv");
    let cell = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let line = |row: &Vec<String>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    let header = format!("{},note\n", COLUMNS.join(","));
    std::fs::write(&path, header + &rows.iter().map(line).collect::<String>()).unwrap();
    path
}
