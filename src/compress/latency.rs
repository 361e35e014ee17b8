//! How long model files take to answer.

use std::path::Path;
use std::time::{Duration, Instant};

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use crate::error::Result;
use crate::model::script;

/// Rounds in which the files take turns, so that what else the machine does falls on all of them.
const ROUNDS: usize = 7;

/// How long each file is called in a round.
const TURN: Duration = Duration::from_millis(60);

/// The median time of a call, in microseconds, of each of some model files on the CPU, for a batch of raw inputs (N, …).
pub fn latencies(files: &[&Path], inputs: &Tensor) -> Result<Vec<f64>> {
    let load = |file: &&Path| Ok(script::load(file, Device::Cpu, &[])?.0);
    let mut models: Vec<Module> = files.iter().map(load).collect::<Result<_>>()?;
    models.iter_mut().try_for_each(|model| model.set_training(false))?;
    let mut times = vec![Vec::new(); models.len()];
    for round in 0..=ROUNDS {
        for (model, times) in models.iter().zip(&mut times) {
            let begun = Instant::now();
            while begun.elapsed() < TURN {
                let call = Instant::now();
                tch::no_grad(|| model.call("forward", inputs))?;
                // In the first round, libtorch still makes itself ready.
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
