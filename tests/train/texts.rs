//! Texts: from files to predictions.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::support::job::{Job, kill, wait_for};
use crate::support::samples::mail_options;
use crate::support::{assert_same_bits, cresset, run, stderr, succeed, text, train_once};

const HAM: [&str; 6] = ["meeting", "report", "agenda", "lunch", "review", "schedule"];
const SPAM: [&str; 6] = ["winner", "free", "offer", "cash", "prize", "click"];
const COMMON: [&str; 8] = ["the", "we", "you", "please", "today", "with", "and", "for"];

/// A message of its class; words follow from the number.
fn message(number: usize, words: usize) -> (String, &'static str) {
    let (own, class) = if number.is_multiple_of(2) { (HAM, "ham") } else { (SPAM, "spam") };
    let word = |place: usize| {
        let draw = (number * 31 + place * 17 + number * place) % 97;
        if draw.is_multiple_of(5) { own[draw % own.len()] } else { COMMON[draw % COMMON.len()] }
    };
    let all: Vec<_> = (0..words).map(word).chain([own[number % own.len()]]).collect();
    (all.join(" "), class)
}

/// A table of messages with other columns.
pub fn table(folder: &Path, rows: usize) -> PathBuf {
    let mut lines = "id,body,stars,kind\n".to_string();
    for number in 0..rows {
        let (body, class) = message(number, 6 + number % 9);
        writeln!(lines, "m{number},\"{body}, ok\",{},{class}", number % 3).unwrap();
    }
    let path = folder.join("mails.csv");
    std::fs::write(&path, lines).unwrap();
    path
}

fn accuracy(run: &Path) -> f64 {
    let printed = succeed(["eval", text(run)]);
    let line = printed.lines().find(|line| line.starts_with("accuracy")).unwrap().to_string();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_text_column_trains_every_model_of_texts() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 160);
    let options = mail_options(&table);
    for (model, more) in [
        ("bow", ""),
        ("textcnn", "rows=512,width=16,filters=8"),
        ("lstm", "width=16,depth=1"),
        ("gru", "width=16,depth=1"),
        ("transformer", "rows=512,width=16,depth=1,heads=2"),
    ] {
        let out = folder.path().join(model);
        let own = ["--model", model, "--model-options", more, "--lr", "0.01", "--epochs", "6"];
        train_once(&out, &[&options[..], &own].concat());
        assert!(accuracy(&out) > 90., "{model}");
        let inspected = succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
        assert!(inspected.contains("as recorded"), "{inspected}");
    }
}

