//! Vision transformer (Dosovitskiy et al., "An Image is Worth 16×16 Words", 2021), with torchvision's names: image patches as
//! a sequence of tokens, a class token, and pre-norm encoder blocks.

use tch::nn;

use super::{Architecture, NumberOption, Options, image};
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::layer::{
    Convolution, Dropout, Gelu, Grid, LayerNorm, Linear, PositionEmbedding, PrefixTokens, SelectElement,
    SelfAttention, Sequential, Tokens, ZeroPad,
};

/// The architecture.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "vit",
    summary: "vision transformer: patches of the image, multi-head self-attention",
    options: &[
        NumberOption::whole(
            "patch",
            0,
            (0, 64),
            "side of a patch in pixels; 0: chosen by the size of the image",
        ),
        NumberOption::whole("width", 128, (2, 4096), "size of a token"),
        NumberOption::whole("depth", 6, (1, 48), "encoder blocks"),
        NumberOption::whole("heads", 4, (1, 64), "attention heads; must divide the width"),
        NumberOption::dropout(0.1),
    ],
    build,
};

fn build(path: &nn::Path, task: &Task, options: &Options) -> Result<Sequential> {
    let [channels, height, width] = image(task, "vit")?;
    let (dim, heads) = (options.whole("width"), options.whole("heads"));
    if dim % heads != 0 {
        let problem = format!("the options of the model vit: heads={heads} does not divide width={dim}");
        return Err(Error::Usage(problem));
    }
    let patch = match options.whole("patch") {
        0 => patch_for(height.min(width)),
        patch => patch,
    };
    let (rows, columns) = ((height + patch - 1) / patch, (width + patch - 1) / patch);
    let mut layers = Sequential::default();
    let (bottom, right) = (rows * patch - height, columns * patch - width);
    if (bottom, right) != (0, 0) {
        layers = layers.then("pad", ZeroPad { bottom, right, ..ZeroPad::default() });
    }
    let patches = Convolution::new(channels, dim, patch).patches().bias();
    Ok(layers
        .then("conv_proj", patches.make(&(path / "conv_proj")))
        .then("tokens", Tokens)
        .then("class_token", PrefixTokens::new(path, "class_token", 1, dim))
        .then("encoder", encoder(&(path / "encoder"), options, Grid { rows, columns, prefix: 1 }))
        .then("select", SelectElement(0))
        .then("heads", head(&(path / "heads"), dim, task.classes)))
}

/// The power of two closest to the square root of the side: 2 for 8 pixels, 4 for 28 or 32, 16 for 224.
fn patch_for(side: i64) -> i64 {
    1 << ((side.max(1) as f64).log2() / 2. + 0.1).floor() as u32
}

fn encoder(path: &nn::Path, options: &Options, grid: Grid) -> Sequential {
    let (dim, dropout) = (options.whole("width"), options.number("dropout"));
    let mut blocks = Sequential::default();
    for index in 0..options.whole("depth") {
        let name = format!("encoder_layer_{index}");
        let block = block(&(path / "layers" / &name), dim, options.whole("heads"), dropout);
        blocks = blocks.then(name, block);
    }
    Sequential::default()
        .then("pos_embedding", PositionEmbedding::new(path, "pos_embedding", grid, dim))
        .then("dropout", Dropout(dropout))
        .then("layers", blocks)
        .then("ln", LayerNorm::new(&(path / "ln"), dim))
}

fn block(path: &nn::Path, dim: i64, heads: i64, dropout: f64) -> Sequential {
    let attention = SelfAttention::new(&(path / "self_attention"), dim, heads, dropout);
    let attend = Sequential::default()
        .then("ln_1", LayerNorm::new(&(path / "ln_1"), dim))
        .then("self_attention", attention)
        .then("dropout", Dropout(dropout));
    let at = path / "mlp";
    let mlp = Sequential::default()
        .then("0", Linear::xavier(&(&at / "0"), dim, 4 * dim))
        .then("1", Gelu)
        .then("2", Dropout(dropout))
        .then("3", Linear::xavier(&(&at / "3"), 4 * dim, dim))
        .then("4", Dropout(dropout));
    let feed_forward =
        Sequential::default().then("ln_2", LayerNorm::new(&(path / "ln_2"), dim)).then("mlp", mlp);
    Sequential::default()
        .then_sum(attend, Sequential::default())
        .then_sum(feed_forward, Sequential::default())
}

fn head(path: &nn::Path, dim: i64, classes: i64) -> Sequential {
    Sequential::default().then("head", Linear::new(&(path / "head"), dim, classes))
}
