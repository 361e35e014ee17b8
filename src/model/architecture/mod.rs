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
pub(crate) use crate::number_options::{NumberOption, Options};

/// An architecture.
///
/// To add one, write a file beside `mlp.rs` with a constant of this type and put it in [`ARCHITECTURES`].
pub struct Architecture {
    /// Its name, as `--model` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What `--model-options` can set.
    pub options: &'static [NumberOption],
    /// Makes the layers. Their parameters are made in `path`, under the names that PyTorch would give them, and are drawn
    /// from libtorch's default generator.
    ///
    /// # Errors
    /// A task that the architecture is not for, and options that do not go together.
    pub build: fn(&nn::Path, &Task, &Options) -> Result<Sequential>,
}

/// All architectures.
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
    /// An unknown name; the did_you_mean one is suggested.
    pub fn named(name: &str) -> Result<&'static Architecture> {
        ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
            let names = ARCHITECTURES.iter().map(|known| known.name);
            let hint = did_you_mean(name, names);
            Error::Usage(format!("there is no model `{name}`{}", hint.unwrap_or_default()))
        })
    }

    /// Makes the layers for a task, with `options` as `--model-options` takes them.
    ///
    /// # Errors
    /// Unknown options and values out of range; tasks that the architecture is not for.
    pub fn layers(&self, path: &nn::Path, task: &Task, options: &str) -> Result<Sequential> {
        let options = Options::parse(options, &format!("the model {}", self.name), self.options)?;
        (self.build)(path, task, &options)
    }
}

/// Channels, height and width of the images that a task is about.
///
/// # Errors
/// A task about rows of a table.
fn image(task: &Task, model: &str) -> Result<[i64; 3]> {
    <[i64; 3]>::try_from(task.input.0.as_slice()).map_err(|_| {
        Error::Usage(format!(
            "the model {model} is for images, but the examples are {}; `--model mlp` takes them",
            task.input
        ))
    })
}
