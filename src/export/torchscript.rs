//! TorchScript, for `torch::jit::load` and `torch.jit.load`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::{
    Dtype, ExportFormat, ExportedModel, METADATA, Metadata, Sizing, VERIFICATION, Variants, Verification,
    ranking, table, texts,
};
use crate::data::ValueRange;
use crate::data::atomic;
use crate::data::column::{FeatureGroup, TableLayout};
use crate::error::{Error, Result};
use crate::evaluate::ood::{OodScore, OodThreshold};
use crate::model::preprocessing::Preprocessing;
use crate::model::script::Class;
use crate::model::{MEMBER_LOGITS, Outputs};

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "torchscript",
    summary: "weights, code and preprocessing, for libtorch in C++, Rust, Python and Java",
    extension: "pt",
    variants: Variants::All,
    write: copy,
};

/// Copies the file: the exported model is TorchScript already.
fn copy(exported: &ExportedModel, path: &Path) -> Result<()> {
    let bytes = std::fs::read(&exported.path).map_err(Error::io("read", &exported.path))?;
    Ok(atomic::write(path, &bytes)?)
}

/// The attribute with the dtype of the network, as a number of libtorch. Preprocessed inputs are cast to it.
pub(super) const DTYPE: &str = "network_dtype";

/// The number of float32 in libtorch.
const FLOAT32: i64 = 6;

/// The expression for the results of `outputs` of the network: logits, or numbers.
fn results(outputs: &Outputs) -> String {
    match outputs {
        Outputs::Classification | Outputs::Multilabel { .. } | Outputs::Ranking => "outputs".to_string(),
        Outputs::Regression { offset, scale, .. } => {
            format!("torch.add(torch.mul(outputs, {scale:?}), {offset:?})")
        }
    }
}

/// The method that returns the results of the members of a bag.
pub(crate) const MEMBERS: &str = "members";

/// Its source.
fn members(outputs: &Outputs) -> String {
    format!(
        "def {MEMBERS}(self, x: Tensor) -> Tensor:\n    \
         outputs = self.{MEMBER_LOGITS}(self.prepared(x)).to(6)\n    \
         return {}\n",
        results(outputs)
    )
}

/// The methods of the exported module. `logits` is the network without preprocessing.
fn methods(outputs: &Outputs, has_indices: bool) -> String {
    let results = results(outputs);
    let predict = match outputs {
        // It has methods of its own.
        Outputs::Ranking => String::new(),
        Outputs::Classification => "    probabilities = torch.softmax(self.forward(x), -1)\n    \
             return (torch.argmax(probabilities, -1), probabilities)"
            .to_string(),
        Outputs::Multilabel { thresholds } => format!(
            "    probabilities = torch.sigmoid(self.forward(x))\n    \
             thresholds = torch.tensor({thresholds:?}, dtype=6, device=probabilities.device)\n    \
             return (torch.ge(probabilities, thresholds), probabilities)"
        ),
        Outputs::Regression { interval, .. } => {
            let half =
                interval.map_or("float('nan')".to_string(), |interval| format!("{:?}", interval.half_width));
            format!(
                "    values = torch.squeeze(self.forward(x), -1)\n    \
                 return (values, torch.stack([torch.sub(values, {half}), torch.add(values, {half})], -1))"
            )
        }
    };
    let predict = match predict.is_empty() {
        true => String::new(),
        false => format!("def predict(self, x: Tensor) -> Tuple[Tensor, Tensor]:\n{predict}\n\n"),
    };
    // Token ids, and indices of categories, users and items, are no values that could be rounded.
    let cast = if has_indices { "" } else { ".to(self.network_dtype)" };
    format!(
        "def prepared(self, x: Tensor) -> Tensor:\n    \
         return self.preprocess.forward(x){cast}\n\n\
         def forward(self, x: Tensor) -> Tensor:\n    \
         outputs = self.logits(self.prepared(x)).to(6)\n    \
         return {results}\n\n\
         {predict}\
         def class_names(self) -> List[str]:\n    \
         return self.classes\n"
    )
}

/// The method that returns prediction sets: the classes with at least the probability `threshold`.
fn predict_set(threshold: f64) -> String {
    format!(
        "def predict_set(self, x: Tensor) -> Tuple[Tensor, Tensor]:\n    probabilities = torch.softmax(self.forward(x), -1)\n    \
         return (torch.ge(probabilities, {threshold:?}), probabilities)\n"
    )
}

/// The buffer with features of training examples: unit vectors, float32 (rows, width).
pub(crate) const OOD_BANK: &str = "ood_bank";

