//! The learning-rate range test (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017): a short training whose
//! rate grows from step to step shows which rates make the loss fall.

use super::learner::Learner;
use super::step::Outcome;
use super::{CudaGraph, Plan, TrainOptions};
use crate::error::{Error, Result};
use crate::loader::{Pass, TrainFeed};
use crate::model::Network;

/// The rates that are tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The first one.
    pub from: f64,
    /// The last one.
    pub to: f64,
    /// Steps from the first to the last, which are evenly apart on a logarithmic scale.
    pub steps: usize,
}

/// How the loss goes with the rate.
#[derive(Debug, Clone, PartialEq)]
pub struct LrCurve {
    /// The rate and the smoothed loss of each step, up to where the loss exploded.
    pub points: Vec<(f64, f64)>,
    /// A rate at which the loss falls well, far from the explosion; none where it falls nowhere.
    pub suggestion: Option<f64>,
}

/// How much of the smoothed loss a step keeps.
const SMOOTHING: f64 = 0.9;

/// A loss of so many times the least one is an explosion.
const EXPLOSION: f64 = 4.;

impl LrCurve {
    /// Trains `network` with growing rates, by the optimizer, the loss and the batch size of the plan. Its weights are no good
    /// after it.
    ///
    /// # Errors
    /// A range that is empty; a plan with faulty names.
    pub fn find(network: &Network, plan: &Plan, train: &dyn TrainFeed, range: Range) -> Result<Self> {
        let Range { from, to, steps } = range;
        if !(from > 0. && from < to && to.is_finite()) || steps < 2 {
            let problem = "the learning rates to try must grow from one above 0, in two steps or more";
            return Err(Error::Usage(problem.to_string()));
        }
        // Nothing that works over several steps, so that each shows its own rate, and the loss of each is looked at.
        let options = TrainOptions { accumulate: 1, cuda_graph: CudaGraph::No, ..plan.options.clone() };
        let mut learner = Learner::new(&Plan { options, ..plan.clone() }, network)?;
        let pass = |epoch| Pass::new(epoch, plan.batch_size, plan.seed);
        let batches = (1..).flat_map(|epoch| train.epoch(pass(epoch))).take(steps);
        let (mut points, mut smoothed, mut least) = (Vec::new(), 0., f64::INFINITY);
        for (step, batch) in batches.enumerate() {
            let rate = from * (to / from).powf(step as f64 / (steps - 1) as f64);
            let Outcome::Learned { loss, .. } = learner.step(network, &batch?, rate)? else { break };
            smoothed = SMOOTHING * smoothed + (1. - SMOOTHING) * loss.double_value(&[]);
            // The sum began at zero, which the division makes up for.
            let value = smoothed / (1. - SMOOTHING.powi(step as i32 + 1));
            least = least.min(value);
            if value > EXPLOSION * least {
                break;
            }
            points.push((rate, value));
        }
        Ok(LrCurve { suggestion: suggested(&points), points })
    }
}

/// A loss that fell by less than this share of its first value did not fall: that much is noise.
const FALL: f64 = 0.05;

/// A tenth of the rate where the loss is least, which is the usual choice: at that rate itself the loss is about to rise, and a
/// training of many steps diverges.
fn suggested(points: &[(f64, f64)]) -> Option<f64> {
    let (_, first) = points.first()?;
    let (rate, least) = points.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (*least < first * (1. - FALL)).then_some(rate / 10.)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_on_the_way_down_and_far_from_the_explosion() {
        // A loss that falls around 1e-3 and rises behind 1e-1, with some noise.
        let rates = (0..120).map(|step| (step, 1e-6 * 10f64.powf(f64::from(step) / 20.)));
        let noise = |step: i32| 0.01 * f64::from(step).sin();
        let loss = |rate: f64| 2. - 1.5 / (1. + (1e-3 / rate).powi(2)) + (rate / 0.1).powi(2);
        let points: Vec<_> = rates.map(|(step, rate)| (rate, loss(rate) + noise(step))).collect();
        let suggestion = suggested(&points).unwrap();
        assert!((2e-4..5e-3).contains(&suggestion), "{suggestion}");
        assert_eq!(suggested(&[(0.1, 1.), (0.2, 2.), (0.3, 3.)]), None);
        assert_eq!(suggested(&[]), None);
    }
}
