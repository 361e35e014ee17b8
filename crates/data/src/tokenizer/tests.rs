use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TEXTS: [&str; 4] = [
    "The quick brown fox jumps over the lazy dog.",
    "The dogs are not amused, the fox isn't either!",
    "Crème brûlée for 12 people: 3.50 € each",
    "the the the dog dog fox fox quick",
];

fn trained(kind: TrainedKind) -> Tokenizer {
    train(kind, &TEXTS, 400).unwrap()
}

fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The error of a `tokenizer.json` with a part changed.
fn error_of(kind: TrainedKind, change: impl Fn(&mut Value)) -> String {
    let mut json: Value = serde_json::from_str(&trained(kind).to_json().unwrap()).unwrap();
    change(&mut json);
    let (_folder, path) = write("tokenizer.json", &json.to_string());
    let error = Tokenizer::from_file(&path, None).unwrap_err();
    assert!(error.is_user_error());
    error.to_string()
}

const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ndog\n##s\n!\ncafe\n";

#[test]
fn a_vocabulary_file_is_berts_tokenizer() {
    // The last token is an uppercase letter without a lowercase one: the published vocabulary of lowercase text has it.
    let (_folder, path) = write("vocab.txt", &format!("{VOCABULARY}ℝ\n"));
    let tokenizer = Tokenizer::from_file(&path, None).unwrap();
    assert_eq!(tokenizer.encode("The DOGS, café!").unwrap(), [2, 5, 6, 7, 1, 9, 8, 3]);
    assert_eq!(tokenizer.encode("[MASK] xyz").unwrap(), [2, 4, 1, 3]);
    assert_eq!((tokenizer.vocabulary(), tokenizer.pad_id()), (11, 0));
    let pair = tokenizer.encode_pair("the", "dog !").unwrap();
    assert_eq!(pair.ids, [2, 5, 3, 6, 8, 3]);
    assert_eq!(pair.types, [0, 0, 0, 1, 1, 1]);

    // An uppercase letter makes it cased.
    let (_folder, path) = write("vocab.txt", &format!("{VOCABULARY}The\n"));
    let tokenizer = Tokenizer::from_file(&path, None).unwrap();
    assert_eq!(tokenizer.encode("The the café").unwrap(), [2, 10, 5, 1, 3]);
}

#[test]
fn the_maximum_length_cuts_the_text_and_keeps_the_special_tokens() {
    let (_folder, path) = write("vocab.txt", VOCABULARY);
    let tokenizer = Tokenizer::from_file(&path, Some(5)).unwrap();
    assert_eq!(tokenizer.encode("the dog the dog the").unwrap(), [2, 5, 6, 5, 3]);
    assert_eq!(tokenizer.encode_pair("the dog the", "!").unwrap().ids, [2, 5, 3, 8, 3]);
    assert_eq!(tokenizer.max_length(), 5);
    let error = Tokenizer::from_file(&path, Some(4)).unwrap_err().to_string();
    assert!(error.contains("vocab.txt: the maximum length 4 is too small: 3 special tokens"), "{error}");
}

#[test]
fn a_trained_tokenizer_encodes_its_words_as_one_token_and_survives_serialization() {
    for kind in [TrainedKind::WordPiece, TrainedKind::WordPieceCased, TrainedKind::ByteLevelBpe] {
        let tokenizer = trained(kind);
        assert_eq!(tokenizer.encode("dog").unwrap().len(), 3, "{kind:?}");
        let text = serde_json::to_string(&tokenizer).unwrap();
        let again: Tokenizer = serde_json::from_str(&text).unwrap();
        assert_eq!(again, tokenizer);
        for text in TEXTS {
            assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
        }
        assert_eq!(trained(kind), tokenizer, "training depends only on its arguments");
    }
    let uncased = trained(TrainedKind::WordPiece);
    assert_eq!(uncased.encode("Crème").unwrap(), uncased.encode("creme").unwrap());
    let cased = trained(TrainedKind::WordPieceCased);
    assert_ne!(cased.encode("Crème").unwrap(), cased.encode("creme").unwrap());
    let bytes = trained(TrainedKind::ByteLevelBpe);
    assert_eq!((bytes.pad_id(), bytes.encode("\u{1f600}").unwrap().len()), (1, 7));
}

