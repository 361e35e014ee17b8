//! Models of texts, loaded by other programs, which pass strings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cresset::data::tokenizer::{TrainedKind, train};
use cresset_bridge::script::Module;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::programs::{bash, shown_command};
use crate::support::onnx::python;
use crate::support::samples::{mail_options, write_mails};
use crate::support::{encoder, run, stderr, succeed, text, train_once};

/// A run that was trained on mails, and options of the models that are tried.
pub const MODELS: [(&str, &str); 4] = [
    ("bow", "rows=4096"),
    ("lstm", "width=8,depth=1"),
    ("transformer", "rows=512,width=16,depth=1,heads=2"),
    ("bert", ""),
];

/// Texts in several scripts, an empty one and one that is longer than those of the training data.
pub const TEXTS: [&str; 6] = [
    "you are a winner of the prize",
    "Lunch and agenda",
    "",
    "会议 in the café – 👍🏽",
    "ok",
    "free free free free free free free free free free free free free free free free free free free free",
];

/// Trains a model of texts into `folder`.
pub fn trained(folder: &Path, model: &str, options: &str) -> PathBuf {
    write_mails(folder);
    let out = folder.join(model);
    let table = folder.join("mails.csv");
    let data = mail_options(&table);
    let mut own = vec!["--model", model, "--model-options", options, "--epochs", "3", "--lr", "0.01"];
    let encoder = encoder::write(folder, &std::fs::read_to_string(&table).unwrap());
    if model == "bert" {
        own.extend(["--pretrained", text(&encoder), "--head-only", "false"]);
    }
    train_once(&out, &[&data[..], &own].concat());
    out.join("model.pt")
}

/// Class and probability of each text, by `cresset predict`.
pub fn expected(folder: &Path, model: &Path) -> Vec<(String, f64)> {
    let files = folder.join("texts");
    std::fs::create_dir_all(&files).unwrap();
    for (number, content) in TEXTS.iter().enumerate() {
        std::fs::write(files.join(format!("{number}.txt")), content).unwrap();
    }
    let predicted = succeed(["predict", text(model), text(&files)]);
    let row = |line: &str| {
        let cells: Vec<_> = line.split(',').collect();
        (cells[1].to_string(), cells[2].parse().unwrap())
    };
    predicted.lines().skip(1).map(row).collect()
}

/// Compares lines with a class and its probability.
pub fn check(printed: &str, expected: &[(String, f64)]) {
    assert_eq!(printed.lines().count(), expected.len(), "{printed}");
    for (line, (class, probability)) in printed.lines().zip(expected) {
        let (found, number) = line.split_once(' ').unwrap();
        assert_eq!(found, class, "{printed}");
        assert!((number.parse::<f64>().unwrap() - probability).abs() < 2e-5, "{line}: {probability}");
    }
}

#[test]
fn a_cpp_program_passes_strings() {
    let folder = tempfile::tempdir().unwrap();
    let program = built(folder.path());
    for (model, options) in MODELS {
        let file = trained(folder.path(), model, options);
        let output = Command::new(&program).arg(&file).args(TEXTS).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        check(&String::from_utf8(output.stdout).unwrap(), &expected(folder.path(), &file));
    }
    let (ngrams, table) = (folder.path().join("ngrams"), folder.path().join("mails.csv"));
    let data = mail_options(&table);
    train_once(
        &ngrams,
        &[&data[..], &["--model", "bow", "--char-ngrams", "4", "--epochs", "3", "--lr", "0.01"]].concat(),
    );
    let file = ngrams.join("model.pt");
    let output = Command::new(&program).arg(&file).args(TEXTS).output().unwrap();
    check(&String::from_utf8(output.stdout).unwrap(), &expected(folder.path(), &file));
    // Invalid UTF-8 is a text, too.
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"free \xff\xc3 prize \xf0\x9f");
    let output = Command::new(&program).arg(folder.path().join("bow/model.pt")).arg(bytes).output().unwrap();
    assert!(output.stdout.starts_with(b"spam "), "{}", stderr(&output));
}

