//! What hangs on to the training loop.

use super::{EpochRecord, Training};
use crate::error::Result;
use crate::model::Network;

/// How the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// With the next batch.
    Continue,
    /// With the next batch, after a checkpoint.
    Save,
    /// The epoch ends here and is measured, and training with it.
    Finish,
    /// It ends at once, with a checkpoint, to be gone on with later.
    Pause,
}

impl Flow {
    const ALL: [Flow; 4] = [Flow::Continue, Flow::Save, Flow::Finish, Flow::Pause];

    /// The one that stands for this number: the stronger, the greater.
    pub(super) fn of(number: u8) -> Self {
        Flow::ALL[usize::from(number).min(Flow::ALL.len() - 1)]
    }
}

/// Is called at the turning points of a training. Every method does nothing unless it is given a body.
pub trait Callback {
    /// An epoch begins or, in a resumed run, goes on.
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let _ = training;
        Ok(())
    }

    /// A step is done. Where several processes train together, the wish may be granted some steps later, when all have
    /// been asked. Reading [`Training::running`] waits for the device, so do it now and then, not at every step.
    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        let _ = (training, network);
        Ok(Flow::Continue)
    }

    /// An epoch is over and measured; `training` stands at the beginning of the next one.
    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        let _ = (training, network, record);
        Ok(Flow::Continue)
    }
}

/// Does nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Callback for Silent {}

/// Several callbacks as one.
#[derive(Default)]
pub struct Together<'a>(pub Vec<&'a mut dyn Callback>);

impl Callback for Together<'_> {
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        self.0.iter_mut().try_for_each(|callback| callback.epoch_started(training))
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        all(&mut self.0, |callback| callback.step_ended(training, network))
    }

    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        all(&mut self.0, |callback| callback.epoch_ended(training, network, record))
    }
}

/// Calls all callbacks in their order; the strongest wish is the answer.
pub(super) fn all(
    callbacks: &mut [&mut dyn Callback],
    mut call: impl FnMut(&mut dyn Callback) -> Result<Flow>,
) -> Result<Flow> {
    callbacks.iter_mut().try_fold(Flow::Continue, |flow, callback| Ok(flow.max(call(&mut **callback)?)))
}
