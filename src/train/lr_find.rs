//! Learning rate range test (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017): train briefly with an
//! increasing learning rate to see which rates decrease the loss.

use super::learner::Learner;
use super::step::StepOutcome;
use super::{CudaGraph, Plan, TrainOptions};
use crate::error::{Error, Result};
use crate::loader::{Pass, TrainLoader};
use crate::model::Network;

/// The learning rates to test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// Number of steps, evenly spaced on a logarithmic scale.
    pub steps: usize,
}

/// The loss by learning rate.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::Prepared;
/// use cresset::train::{LrCurve, Range};
///
/// let config = Config { data: "iris".into(), ..Config::default() };
/// let prepared = Prepared::new(&config)?;
/// let range = Range { from: 1e-5, to: 1., steps: 50 };
/// let curve = LrCurve::find(&prepared.network, &prepared.plan(&config)?, &*prepared.train, range)?;
/// let suggestion = curve.suggestion.expect("the loss decreases");
/// assert!(suggestion > 1e-5 && suggestion < 1.);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LrCurve {
    /// The learning rate and the smoothed loss of each step, until the loss diverged.
    pub points: Vec<(f64, f64)>,
    /// The suggested learning rate; none if the loss does not decrease.
    pub suggestion: Option<f64>,
}

/// Decay of the exponential moving average of the loss.
const SMOOTHING: f64 = 0.9;

/// The loss has diverged when it exceeds the lowest one by this factor.
const DIVERGENCE: f64 = 4.;

impl LrCurve {
    /// Trains `network` with increasing learning rates and the optimizer, loss and batch size of the plan. Discard its weights
    /// afterwards.
    ///
    /// # Errors
    /// An empty range, or a plan with unknown names.
    pub fn find(network: &Network, plan: &Plan, train: &dyn TrainLoader, range: Range) -> Result<Self> {
        let Range { from, to, steps } = range;
        if !(from > 0. && from < to && to.is_finite()) || steps < 2 {
            let problem =
                "the learning rates must be above 0 and increase, and there must be at least two steps";
            return Err(Error::Usage(problem.to_string()));
        }
        // No accumulation, so that each step shows the effect of its rate; no graph, so that each loss is checked.
        let options = TrainOptions { accumulate: 1, cuda_graph: CudaGraph::No, ..plan.options.clone() };
        let mut learner = Learner::new(&Plan { options, ..plan.clone() }, network)?;
        let pass = |epoch| Pass::new(epoch, plan.batch_size, plan.seed);
        let batches = (1..).flat_map(|epoch| train.epoch(pass(epoch))).take(steps);
        let (mut points, mut smoothed, mut lowest) = (Vec::new(), 0., f64::INFINITY);
        for (step, batch) in batches.enumerate() {
            let rate = from * (to / from).powf(step as f64 / (steps - 1) as f64);
            let StepOutcome::Learned { loss, .. } = learner.step(network, &batch?, rate)? else { break };
            smoothed = SMOOTHING * smoothed + (1. - SMOOTHING) * loss.double_value(&[]);
            // Bias correction, because the average starts at zero.
            let value = smoothed / (1. - SMOOTHING.powi(step as i32 + 1));
            lowest = lowest.min(value);
            if value > DIVERGENCE * lowest {
                break;
            }
            points.push((rate, value));
        }
        Ok(LrCurve { suggestion: suggest(&points), points })
    }
}

/// Minimum relative decrease of the loss; less is noise.
const MIN_DECREASE: f64 = 0.05;

/// A tenth of the rate with the lowest loss, the usual choice: at that rate itself, longer training diverges.
fn suggest(points: &[(f64, f64)]) -> Option<f64> {
    let (_, first) = points.first()?;
    let (rate, lowest) = points.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (*lowest < first * (1. - MIN_DECREASE)).then_some(rate / 10.)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_on_the_descent_and_far_from_divergence() {
        // A loss that decreases around 1e-3 and increases above 1e-1, with noise.
        let rates = (0..120).map(|step| (step, 1e-6 * 10f64.powf(f64::from(step) / 20.)));
        let noise = |step: i32| 0.01 * f64::from(step).sin();
        let loss = |rate: f64| 2. - 1.5 / (1. + (1e-3 / rate).powi(2)) + (rate / 0.1).powi(2);
        let points: Vec<_> = rates.map(|(step, rate)| (rate, loss(rate) + noise(step))).collect();
        let suggestion = suggest(&points).unwrap();
        assert!((2e-4..5e-3).contains(&suggestion), "{suggestion}");
        assert_eq!(suggest(&[(0.1, 1.), (0.2, 2.), (0.3, 3.)]), None);
        assert_eq!(suggest(&[]), None);
    }
}