#[test]
fn tokenizers_with_a_vocabulary_are_part_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let table = folder.path().join("mails.csv");
    let program = built(folder.path());
    let texts = std::fs::read_to_string(&table).unwrap();
    let lines: Vec<_> = texts.lines().chain(["Café, 会议 – it's"]).collect();
    let trained = |kind| train(kind, &lines, 400).unwrap().to_json().unwrap();
    let tokenizers = [
        ("bert", trained(TrainedKind::WordPiece)),
        ("gpt", trained(TrainedKind::ByteLevelBpe)),
        ("xlm", unigram(&lines)),
    ];
    for (name, json) in tokenizers {
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, json).unwrap();
        let out = folder.path().join(name);
        let data = mail_options(&table);
        let own = ["--tokenizer", text(&file), "--model", "bow", "--epochs", "3", "--lr", "0.01"];
        train_once(&out, &[&data[..], &own].concat());
        let model = out.join("model.pt");
        // The file of the tokenizer is not needed any more.
        std::fs::remove_file(&file).unwrap();
        let output = Command::new(&program).arg(&model).args(TEXTS).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        check(&String::from_utf8(output.stdout).unwrap(), &expected(folder.path(), &model));
    }
    std::fs::write(folder.path().join("no.json"), "{}").unwrap();
    let refused = run([
        "train",
        "--data",
        text(&table),
        "--text",
        "body",
        "--label",
        "kind",
        "--tokenizer",
        text(&folder.path().join("no.json")),
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("no.json: "), "{}", stderr(&refused));
}

/// The `tokenizer.json` of XLM-RoBERTa with a Unigram model that knows the words and the characters of these lines.
pub fn unigram(lines: &[&str]) -> String {
    let words: BTreeSet<String> =
        lines.iter().flat_map(|line| line.split([' ', ','])).map(|word| format!("▁{word}")).collect();
    let characters: BTreeSet<String> = words.iter().flat_map(|word| word.chars()).map(String::from).collect();
    let scored = |tokens: &BTreeSet<String>, score: f64| -> Vec<Value> {
        tokens.iter().map(|token| json!([token, score])).collect()
    };
    let special = ["<s>", "<pad>", "</s>", "<unk>"];
    let longer: BTreeSet<String> = words.difference(&characters).cloned().collect();
    let first: Vec<Value> = special.iter().map(|token| json!([token, 0.])).collect();
    let vocabulary = [first, scored(&longer, -4.5), scored(&characters, -7.25)].concat();
    let added: Vec<Value> = (0..).zip(special).map(|(id, token)| added_token(id, token)).collect();
    let part = |kind: &str, id: &str| json!({kind: {"id": id, "type_id": 0}});
    let [start, end] = ["<s>", "</s>"].map(|token| part("SpecialToken", token));
    let [first, second] = ["A", "B"].map(|text| part("Sequence", text));
    let special_token = |token: &str, id: i64| json!({"id": token, "ids": [id], "tokens": [token]});
    json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [start, first, end],
            "pair": [start, first, end, end, second, end],
            "special_tokens": {"<s>": special_token("<s>", 0), "</s>": special_token("</s>", 2)},
        },
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": false},
    })
    .to_string()
}

fn added_token(id: i64, content: &str) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true
    })
}

/// The C++ example.
fn built(folder: &Path) -> PathBuf {
    let program = folder.join("classify_text");
    let command = shown_command("g++ ").replace("classify", "classify_text");
    bash(&command.replace("-o classify_text", &format!("-o {}", text(&program))));
    program
}

