//! ConvNeXt (Liu et al., "A ConvNet for the 2020s", 2022), with timm's names, shapes and initialization.

use tch::nn;

use super::{Architecture, NumberOption, Options, at_least, image, rates};
use crate::error::Result;
use crate::model::Task;
use crate::model::layer::{
    ChannelsFirst, ChannelsLast, Convolution, Dropout, Flatten, Gelu, GlobalAverage, LayerNorm, LayerNorm2d,
    LayerScale, Linear, Sequential, StochasticDepth,
};

const OPTIONS: &[NumberOption] = &[NumberOption::dropout(0.), NumberOption::drop_path(0.1)];

/// ConvNeXt-Atto.
pub const ATTO: Architecture = Architecture {
    name: ATTO_FORM.name,
    summary: "ConvNeXt-Atto (timm)",
    options: OPTIONS,
    build: |path, task, options| ATTO_FORM.network(path, task, options),
};

/// ConvNeXt-Femto.
pub const FEMTO: Architecture = Architecture {
    name: FEMTO_FORM.name,
    summary: "ConvNeXt-Femto (timm)",
    options: OPTIONS,
    build: |path, task, options| FEMTO_FORM.network(path, task, options),
};

/// ConvNeXt-Nano.
pub const NANO: Architecture = Architecture {
    name: NANO_FORM.name,
    summary: "ConvNeXt-Nano (timm)",
    options: OPTIONS,
    build: |path, task, options| NANO_FORM.network(path, task, options),
};

/// ConvNeXt-Tiny.
pub const TINY: Architecture = Architecture {
    name: TINY_FORM.name,
    summary: "ConvNeXt-Tiny (timm)",
    options: OPTIONS,
    build: |path, task, options| TINY_FORM.network(path, task, options),
};

/// ConvNeXt-Small.
pub const SMALL: Architecture = Architecture {
    name: SMALL_FORM.name,
    summary: "ConvNeXt-Small (timm)",
    options: OPTIONS,
    build: |path, task, options| SMALL_FORM.network(path, task, options),
};

/// ConvNeXt-Base.
pub const BASE: Architecture = Architecture {
    name: BASE_FORM.name,
    summary: "ConvNeXt-Base (timm)",
    options: OPTIONS,
    build: |path, task, options| BASE_FORM.network(path, task, options),
};

/// The sizes of a network.
struct Form {
    name: &'static str,
    /// Blocks per stage.
    depths: [usize; 4],
    /// Channels of the first stage; the number doubles with each stage.
    width: i64,
    /// Whether the two layers of the MLP are 1×1 convolutions, as in the small sizes of timm, or linear layers.
    has_convolutions: bool,
}

const ATTO_FORM: Form =
    Form { name: "convnext_atto", depths: [2, 2, 6, 2], width: 40, has_convolutions: true };
const FEMTO_FORM: Form =
    Form { name: "convnext_femto", depths: [2, 2, 6, 2], width: 48, has_convolutions: true };
const NANO_FORM: Form =
    Form { name: "convnext_nano", depths: [2, 2, 8, 2], width: 80, has_convolutions: true };
const TINY_FORM: Form =
    Form { name: "convnext_tiny", depths: [3, 3, 9, 3], width: 96, has_convolutions: false };
const SMALL_FORM: Form =
    Form { name: "convnext_small", depths: [3, 3, 27, 3], width: 96, has_convolutions: false };
const BASE_FORM: Form =
    Form { name: "convnext_base", depths: [3, 3, 27, 3], width: 128, has_convolutions: false };

/// The initial layer scale.
const SCALE: f64 = 1e-6;

/// The stem and the convolutions between the stages divide each side by this.
const REDUCTION: i64 = 32;

impl Form {
    fn network(&self, path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
        let [channels, height, width] = image(task, self.name)?;
        let stem = path / "stem";
        let patches = Convolution::new(channels, self.width, 4).patches().bias();
        let patches = Sequential::default()
            .then("0", patches.make_normal(&(&stem / "0")))
            .then("1", LayerNorm2d::new(&(&stem / "1"), self.width));
        let mut stages = Sequential::default();
        let mut rates = rates(options.number("drop_path"), self.depths.iter().sum());
        for (stage, depth) in self.depths.into_iter().enumerate() {
            let rest = rates.split_off(depth);
            let at = path / "stages" / stage;
            stages = stages.then(stage.to_string(), self.stage(&at, self.width << stage, stage > 0, &rates));
            rates = rest;
        }
        let (head, features) = (path / "head", self.width << 3);
        let classifier = Sequential::default()
            .then("global_pool", GlobalAverage)
            .then("norm", LayerNorm2d::new(&(&head / "norm"), features))
            .then("flatten", Flatten)
            .then("drop", Dropout(options.number("dropout")))
            .then("fc", Linear::normal(&(&head / "fc"), features, task.classes));
        Ok(at_least(REDUCTION, height, width)
            .then("stem", patches)
            .then("stages", stages)
            .then("head", classifier))
    }

    /// A stage, which halves the sides and doubles the channels first if `shrinks`, with a block for each rate of stochastic
    /// depth.
    fn stage(&self, path: &nn::Path, channels: i64, shrinks: bool, rates: &[f64]) -> Sequential {
        let mut layers = Sequential::default();
        if shrinks {
            let at = path / "downsample";
            let convolution = Convolution::new(channels / 2, channels, 2).patches().bias();
            let downsample = Sequential::default()
                .then("0", LayerNorm2d::new(&(&at / "0"), channels / 2))
                .then("1", convolution.make_normal(&(&at / "1")));
            layers = layers.then("downsample", downsample);
        }
        let mut blocks = Sequential::default();
        for (index, rate) in rates.iter().enumerate() {
            blocks = blocks.then(index.to_string(), self.block(&(path / "blocks" / index), channels, *rate));
        }
        layers.then("blocks", blocks)
    }

    /// A depthwise convolution, normalization and an MLP of each position, with a residual connection.
    fn block(&self, path: &nn::Path, channels: i64, rate: f64) -> Sequential {
        let depthwise = Convolution::depthwise(channels, 7).bias().make_normal(&(path / "conv_dw"));
        let mut body = Sequential::default().then("conv_dw", depthwise);
        let (norm, mlp, hidden) = (path / "norm", path / "mlp", 4 * channels);
        if self.has_convolutions {
            let first = Convolution::new(channels, hidden, 1).bias().make_normal(&(&mlp / "fc1"));
            let second = Convolution::new(hidden, channels, 1).bias().make_normal(&(&mlp / "fc2"));
            let layers = Sequential::default().then("fc1", first).then("act", Gelu).then("fc2", second);
            body = body.then("norm", LayerNorm2d::new(&norm, channels)).then("mlp", layers);
        } else {
            let layers = Sequential::default()
                .then("fc1", Linear::normal(&(&mlp / "fc1"), channels, hidden))
                .then("act", Gelu)
                .then("fc2", Linear::normal(&(&mlp / "fc2"), hidden, channels));
            body = body
                .then("channels_last", ChannelsLast)
                .then("norm", LayerNorm::new(&norm, channels))
                .then("mlp", layers)
                .then("channels_first", ChannelsFirst);
        }
        body = body.then("gamma", LayerScale::image(path, "gamma", channels, SCALE));
        if rate > 0. {
            body = body.then("drop_path", StochasticDepth::new(rate, 4));
        }
        Sequential::default().then_sum(body, Sequential::default())
    }
}
