//! Top-k accuracy: the fraction of examples whose label is among the k most probable classes.

use tch::Kind;

use super::{Evaluation, Metric, Uncertainty};

/// Top-2 accuracy; undefined for two classes.
pub(crate) const TOP_2: Metric =
    Metric::share("top-2 accuracy", |evaluation| top_k(evaluation, 2)).with(Uncertainty::Share);

/// Top-5 accuracy; undefined for five classes or fewer.
pub(crate) const TOP_5: Metric =
    Metric::share("top-5 accuracy", |evaluation| top_k(evaluation, 5)).with(Uncertainty::Share);

fn top_k(evaluation: &Evaluation, k: i64) -> Option<f64> {
    let scores = evaluation.class_scores()?;
    if scores.logits.size()[1] <= k {
        return None;
    }
    let (_, best) = scores.logits.topk(k, 1, true, false);
    let hits = best.eq_tensor(&scores.labels.unsqueeze(1)).any_dim(1, false);
    Some(hits.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]))
}
