//! Callbacks of the training loop.

use super::head::HeadFit;
use super::{EpochRecord, Training};
use crate::error::Result;
use crate::model::Network;

/// How the training loop continues after a callback.
///
/// ```
/// use cresset::train::Flow;
///
/// // Of several callbacks, the one that ends training earliest decides.
/// assert!(Flow::Pause > Flow::Finish && Flow::Finish > Flow::Continue);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Continue with the next batch.
    Continue,
    /// Write a checkpoint and continue with the next batch.
    Save,
    /// End the epoch here, evaluate it, and end training.
    Finish,
    /// Write a checkpoint and stop; training can be resumed.
    Pause,
}

impl Flow {
    const ALL: [Flow; 4] = [Flow::Continue, Flow::Save, Flow::Finish, Flow::Pause];

    /// The flow of this number. A greater number takes precedence.
    pub(super) fn of(number: u8) -> Self {
        Flow::ALL[usize::from(number).min(Flow::ALL.len() - 1)]
    }
}

/// Callbacks of the training loop. The default methods do nothing.
///
/// ```
/// use cresset::prelude::*;
///
/// /// Ends training once the validation accuracy is high enough.
/// struct Target(f64);
///
/// impl Callback for Target {
///     fn epoch_ended(&mut self, _: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
///         Ok(if record.validation_accuracy >= self.0 { Flow::Finish } else { Flow::Continue })
///     }
/// }
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 200, lr: 0.01, ..Config::default() };
/// let mut target = Target(0.9);
/// let fitted = Trainer::new("iris").options(options).out(&out).callback(&mut target).fit()?;
/// assert!(fitted.best_epoch() < 200);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait Callback {
    /// Called when `--head-only` has fitted a head.
    fn head_fitted(&mut self, fit: &HeadFit) -> Result<()> {
        let _ = fit;
        Ok(())
    }

    /// Called when an epoch starts or, in a resumed run, continues.
    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        let _ = training;
        Ok(())
    }

    /// Called after each step. With several processes, the result may take effect some steps later, after an all-reduce over
    /// the processes. Reading [`Training::running`] waits for the device, so do not read it at every step.
    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        let _ = (training, network);
        Ok(Flow::Continue)
    }

    /// Called when an epoch has ended and was evaluated; `training` is at the start of the next one.
    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        let _ = (training, network, record);
        Ok(Flow::Continue)
    }

    /// Called when the training loop has written the checkpoint to resume from. `training` is at the position of the checkpoint.
    fn checkpoint_saved(&mut self, training: &Training) -> Result<()> {
        let _ = training;
        Ok(())
    }
}

/// A callback that does nothing.
///
/// ```
/// use cresset::train::{Callback, Silent};
///
/// let callback: &mut dyn Callback = &mut Silent;
/// # let _ = callback;
/// ```
#[derive(Debug, Default)]
pub struct Silent;

impl Callback for Silent {}

/// Several callbacks as one.
///
/// ```
/// use cresset::train::{CallbackList, EarlyStopping, TimeLimit};
///
/// let mut stopping = EarlyStopping { patience: Some(5) };
/// let mut limit = TimeLimit::new(Some(30.), 0.);
/// let callbacks = CallbackList(vec![&mut stopping, &mut limit]);
/// assert_eq!(callbacks.0.len(), 2);
/// ```
#[derive(Default)]
pub struct CallbackList<'a>(pub Vec<&'a mut dyn Callback>);

impl Callback for CallbackList<'_> {
    fn head_fitted(&mut self, fit: &HeadFit) -> Result<()> {
        self.0.iter_mut().try_for_each(|callback| callback.head_fitted(fit))
    }

    fn epoch_started(&mut self, training: &Training) -> Result<()> {
        self.0.iter_mut().try_for_each(|callback| callback.epoch_started(training))
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        all(&mut self.0, |callback| callback.step_ended(training, network))
    }

    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        all(&mut self.0, |callback| callback.epoch_ended(training, network, record))
    }

    fn checkpoint_saved(&mut self, training: &Training) -> Result<()> {
        self.0.iter_mut().try_for_each(|callback| callback.checkpoint_saved(training))
    }
}

/// Calls the callbacks in order and returns the flow with the highest precedence.
pub(super) fn all(
    callbacks: &mut [&mut dyn Callback],
    mut call: impl FnMut(&mut dyn Callback) -> Result<Flow>,
) -> Result<Flow> {
    callbacks.iter_mut().try_fold(Flow::Continue, |flow, callback| Ok(flow.max(call(&mut **callback)?)))
}
