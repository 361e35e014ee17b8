//! DistilBERT (Sanh et al., "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter", 2019).

use super::Architecture;
use super::bert_family::{Family, options, size};
use crate::model::layer::{BertEncoder, BertNames, BertSize, Dropout, Linear, PairFrame, Relu, Sequential};

const FAMILY: Family = Family {
    name: "distilbert",
    vocabulary: 30_522,
    positions: 512,
    first_position: 0,
    types: 0,
    frame: PairFrame::OneSeparator,
    eps: 1e-12,
};

/// The architecture. Its pooler, `pre_classifier`, is outside the encoder and has ReLU.
pub const ARCHITECTURE: Architecture = Architecture {
    name: FAMILY.name,
    summary: "DistilBERT, BERT without token types and with half the blocks; for texts",
    options: &options(&FAMILY),
    build: |path, task, options| {
        let size = size(task, options, &FAMILY)?;
        let (width, dropout, has_pooler) = (size.width, size.dropout, size.has_pooler);
        let size = BertSize { has_pooler: false, ..size };
        let encoder = BertEncoder::new(&(path / "distilbert"), task, &NAMES, size);
        let layers = Sequential::default().then("distilbert", encoder);
        let layers = match has_pooler {
            true => layers
                .then("pre_classifier", Linear::normal(&(path / "pre_classifier"), width, width))
                .then("relu", Relu),
            false => layers,
        };
        Ok(layers
            .then("dropout", Dropout(dropout))
            .then("classifier", Linear::normal(&(path / "classifier"), width, task.classes)))
    },
};

/// The names of the parts of a block.
const NAMES: BertNames = BertNames {
    blocks: "transformer.layer",
    projections: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attended: "attention.out_lin",
    attended_norm: "sa_layer_norm",
    feed_forward: ["ffn.lin1", "ffn.lin2"],
    output_norm: "output_layer_norm",
};
