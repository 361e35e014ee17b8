//! How long the model takes for an answer.

use std::time::Instant;

use tch::Tensor;

use crate::error::Result;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::Examples;

/// Times of the model on the device that it was measured on.
pub struct Speed {
    /// The device.
    pub device: String,
    /// Seconds for one input, the median of some calls.
    pub one: f64,
    /// Seconds for each input of a batch of [`BATCH`].
    pub of_many: f64,
}

/// The larger batch.
pub const BATCH: i64 = 64;

const CALLS: usize = 15;

impl Speed {
    /// Times raw inputs: one of these rows of the data, again and again.
    pub fn of(classifier: &Classifier, examples: &Examples, config: &Config, rows: &[i64]) -> Result<Self> {
        let feed = examples.raw(&rows[..1], config, classifier.device());
        let one = feed.in_order().next().expect("a row was measured")?.inputs;
        let mut sizes = vec![1; one.dim()];
        sizes[0] = BATCH;
        let many = one.repeat(&sizes);
        Ok(Speed {
            device: crate::options::device::name(classifier.device()),
            one: median(classifier, &one)?,
            of_many: median(classifier, &many)? / BATCH as f64,
        })
    }
}

fn median(classifier: &Classifier, inputs: &Tensor) -> Result<f64> {
    let call = || {
        let begun = Instant::now();
        // Read, so that a GPU is waited for.
        classifier.logits(inputs)?.sum(tch::Kind::Double).double_value(&[]);
        Ok(begun.elapsed().as_secs_f64())
    };
    // libtorch optimises a module in its first calls.
    call()?;
    call()?;
    let mut times = (0..CALLS).map(|_| call()).collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}
