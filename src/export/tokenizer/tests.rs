mod texts;
mod unigram;

use cresset_bridge::script::Module;
use cresset_data::tokenizer::{Tokenizer, TrainedKind, train};
use serde_json::{Value, json};

use super::script;
use texts::{mixed, texts};

/// The number of texts of each comparison.
const TEXTS: usize = 100_000;

fn trained(kind: TrainedKind) -> Tokenizer {
    train(kind, &texts::corpus(), 3000).unwrap()
}

/// A trained tokenizer with its `tokenizer.json` changed.
fn changed(kind: TrainedKind, change: impl Fn(&mut Value)) -> Tokenizer {
    let mut json: Value = serde_json::from_str(&trained(kind).to_json().unwrap()).unwrap();
    change(&mut json);
    Tokenizer::from_json(&json.to_string(), None).unwrap()
}

/// The tokenizer as RoBERTa's: no space is added, and `<mask>` takes the whitespace before it.
fn roberta() -> Tokenizer {
    changed(TrainedKind::ByteLevelBpe, |json| {
        json["pre_tokenizer"]["add_prefix_space"] = json!(false);
        for added in json["added_tokens"].as_array_mut().unwrap() {
            let is_mask = added["content"] == "<mask>";
            added["lstrip"] = json!(is_mask);
            added["normalized"] = json!(!is_mask);
        }
    })
}

fn module(tokenizer: &Tokenizer) -> Module {
    let (source, name, values) = script(tokenizer).unwrap().compile().unwrap();
    Module::from_source(&source, &name, &values).unwrap()
}

fn of_crate(tokenizer: &Tokenizer, text: &[u8]) -> Vec<i64> {
    let ids = tokenizer.encode(&String::from_utf8_lossy(text)).unwrap();
    ids.into_iter().map(i64::from).collect()
}

/// Checks that both give the same ids of all texts.
fn compare(tokenizer: &Tokenizer) {
    let module = module(tokenizer);
    let mut tokens = 0;
    for text in texts(TEXTS) {
        let expected = of_crate(tokenizer, &text);
        let got = module.call_with_text("encode", &text).unwrap();
        assert_eq!(got, expected, "{:?} = {text:x?}", String::from_utf8_lossy(&text));
        tokens += got.len();
    }
    assert!(tokens > 10 * TEXTS, "{tokens} tokens");
}

#[test]
fn uncased_word_piece_gives_the_ids_of_the_crate() {
    compare(&trained(TrainedKind::WordPiece));
}

#[test]
fn cased_word_piece_gives_the_ids_of_the_crate() {
    compare(&trained(TrainedKind::WordPieceCased));
}

#[test]
fn byte_level_bpe_gives_the_ids_of_the_crate() {
    compare(&trained(TrainedKind::ByteLevelBpe));
}

#[test]
fn robertas_byte_level_bpe_gives_the_ids_of_the_crate() {
    compare(&roberta());
}

#[test]
fn other_options_of_the_normalizer_give_the_ids_of_the_crate() {
    for (strip, clean, ideographs) in [(json!(false), true, true), (json!(true), false, false)] {
        let tokenizer = changed(TrainedKind::WordPiece, |json| {
            json["normalizer"]["strip_accents"] = strip.clone();
            json["normalizer"]["clean_text"] = json!(clean);
            json["normalizer"]["handle_chinese_chars"] = json!(ideographs);
        });
        let module = module(&tokenizer);
        for text in texts(20_000) {
            let got = module.call_with_text("encode", &text).unwrap();
            assert_eq!(got, of_crate(&tokenizer, &text), "{:?}", String::from_utf8_lossy(&text));
        }
    }
}

/// A pair of texts has the ids and types of the crate.
fn compare_pair(tokenizer: &Tokenizer, module: &Module, pair: [&[u8]; 2]) {
    let [first, second] = pair.map(String::from_utf8_lossy);
    let expected = tokenizer.encode_pair(&first, &second).unwrap();
    let wide = |ids: &[u32]| ids.iter().map(|id| i64::from(*id)).collect::<Vec<_>>();
    let got = module.call_with_texts("encode_pair", pair).unwrap();
    assert_eq!(got, (wide(&expected.ids), wide(&expected.types)), "{first:?} {second:?}");
}

