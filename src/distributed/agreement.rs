//! What all processes do next: each may wish to stop, and all must stop at the same step.

use std::time::{Duration, Instant};

use super::World;
use crate::error::Result;

/// About the time between two questions.
const EVERY: Duration = Duration::from_millis(500);

/// Asks all processes what they wish: often enough that none waits long to be heard, and seldom enough to cost nothing.
#[derive(Debug)]
pub(crate) struct Agreement {
    /// The strongest wish of this process since the last question.
    wish: u8,
    /// Steps since the last question, and how many there will be.
    steps: u32,
    until: u32,
    asked: Instant,
}

/// Between two questions there are at most so many steps.
const MOST_STEPS: f64 = 4096.;

impl Agreement {
    pub fn new() -> Self {
        Agreement { wish: 0, steps: 0, until: 1, asked: Instant::now() }
    }

    /// Takes in this process's wish after a step; the greatest wish of all processes when it is time to ask, and 0 at
    /// other times. In a world of one the wish is the answer.
    pub fn after_step(&mut self, world: &World, wish: u8) -> Result<u8> {
        if world.is_alone() {
            return Ok(wish);
        }
        self.wish = self.wish.max(wish);
        self.steps += 1;
        if self.steps < self.until { Ok(0) } else { self.ask(world, 0) }
    }

    /// The greatest wish of all processes, now.
    pub fn ask(&mut self, world: &World, wish: u8) -> Result<u8> {
        if world.is_alone() {
            return Ok(wish);
        }
        let wish = self.wish.max(wish);
        // The time is that of the slowest process, so that all count the same number of steps to the next question.
        let answers = world.greatest(&[f64::from(wish), self.asked.elapsed().as_secs_f64()])?;
        if self.steps > 0 {
            let steps = f64::from(self.steps) * EVERY.as_secs_f64() / answers[1].max(1e-6);
            self.until = steps.clamp(1., MOST_STEPS) as u32;
        }
        (self.wish, self.steps, self.asked) = (0, 0, Instant::now());
        Ok(answers[0] as u8)
    }
}
