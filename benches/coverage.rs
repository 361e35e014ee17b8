//! The coverage of prediction sets over 100 random splits of the validation and test set of a run:
//! `cargo bench --bench coverage -- RUN`.

#[path = "../tests/support/coverage.rs"]
mod coverage;
mod support;

use std::path::Path;

use cresset::run::{FinishedRun, RunFolder};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tch::Device;

/// Calibration examples.
const CALIBRATION: usize = 999;

fn main() {
    let Some(run) = std::env::args().skip(1).find(|argument| argument != "--bench") else {
        println!("give a run folder with a test set: cargo bench --bench coverage -- RUN");
        return;
    };
    support::enter_checkout();
    let folder = RunFolder::open(Path::new(&run)).expect("a run folder");
    let FinishedRun { classifier, config, examples } =
        FinishedRun::open(&folder, Device::Cpu).expect("a finished run");
    let rows = [examples.split.validation.clone(), examples.split.test.clone()].concat();
    let feed = examples.raw(&rows, &config, Device::Cpu);
    let pool = classifier.evaluate(&*feed).expect("an evaluation").scores.expect("scores");
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    println!("{CALIBRATION} of {} examples calibrate the sets\n", rows.len());
    println!("| promised | mean coverage | standard error | distance in standard errors |");
    println!("| --- | --- | --- | --- |");
    for promised in [0.8, 0.9, 0.95, 0.99] {
        let (mean, error) = coverage::over_splits(&pool, promised, CALIBRATION, &mut generator);
        println!(
            "| {promised} | {:.3} % | {:.3} % | {:.2} |",
            100. * mean,
            100. * error,
            (mean - promised).abs() / error
        );
    }
}
