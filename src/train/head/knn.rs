//! k nearest neighbors: a bank of the features of the training set, without training.

use tch::{Kind, Tensor};

use super::{Attempts, HeadKind, HeadLayers, HeadTask};
use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::model::layer::{normalized, vote};
use cresset_options::number::{NumberOption, Options};

/// The head.
pub(super) const KNN: HeadKind = HeadKind {
    name: "knn",
    summary: "k nearest neighbors by cosine similarity; the exported model contains the features of the training set",
    options: &[
        NumberOption::whole("k", 0, (0, 1000), "number of neighbors; 0 chooses it among 1, 3, 5, 10 and 20"),
        NumberOption::real(
            "temperature",
            0.07,
            (1e-3, 1e3),
            "divides similarities; the softmax of the quotients weights the votes",
        ),
    ],
    layers: |options| HeadLayers::Neighbors(options.number("temperature")),
    fit,
};

/// The numbers of neighbors that are tried.
const COUNTS: [i64; 5] = [1, 3, 5, 10, 20];

/// The largest bank in MiB: the exported model contains it, and each prediction reads it.
const LIMIT: i64 = 512;

/// The most training examples whose neighbors are searched, for the training figures of an attempt.
const SAMPLE: i64 = 4096;

/// Examples whose neighbors are searched at once.
const CHUNK: i64 = 64;

/// Less than every cosine similarity.
const LOWEST: f64 = -2.;

/// Rejects options of the head `name` for a bank of `rows` features of `width` values. Other heads have no bank.
///
/// # Errors
/// A bank that is larger than 512 MiB, or has fewer than k features.
pub(crate) fn check_bank(name: &str, options: &str, [rows, width]: [i64; 2]) -> Result<()> {
    let (kind, options) = super::parse(name, options)?;
    if !matches!((kind.layers)(&options), HeadLayers::Neighbors(_)) {
        return Ok(());
    }
    let size = (rows * width * 4) >> 20;
    if size > LIMIT {
        return Err(Error::Usage(format!(
            "--head knn stores the features of all training images in the model: {rows} × {width} values are {size} MiB, and the \
             limit is {LIMIT} MiB. Use fewer training images or --head-views, a backbone with narrower features, or --head linear"
        )));
    }
    check_count(options.whole("k"), rows)
}

fn check_count(k: i64, rows: i64) -> Result<()> {
    if k <= rows {
        return Ok(());
    }
    Err(Error::Usage(format!("k={k} of --head-options is more than the number of training images, {rows}")))
}

fn fit(options: &Options, task: &HeadTask, attempts: &mut Attempts) -> Result<Tensors> {
    attempts.start();
    let (given, temperature) = (options.whole("k"), options.number("temperature"));
    let rows = task.train.values.size()[0];
    check_count(given.max(1), rows)?;
    let counts = if given > 0 { vec![given] } else { COUNTS.into_iter().filter(|k| *k <= rows).collect() };
    let most = counts.iter().copied().max().unwrap_or(1);
    let bank = Bank { values: normalized(&task.train.values), labels: task.train.labels.shallow_clone() };
    let places =
        Tensor::arange_start_step(0, rows, (rows + SAMPLE - 1) / SAMPLE, (Kind::Int64, bank.device()));
    let train = bank.nearest(&bank.values.index_select(0, &places), Some(&places), most);
    let validation = bank.nearest(&normalized(&task.validation.values), None, most);
    let train_labels = task.train.labels.index_select(0, &places);
    let mut best = None;
    for k in counts {
        let [train, validation] = [&train, &validation].map(|found| found.vote(k, temperature, task.classes));
        let parts = [(&train, &train_labels), (&validation, &task.validation.labels)];
        if attempts.add(parts, format!("k={k}"), 0) {
            best = Some(k);
        }
        attempts.start();
    }
    let k = best.ok_or_else(|| {
        Error::Diverged("no number of neighbors gave a finite validation loss of the k-NN head".to_string())
    })?;
    Ok(Tensors::from(
        [("bank", bank.values), ("labels", bank.labels), ("k", Tensor::from(k))]
            .map(|(name, tensor)| (name.to_string(), tensor)),
    ))
}

/// Features with their classes.
struct Bank {
    /// Unit vectors, float32 (rows, width).
    values: Tensor,
    /// Int64 (rows).
    labels: Tensor,
}

/// The neighbors of examples, the nearest first.
struct Nearest {
    /// Float32 (N, k).
    similarities: Tensor,
    /// Classes, int64 (N, k).
    labels: Tensor,
}

impl Bank {
    fn device(&self) -> tch::Device {
        self.values.device()
    }

    /// The `k` nearest neighbors of unit vectors (N, width). `own` has the row of each of them in the bank, int64 (N), which then is
    /// the farthest.
    fn nearest(&self, queries: &Tensor, own: Option<&Tensor>, k: i64) -> Nearest {
        let rows = queries.size()[0];
        let chunks = (0..rows).step_by(CHUNK as usize).map(|start| {
            let part = |tensor: &Tensor| tensor.narrow(0, start, CHUNK.min(rows - start));
            let similarities = part(queries).linear(&self.values, None::<&Tensor>);
            let similarities = match own {
                Some(own) => similarities.scatter_value(1, &part(own).unsqueeze(1), LOWEST),
                None => similarities,
            };
            let (similarities, nearest) = similarities.topk(k, -1, true, true);
            let labels = self.labels.index_select(0, &nearest.flatten(0, -1)).view([-1, k]);
            (similarities, labels)
        });
        let (similarities, labels): (Vec<_>, Vec<_>) = chunks.unzip();
        Nearest { similarities: Tensor::cat(&similarities, 0), labels: Tensor::cat(&labels, 0) }
    }
}

