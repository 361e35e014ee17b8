//! What a program that trains or uses a classifier needs: `use cresset::prelude::*;`.

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
