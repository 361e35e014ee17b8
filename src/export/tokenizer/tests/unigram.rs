//! Unigram tokenizers as SentencePiece writes them.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cresset_data::tokenizer::Tokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{characters_map, script};
use super::{TEXTS, compare, compare_pair, module, of_crate, texts};

/// The number of tokens, other than single characters.
const TOKENS: usize = 3000;

/// Replacements as those of XLM-RoBERTa: of whitespace and controls, of forms of compatibility, of clusters, and of one that
/// begins with another one.
const REPLACED: [(&str, &str); 22] = [
    ("\t", " "),
    ("\n", " "),
    ("\r", " "),
    ("\r\n", " "),
    ("\u{1}", ""),
    ("\u{85}", " "),
    ("\u{A0}", " "),
    ("\u{2000}", " "),
    ("\u{3000}", " "),
    ("\u{200B}", " "),
    ("\u{FEFF}", " "),
    ("\u{AD}", ""),
    ("ﬁ", "fi"),
    ("Å", "Å"),
    ("\u{2126}", "Ω"),
    ("e\u{301}", "é"),
    ("e\u{301}\u{323}", "ẹ́"),
    ("\u{1112}\u{1161}", "하"),
    ("\u{FF21}", "A"),
    ("‼", "!!"),
    ("\u{FDFA}", "صلى الله عليه وسلم"),
    ("ｶ\u{FF9E}", "ガ"),
];

/// A double array of these texts, with the places of the replacements as values, as Darts writes it.
fn double_array(texts: &[(&str, &str)]) -> Vec<u8> {
    let mut replacements = Vec::new();
    let mut root = Node::default();
    for (text, replacement) in texts {
        let node = text.bytes().fold(&mut root, |node, byte| node.children.entry(byte).or_default());
        node.value = Some(replacements.len() as u32);
        replacements.extend(replacement.bytes().chain([0]));
    }
    let mut units = vec![0u32; 1 << 16];
    let mut taken = [vec![false; units.len()], vec![false; units.len()]];
    taken[0][0] = true;
    root.place(0, &mut units, &mut taken);
    let size = (units.len() * 4) as u32;
    size.to_le_bytes()
        .into_iter()
        .chain(units.iter().flat_map(|unit| unit.to_le_bytes()))
        .chain(replacements)
        .collect()
}

#[derive(Default)]
struct Node {
    children: BTreeMap<u8, Node>,
    value: Option<u32>,
}

impl Node {
    /// Places the children of the node whose unit is `at`. Units and the bases of nodes are used once.
    fn place(&self, at: usize, units: &mut [u32], taken: &mut [Vec<bool>; 2]) {
        let labels: Vec<u8> =
            self.value.map(|_| 0).into_iter().chain(self.children.keys().copied()).collect();
        let is_free = |base: &usize| {
            !taken[1][*base] && labels.iter().all(|label| !taken[0][base ^ usize::from(*label)])
        };
        let base = (256..units.len() - 256).find(is_free).unwrap();
        taken[1][base] = true;
        units[at] |= ((base ^ at) as u32) << 10 | u32::from(self.value.is_some()) << 8;
        for label in &labels {
            taken[0][base ^ usize::from(*label)] = true;
        }
        if let Some(value) = self.value {
            units[base] = value | 1 << 31;
        }
        for (label, child) in &self.children {
            let place = base ^ usize::from(*label);
            units[place] = u32::from(*label);
            child.place(place, units, taken);
        }
    }
}

/// A vocabulary of the frequent parts of words of the corpus, with the logarithms of their shares as scores.
fn vocabulary() -> Vec<Value> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for line in texts::corpus() {
        for word in line.split_whitespace() {
            let characters: Vec<char> = "▁".chars().chain(word.chars()).collect();
            for start in 0..characters.len() {
                for end in start + 1..=characters.len().min(start + 7) {
                    *counts.entry(characters[start..end].iter().collect()).or_default() += 1;
                }
            }
        }
    }
    let total: usize = counts.values().sum();
    let mut tokens: Vec<(String, usize)> = counts.into_iter().collect();
    tokens.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    // Some characters are unknown.
    let is_kept = |(place, (token, count)): (usize, &(String, usize))| {
        place < TOKENS || (token.chars().count() == 1 && count % 3 != 0)
    };
    let kept: Vec<_> = tokens.iter().enumerate().filter(|(place, token)| is_kept((*place, token))).collect();
    let scored = kept.iter().map(|(_, (token, count))| json!([token, (*count as f64 / total as f64).ln()]));
    let special = ["<s>", "<pad>", "</s>", "<unk>"].map(|token| json!([token, 0.0]));
    special.into_iter().chain(scored).chain([json!(["<mask>", 0.0])]).collect()
}

