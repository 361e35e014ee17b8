//! Inference latency and throughput of the model.

use std::time::Instant;

use tch::Tensor;

use crate::error::Result;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::Examples;

/// Inference times on the device of the evaluation.
pub(crate) struct Speed {
    /// Name of the device.
    pub device: String,
    /// Median seconds for one example.
    pub one: f64,
    /// Seconds per example in a batch of [`BATCH`].
    pub of_many: f64,
}

/// Batch size of the throughput measurement.
pub const BATCH: i64 = 64;

const CALLS: usize = 15;

impl Speed {
    /// Measures raw inputs: one example of these rows, repeated.
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
        // Read the result, which waits for the GPU.
        classifier.logits(inputs)?.sum(tch::Kind::Double).double_value(&[]);
        Ok(begun.elapsed().as_secs_f64())
    };
    // libtorch optimizes a module in its first calls.
    call()?;
    call()?;
    let mut times = (0..CALLS).map(|_| call()).collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}
