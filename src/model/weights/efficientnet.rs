//! Names of the packages `efficientnet_pytorch` and `efficientnet_lite_pytorch`, which count all blocks in one list.

use std::collections::BTreeMap;

use crate::model::Tensors;

/// The name of a layer there and of timm, outside of the blocks.
const OUTER: [(&str, &str); 5] = [
    ("_conv_stem", "conv_stem"),
    ("_bn0", "bn1"),
    ("_conv_head", "conv_head"),
    ("_bn1", "bn2"),
    ("_fc", "classifier"),
];

/// Layers of a block with a 1×1 convolution before the depthwise one.
const INVERTED: [(&str, &str); 8] = [
    ("_expand_conv", "conv_pw"),
    ("_bn0", "bn1"),
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn2"),
    ("_se_reduce", "se.conv_reduce"),
    ("_se_expand", "se.conv_expand"),
    ("_project_conv", "conv_pwl"),
    ("_bn2", "bn3"),
];

/// Layers of a block without it.
const SEPARABLE: [(&str, &str); 6] = [
    ("_depthwise_conv", "conv_dw"),
    ("_bn1", "bn1"),
    ("_se_reduce", "se.conv_reduce"),
    ("_se_expand", "se.conv_expand"),
    ("_project_conv", "conv_pw"),
    ("_bn2", "bn2"),
];

/// The tensors of a file with timm's names, if the file has those of the packages and `model` those of timm. A prefix of the
/// names is kept.
pub fn renamed(file: Tensors, model: &Tensors) -> Tensors {
    let mark = |name: &String| name.strip_suffix("_conv_stem.weight").map(str::to_string);
    let Some(prefix) = file.keys().find_map(mark) else { return file };
    let blocks = blocks(model);
    let rename = |name: String| {
        let inside = name.strip_prefix(&prefix).and_then(|inside| timm(inside, &blocks));
        inside.map_or(name, |inside| format!("{prefix}{inside}"))
    };
    file.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

/// A block of the model: its name, and whether it has a 1×1 convolution before the depthwise one.
type Block = (String, bool);

/// The blocks of a model with timm's names, in order.
fn blocks(model: &Tensors) -> Vec<Block> {
    let mut blocks: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    for name in model.keys() {
        let mut parts = name.split('.');
        let place = (parts.next() == Some("blocks")).then(|| {
            let mut number = || parts.next()?.parse::<usize>().ok();
            Some((number()?, number()?))
        });
        if let Some(place) = place.flatten() {
            *blocks.entry(place).or_default() |= parts.next() == Some("conv_pwl");
        }
    }
    let named = |((stage, index), is_inverted)| (format!("blocks.{stage}.{index}"), is_inverted);
    blocks.into_iter().map(named).collect()
}

/// The name in timm of a tensor, if it is known.
fn timm(name: &str, blocks: &[Block]) -> Option<String> {
    let (layer, tensor) = name.rsplit_once('.')?;
    let translate = |table: &[(&str, &str)], layer: &str| {
        table.iter().find(|(known, _)| *known == layer).map(|(_, renamed)| (*renamed).to_string())
    };
    let Some(inside) = layer.strip_prefix("_blocks.") else {
        return Some(format!("{}.{tensor}", translate(&OUTER, layer)?));
    };
    let (index, layer) = inside.split_once('.')?;
    let (block, is_inverted) = blocks.get(index.parse::<usize>().ok()?)?;
    let layer = if *is_inverted { translate(&INVERTED, layer) } else { translate(&SEPARABLE, layer) };
    Some(format!("{block}.{}.{tensor}", layer?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn layers_have_the_names_of_timm() {
        let tensors = |names: &[&str]| -> Tensors {
            names.iter().map(|name| (name.to_string(), Tensor::from(0f32))).collect()
        };
        let model = tensors(&[
            "conv_stem.weight",
            "blocks.0.0.conv_pw.weight",
            "blocks.1.0.conv_pwl.weight",
            "blocks.1.0.conv_pw.weight",
            "blocks.1.1.conv_pwl.weight",
        ]);
        let file = tensors(&[
            "m._conv_stem.weight",
            "m._bn0.bias",
            "m._blocks.0._project_conv.weight",
            "m._blocks.2._expand_conv.weight",
            "m._blocks.2._bn2.running_mean",
            "m._blocks.9._bn2.running_mean",
            "m._fc.weight",
            "epoch",
        ]);
        let found: Vec<String> = renamed(file, &model).into_keys().collect();
        assert_eq!(
            found,
            [
                "epoch",
                "m._blocks.9._bn2.running_mean",
                "m.blocks.0.0.conv_pw.weight",
                "m.blocks.1.1.bn3.running_mean",
                "m.blocks.1.1.conv_pw.weight",
                "m.bn1.bias",
                "m.classifier.weight",
                "m.conv_stem.weight",
            ]
        );
        let other = tensors(&["conv1.weight"]);
        assert_eq!(
            renamed(other.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect(), &model),
            other
        );
    }
}