#[test]
fn a_column_of_prose_alone_is_found_and_text_files_are_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 0..160 {
        let (body, class) = message(number, 6);
        writeln!(lines, "{{\"body\": \"{body} {number}\", \"kind\": \"{class}\"}}").unwrap();
    }
    let data = folder.path().join("mails.jsonl");
    std::fs::write(&data, lines).unwrap();
    let out = folder.path().join("run");
    let output = run(["train", "--data", text(&data), "--out", text(&out), "--threads", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(said.contains("auto: texts (128 texts of up to 8 tokens, 2 classes)"), "{said}");
    assert!(said.contains("model bow"), "{said}");
    assert!(said.contains("160 texts of up to 8 tokens"), "{said}");

    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    std::fs::write(texts.join("a.txt"), "you are a winner, click for the free prize").unwrap();
    let utf16: Vec<u8> =
        "agenda and report for the review".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(texts.join("b.txt"), utf16).unwrap();
    std::fs::write(
        texts.join("c.eml"),
        "From: a@b.c\nTo: d@e.f\nSubject: lunch\n\nschedule of the meeting\n",
    )
    .unwrap();
    std::fs::write(texts.join("empty.txt"), "").unwrap();
    let predicted = succeed(["predict", text(&out), text(&texts)]);
    let classes: Vec<_> = predicted.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(&classes[..3], ["spam", "ham", "ham"], "{predicted}");
    assert_eq!(classes.len(), 4);
}

/// A table of names, of which nearly each is different: those of a class end alike.
fn names(folder: &Path) -> PathBuf {
    let mut lines = "name,kind\n".to_string();
    for number in 0..600 {
        let (ends, class) =
            if number % 2 == 0 { (["ia", "ella", "ina"], "f") } else { (["ert", "on", "ard"], "m") };
        let letter = |step: usize| char::from(b"bcdfghklmnprst"[number * step / 7 % 14]);
        let vowel = |step: usize| char::from(b"aeiou"[number * step / 3 % 5]);
        let start = [letter(3), vowel(5), letter(11), vowel(2), letter(1)];
        writeln!(lines, "{}{},{class}", start.iter().collect::<String>(), ends[number / 2 % 3]).unwrap();
    }
    let path = folder.join("names.csv");
    std::fs::write(&path, lines).unwrap();
    path
}

#[test]
fn a_column_of_names_is_learned_by_character_ngrams() {
    let folder = tempfile::tempdir().unwrap();
    let data = names(folder.path());
    let train = |out: &Path, own: &[&str]| {
        let arguments = ["train", "--data", text(&data), "--out", text(out), "--threads", "1"];
        let output = run([&arguments[..], own].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (out, words) = (folder.path().join("run"), folder.path().join("words"));
    let said = train(&out, &[]);
    assert!(said.contains("char-ngrams 4: 100 % of the words of a text are in no other one"), "{said}");
    train(&words, &["--char-ngrams", "0"]);
    let (with, without) = (accuracy(&out), accuracy(&words));
    assert!(with > 95. && without < 60., "{with} {without}");

    let file = folder.path().join("new.txt");
    std::fs::write(&file, "Zuzuella").unwrap();
    assert!(succeed(["predict", text(&out), text(&file)]).contains("new.txt,f,"));
    let values = folder.path().join("values.json");
    let page = folder.path().join("explained");
    succeed(["explain", text(&out), text(&file), "--json", text(&values), "--out", text(&page)]);
    let explained = std::fs::read_to_string(&values).unwrap();
    assert_eq!(explained.matches("\"word\":").count(), 1, "{explained}");
    let inspected = succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
    assert!(inspected.contains("as recorded"), "{inspected}");
}

#[test]
fn a_folder_of_texts_has_a_class_a_subfolder() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..120 {
        let (body, class) = message(number, 9);
        let class = folder.path().join("mails").join(class);
        std::fs::create_dir_all(&class).unwrap();
        // Latin-1 among UTF-8.
        let mut bytes = body.into_bytes();
        bytes.extend(if number < 3 { &b" caf\xe9"[..] } else { b"" });
        std::fs::write(class.join(format!("{number}.txt")), bytes).unwrap();
    }
    let (data, out) = (folder.path().join("mails"), folder.path().join("run"));
    let output = run(["train", "--data", text(&data), "--out", text(&out), "--threads", "1"]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("3 texts are not in UTF-8; read as Latin-1"), "{said}");
    let printed = succeed(["eval", text(&out), text(&data)]);
    assert!(printed.contains("rows                       120"), "{printed}");
    let predicted = succeed(["predict", text(&out), text(&data.join("spam"))]);
    assert!(predicted.lines().skip(1).filter(|line| line.contains(",spam,")).count() >= 58, "{predicted}");
}

#[test]
fn two_text_columns_are_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = "question,answer,good\n".to_string();
    for number in 0..200 {
        // Whether the answer is of the class of the question.
        let ((question, _), (answer, _)) = (message(number, 4), message(number + number / 2 % 2, 5));
        let good = if (number / 2).is_multiple_of(2) { "yes" } else { "no" };
        writeln!(lines, "{question},{answer},{good}").unwrap();
    }
    let table = folder.path().join("pairs.csv");
    std::fs::write(&table, lines).unwrap();
    for (model, options) in [("bow", "rows=4096"), ("transformer", "rows=512,width=16,depth=1,heads=2")] {
        let out = folder.path().join(model);
        let pair = ["--data", text(&table), "--text", "question,answer", "--label", "good", "--threads", "1"];
        let own = ["--model", model, "--model-options", options, "--epochs", "2"];
        train_once(&out, &[&pair[..], &own].concat());
        let predicted = succeed(["predict", text(&out), text(&table)]);
        assert_eq!(predicted.lines().count(), 201, "{model}");
        let inspected = succeed(["inspect", text(&out.join("model.pt")), "--verify"]);
        assert!(inspected.contains("as recorded"), "{inspected}");
    }
}

#[test]
fn an_audit_of_texts_finds_copies_and_empty_ones() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 60);
    let copy =
        "z1,\"the same words as another\",1,ham\nz2,\"The same words, as another!\",1,ham\nz3,...,1,spam\n";
    std::fs::write(&table, std::fs::read_to_string(&table).unwrap() + copy).unwrap();
    let output = run(["data", "audit", text(&table), "--text", "body", "--label", "kind"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(said.contains("1 text(s) without words") && said.contains("duplicate"), "{said}");
    assert!(!said.contains("outlier"), "{said}");
}

#[test]
fn each_word_of_a_text_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 160);
    let out = folder.path().join("run");
    let options =
        ["--data", text(&table), "--text", "body", "--label", "kind", "--threads", "1", "--model", "bow"];
    train_once(&out, &[&options[..], &["--epochs", "6", "--lr", "0.01"]].concat());
    let file = folder.path().join("mail.txt");
    std::fs::write(&file, "please review the winner").unwrap();
    let explained = folder.path().join("explained");
    let explain = ["explain", text(&out), text(&file), "--class", "spam", "--out", text(&explained)];
    succeed(explain.iter().chain(&["--method", "occlusion"]));
    let read = |method: &str| {
        let words = tch::Tensor::read_npy(explained.join(format!("mail.{method}.npy"))).unwrap();
        Vec::<f32>::try_from(words).unwrap()
    };
    let words = read("occlusion");
    assert_eq!(words.len(), 4);
    assert!(words[3] > 0. && words[1] < 0. && words[3] > words[0].max(words[2]), "{words:?}");

    // Integrated gradients, of a file and of rows of the table.
    let json = folder.path().join("words.json");
    let said = succeed(explain.iter().chain(&[text(&table), "--limit", "3", "--json", text(&json)]));
    assert_eq!((said.lines().count(), said.matches("texts.html").count()), (4, 3), "{said}");
    let words = read("integrated-gradients");
    assert!(words[3] > 0. && words[1] < 0. && words[3] > words[0].max(words[2]), "{words:?}");
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let row = &found["rows"][0];
    assert_eq!((&found["method"], &row["output"]), (&"integrated-gradients".into(), &"spam".into()));
    let last = &row["words"][3];
    assert_eq!((&last["word"], &last["start"], &last["end"]), (&"winner".into(), &18.into(), &24.into()));
    let value = |of: &serde_json::Value| of.as_f64().unwrap();
    let sum: f64 = row["words"].as_array().unwrap().iter().map(|word| value(&word["value"])).sum();
    assert!((sum - (value(&row["score"]) - value(&row["base"]))).abs() < 0.01, "{row}");
    let page = std::fs::read_to_string(explained.join("texts.html")).unwrap();
    assert!(page.contains("<mark class=\"for\"") && page.contains(">winner</mark>"), "{page}");

    let refused = run(explain.iter().chain(&["--method", "smooth-grad"]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("use `--method occlusion`"), "{}", stderr(&refused));
    let html = succeed_report(&out);
    assert!(html.contains("Accuracy by length"), "no accuracy by length");
}