#[test]
fn pairs_and_maximum_lengths_give_the_ids_and_types_of_the_crate() {
    for tokenizer in [trained(TrainedKind::WordPiece), roberta()] {
        for max_length in [6, 7, 33] {
            let json = tokenizer.to_json().unwrap();
            let tokenizer = Tokenizer::from_json(&json, Some(max_length)).unwrap();
            let module = module(&tokenizer);
            let all: Vec<Vec<u8>> = mixed(500).collect();
            for pair in all.windows(2) {
                compare_pair(&tokenizer, &module, [&pair[0], &pair[1]]);
                let got = module.call_with_text("encode", &pair[0]).unwrap();
                assert_eq!(got, of_crate(&tokenizer, &pair[0]), "{:?}", String::from_utf8_lossy(&pair[0]));
            }
        }
    }
}

#[test]
fn a_long_text_takes_time_in_proportion_to_its_length() {
    for tokenizer in [trained(TrainedKind::WordPiece), roberta()] {
        let json = tokenizer.to_json().unwrap();
        let tokenizer = Tokenizer::from_json(&json, Some(10_000_000)).unwrap();
        let module = module(&tokenizer);
        for part in ["e", " ", "the ", "\u{301}", "\u{1f600}", "<mask>", "[MASK] ", "é\n", "!", "\u{3000}"] {
            let text = part.repeat(20_000);
            let got = module.call_with_text("encode", text.as_bytes()).unwrap();
            assert_eq!(got, of_crate(&tokenizer, text.as_bytes()), "{part:?}");
        }
    }
}

#[test]
fn the_class_survives_the_file_and_all_its_operations_are_allowed() {
    for tokenizer in [trained(TrainedKind::WordPiece), roberta()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.pt");
        module(&tokenizer).save(&path, &[]).unwrap();
        let (module, _) = crate::model::script::load(&path, tch::Device::Cpu, &[]).unwrap();
        let text = "The dog isn't a Crème brûlée, [MASK] <mask>!".as_bytes();
        assert_eq!(module.call_with_text("encode", text).unwrap(), of_crate(&tokenizer, text));
    }
}

#[test]
fn what_has_no_script_is_refused_by_name() {
    let refusal = |kind, change: fn(&mut Value)| script(&changed(kind, change)).unwrap_err();
    let message = refusal(TrainedKind::WordPiece, |json| json["normalizer"] = json!({"type": "NFC"}));
    assert_eq!(
        message,
        "a tokenizer with the normalizer NFC has no TorchScript, so the exported model takes the ids of tokens instead of text"
    );
    let message = refusal(TrainedKind::WordPiece, |json| {
        json["pre_tokenizer"] = json!({"type": "Whitespace"});
    });
    assert!(message.contains("the pre-tokenizer Whitespace has"), "{message}");
    let message = refusal(TrainedKind::ByteLevelBpe, |json| json["pre_tokenizer"] = Value::Null);
    assert!(message.contains("without a pre-tokenizer"), "{message}");
    let message = refusal(TrainedKind::ByteLevelBpe, |json| json["model"]["dropout"] = json!(0.5));
    assert!(message.contains("of the type BPE with dropout"), "{message}");
    let message = refusal(TrainedKind::WordPiece, |json| {
        json["added_tokens"][4]["single_word"] = json!(true);
    });
    assert!(message.contains("added token `[MASK]` matches whole words only"), "{message}");
    let words = r###"{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null, "model": {"type": "WordLevel", "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "<pad>": 1, "a": 2}}}"###;
    let message = script(&Tokenizer::from_json(words, None).unwrap()).unwrap_err();
    assert!(message.starts_with("a tokenizer of the type WordLevel has no TorchScript"), "{message}");
}
