//! TorchScript of models that recommend items to users.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::{Compression, Dtype, ExportedModel, Verification, torchscript};
use crate::data::column::{ColumnKind, TableLayout};
use crate::error::{Error, Result};
use crate::model::TOWERS;
use crate::model::script::{Class, Collection};

/// The attributes of the exported module: the index of each user and of each item, and the items.
const USERS: &str = "user_indexes";
const ITEMS: &str = "item_indexes";
const NAMES: &str = "items";

/// The methods. [`torchscript()`](super::torchscript()) describes them.
pub(super) const METHODS: &str = r#"
def codes_of(self, texts: List[str], indexes: Dict[str, int]) -> Tensor:
    codes: List[int] = []
    for text in texts:
        codes.append(indexes[text] if text in indexes else -1)
    return torch.tensor(codes, dtype=4, device=self.preprocess.offset.device)

def user_vector(self, users: List[str]) -> Tensor:
    return self.towers.user_vectors(self.codes_of(users, self.user_indexes))

def item_vector(self, items: List[str]) -> Tensor:
    return self.towers.item_vectors(self.codes_of(items, self.item_indexes))

def score(self, users: List[str], items: List[str]) -> Tensor:
    if len(users) != len(items):
        raise AssertionError(str(len(users)) + " user(s) do not match " + str(len(items)) + " item(s)")
    return torch.sum(self.user_vector(users) * self.item_vector(items), [-1])

def item_scores(self, users: Tensor) -> Tensor:
    return self.towers.item_scores(users)

def recommend(self, user: str, k: int, exclude: List[str]) -> Tuple[List[str], Tensor]:
    scores = self.item_scores(self.codes_of([user], self.user_indexes))[0]
    known: List[int] = []
    for item in exclude:
        if item in self.item_indexes:
            known.append(self.item_indexes[item])
    if len(known) > 0:
        scores = scores.index_fill(0, torch.tensor(known, dtype=4, device=scores.device), float("-inf"))
    count = int(torch.sum(torch.gt(scores, float("-inf"))))
    values, best = torch.topk(scores, max(min(k, count), 0), -1, True, True)
    names: List[str] = []
    for index in torch.unbind(best.cpu(), 0):
        names.append(self.items[int(index)])
    return (names, values)

def item_names(self) -> List[str]:
    return self.items
"#;

/// The names of the methods.
pub(super) const METHOD_NAMES: [&str; 6] =
    ["user_vector", "item_vector", "score", "item_scores", "recommend", "item_names"];

/// Adds users and items to the class of a network.
pub(super) fn with_names(class: Class, layout: &TableLayout) -> Class {
    let [users, items] = names(layout);
    class.collection(USERS, indexes(users)).collection(ITEMS, indexes(items)).strings(NAMES, items)
}

fn indexes(names: &[String]) -> Collection {
    Collection::ByText((0..).zip(names).map(|(index, name)| (name.clone(), index)).collect())
}

/// The names of the users and of the items, by their index; empty for other tables.
pub(crate) fn names(layout: &TableLayout) -> [&[String]; 2] {
    match &layout.columns[..] {
        [user, item] => [user, item].map(|column| match &column.kind {
            ColumnKind::Code { categories, .. } => categories.as_slice(),
            _ => &[],
        }),
        _ => [&[], &[]],
    }
}

/// The largest value of a vector in 8 bits.
const LARGEST: f64 = 127.;

/// Writes the model with its vectors as 8-bit integers to `path`. The vectors of users and items are scaled to length 1 when they are read,
/// so each one keeps its direction, with its largest value as 127, and needs no factor.
///
/// # Errors
/// A model that is compressed already, or a file that cannot be written.
pub(crate) fn write_int8(exported: ExportedModel, compression: Compression, path: &Path) -> Result<()> {
    let ExportedModel { path: source, module, metadata, record, .. } = exported;
    let fault = |problem: &str| Error::artifact(&source, problem);
    let mut metadata = metadata.ok_or_else(|| fault("it was not exported by cresset"))?;
    if metadata.compression.is_some() || !metadata.variant.is_plain() {
        return Err(fault("it is compressed already; compress the original model"));
    }
    let record = record.ok_or_else(|| fault("it has no recorded samples; export it again"))?;
    let prefix = format!("{TOWERS}.");
    for (_, mut vectors) in module.parameters()?.into_iter().filter(|(name, _)| name.starts_with(&prefix)) {
        let rounded = tch::no_grad(|| int8(&vectors))?;
        vectors = vectors.set_requires_grad(false);
        vectors.set_data(&rounded);
    }
    let samples = record.inputs()?;
    let verification = tch::no_grad(|| Verification::of(&module, &samples, Device::Cpu, Dtype::F32))?;
    metadata.compression = Some(Compression { int8: Some("vectors".to_string()), ..compression });
    torchscript::write(&module, &metadata, &verification, path)
}

/// Vectors (N, width) as 8-bit integers with the same directions.
fn int8(vectors: &Tensor) -> Result<Tensor> {
    let largest = vectors.abs().f_amax([-1], true)?.clamp_min(f64::from(f32::MIN_POSITIVE));
    Ok((vectors / largest * LARGEST).round().f_to_kind(Kind::Int8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bits_keep_the_direction_of_vectors() {
        let vectors = Tensor::from_slice2(&[[0.5f32, -0.25, 0.], [0., 0., 0.], [1e-3, 2e-3, -4e-3]]);
        let found = int8(&vectors).unwrap();
        assert_eq!(found, Tensor::from_slice2(&[[127i8, -64, 0], [0, 0, 0], [32, 64, -127]]));
    }
}