/// The report of a run.
fn succeed_report(out: &std::path::Path) -> String {
    succeed(["report", text(out)]);
    std::fs::read_to_string(out.join("report.html")).unwrap()
}

#[test]
fn a_bag_of_models_of_texts_trains() {
    let folder = tempfile::tempdir().unwrap();
    let (table, out) = (table(folder.path(), 120), folder.path().join("run"));
    let options = mail_options(&table);
    train_once(
        &out,
        &[&options[..], &["--bag", "3", "--model", "bow", "--model-options", "rows=4096", "--epochs", "4"]]
            .concat(),
    );
    assert!(accuracy(&out) > 80.);
    let predicted = succeed(["predict", text(&out), text(&table)]);
    assert_eq!(predicted.lines().count(), 121);
}

#[test]
fn long_texts_are_cut_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 100);
    let long = format!("x,\"{}\",1,ham\n", "word ".repeat(400_000));
    let all = std::fs::read_to_string(&table).unwrap() + &long + "y,,1,spam\n";
    std::fs::write(&table, all).unwrap();
    let out = folder.path().join("run");
    let output = run([
        "train",
        "--data",
        text(&table),
        "--text",
        "body",
        "--label",
        "kind",
        "--out",
        text(&out),
        "--threads",
        "1",
        "--epochs",
        "2",
    ]);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("only the first 1024 tokens are used of 1 texts that have more; raise --max-length"),
        "{said}"
    );
}

