//! BERT (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018).

use super::Architecture;
use super::bert_family::{Family, options, size};
use crate::model::layer::{BertEncoder, BertNames, Dropout, Linear, PairFrame, Sequential};

const FAMILY: Family = Family {
    name: "bert",
    vocabulary: 30_522,
    positions: 512,
    first_position: 0,
    types: 2,
    frame: PairFrame::OneSeparator,
    eps: 1e-12,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    summary: "BERT, a transformer encoder for --pretrained; for texts",
    options: &options(&FAMILY),
    build: |path, task, options| {
        let size = size(task, options, &FAMILY)?;
        let (width, dropout) = (size.width, size.dropout);
        Ok(Sequential::default()
            .then("bert", BertEncoder::new(&(path / "bert"), task, &NAMES, size))
            .then("dropout", Dropout(dropout))
            .then("classifier", Linear::normal(&(path / "classifier"), width, task.classes)))
    },
};

/// The names of the parts of a block.
pub const NAMES: BertNames = BertNames {
    blocks: "encoder.layer",
    projections: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attended: "attention.output.dense",
    attended_norm: "attention.output.LayerNorm",
    feed_forward: ["intermediate.dense", "output.dense"],
    output_norm: "output.LayerNorm",
};
