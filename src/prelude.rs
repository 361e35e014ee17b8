//! The types and traits that most programs need.
//!
//! ```
//! use cresset::prelude::*;
//!
//! let config: Config = Config { epochs: 20, ..Config::default() };
//! let trainer: Trainer = Trainer::new("digits").options(config);
//! # let _ = trainer;
//! ```

pub use crate::data::InputShape;
pub use crate::data::format::Format;
pub use crate::error::{Error, Result};
pub use crate::evaluate::{Evaluation, Metric};
pub use crate::loader::augment::Augment;
pub use crate::model::layer::Layer;
pub use crate::model::{Model, Network, Task};
pub use crate::options::Config;
pub use crate::predict::{Classifier, Prediction, Ranked};
pub use crate::run::{Fitted, Trainer};
pub use crate::train::{Callback, EpochRecord, Flow, Training};