#[test]
fn a_run_of_texts_that_is_killed_continues_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 400);
    let options = [
        "--data",
        text(&table),
        "--text",
        "body",
        "--label",
        "kind",
        "--threads",
        "1",
        "--recipe",
        "none",
        "--model",
        "bow",
        "--model-options",
        "rows=4096",
        "--epochs",
        "300",
        "--batch-size",
        "16",
        "--clip",
        "1",
        "--accumulate",
        "2",
    ];
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    train_once(&whole, &options);
    let mut command = cresset();
    command.args(["train", "--out", text(&cut)]).args(options).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&cut.join("checkpoints/last.safetensors"), &mut child);
    std::thread::sleep(Duration::from_millis(100));
    assert!(kill(&mut child), "the run ended before it was killed");
    succeed(["train", "--resume", text(&cut)]);
    assert_same_bits(&whole, &cut);
}

#[test]
fn two_processes_with_sparse_gradients_match_one() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 200);
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let options = [
        "--data",
        text(&table),
        "--text",
        "body",
        "--label",
        "kind",
        "--recipe",
        "none",
        "--model",
        "bow",
        "--model-options",
        "rows=4096",
        "--lr",
        "0.01",
        "--epochs",
        "4",
        "--clip",
        "1",
        "--threads",
        "1",
    ];
    succeed(["train", "--batch-size", "16", "--out", text(&one)].iter().chain(&options));
    let own = ["train", "--batch-size", "8", "--out", text(&two)];
    Job::start(2, &[&own[..], &options].concat()).succeed();
    let losses = |run: &Path| -> Vec<f64> {
        let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
        metrics.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect()
    };
    let (one, two) = (losses(&one), losses(&two));
    assert!(one[3] < 0.5 * one[0] && one.len() == two.len(), "{one:?}");
    assert!(one.iter().zip(&two).all(|(one, two)| (one - two).abs() < 1e-3), "{one:?} {two:?}");
}

#[test]
fn models_refuse_what_they_do_not_take() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), 60);
    let fails = |arguments: &[&str]| {
        let output = run([&["train", "--data", text(&table), "--label", "kind"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let said = fails(&["--text", "body", "--model", "tabm", "--recipe", "none"]);
    assert!(said.contains("the model tabm is not for texts; use `--model bow`"), "{said}");
    let said = fails(&["--model", "bow", "--recipe", "none"]);
    assert!(said.contains("the model bow is for texts") && said.contains("--text"), "{said}");
    let said = fails(&["--text", "bdy"]);
    assert!(said.contains("no column `bdy`; did you mean `body`?"), "{said}");
    let said = fails(&["--text", "kind"]);
    assert!(said.contains("--text selects the label column"), "{said}");
    let said = fails(&["--text", "id,body,stars"]);
    assert!(said.contains("--text takes at most two columns"), "{said}");
    let said = fails(&["--text", "body", "--max-length", "0"]);
    assert!(said.contains("expected a whole number from 1 to 65536"), "{said}");
    let said = fails(&["--text", "body", "--char-ngrams", "3", "--vocab-size", "100"]);
    assert!(said.contains("--char-ngrams are for hashed words"), "{said}");
    let said =
        fails(&["--text", "body", "--normalization", "quantiles", "--recipe", "none", "--model", "bow"]);
    assert!(said.contains("--normalization quantiles requires a table of numbers"), "{said}");
}
