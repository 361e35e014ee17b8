//! Training: the loop, and what it is made of.

pub mod checkpoint;
mod epoch_record;
mod objective;
mod observer;
pub mod optimizer;
mod running;
mod training;

pub use epoch_record::{EpochRecord, MetricsLog};
pub use objective::Objective;
pub use observer::{Observer, Silent};
pub use running::Running;
pub use training::{Ending, Plan, Training};
