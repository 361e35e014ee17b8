//! The residuals of predicted numbers.

use tch::Kind;

use crate::data::ValueSummary;
use crate::report::card::PartEvaluation;
use crate::report::card::markdown::table;

/// The distribution of predicted minus actual values; empty for other tasks.
pub fn residuals(measured: &PartEvaluation) -> String {
    let scores = measured.evaluation.scores.as_ref().filter(|_| measured.evaluation.errors().is_some());
    let Some(scores) = scores else { return String::new() };
    let residuals = (scores.logits.reshape(-1) - scores.labels.reshape(-1)).to_kind(Kind::Double);
    let residuals = Vec::<f64>::try_from(residuals).expect("residuals have one dimension");
    let Some(ValueSummary { mean, deviation, .. }) = ValueSummary::of(&residuals) else {
        return String::new();
    };
    let mut sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sizes[((sizes.len() - 1) as f64 * share).round() as usize];
    let figures = [
        ("mean (bias)", mean),
        ("standard deviation", deviation),
        ("median of the absolute residuals", at(0.5)),
        ("90th percentile of the absolute residuals", at(0.9)),
        ("largest absolute residual", at(1.)),
    ];
    let row = |(name, value): (&str, f64)| vec![name.to_string(), format!("{value:.4}")];
    format!("### Residuals\n\n{}", table(&["predicted minus actual value", "value:"], figures.map(row)))
}
