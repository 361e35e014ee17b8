//! A loss that is NaN or infinite: what is said of it, and how training goes on.

use tch::{Kind, Reduction, Tensor};

use super::options::OnNan;
use super::{Data, EpochRecord, Training};
use crate::error::{Error, Result};
use crate::model::Network;

/// A batch whose loss is no number.
pub(super) struct Fault {
    /// The loss of each example, (N).
    pub losses: Tensor,
    /// The norm of the gradients that it gives, if nothing was learned from it.
    pub gradient_norm: Option<f64>,
    /// The step of its epoch, from 1.
    pub step: usize,
}

/// How training goes on after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// With the next batch.
    Skipped,
    /// From the last checkpoint.
    Back,
}

impl Recovery {
    pub fn is_back(self) -> bool {
        self == Recovery::Back
    }
}

/// Batches that may be left out in a row.
const MOST_SKIPPED: u32 = 10;

/// Times that training may go back.
const MOST_ROLLBACKS: u32 = 5;

/// Examples that are named.
const NAMED: usize = 5;

impl Training {
    /// Does what `--on-nan` says.
    ///
    /// # Errors
    /// The fault itself, where training cannot go on.
    pub(super) fn recover(&mut self, network: &mut Network, data: &Data, fault: Fault) -> Result<Recovery> {
        let blame = if is_finite(network) {
            self.offenders(data, &fault)
        } else {
            "the weights themselves are no numbers any more, since an update before".to_string()
        };
        let account = self.account(&fault, &blame);
        match self.plan.options.on_nan {
            OnNan::Stop => Err(self.diverged(&account, "--on-nan skip leaves such batches out")),
            OnNan::Skip if !is_finite(network) => Err(self
                .diverged(&account, "no batch is to blame; --on-nan rollback goes back to better weights")),
            OnNan::Skip => {
                self.position.skipped_in_a_row += 1;
                if self.position.skipped_in_a_row > MOST_SKIPPED {
                    let problem = format!("{MOST_SKIPPED} batches in a row were left out before it");
                    return Err(self.diverged(&account, &problem));
                }
                tracing::warn!("left a batch out: {account}");
                Ok(Recovery::Skipped)
            }
            OnNan::Rollback => self.go_back(network, &account),
        }
    }

    /// The same after an epoch whose validation loss is NaN or infinite. The training stands at the beginning of the next one.
    ///
    /// # Errors
    /// The fault itself, where training cannot go on.
    pub(super) fn recover_epoch(&mut self, network: &mut Network, record: &EpochRecord) -> Result<Recovery> {
        let average = self.learner.context.average.state();
        let broken = broken(network.state().iter()).or_else(|| broken(average.iter()));
        let blame = match &broken {
            Some(name) => format!("the weights or running figures `{name}` are not finite any more"),
            None => "the weights are finite, so its logits overflow, or a value of the validation part is too large".into(),
        };
        let account = format!(
            "the validation loss became {} in epoch {} (learning rate {:.3e}): {blame}",
            record.held_out_loss,
            record.epoch,
            self.lr()
        );
        match self.plan.options.on_nan {
            OnNan::Stop => {
                Err(self.diverged(&account, "--on-nan rollback goes back to the checkpoint by itself"))
            }
            OnNan::Skip if broken.is_some() => Err(self
                .diverged(&account, "no batch is to blame; --on-nan rollback goes back to better weights")),
            OnNan::Skip => {
                tracing::warn!("the epoch does not count for the best weights: {account}");
                Ok(Recovery::Skipped)
            }
            OnNan::Rollback => self.go_back(network, &account),
        }
    }

    fn go_back(&mut self, network: &mut Network, account: &str) -> Result<Recovery> {
        let (rate, rollbacks) = (self.position.rate / 2., self.position.rollbacks + 1);
        if rollbacks > MOST_ROLLBACKS {
            let problem = format!("training went back {MOST_ROLLBACKS} times before it");
            return Err(self.diverged(account, &problem));
        }
        tracing::warn!("went back to the last checkpoint, with half the learning rate: {account}");
        self.load_last(network)?;
        (self.position.rate, self.position.rollbacks) = (rate, rollbacks);
        Ok(Recovery::Back)
    }

    fn diverged(&self, account: &str, remedy: &str) -> Error {
        let last = self.checkpoints.last();
        Error::Diverged(format!(
            "{account}. A lower --lr or --clip 1 often helps; {remedy}. The last good checkpoint was kept: {}",
            last.display()
        ))
    }

    /// Looks for a loss that was no number in the steps since the last look, where not every loss is looked at.
    ///
    /// # Errors
    /// The fault: the weights have learned from it.
    pub(super) fn refuse_late_fault(&self, data: &Data) -> Result<()> {
        if self.learner.context.checks_every_loss {
            return Ok(());
        }
        let Some(bad) = self.running.bad_step() else { return Ok(()) };
        let losses = bad.logits.cross_entropy_loss::<Tensor>(&bad.labels, None, Reduction::None, -100, 0.);
        let fault = Fault { losses, gradient_norm: None, step: self.position.step + 1 - bad.back };
        let account = self.account(&fault, &self.offenders(data, &fault));
        Err(self.diverged(&account, "--on-nan skip leaves such batches out"))
    }

    /// What happened, where, and which examples it was.
    fn account(&self, fault: &Fault, blame: &str) -> String {
        let norm =
            fault.gradient_norm.map_or(String::new(), |norm| format!(", norm of the gradients {norm}"));
        format!(
            "the loss became {} in epoch {}, step {} (learning rate {:.3e}{norm}): {blame}",
            fault.losses.mean(Kind::Double).double_value(&[]),
            self.position.epoch,
            fault.step,
            self.lr(),
        )
    }

    fn offenders(&self, data: &Data, fault: &Fault) -> String {
        let losses = Vec::<f64>::try_from(fault.losses.to_kind(Kind::Double)).unwrap_or_default();
        let places = data.train.places(self.pass_at(fault.step - 1));
        let offenders: Vec<_> = places
            .iter()
            .zip(&losses)
            .filter(|(_, loss)| !loss.is_finite())
            .map(|(place, _)| *place)
            .collect();
        if offenders.is_empty() {
            return "an example of another process has no finite loss".to_string();
        }
        if offenders.len() == losses.len() {
            return "no example of the batch has a finite loss, so the weights have grown too large"
                .to_string();
        }
        let names: Vec<_> = offenders.iter().take(NAMED).map(|place| (data.name)(*place)).collect();
        let more = match offenders.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{} of the {} examples of the batch have no finite loss ({}{more})",
            offenders.len(),
            losses.len(),
            names.join(", ")
        )
    }
}

fn is_finite(network: &Network) -> bool {
    broken(network.state().iter()).is_none()
}

/// The first of these tensors that holds a value that is NaN or infinite.
fn broken<'a>(mut tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Option<String> {
    let is_broken = |tensor: &Tensor| tensor.isfinite().all().int64_value(&[]) == 0;
    tensors.find(|(_, tensor)| is_broken(tensor)).map(|(name, _)| name.clone())
}
