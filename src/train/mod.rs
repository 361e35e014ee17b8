//! Training: the loop, the step, and their parts.
//!
//! [`Training::run`] is the loop over epochs and batches. It calls [`Learner::step`] for each batch, which takes one of the kinds
//! of step in `step/`: eager, manual backward or captured graph. Everything else is a [`Callback`] or a part of a step.

mod average;
mod callback;
mod callbacks;
pub mod checkpoint;
mod distillation;
mod epoch_record;
mod fault;
mod gpu_memory;
pub mod head;
mod learner;
mod loss_scale;
mod lr_find;
mod monitor;
pub mod objective;
pub mod optimizer;
mod options;
mod plan;
mod resume;
mod running;
pub mod schedule;
mod step;
#[cfg(test)]
mod table_models;
#[cfg(test)]
mod tests;
mod time_budget;
mod training;

pub use callback::{Callback, CallbackList, Flow, Silent};
pub use callbacks::{Checkpoints, EarlyStopping, TimeLimit};
pub use distillation::{Distillation, LogitsOf, Teacher};
pub use epoch_record::{EpochRecord, MetricsLog};
pub use learner::Learner;
pub use loss_scale::LossScale;
pub use lr_find::{LrCurve, Range};
pub use monitor::Monitor;
pub use objective::Objective;
pub use options::{AverageKind, ChannelsLast, CudaGraph, OnNan, Precision, TrainOptions};
pub use plan::Plan;
pub use resume::{Identity, RESUMABLE_OPTIONS};
pub use running::Running;
pub use step::StepOutcome;
pub use training::{Data, Ending, Training};
