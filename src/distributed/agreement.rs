//! Agreement of all ranks on signals: any rank may request to stop, and all must stop at the same step.

use std::time::{Duration, Instant};

use super::World;
use crate::error::Result;

/// Approximate time between two all-reduces.
const INTERVAL: Duration = Duration::from_millis(500);

/// All-reduces the signals of all ranks, every half second or so: quick enough to react, rare enough to cost nothing.
#[derive(Debug)]
pub(crate) struct SignalSync {
    /// The maximum signal of this rank since the last all-reduce.
    signal: u8,
    /// Steps since the last all-reduce.
    steps: u32,
    /// Steps between the last all-reduce and the next one.
    interval: u32,
    last: Instant,
}

/// Maximum number of steps between two all-reduces.
const MOST_STEPS: f64 = 4096.;

impl SignalSync {
    pub fn new() -> Self {
        SignalSync { signal: 0, steps: 0, interval: 1, last: Instant::now() }
    }

    /// Records this rank's signal after a step. Returns the maximum over all ranks when an all-reduce is due, else 0. With a
    /// world size of 1, returns `signal`.
    pub(crate) fn after_step(&mut self, world: &World, signal: u8) -> Result<u8> {
        if world.is_alone() {
            return Ok(signal);
        }
        self.signal = self.signal.max(signal);
        self.steps += 1;
        if self.steps < self.interval { Ok(0) } else { self.ask(world, 0) }
    }

    /// The maximum signal over all ranks, now.
    pub fn ask(&mut self, world: &World, signal: u8) -> Result<u8> {
        if world.is_alone() {
            return Ok(signal);
        }
        let signal = self.signal.max(signal);
        // The maximum of the elapsed times gives all ranks the same interval.
        let maxima = world.all_reduce_max(&[f64::from(signal), self.last.elapsed().as_secs_f64()])?;
        if self.steps > 0 {
            let steps = f64::from(self.steps) * INTERVAL.as_secs_f64() / maxima[1].max(1e-6);
            self.interval = steps.clamp(1., MOST_STEPS) as u32;
        }
        (self.signal, self.steps, self.last) = (0, 0, Instant::now());
        Ok(maxima[0] as u8)
    }
}