impl Nearest {
    /// The log-probabilities (N, classes) by the first `k` neighbors.
    fn vote(&self, k: i64, temperature: f64, classes: i64) -> Tensor {
        let labels = self.labels.narrow(1, 0, k).flatten(0, -1);
        vote(&self.similarities.narrow(1, 0, k), &labels, temperature, classes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde::Deserialize;
    use tch::{Device, nn};

    use super::super::{LabeledFeatures, fit};
    use super::*;
    use crate::model::layer::{Layer, Neighbors};

    /// Computed by scripts/reference/knn_head.py with scikit-learn.
    #[derive(Deserialize)]
    struct Reference {
        features: Vec<Vec<f32>>,
        labels: Vec<i64>,
        queries: Vec<Vec<f32>>,
        query_labels: Vec<i64>,
        cases: Vec<Case>,
        losses: Vec<Losses>,
    }

    #[derive(Deserialize)]
    struct Case {
        k: i64,
        temperature: f64,
        probabilities: Vec<Vec<f64>>,
    }

    #[derive(Deserialize)]
    struct Losses {
        k: i64,
        validation: f64,
        /// Without the example itself among its neighbors.
        train: f64,
    }

    fn reference() -> Reference {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/knn_head.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn task(reference: &Reference) -> HeadTask {
        let part = |values: &[Vec<f32>], labels: &[i64]| LabeledFeatures {
            values: Tensor::from_slice2(values),
            labels: Tensor::from_slice(labels),
        };
        HeadTask {
            train: part(&reference.features, &reference.labels),
            validation: part(&reference.queries, &reference.query_labels),
            classes: 4,
            class_weights: None,
            smoothing: 0.,
            seed: 0,
        }
    }

    /// The layer with the tensors of a fitted head.
    fn layer(head: &Tensors, temperature: f64) -> Neighbors {
        let mut layer = Neighbors::new(&nn::VarStore::new(Device::Cpu).root(), 6, 4, temperature);
        layer.fill(&head["bank"], &head["labels"], head["k"].int64_value(&[]));
        layer
    }

    #[test]
    fn the_votes_are_those_of_scikit_learn() {
        let reference = reference();
        let task = task(&reference);
        for Case { k, temperature, probabilities } in &reference.cases {
            let options = format!("k={k},temperature={temperature}");
            let mut attempts = Attempts::default();
            let head = fit("knn", &options, &task, &mut attempts).unwrap();
            assert_eq!((attempts.all().len(), &attempts.all()[0].setting), (1, &format!("k={k}")));
            let found = layer(&head, *temperature).forward(&task.validation.values, false);
            let difference = found.exp().to_kind(Kind::Double) - Tensor::from_slice2(probabilities);
            assert!(difference.abs().max().double_value(&[]) < 1e-5, "{options}");
            let loss = found.cross_entropy_for_logits(&task.validation.labels).double_value(&[]);
            assert!((loss - attempts.all()[0].validation_loss).abs() < 1e-5);
        }
    }

    #[test]
    fn the_number_of_neighbors_with_the_lowest_validation_loss_is_chosen() {
        let reference = reference();
        let task = task(&reference);
        let mut attempts = Attempts::default();
        let head = fit("knn", "", &task, &mut attempts).unwrap();
        assert_eq!(attempts.all().len(), reference.losses.len());
        for (attempt, Losses { k, validation, train }) in attempts.all().iter().zip(&reference.losses) {
            assert_eq!(attempt.setting, format!("k={k}"));
            assert!((attempt.validation_loss - validation).abs() < 1e-4, "{attempt:?} {validation}");
            assert!((attempt.train_loss - train).abs() < 1e-4, "{attempt:?} {train}");
        }
        let best = reference.losses.iter().min_by(|a, b| a.validation.total_cmp(&b.validation)).unwrap().k;
        assert!(best > 1 && best < 20, "the best is at an end");
        assert_eq!(head["k"].int64_value(&[]), best);
        assert_eq!(fit("knn", "", &task, &mut Attempts::default()).unwrap(), head);
    }

    #[test]
    fn large_banks_and_too_many_neighbors_are_refused() {
        let check = |options: &str, size| check_bank("knn", options, size).map_err(|error| error.to_string());
        assert!(check("", [1_000_000, 100]).is_ok());
        let error = check("", [1_281_167, 2048]).unwrap_err();
        assert!(error.contains("1281167 × 2048 values are 10009 MiB, and the limit is 512 MiB"), "{error}");
        assert!(check("k=30", [30, 4]).is_ok());
        assert!(check("k=31", [30, 4]).unwrap_err().contains("more than the number of training images, 30"));
        assert!(check_bank("linear", "", [1_281_167, 2048]).is_ok());
        let mut few = task(&reference());
        few.train.values = few.train.values.narrow(0, 0, 2);
        few.train.labels = few.train.labels.narrow(0, 0, 2);
        assert!(fit("knn", "k=3", &few, &mut Attempts::default()).is_err());
        // Of the numbers to try, only 1 is left.
        let head = fit("knn", "", &few, &mut Attempts::default()).unwrap();
        assert_eq!(head["k"].int64_value(&[]), 1);
    }
}
