//! Handling of a loss that is NaN or infinite: the error message and the recovery.

use tch::{Kind, Tensor};

use super::options::OnNan;
use super::{Data, EpochRecord, Training};
use crate::error::{Error, Result};
use crate::model::Network;

/// A batch with a NaN or infinite loss.
pub(super) struct Fault {
    /// The loss of each example, (N).
    pub losses: Tensor,
    /// The norm of its gradients, if the weights were not updated by it.
    pub gradient_norm: Option<f64>,
    /// The step of its epoch, from 1.
    pub step: usize,
}

/// How training continues after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// With the next batch.
    Skipped,
    /// From the last checkpoint.
    RolledBack,
}

impl Recovery {
    pub(crate) fn is_rollback(self) -> bool {
        self == Recovery::RolledBack
    }
}

/// Maximum number of consecutive skipped batches.
const MAX_SKIPPED: u32 = 10;

/// Maximum number of rollbacks.
const MAX_ROLLBACKS: u32 = 5;

/// Maximum number of examples named in a message.
const MAX_NAMED: usize = 5;

impl Training {
    /// Recovers as `--on-nan` sets.
    ///
    /// # Errors
    /// The fault, if training cannot continue.
    pub(super) fn recover(&mut self, network: &mut Network, data: &Data, fault: Fault) -> Result<Recovery> {
        let cause = if is_finite(network) {
            self.faulty_examples(data, &fault)
        } else {
            "the weights became NaN or infinite in an earlier update".to_string()
        };
        let message = self.describe(&fault, &cause);
        match self.plan.options.on_nan {
            OnNan::Stop => Err(self.diverged(&message, "--on-nan skip skips such batches")),
            OnNan::Skip if !is_finite(network) => Err(self.diverged(
                &message,
                "skipping batches cannot help; --on-nan rollback returns to the last checkpoint",
            )),
            OnNan::Skip => {
                self.position.skipped_in_a_row += 1;
                if self.position.skipped_in_a_row > MAX_SKIPPED {
                    let problem = format!("{MAX_SKIPPED} consecutive batches were skipped before it");
                    return Err(self.diverged(&message, &problem));
                }
                tracing::warn!("skipped a batch: {message}");
                Ok(Recovery::Skipped)
            }
            OnNan::Rollback => self.roll_back(network, &message),
        }
    }

    /// Recovers after an epoch with a NaN or infinite validation loss. The position is at the start of the next epoch.
    ///
    /// # Errors
    /// The fault, if training cannot continue.
    pub(super) fn recover_epoch(&mut self, network: &mut Network, record: &EpochRecord) -> Result<Recovery> {
        let average = self.learner.context.average.state();
        let broken = broken(network.state().iter()).or_else(|| broken(average.iter()));
        let cause = match &broken {
            Some(name) => format!("the weights or running statistics `{name}` are NaN or infinite"),
            None => "the weights are finite, so the logits overflow, or a value in the validation set is too large".into(),
        };
        let message = format!(
            "the validation loss became {} in epoch {} (learning rate {:.3e}): {cause}",
            record.validation_loss,
            record.epoch,
            self.lr()
        );
        match self.plan.options.on_nan {
            OnNan::Stop => {
                Err(self.diverged(&message, "--on-nan rollback returns to the last checkpoint automatically"))
            }
            OnNan::Skip if broken.is_some() => Err(self.diverged(
                &message,
                "skipping batches cannot help; --on-nan rollback returns to the last checkpoint",
            )),
            OnNan::Skip => {
                tracing::warn!("the epoch cannot be the best one: {message}");
                Ok(Recovery::Skipped)
            }
            OnNan::Rollback => self.roll_back(network, &message),
        }
    }

    fn roll_back(&mut self, network: &mut Network, message: &str) -> Result<Recovery> {
        let (rate, rollbacks) = (self.position.rate / 2., self.position.rollbacks + 1);
        if rollbacks > MAX_ROLLBACKS {
            let problem = format!("training rolled back {MAX_ROLLBACKS} times before it");
            return Err(self.diverged(message, &problem));
        }
        tracing::warn!("rolled back to the last checkpoint, with half the learning rate: {message}");
        self.load_last(network)?;
        (self.position.rate, self.position.rollbacks) = (rate, rollbacks);
        Ok(Recovery::RolledBack)
    }

    fn diverged(&self, message: &str, remedy: &str) -> Error {
        let last = self.checkpoints.last();
        Error::Diverged(format!(
            "{message}. A lower --lr or --clip 1 often helps; {remedy}. The last good checkpoint was kept: {}",
            last.display()
        ))
    }

    /// Checks the losses of the steps since the last check, if the losses are not checked at every step.
    ///
    /// # Errors
    /// The fault. The weights were updated by it.
    pub(super) fn check_recent_losses(&self, data: &Data) -> Result<()> {
        if self.learner.context.checks_every_loss {
            return Ok(());
        }
        let Some(bad) = self.running.nonfinite_step() else { return Ok(()) };
        let losses = self.learner.context.objective.plain_losses(&bad.logits, &bad.labels);
        let fault = Fault { losses, gradient_norm: None, step: self.position.step + 1 - bad.steps_back };
        let message = self.describe(&fault, &self.faulty_examples(data, &fault));
        Err(self.diverged(&message, "--on-nan skip skips such batches"))
    }

    /// The loss, its place in training, and the cause.
    fn describe(&self, fault: &Fault, cause: &str) -> String {
        let norm = fault.gradient_norm.map_or(String::new(), |norm| format!(", gradient norm {norm}"));
        format!(
            "the loss became {} in epoch {}, step {} (learning rate {:.3e}{norm}): {cause}",
            fault.losses.mean(Kind::Double).double_value(&[]),
            self.position.epoch,
            fault.step,
            self.lr(),
        )
    }

    /// The examples with a NaN or infinite loss.
    fn faulty_examples(&self, data: &Data, fault: &Fault) -> String {
        let losses = Vec::<f64>::try_from(fault.losses.to_kind(Kind::Double)).unwrap_or_default();
        let indexes = data.train.indexes(self.pass_at(fault.step - 1));
        let faulty: Vec<_> = indexes
            .iter()
            .zip(&losses)
            .filter(|(_, loss)| !loss.is_finite())
            .map(|(index, _)| *index)
            .collect();
        if faulty.is_empty() {
            return "an example of another process has a NaN or infinite loss".to_string();
        }
        if faulty.len() == losses.len() {
            return "all examples of the batch have a NaN or infinite loss, so the weights have grown too large"
                .to_string();
        }
        let names: Vec<_> = faulty.iter().take(MAX_NAMED).map(|index| (data.name)(*index)).collect();
        let more = match faulty.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{} of the {} examples of the batch have a NaN or infinite loss ({}{more})",
            faulty.len(),
            losses.len(),
            names.join(", ")
        )
    }
}

fn is_finite(network: &Network) -> bool {
    broken(network.state().iter()).is_none()
}

/// The name of the first tensor with a NaN or infinite value.
fn broken<'a>(mut tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Option<String> {
    let is_broken = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 0;
    tensors.find(|(_, tensor)| is_broken(tensor)).map(|(name, _)| name.clone())
}
