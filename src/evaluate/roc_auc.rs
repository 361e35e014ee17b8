//! The area under the receiver operating characteristic curve (Hanley and McNeil, 1982), one-vs-rest, macro-averaged over the
//! classes.

use super::{Metric, Scores};

/// The metric.
pub const METRIC: Metric =
    Metric::share("ROC-AUC", |evaluation| evaluation.class_scores().and_then(macro_average));

/// `None` if a class has no examples, or all of them.
fn macro_average(scores: &Scores) -> Option<f64> {
    let probabilities = scores.probabilities(1.).transpose(0, 1).contiguous();
    let labels = Vec::<i64>::try_from(&scores.labels).ok()?;
    let classes = probabilities.size()[0];
    let areas = (0..classes).map(|class| {
        let of_class = Vec::<f64>::try_from(probabilities.get(class)).ok()?;
        area(&of_class, |row| labels[row] == class)
    });
    let areas: Vec<f64> = areas.collect::<Option<_>>()?;
    Some(areas.iter().sum::<f64>() / classes as f64)
}

/// The area for one class, from the ranks of its examples. Tied examples share the mean of their ranks.
fn area(scores: &[f64], is_positive: impl Fn(usize) -> bool) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut positives, mut ranks, mut first) = (0., 0., 0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let rank = first as f64 + (tied.len() + 1) as f64 / 2.;
        let count = tied.iter().filter(|row| is_positive(**row)).count() as f64;
        (positives, ranks, first) = (positives + count, ranks + count * rank, first + tied.len());
    }
    let negatives = scores.len() as f64 - positives;
    let area = (ranks - positives * (positives + 1.) / 2.) / (positives * negatives);
    (positives > 0. && negatives > 0.).then_some(area)
}