#[test]
fn a_maximum_length_of_the_file_is_kept() {
    let mut json: Value = serde_json::from_str(&trained(TrainedKind::WordPiece).to_json().unwrap()).unwrap();
    json["truncation"]["max_length"] = json!(7);
    json["padding"] = json!({"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
                             "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let tokenizer = Tokenizer::from_json(&json.to_string(), None).unwrap();
    assert_eq!(tokenizer.max_length(), 7);
    assert_eq!(tokenizer.encode("dog").unwrap().len(), 3, "batches are padded elsewhere");
}

#[test]
fn faults_of_a_file_are_named() {
    let kind = TrainedKind::WordPiece;
    let error = error_of(kind, |json| json["model"]["type"] = json!("WordPeace"));
    assert!(error.contains("tokenizer.json: unknown tokenizer model `WordPeace`"), "{error}");
    assert!(error.contains("WordPiece"), "{error}");
    let error = error_of(kind, |json| json["model"] = Value::Null);
    assert!(error.contains("no \"model\" (is it tokenizer_config.json?)"), "{error}");
    let error = error_of(kind, |json| json["model"]["unk_token"] = json!("[??]"));
    assert!(error.contains("the token `[??]` for unknown tokens is not in the vocabulary"), "{error}");
    let error = error_of(kind, |json| json["model"]["vocab"]["dog"] = json!(70_000));
    assert!(error.contains("the id 70000 of the token `dog` is beyond the vocabulary"), "{error}");
    let error = error_of(TrainedKind::ByteLevelBpe, |json| json["post_processor"]["sep"][1] = json!(90_000));
    assert!(error.contains("the post-processor adds the id 90000"), "{error}");
    let error = error_of(kind, |json| json["post_processor"]["special_tokens"] = json!({}));
    assert!(error.contains("the template \"single\" uses the token `[CLS]`"), "{error}");
    let error = error_of(kind, |json| {
        json["added_tokens"].as_array_mut().unwrap().remove(0);
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        vocabulary.remove("[PAD]");
        vocabulary.insert("nothing".to_string(), json!(0));
    });
    assert!(error.contains("has no padding token ([PAD], <pad>, <|padding|>)"), "{error}");
}

#[test]
fn faults_of_a_vocabulary_file_are_located() {
    let error_of = |text: &str| {
        let (_folder, path) = write("vocab.txt", text);
        Tokenizer::from_file(&path, None).unwrap_err().to_string()
    };
    let error = error_of(&format!("{VOCABULARY}the\n"));
    assert!(error.contains("vocab.txt, line 11: the token `the` is already in line 6"), "{error}");
    let error = error_of(&VOCABULARY.replace("dog", ""));
    assert!(error.contains("vocab.txt, line 7: an empty line"), "{error}");
    let error = error_of(&VOCABULARY.replace("[CLS]", "CLS"));
    assert!(error.contains("the vocabulary lacks [CLS]"), "{error}");
    assert!(Tokenizer::from_file(std::path::Path::new("absent/tokenizer.json"), None).is_err());
}

#[test]
fn texts_without_words_and_too_small_vocabularies_are_refused() {
    let error = train(TrainedKind::WordPiece, &["  ", ""], 100).unwrap_err().to_string();
    assert_eq!(error, "the texts have no word to train a vocabulary on");
    let error = train(TrainedKind::WordPiece, &TEXTS, 20).unwrap_err().to_string();
    assert!(error.contains("a vocabulary of 20 tokens is too small"), "{error}");
}

#[test]
fn a_byte_level_vocabulary_has_room_for_all_bytes() {
    let error = train(TrainedKind::ByteLevelBpe, &TEXTS, 200).unwrap_err().to_string();
    assert!(error.contains("at least 300 tokens, not 200"), "{error}");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in ".{0,80}", at in 0usize..4000, with in "[\\[\\]{}\",:a-z0-9]{0,6}") {
        let _ = Tokenizer::from_json(&text, None);
        let mut json = trained(TrainedKind::WordPiece).to_json().unwrap();
        let at = (0..=at.min(json.len())).rev().find(|at| json.is_char_boundary(*at)).unwrap();
        json.insert_str(at, &with);
        if let Ok(tokenizer) = Tokenizer::from_json(&json, None) {
            let _ = tokenizer.encode(&text);
            let _ = tokenizer.encode_pair(&text, &with);
        }
    }
}

proptest! {
    /// The words that are left out have no effect.
    #[test]
    fn only_the_beginning_of_a_long_text_is_tokenized(text in "([a-z]{1,3}|é|[!.,]|\u{200b}|[ \n]){0,60}", most in 6usize..14) {
        for kind in [TrainedKind::WordPiece, TrainedKind::ByteLevelBpe] {
            let tokenizer = trained(kind).with_max_length(most).unwrap();
            prop_assert!(tokenizer.splits_at_white_space());
            let whole = tokenizer.inner.encode_fast(&*text, true).unwrap();
            prop_assert_eq!(whole.get_ids(), &tokenizer.encode(&text).unwrap()[..]);
        }
    }
}
