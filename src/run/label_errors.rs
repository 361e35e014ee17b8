//! Finds likely label errors with the models of a cross-validation.

use std::path::Path;

use tch::{Kind, Tensor};

use super::{CrossValidation, Prepared, load_weights};
use crate::data::atomic;
use crate::error::{Result, catch_panics};
use crate::evaluate::label_errors::{LabelIssue, rank};
use crate::loader::Batch;

/// Result of the search for label errors.
#[derive(Debug)]
pub struct LabelErrors {
    /// Number of ranked labels.
    pub ranked: usize,
    /// Number of label errors by confident learning.
    pub errors: usize,
}

/// Ranks the labels of all examples by their out-of-fold probability, lowest first, and writes the ranking
/// to `output`. All folds must be complete.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::{self, CrossValidation, find_label_errors};
/// use cresset::train::Silent;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("folds");
/// let config = Config { data: "iris".into(), folds: Some(2), epochs: 2, ..Config::default() };
/// let folds = CrossValidation::start(&config, Some(&out))?;
/// while let Some((_fold, run)) = folds.next()? {
///     run::finish(run, &mut Silent, &|| false)?;
/// }
/// let found = find_label_errors(&folds, &out.join("labels.csv"))?;
/// assert_eq!(found.ranked, 150);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn find_label_errors(folds: &CrossValidation, output: &Path) -> Result<LabelErrors> {
    catch_panics(|| {
        let mut rows: Vec<i64> = Vec::new();
        let mut probabilities = Vec::new();
        let mut last = None;
        for fold in 1..=folds.folds() {
            let (config, folder) = folds.complete(fold)?;
            let mut prepared = Prepared::again(&config, &folder)?;
            load_weights(&mut prepared.network, &folder.best_checkpoint())?;
            probabilities.extend(validation_probabilities(&prepared)?);
            rows.extend(prepared.validation.kept().into_iter().map(|place| prepared.split.validation[place]));
            last = Some(prepared.dataset);
        }
        let dataset = last.expect("there is at least one fold");
        dataset.require_classes("finding label errors")?;
        let labels: Vec<_> = rows.iter().map(|row| dataset.labels[*row as usize]).collect();
        let ranking = rank(&probabilities, &labels);
        let name = |suspicion: &LabelIssue| dataset.names.name(rows[suspicion.index] as usize);
        write(output, &ranking, &dataset.classes, name)?;
        let errors = ranking.iter().filter(|suspicion| suspicion.is_error).count();
        Ok(LabelErrors { ranked: ranking.len(), errors })
    })
}

/// Class probabilities, one row per validation example.
fn validation_probabilities(prepared: &Prepared) -> Result<Vec<Vec<f64>>> {
    let mut probabilities = Vec::new();
    tch::no_grad(|| {
        for batch in prepared.validation.in_order() {
            let Batch { inputs, .. } = batch?;
            let rows: Tensor = prepared.network.forward(&inputs, false)?.softmax(-1, Kind::Double);
            probabilities.extend(Vec::<Vec<f64>>::try_from(rows.to_device(tch::Device::Cpu))?);
        }
        Ok(probabilities)
    })
}

fn write(
    path: &Path,
    ranking: &[LabelIssue],
    classes: &[String],
    name: impl Fn(&LabelIssue) -> String,
) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |record: &[&str]| writer.write_record(record).expect("writing to memory does not fail");
    write(&["example", "label", "suggestion", "label_probability", "suggestion_probability", "is_error"]);
    for suspicion in ranking {
        write(&[
            &name(suspicion),
            &classes[suspicion.label],
            &classes[suspicion.suggestion],
            &format!("{:.6}", suspicion.label_probability),
            &format!("{:.6}", suspicion.suggestion_probability),
            if suspicion.is_error { "yes" } else { "no" },
        ]);
    }
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    Ok(atomic::write(path, &bytes)?)
}