#[test]
fn frozen_and_half_precision_variants_pass_strings() {
    let folder = tempfile::tempdir().unwrap();
    let program = built(folder.path());
    let file = trained(folder.path(), "bow", "rows=4096");
    let expected = expected(folder.path(), &file);
    for options in [&["--freeze"][..], &["--dtype", "bf16"]] {
        let exported = folder.path().join(format!("variant{}.pt", options.concat()));
        succeed(["export", text(&file), "--output", text(&exported)].iter().chain(options));
        let output = Command::new(&program).arg(&exported).args(TEXTS).output().unwrap();
        assert!(output.status.success(), "{options:?}: {}", stderr(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        let classes: Vec<_> = printed.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let of: Vec<_> = expected.iter().map(|(class, _)| class.as_str()).collect();
        assert_eq!(classes, of, "{options:?}");
    }
}

/// Runs each ONNX file of a folder on the ids beside it.
const RUN: &str = r#"
import sys, pathlib, numpy, onnx, onnxruntime
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path)
    [given], [result] = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("ids", "tensor(int64)", ["batch", "tokens"]), given
    for ids in path.parent.glob(path.stem + ".*.ids.npy"):
        [logits] = session.run(["logits"], {"ids": numpy.load(ids)})
        numpy.save(str(ids).replace("ids.npy", "logits.npy"), logits)
"#;

/// Token ids of texts of different lengths, one of them empty, with this many tokens at most.
fn ids(rows: i64, most: i64) -> Tensor {
    let options = (Kind::Int64, Device::Cpu);
    let ids = Tensor::randint_low(2, 3000, [rows, most], options);
    let lengths = Tensor::arange(rows, options) * most / (rows - 1).max(1);
    let places = Tensor::arange(most, options).unsqueeze(0);
    ids * places.less_tensor(&lengths.unsqueeze(1)).to_kind(Kind::Int64)
}

#[test]
#[ignore = "needs onnxruntime: make test"]
fn models_of_texts_compute_the_same_in_onnxruntime() {
    let folder = tempfile::tempdir().unwrap();
    write_mails(folder.path());
    let table = folder.path().join("mails.csv");
    let exports = folder.path().join("exports");
    std::fs::create_dir(&exports).unwrap();
    let mut expected = Vec::new();
    for (name, model, options, more) in [
        ("bow", "bow", "rows=4096", &[][..]),
        ("trigrams", "bow", "rows=4096,ngrams=3", &["--vocab-size", "200"]),
        ("textcnn", "textcnn", "rows=512,width=8,filters=4", &["--vocab-size", "200"]),
        ("lstm", "lstm", "width=8,depth=2", &[]),
        ("gru", "gru", "width=8,depth=1", &[]),
        ("transformer", "transformer", "rows=512,width=16,depth=2,heads=2", &[]),
        ("pairs", "lstm", "width=8,depth=1", &["--text", "subject,body"]),
    ] {
        let out = folder.path().join(name);
        let data = ["--data", text(&table), "--text", "body", "--label", "kind", "--threads", "1"];
        // The last `--text` counts.
        let data = if more.contains(&"--text") {
            [&data[..2], more, &data[4..]].concat()
        } else {
            [&data[..], more].concat()
        };
        let own = ["--model", model, "--model-options", options, "--epochs", "2", "--lr", "0.01"];
        train_once(&out, &[&data[..], &own].concat());
        let of_model = exports.join(name);
        std::fs::create_dir(&of_model).unwrap();
        succeed(["export", text(&out), "--output", text(&of_model.join("model.onnx"))]);
        assert_eq!(of_model.join("tokenizer.json").is_file(), more.contains(&"--vocab-size"), "{name}");
        let (module, extra) = Module::load(&out.join("model.pt"), Device::Cpu, &["metadata.json"]).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&extra[0]).unwrap();
        let width = metadata["input"]["shape"][0].as_i64().unwrap();
        let shorter = if name == "pairs" { width } else { 3 };
        for (rows, most) in [(1, width), (2, shorter), (33, width)] {
            let ids = ids(rows, most);
            let name = format!("{name}/model.{rows}");
            ids.write_npy(exports.join(format!("{name}.ids.npy"))).unwrap();
            let logits = tch::no_grad(|| module.call("forward", &ids)).unwrap().remove(0);
            expected.push((name, logits));
        }
        python(&["-c", RUN, text(&of_model)]);
    }
    for (name, expected) in expected {
        let logits = Tensor::read_npy(exports.join(format!("{name}.logits.npy"))).unwrap();
        assert_eq!(logits.size(), expected.size(), "{name}");
        let difference = (&logits - &expected).abs().max().double_value(&[]);
        assert!(difference <= 1e-4, "{name}: {difference}");
    }
}
