//! The share of rows whose class is among the most probable ones.

use tch::Kind;

use super::{Evaluation, Metric, Uncertainty};

/// Among the two most probable; of two classes, that would be all.
pub const TOP_2: Metric = Metric::share("top-2 accuracy", |found| share(found, 2)).with(Uncertainty::Share);

/// Among the five most probable.
pub const TOP_5: Metric = Metric::share("top-5 accuracy", |found| share(found, 5)).with(Uncertainty::Share);

fn share(found: &Evaluation, k: i64) -> Option<f64> {
    let scores = found.scores.as_ref()?;
    if scores.logits.size()[1] <= k {
        return None;
    }
    let (_, best) = scores.logits.topk(k, 1, true, false);
    let hits = best.eq_tensor(&scores.labels.unsqueeze(1)).any_dim(1, false);
    Some(hits.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]))
}
