//! RoBERTa (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019).

use super::Architecture;
use super::bert::NAMES;
use super::bert_family::{Family, options, size};
use crate::model::layer::{Activation, BertEncoder, BertSize, Dropout, Linear, PairFrame, Sequential};

/// The positions before the first one are those of padding.
const FAMILY: Family = Family {
    name: "roberta",
    vocabulary: 50_265,
    positions: 514,
    first_position: 2,
    types: 1,
    frame: PairFrame::TwoSeparators,
    eps: 1e-5,
};

/// The architecture. Its pooler, `classifier.dense`, is outside the encoder.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    summary: "RoBERTa, BERT with byte-level tokens and longer pretraining; for texts",
    options: &options(&FAMILY),
    build: |path, task, options| {
        let size = size(task, options, &FAMILY)?;
        let (width, dropout, has_pooler) = (size.width, size.dropout, size.has_pooler);
        let size = BertSize { has_pooler: false, ..size };
        let encoder = BertEncoder::new(&(path / "roberta"), task, &NAMES, size);
        let classifier = path / "classifier";
        let head = Sequential::default().then("dropout", Dropout(dropout));
        let head = match has_pooler {
            true => head
                .then("dense", Linear::normal(&(&classifier / "dense"), width, width))
                .then("tanh", Activation::Tanh)
                .then("dropout2", Dropout(dropout)),
            false => head,
        };
        let head = head.then("out_proj", Linear::normal(&(&classifier / "out_proj"), width, task.classes));
        Ok(Sequential::default().then("roberta", encoder).then("classifier", head))
    },
};
