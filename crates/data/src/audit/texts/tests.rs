use std::path::Path;

use crate::DataOptions;
use crate::audit::{Audit, Finding, audit, to_text};

fn of(path: &Path, options: &DataOptions) -> Audit {
    audit(path.to_str().unwrap(), options, 1).unwrap().0
}

fn finding<'a>(audit: &'a Audit, check: &str) -> Option<&'a Finding> {
    audit.findings.iter().find(|finding| finding.check == check)
}

fn names(finding: &Finding) -> Vec<&str> {
    finding.examples.iter().map(|example| example.name.as_str()).collect()
}

/// A text of words that follow from the seed.
fn text(seed: usize, words: usize) -> String {
    let word = |place: usize| format!("w{}", (seed * 7919 + place * place * 31 + place * 17) % 997);
    (0..words).map(word).collect::<Vec<_>>().join(" ")
}

/// A table of texts with two classes.
fn table(folder: &Path, texts: &[(String, &str)]) -> (std::path::PathBuf, DataOptions) {
    let path = folder.join("texts.jsonl");
    let row =
        |(text, class): &(String, &str)| serde_json::json!({ "body": text, "class": class }).to_string();
    std::fs::write(&path, texts.iter().map(row).collect::<Vec<_>>().join("\n")).unwrap();
    let options = DataOptions {
        text: Some("body".into()),
        label: "class".parse().unwrap(),
        max_length: Some(50),
        ..DataOptions::default()
    };
    (path, options)
}

#[test]
fn near_duplicates_and_lengths_of_a_table_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut texts: Vec<_> = (0..40).map(|row| (text(row, 40 + row % 2), ["a", "b"][row % 2])).collect();
    texts[7].0 = texts[31].0.clone() + " and a few more";
    texts[12].0 = text(99, 80);
    let (path, options) = table(folder.path(), &texts);
    let audit = of(&path, &options);
    let near = finding(&audit, "near-duplicates").unwrap();
    assert_eq!((near.summary.as_str(), names(near)), ("1 group(s) of nearly the same text", vec!["7", "31"]));
    assert_eq!(near.examples[0].remark, "nearly the same text as 31");
    let lengths = audit.texts.as_ref().unwrap();
    assert_eq!((lengths.max_length, lengths.cut), (50, 1));
    assert_eq!((lengths.tokens.min, lengths.tokens.max), (40, 80));
    assert_eq!(lengths.characters.max, texts[12].0.len());
    let said = to_text(&audit);
    assert!(said.contains("1 text(s) have more than 50 tokens"), "{said}");
}

#[test]
fn near_duplicates_in_several_subsets_are_leaks() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..40 {
        let subset = if number < 30 { "train" } else { "test" };
        let class = folder.path().join(subset).join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        let seed = if number == 36 { 4 } else { number };
        let more = if number == 36 { " slightly changed" } else { "" };
        std::fs::write(class.join(format!("{number}.txt")), text(seed, 50) + more).unwrap();
    }
    let leak = of(folder.path(), &DataOptions::default());
    let leak = finding(&leak, "near-duplicates-across-splits").unwrap();
    assert_eq!(names(leak), ["test/a/36.txt", "train/a/4.txt"]);
    assert_eq!(leak.severity, crate::audit::Severity::Fault);
}

#[test]
fn phrases_that_alone_predict_a_class_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<_> = (0..200)
        .map(|row| {
            // Most texts of `b`, and none of `a`; the first words are in all.
            let more = if row % 2 == 1 && row > 40 { "Sent by the Robot" } else { "" };
            (format!("dear reader {} {more}", text(row, 20)), ["a", "b"][row % 2])
        })
        .collect();
    let (path, options) = table(folder.path(), &texts);
    let audit = of(&path, &options);
    let leaking = finding(&audit, "phrases-that-leak").unwrap();
    assert!(
        leaking.summary.contains("`sent by the`") || leaking.summary.contains("`by the robot`"),
        "{leaking:?}"
    );
    let phrases = &audit.texts.as_ref().unwrap().leaking_phrases;
    assert!(phrases.iter().all(|found| found.class == "b" && found.support == 80 && found.precision == 1.));
    assert!(phrases.len() <= 2 && (phrases[0].recall - 0.8).abs() < 1e-9, "{phrases:?}");
    let json = serde_json::to_value(&audit).unwrap();
    assert_eq!(json["texts"]["leaking_phrases"][0]["support"], 80);

    let texts: Vec<_> =
        texts.into_iter().map(|(text, class)| (text.replace("Sent by the Robot", ""), class)).collect();
    let (path, options) = table(folder.path(), &texts);
    assert_eq!(finding(&of(&path, &options), "phrases-that-leak"), None);
}

#[test]
fn damaged_characters_and_encodings_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut texts: Vec<_> = (0..20).map(|row| (text(row, 20) + " Grüße", ["a", "b"][row % 2])).collect();
    texts[3].0 += " GrÃ¼ÃŸe";
    texts[5].0 += "\u{7}\u{8}";
    let (path, options) = table(folder.path(), &texts);
    let audit = of(&path, &options);
    let mixed = finding(&audit, "mixed-encodings").unwrap();
    assert_eq!((names(mixed), mixed.examples[0].remark.as_str()), (vec!["3"], "Ã¼ is probably ü"));
    let control = finding(&audit, "control-characters").unwrap();
    assert_eq!((names(control), control.examples[0].remark.as_str()), (vec!["5"], "U+0007 and 1 more"));

    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let class = folder.path().join(["a", "b"][number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        let mut bytes = text(number, 20).into_bytes();
        bytes.extend(if number == 4 { &b" caf\xe9"[..] } else { b"" });
        std::fs::write(class.join(format!("{number}.txt")), bytes).unwrap();
    }
    let audit = of(folder.path(), &DataOptions::default());
    let mixed = finding(&audit, "mixed-encodings").unwrap();
    assert_eq!(
        (names(mixed), mixed.examples[0].remark.as_str()),
        (vec!["a/4.txt"], "read as Latin-1 (Windows-1252)")
    );
}
