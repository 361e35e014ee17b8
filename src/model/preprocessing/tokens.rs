//! Token ids of texts, which stay as they are.

use tch::{Device, Kind, Tensor};

use super::{Preprocessing, PreprocessingKind};
use crate::data::Dataset;
use crate::data::column::FeatureGroup;
use crate::model::script::Class;

/// The preprocessing of texts; none for other data.
pub fn preprocessing(dataset: &Dataset) -> Option<Preprocessing> {
    let groups = dataset.table.as_ref()?.feature_groups();
    let kind = match groups[..] {
        [FeatureGroup::Tokens { .. }] => PreprocessingKind::Tokens,
        [FeatureGroup::Tokens { .. }, FeatureGroup::Tokens { .. }] => PreprocessingKind::TokenPairs,
        _ => return None,
    };
    Some(Preprocessing {
        kind,
        offset: vec![0.],
        scale: vec![1.],
        fill: None,
        quantiles: None,
        missing: Vec::new(),
        shape: dataset.shape.clone(),
    })
}

/// Token ids (N, features) as float32, on the CPU without the padding that all texts have. Pairs keep it, because the place of an id
/// tells its column.
pub fn apply(kind: PreprocessingKind, raw: &Tensor) -> Tensor {
    let ids = raw.to_kind(Kind::Float).flatten(1, -1);
    if kind == PreprocessingKind::TokenPairs || ids.device() != Device::Cpu {
        return ids;
    }
    let used = ids.ne(0).any_dim(0, false).sum(Kind::Int64).int64_value(&[]);
    ids.narrow(1, 0, used.max(1))
}

/// The class of the preprocessing in TorchScript. A text may have any number of ids, a pair has those of both columns.
pub fn script(preprocessing: &Preprocessing) -> Class {
    let width = preprocessing.shape.features();
    let check = match preprocessing.kind {
        PreprocessingKind::TokenPairs => format!(
            "    assert values.size(1) == {width}, \"an example of the input must have {width} token ids, those of both texts with their padding\"\n"
        ),
        _ => String::new(),
    };
    let methods = format!(
        "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    \
         assert x.dim() > 1, \"the input needs a batch dimension: (N, token ids)\"\n    \
         values = torch.flatten(x.to(self.offset.dtype), 1, -1)\n{check}    return values\n"
    );
    let (offset, scale) = preprocessing.tensors();
    Class::new("Preprocess", methods).buffer("offset", &offset).buffer("scale", &scale)
}
