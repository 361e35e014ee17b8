//! The architectures, one file each.

mod bert;
mod bert_family;
mod bow;
mod cnn;
mod columns;
mod convnext;
mod dcn;
mod deepfm;
mod dinov2;
mod dinov3;
mod distilbert;
mod efficientnet;
mod ft_transformer;
mod gru;
mod inverted;
mod lstm;
mod mlp;
mod mobilenetv3;
mod mobilenetv4;
mod modernbert;
mod recurrent;
mod regnety;
mod residual;
mod resnet101;
mod resnet18;
mod resnet34;
mod resnet50;
mod resnet9;
mod resnet_d;
mod resnet_table;
mod roberta;
mod swin;
mod tabm;
mod text_transformer;
mod textcnn;
mod texts;
mod transformer;
mod two_tower;
mod vit;
mod vit_timm;

use tch::nn;
pub(crate) use two_tower::TOWERS;

use super::Task;
use super::layer::{BatchNorm2d, Convolution, Sequential, ZeroPad};
use crate::data::TaskKind;
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
/// let task = Task::new(InputShape(vec![1, 8, 8]), 10);
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
    tabm::ARCHITECTURE,
    resnet_table::ARCHITECTURE,
    ft_transformer::ARCHITECTURE,
    dcn::ARCHITECTURE,
    deepfm::ARCHITECTURE,
    two_tower::ARCHITECTURE,
    bow::ARCHITECTURE,
    textcnn::ARCHITECTURE,
    text_transformer::ARCHITECTURE,
    bert::ARCHITECTURE,
    distilbert::ARCHITECTURE,
    roberta::ARCHITECTURE,
    modernbert::ARCHITECTURE,
    cnn::ARCHITECTURE,
    resnet9::ARCHITECTURE,
    resnet18::ARCHITECTURE,
    resnet34::ARCHITECTURE,
    resnet50::ARCHITECTURE,
    resnet101::ARCHITECTURE,
    resnet_d::RESNET18D,
    resnet_d::RESNET34D,
    resnet_d::RESNET50D,
    resnet_d::RESNET101D,
    efficientnet::B0,
    efficientnet::B1,
    efficientnet::B2,
    efficientnet::B3,
    efficientnet::LITE0,
    efficientnet::TF_LITE0,
    efficientnet::TF_V2_S,
    mobilenetv3::SMALL,
    mobilenetv3::LARGE,
    mobilenetv4::CONV_SMALL,
    regnety::REGNETY_002,
    regnety::REGNETY_004,
    regnety::REGNETY_008,
    convnext::ATTO,
    convnext::FEMTO,
    convnext::NANO,
    convnext::TINY,
    convnext::SMALL,
    convnext::BASE,
    lstm::ARCHITECTURE,
    gru::ARCHITECTURE,
    vit::ARCHITECTURE,
    vit_timm::TINY,
    vit_timm::SMALL,
    vit_timm::BASE,
    dinov2::SMALL,
    dinov2::BASE,
    dinov2::SMALL_REGISTERS,
    dinov3::SMALL,
    dinov3::BASE,
    swin::TINY,
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
        self.check_task(task)?;
        let options = Options::parse(options, &format!("the model {}", self.name), self.options)
            .map_err(Error::Usage)?;
        (self.build)(path, task, &options)
    }
}

impl Architecture {
    /// Whether it ranks items for users.
    pub fn is_for_ranking(&self) -> bool {
        self.name == two_tower::ARCHITECTURE.name
    }

    /// Refuses other models for ranking. A model that ranks items refuses other data itself.
    fn check_task(&self, task: &Task) -> Result<()> {
        if task.kind == TaskKind::Ranking && !self.is_for_ranking() {
            let name = two_tower::ARCHITECTURE.name;
            return Err(Error::Usage(format!(
                "the model {} does not rank items; use --model {name}, or predict a label, such as clicked, with --label COLUMN in place of --user and --item",
                self.name
            )));
        }
        Ok(())
    }
}

/// A convolution with He initialization and batch normalization, with these names.
fn normalized(path: &nn::Path, conv: &str, norm: &str, convolution: Convolution, outputs: i64) -> Sequential {
    Sequential::default()
        .then(conv, convolution.make_he(&(path / conv)))
        .then(norm, BatchNorm2d::new(&(path / norm), outputs))
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

/// Zero padding at the bottom and right of an image that is smaller than `side` in a dimension, nothing otherwise.
fn at_least(side: i64, height: i64, width: i64) -> Sequential {
    let (bottom, right) = ((side - height).max(0), (side - width).max(0));
    if (bottom, right) == (0, 0) {
        return Sequential::default();
    }
    Sequential::default().then("pad", ZeroPad { bottom, right, ..ZeroPad::default() })
}

/// The rates of stochastic depth of `blocks` blocks: from 0 to `last`, equally spaced.
fn rates(last: f64, blocks: usize) -> Vec<f64> {
    (0..blocks).map(|index| last * index as f64 / (blocks - 1).max(1) as f64).collect()
}