/// The methods that detect inputs unlike the training data: those with a score above the threshold, or none without a threshold.
fn ood(ood: &OodThreshold) -> String {
    let threshold = ood.threshold.map_or("float('inf')".to_string(), |threshold| format!("{threshold:?}"));
    let score = match ood.score {
        OodScore::Energy => "def energy(self, x: Tensor) -> Tensor:
    return torch.neg(torch.logsumexp(self.forward(x), [-1]))

def ood_score(self, x: Tensor) -> Tensor:
    return self.energy(x)
"
        .to_string(),
        OodScore::Knn => {
            let last = ood.k.unwrap_or(1).max(1) - 1;
            format!(
                "def ood_score(self, x: Tensor) -> Tensor:
    features = self.features(x)
    norms = torch.sqrt(torch.sum(features * features, [1], True))
    similarities = torch.matmul(features / torch.clamp_min(norms, 1e-12), self.{OOD_BANK}.to(6).t())
    farthest = torch.topk(similarities, {k}, -1, True, True)[0][:, {last}]
    return torch.sqrt(torch.clamp_min(2.0 - 2.0 * farthest, 0.0))
",
                k = last + 1
            )
        }
    };
    format!(
        "{score}\ndef is_ood(self, x: Tensor) -> Tensor:\n    return torch.gt(self.ood_score(x), {threshold})\n"
    )
}

/// An additional method for networks whose last layer is known.
const FEATURES: &str = r#"
def features(self, x: Tensor) -> Tensor:
    return self.penultimate(self.prepared(x)).to(6)
"#;

/// The method that converts decoded images with values from 0 to 255 to raw values.
fn pixels(range: ValueRange) -> String {
    let value = match range {
        ValueRange { min: 0., max: 255. } => "x".to_string(),
        ValueRange { min, max } => {
            format!("torch.add(torch.mul(x.to(6), {:?}), {:?})", f64::from(max - min) / 255., f64::from(min))
        }
    };
    format!("def pixels(self, x: Tensor) -> Tensor:\n    return {value}\n")
}

/// Adds preprocessing, the encoder of tables, dtype and class names to the class of a network for export. [`torchscript`] has an example.
pub fn with_preprocessing(preprocessing: &Preprocessing, metadata: &Metadata) -> impl Fn(Class) -> Class {
    |class| {
        let class =
            class.child("preprocess", preprocessing.script(metadata.input.decoding)).int(DTYPE, FLOAT32);
        let class = class.strings("classes", &metadata.classes);
        match &metadata.input.table {
            Some(layout) if metadata.outputs == Outputs::Ranking => ranking::with_names(class, layout),
            Some(layout) if layout.is_text() => texts::with_tokenizers(class, layout),
            // Images in a table are numbers, which need no encoder.
            Some(layout) if metadata.input.shape.image().is_none() => {
                class.child(table::ENCODER, table::encoder(layout, preprocessing.fill.is_some()))
            }
            _ => class,
        }
    }
}

