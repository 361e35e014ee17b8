//! The population stability index.

/// From this PSI on, a distribution has changed moderately, by convention.
pub const MODERATE: f64 = 0.1;

/// Above this PSI, a distribution has changed strongly, by convention.
pub const DRIFTED: f64 = 0.25;

/// The population stability index of two histograms with the same bins: `Σ (q - p) · ln(q / p)` over the shares `p` of the training
/// data and `q` of the new data (Siddiqi, "Credit Risk Scorecards", 2006). It is at least 0, which means equal shares.
///
/// Half an example is added to each bin, so that a share of 0 has a logarithm; bins that are empty in both histograms do not count.
/// Without any examples in one of them, the index is 0.
///
/// ```
/// use cresset::evaluate::drift::psi;
///
/// assert_eq!(psi(&[50, 50], &[500, 500]), 0.);
/// assert!(psi(&[900, 100], &[100, 900]) > 3.);
/// ```
pub fn psi(training: &[u64], new: &[u64]) -> f64 {
    let pairs = used(training, new);
    let (Some(all_training), Some(all_new)) = (total(training), total(new)) else { return 0. };
    let added = 0.5 * pairs.len() as f64;
    let share = |count: u64, all: f64| (count as f64 + 0.5) / (all + added);
    let term = |(training, new): (u64, u64)| {
        let (p, q) = (share(training, all_training), share(new, all_new));
        (q - p) * (q / p).ln()
    };
    pairs.into_iter().map(term).sum()
}

/// The PSI that two samples of the same distribution exceed with a probability of about 0.1 %: with B bins it is about
/// (1/m + 1/n) times a χ² variable with B - 1 degrees of freedom (Yurdakul and Naranjo, "Statistical properties of the population
/// stability index", 2020), whose quantile is that of Wilson and Hilferty. Small samples have a large PSI by chance.
///
/// ```
/// use cresset::evaluate::drift::by_chance;
///
/// // Ten bins with 1000 and 1000 examples. The 99.9 % quantile of χ² with 9 degrees of freedom is 27.88.
/// assert!((by_chance(&[100; 10], &[100; 10]) - 0.05575).abs() < 1e-3);
/// ```
pub fn by_chance(training: &[u64], new: &[u64]) -> f64 {
    /// The 99.9 % quantile of the normal distribution.
    const QUANTILE: f64 = 3.0902;
    let freedom = used(training, new).len() as f64 - 1.;
    let (Some(all_training), Some(all_new)) = (total(training), total(new)) else { return 0. };
    if freedom < 1. {
        return 0.;
    }
    let spread = 2. / (9. * freedom);
    freedom * (1. - spread + QUANTILE * spread.sqrt()).powi(3) * (1. / all_training + 1. / all_new)
}

/// The pairs of counts that are not both 0.
fn used(training: &[u64], new: &[u64]) -> Vec<(u64, u64)> {
    training.iter().copied().zip(new.iter().copied()).filter(|(p, q)| *p > 0 || *q > 0).collect()
}

/// The number of examples, unless there are none.
fn total(counts: &[u64]) -> Option<f64> {
    // As floats, counts of a damaged file do not overflow.
    Some(counts.iter().map(|count| *count as f64).sum()).filter(|total| *total > 0.)
}