fn tokenizer(normalizer: Value, pre_tokenizer: Value) -> Tokenizer {
    let vocabulary = vocabulary();
    let mask = vocabulary.len() - 1;
    let added = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": content == "<mask>", "rstrip": false,
               "normalized": false, "special": true})
    };
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let json = json!({
        "version": "1.0",
        "added_tokens": [added(0, "<s>"), added(1, "<pad>"), added(2, "</s>"), added(3, "<unk>"), added(mask, "<mask>")],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("<s>"), text("A"), special("</s>")],
            "pair": [special("<s>"), text("A"), special("</s>"), special("</s>"), text("B"), special("</s>")],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
            },
        },
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": false},
    });
    Tokenizer::from_json(&json.to_string(), None).unwrap()
}

fn precompiled(texts: &[(&str, &str)]) -> Value {
    json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(double_array(texts))})
}

/// As the library transformers converts a model today.
fn converted() -> Tokenizer {
    let steps = json!([
        precompiled(&REPLACED),
        {"type": "Strip", "strip_left": false, "strip_right": true},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
    ]);
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    tokenizer(json!({"type": "Sequence", "normalizers": steps}), metaspace)
}

/// As XLM-RoBERTa was published.
fn published() -> Tokenizer {
    let steps = json!([
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "add_prefix_space": true},
    ]);
    tokenizer(precompiled(&REPLACED), json!({"type": "Sequence", "pretokenizers": steps}))
}

#[test]
fn the_ids_of_converted_models_are_those_of_the_crate() {
    compare(&converted());
}

#[test]
fn the_ids_of_published_models_are_those_of_the_crate() {
    compare(&published());
}

#[test]
fn other_options_give_the_ids_of_the_crate() {
    let whole = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false});
    for tokenizer in [tokenizer(Value::Null, whole.clone()), tokenizer(precompiled(&[("a", "b")]), whole)] {
        let module = module(&tokenizer);
        for text in texts::texts(TEXTS / 20) {
            let got = module.call_with_text("encode", &text).unwrap();
            assert_eq!(got, of_crate(&tokenizer, &text), "{:?}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn pairs_and_files_keep_the_ids() {
    let tokenizer = converted();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.pt");
    module(&tokenizer).save(&path, &[]).unwrap();
    let (module, _) = crate::model::script::load(&path, tch::Device::Cpu, &[]).unwrap();
    let all: Vec<Vec<u8>> = texts::mixed(300).collect();
    for pair in all.windows(2) {
        compare_pair(&tokenizer, &module, [&pair[0], &pair[1]]);
    }
}

#[test]
fn clusters_of_few_characters_are_those_of_the_crate() {
    // The parts of clusters, which random texts seldom join.
    const PARTS: [char; 22] = [
        'a',
        'e',
        ' ',
        '\r',
        '\n',
        '\u{301}',
        '\u{323}',
        '\u{200D}',
        '\u{A9}',
        '‼',
        '\u{903}',
        '\u{600}',
        '\u{915}',
        '\u{94D}',
        '\u{1112}',
        '\u{1161}',
        '\u{11AB}',
        '\u{AC00}',
        '\u{AC01}',
        '\u{FE0F}',
        '\u{1F3FB}',
        '\u{FF21}',
    ];
    let tokenizer = converted();
    let module = module(&tokenizer);
    let mut state = 1u64;
    for _ in 0..20_000 {
        let text: String = (0..6)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                PARTS[(state >> 33) as usize % PARTS.len()]
            })
            .collect();
        let got = module.call_with_text("encode", text.as_bytes()).unwrap();
        assert_eq!(got, of_crate(&tokenizer, text.as_bytes()), "{text:?}");
    }
}

#[test]
fn what_has_no_script_is_named() {
    let metaspace = |scheme: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme});
    let refusal =
        |normalizer: Value, pre_tokenizer: Value| script(&tokenizer(normalizer, pre_tokenizer)).unwrap_err();
    let message = refusal(json!({"type": "NFKC"}), metaspace("always"));
    assert!(message.starts_with("a tokenizer with the normalizer NFKC has no TorchScript"), "{message}");
    let message = refusal(Value::Null, metaspace("first"));
    assert!(message.contains("with the prepend_scheme `first`"), "{message}");
    let message = refusal(Value::Null, json!({"type": "Whitespace"}));
    assert!(message.contains("with the pre-tokenizer Whitespace"), "{message}");
    let replace = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "b"});
    let message = refusal(replace, metaspace("always"));
    assert!(message.contains("with the normalizer Replace of"), "{message}");
}

#[test]
fn a_map_of_characters_reads_back() {
    let read = characters_map::read(&BASE64_STANDARD.encode(double_array(&REPLACED))).unwrap();
    let mut expected: Vec<_> = REPLACED.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    expected.sort();
    assert_eq!(read, expected);
}

proptest! {
    #[test]
    fn damaged_maps_of_characters_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = characters_map::read(&BASE64_STANDARD.encode(&bytes));
        let mut damaged = double_array(&REPLACED[..4]);
        let size = damaged.len();
        for (place, byte) in bytes.iter().enumerate() {
            damaged[(place * 7919 + usize::from(*byte)) % size] ^= byte;
        }
        let _ = characters_map::read(&BASE64_STANDARD.encode(&damaged));
    }
}
