//! Inference latency and throughput of the model.

use std::time::Instant;

use tch::Tensor;

use crate::error::Result;
use crate::evaluate::ranking::TOP;
use crate::options::Config;
use crate::predict::{Classifier, Query, Recommender};
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
        // Read the result, which waits for the GPU.
        let run = |inputs: &Tensor| Ok(classifier.logits(inputs)?.sum(tch::Kind::Double).double_value(&[]));
        Ok(Speed {
            device: crate::options::device::name(classifier.device()),
            one: median(|| run(&one))?,
            of_many: median(|| run(&many))? / BATCH as f64,
        })
    }

    /// Measures recommendations of the best items to one user, and to many.
    pub fn of_recommendations(recommender: &Recommender) -> Result<Self> {
        let query = |user: i64| Query { user, count: TOP, exclude: Vec::new() };
        let one = [query(0)];
        let many: Vec<Query> =
            (0..BATCH).map(|number| query(number % recommender.catalog().users().max(1) as i64)).collect();
        Ok(Speed {
            device: crate::options::device::name(recommender.device()),
            one: median(|| recommender.answer(&one))?,
            of_many: median(|| recommender.answer(&many))? / BATCH as f64,
        })
    }
}

fn median<T>(run: impl Fn() -> Result<T>) -> Result<f64> {
    let call = || {
        let begun = Instant::now();
        run()?;
        Ok(begun.elapsed().as_secs_f64())
    };
    // libtorch optimizes a module in its first calls.
    call()?;
    call()?;
    let mut times = (0..CALLS).map(|_| call()).collect::<Result<Vec<_>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[CALLS / 2])
}
