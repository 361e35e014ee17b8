//! How to load the model.

use super::Report;
use crate::export::usage;
use crate::model::Outputs;
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    let (features, outputs) = (report.metadata.input.shape.features(), &report.metadata.outputs);
    let input = if report.metadata.input.shape.image().is_some() { "picture.png" } else { "rows.csv" };
    let command = match outputs {
        Outputs::Ranking => "cresset recommend model.pt --user USER\n".to_string(),
        _ => format!("cresset predict model.pt {input}\n"),
    };
    let what = match outputs {
        Outputs::Ranking => "the names of users and items and contains their vectors",
        _ => "raw values and contains preprocessing, class names",
    };
    let ways = [
        ("Command line", command),
        ("Python", usage::python("model.pt", features, outputs)),
        ("C++", usage::cpp("model.pt", features, outputs)),
        ("Rust", usage::rust("model.pt", features, outputs)),
    ];
    let way = |(name, code): &(&str, String)| {
        // Escaped line by line: a line break within a name would be escaped, too.
        let code: String = code.lines().map(|line| escaped(line) + "\n").collect();
        format!("<h3>{name}</h3>\n<pre>{code}</pre>\n")
    };
    Some(format!(
        "<p>The file takes {what} and metadata. Its SHA-256 is <code>{}</code>.</p>\n{}",
        report.file.sha256,
        ways.iter().map(way).collect::<String>()
    ))
}
