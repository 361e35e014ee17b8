//! Adapts the tensors of a file to a model whose layers have other names, or whose images have another number of patches or
//! channels.

use tch::{Kind, Tensor};

use super::{efficientnet, encoders};
use crate::model::layer::Grid;
use crate::model::{Network, Tensors};

/// The tensors of a file with the names and sizes of `network`, where they can be converted: the names of the package
/// `efficientnet_pytorch` and of text encoders alone, position embeddings of another number of patches, which are interpolated, and the first convolution
/// over the colors, for images with another number of channels. The others are unchanged.
pub fn adapt(mut file: Tensors, network: &Network) -> Tensors {
    let model = network.state();
    file = encoders::renamed(efficientnet::renamed(file, &model), &model);
    let mut replace = |name: &str, replacement: &dyn Fn(&Tensor, &[i64]) -> Option<Tensor>| {
        let (below, size) = (format!(".{name}"), model[name].size());
        let fits = |(in_file, _): &(&String, &mut Tensor)| *in_file == name || in_file.ends_with(&below);
        for (_, tensor) in file.iter_mut().filter(fits) {
            if let Some(replaced) = replacement(tensor, &size) {
                *tensor = replaced;
            }
        }
    };
    for (name, grid) in network.position_grids() {
        replace(&name, &|tensor, size| resample(tensor, size, grid));
    }
    for name in model.keys() {
        replace(name, &with_channels);
    }
    file
}

/// The weights (out, 3, height, width) of a convolution over colors for images with another number of channels, those of `size`,
/// like timm: their sum for grayscale images; otherwise the colors are repeated in order, and scaled so that the sum of the
/// channels stays the same. None for other weights.
fn with_channels(tensor: &Tensor, size: &[i64]) -> Option<Tensor> {
    let (&[out, 3, height, width], &[_, channels, ..]) = (&tensor.size()[..], size) else { return None };
    if channels == 3 || size != [out, channels, height, width] {
        return None;
    }
    let values = tensor.to_kind(Kind::Float);
    let adapted = match channels {
        1 => values.sum_dim_intlist(1, true, Kind::Float),
        _ => values.repeat([1, (channels + 2) / 3, 1, 1]).narrow(1, 0, channels) * (3. / channels as f64),
    };
    Some(adapted.to_kind(tensor.kind()))
}

/// Interpolates position embeddings (1, length, width) of a square grid to those of `grid`, of size `size`, like timm: bicubic
/// with antialiasing. The embeddings of tokens before the patches are kept. None if the length is that of `grid` or not that
/// of a square, or the width differs.
fn resample(tensor: &Tensor, size: &[i64], grid: Grid) -> Option<Tensor> {
    let found = tensor.size();
    let [1, length, width] = found[..] else { return None };
    let patches = length - grid.prefix;
    let side = (patches.max(0) as f64).sqrt().round() as i64;
    if width != size[2] || length == size[1] || side == 0 || side * side != patches {
        return None;
    }
    let values = tensor.to_kind(Kind::Float);
    let image = values.narrow(1, grid.prefix, patches).reshape([1, side, side, width]).permute([0, 3, 1, 2]);
    let image = image.internal_upsample_bicubic2d_aa([grid.rows, grid.columns], false, None, None);
    let resampled = image.permute([0, 2, 3, 1]).reshape([1, -1, width]);
    Some(Tensor::cat(&[values.narrow(1, 0, grid.prefix), resampled], 1).to_kind(tensor.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::model::Task;
    use tch::Device;

    #[test]
    fn a_convolution_over_colors_is_adapted_to_other_channels() {
        let network = |channels: i64| {
            let task = Task::new(InputShape(vec![channels, 32, 32]), 3);
            Network::new("resnet18", "", &task, Device::Cpu, 1).unwrap()
        };
        let color = network(3);
        let weights = color.state()["conv1.weight"].shallow_clone();
        let adapted = |channels| adapt(color.state(), &network(channels)).remove("conv1.weight").unwrap();
        // Equal channels of a gray image in the color model give the same.
        let gray = Tensor::rand([1, 1, 9, 9], (Kind::Float, Device::Cpu));
        let response =
            |x: &Tensor, weights: &Tensor| x.conv2d(weights, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
        for channels in [1, 2, 4, 5] {
            let adapted = adapted(channels);
            assert_eq!(adapted.size(), [64, channels, 7, 7]);
            if channels != 1 {
                let scale = channels as f64 / 3.;
                assert!((adapted.select(1, channels - 1) * scale).allclose(
                    &weights.select(1, (channels - 1) % 3),
                    1e-5,
                    1e-6,
                    false
                ));
            } else {
                let expected = response(&gray.repeat([1, 3, 1, 1]), &weights);
                assert!(response(&gray, &adapted).allclose(&expected, 1e-4, 1e-5, false));
            }
        }
        assert_eq!(adapted(3), weights);
    }

    #[test]
    fn position_embeddings_of_a_larger_image_are_interpolated() {
        let network = |input: &[i64]| {
            let task = Task::new(InputShape(input.to_vec()), 3);
            Network::new("vit", "patch=4,width=8,depth=1,heads=2", &task, Device::Cpu, 1).unwrap()
        };
        let (small, large) = (network(&[1, 12, 8]), network(&[1, 20, 20]));
        let name = "encoder.pos_embedding";
        let mut state = large.state();
        // A plane stays a plane, away from the borders.
        let rows =
            Tensor::arange(5, (Kind::Float, Device::Cpu)).view([1, 5, 1, 1]).expand([1, 5, 5, 8], false);
        let plane = Tensor::cat(
            &[Tensor::full([1, 1, 8], 7., (Kind::Float, Device::Cpu)), rows.reshape([1, 25, 8])],
            1,
        );
        state.insert(name.to_string(), plane);
        let prefixed: Tensors =
            state.iter().map(|(n, t)| (format!("model.{n}"), t.shallow_clone())).collect();
        let found = adapt(prefixed, &small);
        let embeddings = &found[&format!("model.{name}")];
        assert_eq!(embeddings.size(), [1, 7, 8]);
        assert_eq!(embeddings.double_value(&[0, 0, 3]), 7.);
        // The middle one of three rows is the middle one of five.
        assert!((embeddings.double_value(&[0, 3, 0]) - 2.).abs() < 1e-5, "{embeddings}");
        // Those of the same length are kept.
        assert_eq!(adapt(large.state(), &large)[name], large.state()[name]);
    }
}