/// Writes a model, the script of a network extended by [`with_preprocessing`], to `path`, on the CPU and in evaluation mode, with dynamic
/// batch size and named parameters.
///
/// Methods:
/// - `forward(x)` maps raw values, uint8 or float (N, …), to logits (N, outputs), or to predicted numbers (N, 1);
/// - `predict(x)` returns class indices int64 (N) and probabilities (N, classes); of labels, which are predicted, bool (N, labels), and
///   their probabilities; of a number, the values (N) and the bounds of their prediction intervals (N, 2), NaN without intervals;
/// - `predict_set(x)` returns prediction sets, bool (N, classes), and probabilities; only with `coverage`;
/// - `ood_score(x)` returns the energy of the logits, -logsumexp, or the distance to training features, float32 (N), and `is_ood(x)`
///   whether it is above the threshold, bool (N); only with `ood`. `energy(x)` is the same as the former for energies;
/// - `members(x)` returns the logits or numbers of each member of a bag, (N, members, outputs); only of a bag;
/// - `features(x)` returns the inputs of the last layer, (N, width); only if the last layer is known;
/// - `class_names()` returns the attribute `classes`;
/// - `pixels(x)` converts decoded images, 0 to 255, to raw values; only for models of images, which take any image size;
/// - `encode_text(texts)` returns the token ids of texts (`List[str]`), int64 (N, tokens), with 0 as padding, and `predict_text(texts)` the
///   same as `predict(x)`; only for models of texts. Those of pairs take a second list, of the same length.
/// - `forward_ids(ids, mask)` is `forward` of the ids of a tokenizer with a vocabulary, int64 (N, tokens), and their mask, 1 for tokens and
///   0 for the padding after them, as the library transformers returns them; only for models of one text;
/// - `encode_table(rows)` converts the raw cells of a table, `List[List[str]]` with the columns of `column_names()`, to raw values,
///   float32 (N, features), and `predict_table(rows)` is `predict` of them. `encode_columns(numbers, texts)` and
///   `predict_columns(numbers, texts)` take the columns of `numeric_column_names()` as a tensor (N, columns), NaN where missing,
///   and those of `text_column_names()` as texts. Only for models of tables. A cell that cannot be read is an exception, which
///   names row and column, both from 1. The marks of [`MISSING_MARKS`](crate::data::cell::MISSING_MARKS) are missing values;
/// - `score(users, items)` returns the scores of items for users, both `List[str]` of the same length, float32 (N); `user_vector(users)` and
///   `item_vector(items)` return the vectors whose product the score is, float32 (N, width); `item_scores(users)` returns the scores of all
///   items, float32 (N, items), for the indexes of users, int64 (N), in the order of `item_names()`; and `recommend(user, k, exclude)` the `k`
///   best items (`List[str]`) that are not in `exclude` and their scores. Only for models of choices, whose `forward` takes the indexes of
///   user and item, (N, 2). The index -1 is an unknown user or item.
///
/// The extra files are `metadata.json` and `verification.json`, the latter with raw `samples`, (N, …), and their logits.
///
/// ```
/// use cresset::export::{torchscript, with_preprocessing};
/// use cresset::prelude::*;
/// use cresset::run::{Prepared, RunFolder};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = RunFolder::open(fitted.folder())?;
/// let config = Config::read(&run.config_file())?;
/// let metadata = cresset::predict::metadata(&run.model())?;
///
/// // The untrained model of the run.
/// let prepared = Prepared::again(&config, &run)?;
/// let module = prepared.network.script(&with_preprocessing(&prepared.preprocessing, &metadata))?;
/// torchscript(module, &metadata, &prepared.samples(&config)?, &out.join("untrained.pt"))?;
/// assert_eq!(*Classifier::load(out.join("untrained.pt"))?.metadata(), metadata);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn torchscript(mut module: Module, metadata: &Metadata, samples: &Tensor, path: &Path) -> Result<()> {
    define_features(&mut module, &metadata.outputs, has_indices(metadata))?;
    if let Some(layout) = &metadata.input.table {
        module.define(&texts::methods(&module, layout)?)?;
    }
    if let Some(conformal) = metadata.conformal {
        module.define(&predict_set(conformal.threshold))?;
    }
    if let Some(found) = &metadata.ood {
        module.define(&ood(found))?;
    }
    if let (Sizing::CenterCrop, Some(range)) = (metadata.input.sizing, metadata.input.value_range) {
        module.define(&pixels(range))?;
    }
    if metadata.outputs == Outputs::Ranking {
        module.define(ranking::METHODS)?;
    }
    if metadata.input.table.is_some() && module.child(table::ENCODER)?.is_some() {
        module.define(table::METHODS)?;
    }
    module.set_training(false)?;
    let verification = Verification::of(&module, samples, Device::Cpu, Dtype::F32)?;
    write(&module, metadata, &verification, path)
}

/// Adds the methods that every exported model has, `members` of a bag, and `features` if the last layer is known. Returns whether it is.
/// If the input has indices, such as token ids, it is not cast to the dtype of the network.
pub(crate) fn define_features(module: &mut Module, outputs: &Outputs, has_indices: bool) -> Result<bool> {
    module.define(&methods(outputs, has_indices))?;
    if module.methods()?.iter().any(|method| method == MEMBER_LOGITS) {
        module.define(&members(outputs))?;
    }
    let is_known = module.methods()?.iter().any(|method| method == "penultimate");
    if is_known {
        module.define(FEATURES)?;
    }
    Ok(is_known)
}

/// Whether the input has token ids or indices of categories.
fn has_indices(metadata: &Metadata) -> bool {
    let groups = metadata.input.table.iter().flat_map(TableLayout::feature_groups);
    metadata.preprocessing.kind.is_tokens()
        || groups.into_iter().any(|group| matches!(group, FeatureGroup::Code { .. }))
}

/// Writes a module with its extra files.
pub(super) fn write(
    module: &Module,
    metadata: &Metadata,
    verification: &Verification,
    path: &Path,
) -> Result<()> {
    let verification = serde_json::to_string(verification).expect("samples serialize to JSON");
    let metadata = serde_json::to_string_pretty(metadata).expect("metadata serializes to JSON");
    let extra = [(METADATA, metadata.as_str()), (VERIFICATION, verification.as_str())];
    atomic::replace(path, |temporary| {
        module.save(temporary, &extra).map_err(|error| write_error(temporary, path).unwrap_or(error.into()))
    })
}

/// The system error of another write to a file that libtorch could not write; libtorch does not report the reason.
fn write_error(temporary: &Path, path: &Path) -> Option<Error> {
    let mut file = OpenOptions::new().append(true).open(temporary).ok()?;
    file.write_all(&[0; 1 << 16]).err().map(Error::io("write", path))
}
