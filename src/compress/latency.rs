//! Measures the latency of model files.

use std::path::Path;
use std::time::{Duration, Instant};

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use crate::error::Result;
use crate::model::script;

/// Rounds over all files, so that other load on the machine affects all of them.
const ROUNDS: usize = 7;

/// The time per file and round.
const ROUND_TIME: Duration = Duration::from_millis(60);

/// The median latency of each file on the CPU, in microseconds, for a batch of raw inputs (N, …).
pub fn latencies(files: &[&Path], inputs: &Tensor) -> Result<Vec<f64>> {
    let load = |file: &&Path| Ok(script::load(file, Device::Cpu, &[])?.0);
    let mut models: Vec<Module> = files.iter().map(load).collect::<Result<_>>()?;
    models.iter_mut().try_for_each(|model| model.set_training(false))?;
    medians(&models, |model| Ok(tch::no_grad(|| model.call("forward", inputs)).map(drop)?))
}

/// The median time of a call of each model, in microseconds.
pub fn medians<M>(models: &[M], work: impl Fn(&M) -> Result<()>) -> Result<Vec<f64>> {
    let mut times = vec![Vec::new(); models.len()];
    for round in 0..=ROUNDS {
        for (model, times) in models.iter().zip(&mut times) {
            let start = Instant::now();
            while start.elapsed() < ROUND_TIME {
                let call = Instant::now();
                work(model)?;
                // The first round is warm-up.
                if round > 0 {
                    times.push(call.elapsed().as_secs_f64() * 1e6);
                }
            }
        }
    }
    Ok(times.iter_mut().map(|times| median(times)).collect())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
