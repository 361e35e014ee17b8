//! The events of commands that train several models: cross-validation, label errors, fine-tuning on corrections.

use std::path::Path;

use cresset::evaluate::METRICS;
use cresset::run::fine_tune::{Comparison, Objection, PairedResults, Promotion};
use cresset::run::{FoldFigures, LabelErrors, RunFolder, known_metrics, spread};
use serde_json::{Map, Value, json};

use super::emit;

/// All folds of a cross-validation are trained.
pub fn cross_validated(folder: &RunFolder, figures: &[FoldFigures]) {
    let known = known_metrics(figures);
    let metrics = |of: &dyn Fn(usize) -> Option<f64>| {
        known.iter().map(|index| (METRICS[*index].name.to_string(), json!(of(*index)))).collect::<Map<_, _>>()
    };
    let folds = figures.iter().map(|fold| {
        let metrics = metrics(&|index| fold.metrics[index]);
        json!({ "fold": fold.fold, "rows": fold.rows, "loss": fold.loss, "metrics": metrics })
    });
    let loss = spread(figures, |fold| fold.loss);
    // NaN, and so null, if a fold lacks the metric.
    let spreads = |index: usize| spread(figures, |fold| fold.metrics[index].unwrap_or(f64::NAN));
    emit(
        "cross_validated",
        json!({
            "run": folder.path(),
            "folds": folds.collect::<Vec<Value>>(),
            "mean": { "loss": loss.mean, "metrics": metrics(&|index| Some(spreads(index).mean)) },
            "deviation": { "loss": loss.deviation, "metrics": metrics(&|index| Some(spreads(index).deviation)) },
            "paths": { "folds": folder.path().join("folds.csv") },
        }),
    );
}

/// The labels are ranked in the file `path`.
pub fn label_errors(path: &Path, found: &LabelErrors) {
    emit("label_errors", json!({ "path": path, "ranked": found.ranked, "errors": found.errors }));
}

/// The fine-tuned model in `folder` was compared with that of the run `from`.
pub fn compared(from: &RunFolder, folder: &RunFolder, comparison: &Comparison) {
    emit(
        "compared",
        json!({
            "from": from.path(),
            "run": folder.path(),
            "validation": paired(&comparison.validation),
            "validation_corrections": comparison.kept.as_ref().map(paired),
            "training_corrections": paired(&comparison.trained),
        }),
    );
}

/// `--promote`: the model of the run `from` was replaced, or there are objections.
pub fn promotion(from: &RunFolder, result: Result<&Promotion, &[Objection]>) {
    let objections: Vec<_> = result.err().into_iter().flatten().map(|objection| objection.text()).collect();
    emit(
        "promotion",
        json!({
            "model": from.model(),
            "promoted": result.is_ok(),
            "sha256": result.ok().map(|promotion| &promotion.sha256),
            "objections": objections,
        }),
    );
}

/// Rows, correct predictions and mean loss before and after, and the p-value of McNemar's test.
fn paired(results: &PairedResults) -> Value {
    let ((right_before, right_after), (loss_before, loss_after)) = (results.correct(), results.loss());
    json!({
        "rows": results.rows(),
        "correct": { "before": right_before, "after": right_after },
        "loss": { "before": loss_before, "after": loss_after },
        "p": results.test().p,
    })
}
