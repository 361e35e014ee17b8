//! The architectures, one file each.

mod cnn;
mod gru;
mod lstm;
mod mlp;
mod recurrent;
mod residual;
mod resnet18;
mod resnet34;
mod resnet50;
mod resnet9;
mod vit;

use tch::nn;

use super::Task;
use super::layer::Sequential;
use crate::error::{Error, Result, did_you_mean};
pub(crate) use cresset_options::number::{NumberOption, Options};

/// An architecture.
///
/// To add one, write a file beside `mlp.rs` with a constant of this type and put it in [`ARCHITECTURES`].
///
/// ```
/// use cresset::model::layer::Layer;
/// use cresset::model::{Architecture, Task};
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// let task = Task { input: InputShape(vec![1, 8, 8]), classes: 10 };
/// let variables = nn::VarStore::new(Device::Cpu);
/// let layers = Architecture::named("mlp")?.layers(&variables.root(), &task, "width=32")?;
/// let images = Tensor::zeros([2, 1, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(layers.forward(&images, false).size(), [2, 10]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Architecture {
    /// Name in `--model`.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// Options in `--model-options`.
    pub options: &'static [NumberOption],
    /// Builds the layers. Creates their parameters in `path` with PyTorch's names, initialized with libtorch's default
    /// generator.
    ///
    /// # Errors
    /// A task that the architecture does not support, and incompatible options.
    pub build: fn(&nn::Path, &Task, &Options) -> Result<Sequential>,
}

/// All architectures.
///
/// ```
/// use cresset::model::ARCHITECTURES;
///
/// assert!(ARCHITECTURES.iter().any(|architecture| architecture.name == "resnet18"));
/// ```
pub const ARCHITECTURES: &[Architecture] = &[
    mlp::ARCHITECTURE,
    cnn::ARCHITECTURE,
    resnet9::ARCHITECTURE,
    resnet18::ARCHITECTURE,
    resnet34::ARCHITECTURE,
    resnet50::ARCHITECTURE,
    lstm::ARCHITECTURE,
    gru::ARCHITECTURE,
    vit::ARCHITECTURE,
];

impl Architecture {
    /// The architecture of this name.
    ///
    /// # Errors
    /// An unknown name. The message suggests the closest one.
    pub fn named(name: &str) -> Result<&'static Architecture> {
        ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
            let names = ARCHITECTURES.iter().map(|known| known.name);
            let hint = did_you_mean(name, names);
            Error::Usage(format!("unknown model `{name}`{}", hint.unwrap_or_default()))
        })
    }

    /// Builds the layers for a task, with `options` in the syntax of `--model-options`.
    ///
    /// # Errors
    /// Unknown options, values out of range, and tasks that the architecture does not support.
    pub fn layers(&self, path: &nn::Path, task: &Task, options: &str) -> Result<Sequential> {
        let options = Options::parse(options, &format!("the model {}", self.name), self.options)
            .map_err(Error::Usage)?;
        (self.build)(path, task, &options)
    }
}

/// Channels, height and width of the input images.
///
/// # Errors
/// A task with table rows as examples.
fn image(task: &Task, model: &str) -> Result<[i64; 3]> {
    <[i64; 3]>::try_from(task.input.0.as_slice()).map_err(|_| {
        Error::Usage(format!(
            "the model {model} is for images, but the examples are {}; use `--model mlp`",
            task.input
        ))
    })
}
