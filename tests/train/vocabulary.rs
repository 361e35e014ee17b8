//! Vocabularies that are trained on the training set.

use std::collections::BTreeSet;
use std::path::Path;

use super::texts::table;
use crate::support::{assert_same_bits, run, stderr, succeed, text};

/// The tokens of the tokenizer of a run.
fn tokens(run: &Path) -> BTreeSet<String> {
    let json = std::fs::read_to_string(run.join("tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["model"]["vocab"].as_object().unwrap().keys().cloned().collect()
}

/// The options of a training without a recipe.
fn options<'a>(table: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let data = ["--data", text(table), "--text", "body", "--label", "kind", "--threads", "1"];
    [&data[..], &["--recipe", "none", "--model", "bow", "--model-options", "rows=512", "--lr", "0.01"], more]
        .concat()
}

#[test]
fn a_vocabulary_has_the_words_of_the_training_set_alone_and_travels_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 120);
    let more: String = (0..8).map(|row| format!("v{row},the free ж{row} ёж,1,spam\n")).collect();
    std::fs::write(&table, std::fs::read_to_string(&table).unwrap() + &more).unwrap();
    let list = folder.path().join("validation.txt");
    std::fs::write(&list, (110..128).map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let own = ["--vocab-size", "200", "--validation-list", text(&list)];
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    for (out, epochs) in [(&whole, "4"), (&cut, "2")] {
        let first = ["train", "--out", text(out), "--epochs", epochs];
        succeed(first.iter().chain(&options(&table, &own)));
    }
    let known = tokens(&whole);
    assert!(known.len() <= 200 && known.contains("winner") && known.contains("the"), "{known:?}");
    assert!(!known.iter().any(|token| token.contains('ж')), "{known:?}");

    // The rest of the training has the same tokens, and they are not learned again.
    let resumed = run(["train", "-v", "--resume", text(&cut), "--epochs", "4"]);
    assert!(
        resumed.status.success() && !stderr(&resumed).contains("trained a vocabulary"),
        "{}",
        stderr(&resumed)
    );
    assert_same_bits(&whole, &cut);

    let mail = folder.path().join("mail.txt");
    std::fs::write(&mail, "you are the winner of a free prize").unwrap();
    let predicted = succeed(["predict", text(&whole), text(&mail)]);
    assert!(predicted.contains(",spam,"), "{predicted}");
    let beside = folder.path().join("exports");
    std::fs::create_dir(&beside).unwrap();
    let exported = succeed(["export", text(&whole), "--output", text(&beside.join("mails.pt"))]);
    assert!(exported.contains("tokenizer.json"), "{exported}");
    assert_eq!(tokens(&beside), known);
    std::fs::write(beside.join("tokenizer.json"), "{}").unwrap();
    let refused = run(["export", text(&whole), "--output", text(&beside.join("again.pt"))]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("the tokenizer of another model"), "{}", stderr(&refused));
}

#[test]
fn each_fold_trains_its_own_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 60);
    // Each row has a word of its own.
    let rows = std::fs::read_to_string(&table).unwrap();
    let rows: String = rows
        .lines()
        .enumerate()
        .map(|(row, line)| line.replacen(",\"", &format!(",\"own{row} "), 1) + "\n")
        .collect();
    std::fs::write(&table, rows).unwrap();
    let out = folder.path().join("folds");
    let own = ["--tokenizer", "wordpiece", "--vocab-size", "600", "--folds", "2", "--epochs", "1"];
    succeed(["train", "--out", text(&out)].iter().chain(&options(&table, &own)));
    let [one, two] = ["fold-1", "fold-2"].map(|fold| tokens(&out.join(fold)));
    let words = |tokens: &BTreeSet<String>| -> BTreeSet<String> {
        tokens.iter().filter(|token| token.starts_with("own") && token.len() > 3).cloned().collect()
    };
    let (one, two) = (words(&one), words(&two));
    assert!(one.len() > 5 && two.len() > 5 && one != two, "{one:?} {two:?}");
}

#[test]
fn vocabularies_that_cannot_be_trained_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 60);
    let fails = |options: &[&str]| {
        let output = run([&["train", "--data", text(&table), "--label", "kind"], options].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let said = fails(&["--text", "body", "--vocab-size", "20"]);
    assert!(said.contains("mails.csv") && said.contains("a vocabulary of 20 tokens is too small"), "{said}");
    let said = fails(&["--text", "body", "--tokenizer", "bpe", "--vocab-size", "200"]);
    assert!(said.contains("a byte-level vocabulary needs at least"), "{said}");
    let said = fails(&["--text", "body", "--tokenizer", "vocab.txt", "--vocab-size", "200"]);
    assert!(said.contains("--vocab-size is for a vocabulary that is trained"), "{said}");
    let said = fails(&["--vocab-size", "200"]);
    assert!(said.contains("select a text column with --text"), "{said}");
    let said = fails(&["--text", "body", "--vocab-size", "300", "--bag", "3"]);
    assert!(said.contains("trained on those of all folds"), "{said}");
}
