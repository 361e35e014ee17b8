//! The coverage of prediction sets over random splits of a pool of examples.

use cresset::evaluate::Scores;
use cresset::evaluate::conformal::Conformal;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use tch::Tensor;

/// The mean coverage over 100 random splits into `calibration` examples and the rest, and its standard error.
pub fn over_splits(
    pool: &Scores,
    promised: f64,
    calibration: usize,
    generator: &mut ChaCha8Rng,
) -> (f64, f64) {
    let mut rows: Vec<i64> = (0..pool.labels.size()[0]).collect();
    let part = |rows: &[i64]| {
        let rows = Tensor::from_slice(rows);
        Scores { logits: pool.logits.index_select(0, &rows), labels: pool.labels.index_select(0, &rows) }
    };
    let mut coverage = || {
        rows.shuffle(generator);
        let (calibration, test) = rows.split_at(calibration);
        Conformal::fit(&part(calibration), promised).unwrap().measure(&part(test))[0].value
    };
    let coverages: Vec<f64> = (0..100).map(|_| coverage()).collect();
    let mean = coverages.iter().sum::<f64>() / 100.;
    let variance = coverages.iter().map(|coverage| (coverage - mean).powi(2)).sum::<f64>() / 99.;
    (mean, (variance / 100.).sqrt())
}
