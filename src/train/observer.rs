//! How a run tells of its progress.

use super::{EpochRecord, Running};
use crate::error::Result;

/// Is told what happens while a model trains. Every method does nothing unless it is given a body.
pub trait Observer {
    /// An epoch (from 1) of `epochs` begins or, in a resumed run, goes on; it has `steps` steps.
    fn epoch_started(&mut self, epoch: u32, epochs: u32, steps: usize) {
        let _ = (epoch, epochs, steps);
    }

    /// `step` steps of the epoch are done. Reading `running` waits for the device, so do it now and then, not at every
    /// step.
    fn step(&mut self, step: usize, running: &Running) {
        let _ = (step, running);
    }

    /// An epoch is over and measured.
    ///
    /// # Errors
    /// An observer that keeps a record may fail to write it, which ends the run.
    fn epoch_ended(&mut self, record: &EpochRecord) -> Result<()> {
        let _ = record;
        Ok(())
    }
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
