//! The eager step: libtorch runs each operation, and autograd computes the gradients.

use tch::Tensor;

use super::bagged::{Bagged, bagged};
use super::{Context, StepOutcome};
use crate::error::Result;
use crate::loader::Batch;
use crate::model::Network;

/// Forward pass, loss, backward pass and, every `accumulate` batches and at the end of an epoch, an update with the
/// learning rate `lr`.
pub fn eager_step(context: &mut Context, network: &Network, batch: &Batch, lr: f64) -> Result<StepOutcome> {
    let (mut loss, members, logits, networks) = match &batch.folds {
        Some(folds) => {
            let Bagged { loss, members, logits } = bagged(context, network, batch, folds)?;
            (loss / members as f64, logits.shallow_clone(), logits, members)
        }
        None => {
            let members = context.logits(network, &batch.inputs, true)?;
            let logits = context.objective.combined(&members);
            (context.label_loss(&members, batch), members, logits, 1)
        }
    };
    if let Some(distillation) = &context.distillation {
        loss = distillation.loss(&loss, &logits, batch)?;
    }
    if context.checks_every_loss && !is_finite_everywhere(context, &loss)? {
        return not_finite(context, network, &members, &loss, batch);
    }
    context.accumulated += 1;
    let is_due = context.accumulated == context.options.accumulate || batch.is_last;
    // Processes exchange gradients only for an update; until then each accumulates its own.
    if let (true, Some((_, reducer))) = (is_due, &context.reducer) {
        reducer.prepare()?;
    }
    match batch.weight * context.loss_scale() * networks as f64 {
        1. => context.backward(network, &loss)?,
        factor => context.backward(network, &(&loss * factor))?,
    }
    if is_due {
        context.update(network, lr)?;
    }
    Ok(StepOutcome::Learned { loss, logits })
}

fn is_finite_everywhere(context: &Context, loss: &Tensor) -> Result<bool> {
    let is_bad = !loss.double_value(&[]).is_finite();
    if context.world.is_alone() {
        return Ok(!is_bad);
    }
    Ok(context.world.all_reduce_max(&[f64::from(u8::from(is_bad))])?[0] == 0.)
}

/// Computes the loss of each example and the norm of the gradients for the error message, and drops the gradients.
fn not_finite(
    context: &mut Context,
    network: &Network,
    logits: &Tensor,
    loss: &Tensor,
    batch: &Batch,
) -> Result<StepOutcome> {
    let losses = match &batch.taught {
        // Some examples may have no label.
        Some(_) => context.objective.plain_losses(&logits.detach(), &batch.labels),
        None => context.objective.losses(&logits.detach(), batch),
    };
    context.backward(network, loss)?;
    let gradient_norm = context.gradients.norm()?.double_value(&[]);
    context.clear_gradients()?;
    Ok(StepOutcome::NotFinite { losses, gradient_norm })
}
