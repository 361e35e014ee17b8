//! Resizing of images in the exported file, equivalent to [`crate::data::image::Fitter`] in training.
//!
//! Each side is resized by a product with the matrix of filter weights. libtorch's antialiased resize cannot start between two
//! pixels, where a center crop may start, and does not use pixels outside of the crop, as the filter does.

use crate::data::image::{Channels, Decoding, Interpolation};

/// Methods of a TorchScript class that convert images, float32 (N, height, width) or (N, channels, height, width), to
/// (N, channels, height, width) with `fit`: to gray by the luma of ITU-R BT.601, and to the size by the center crop with the
/// aspect ratio of the model and the antialiased filter of `decoding`. Images of the right size are unchanged.
pub fn script(channels: Channels, height: u32, width: u32, decoding: Decoding) -> String {
    let share = decoding.center_crop;
    let filter = filter(decoding.interpolation);
    let product = match decoding.interpolation {
        Interpolation::Bilinear => "torch.matmul(rows, torch.matmul(images, torch.t(columns)))",
        // Cubic weights can leave the range of pixels, which bytes cannot: in training, after each of the two products.
        Interpolation::Bicubic => {
            "torch.clamp(torch.matmul(torch.clamp(torch.matmul(rows, images), 0, 255), torch.t(columns)), 0, 255)"
        }
    };
    let (forms, shaped, convert) = match channels {
        Channels::Grey => (
            "(N, height, width), (N, 1, height, width) or (N, 3, height, width)",
            "torch.unsqueeze(x, 1) if x.dim() == 3 else x",
            r#"    if images.size(1) == 3:
      red, green, blue = torch.unbind(images, 1)
      weighted = torch.add(torch.add(torch.mul(red, 19595), torch.mul(green, 38470)), torch.mul(blue, 7471))
      images = torch.unsqueeze(torch.div(weighted, 65536), 1)
"#,
        ),
        Channels::Color => (
            "(N, 3, height, width) or (N, 1, height, width)",
            "x",
            "    if images.size(1) == 1:\n      images = torch.expand(images, [-1, 3, -1, -1])\n",
        ),
    };
    format!(
        r#"  def fit(self: {{class}}, x: Tensor) -> Tensor:
    images = {shaped}
    assert images.dim() == 4, "images must be {forms}"
    assert images.size(1) == 1 or images.size(1) == 3, "images must be {forms}"
    assert images.size(2) > 0 and images.size(3) > 0, "the images have no pixels"
{convert}    if images.size(2) == {height} and images.size(3) == {width}:
      fitted = images
    else:
      by_height = images.size(2) / {height}
      by_width = images.size(3) / {width}
      scale = {share:?} * (by_height if by_height < by_width else by_width)
      rows = self.weights(images.size(2), {height}, scale, images)
      columns = self.weights(images.size(3), {width}, scale, images)
      fitted = {product}
    return fitted
  def weights(self: {{class}}, size: int, wanted: int, scale: float, x: Tensor) -> Tensor:
    start = (size - wanted * scale) / 2
    reach = scale if scale > 1. else 1.
    centers = torch.add(torch.mul(torch.add(torch.arange(wanted, dtype=7, device=x.device), 0.5), scale), start)
    places = torch.add(torch.arange(size, dtype=7, device=x.device), 0.5)
    far = torch.abs(torch.sub(torch.unsqueeze(places, 0), torch.unsqueeze(centers, 1)))
    t = torch.div(far, reach)
{filter}    return torch.to(torch.div(weights, torch.sum(weights, [1], True)), x.dtype)
"#
    )
}

/// The lines that compute the `weights` of pixels at the distances `t`, relative to the spacing of the pixels.
fn filter(interpolation: Interpolation) -> &'static str {
    match interpolation {
        Interpolation::Bilinear => "    weights = torch.clamp_min(torch.sub(1., t), 0.)\n",
        Interpolation::Bicubic => {
            r#"    near = torch.add(torch.mul(torch.mul(torch.sub(torch.mul(t, 1.5), 2.5), t), t), 1.)
    far_part = torch.add(torch.mul(torch.sub(torch.mul(torch.sub(t, 5.), t), -8.), t), -4.)
    outer = torch.where(torch.lt(t, 2.), torch.mul(far_part, -0.5), torch.zeros_like(t))
    weights = torch.where(torch.lt(t, 1.), near, outer)
"#
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image::Fitter;
    use crate::model::script::Class;
    use cresset_bridge::script::Module;
    use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
    use std::io::Cursor;
    use tch::{Kind, Tensor};

    fn fitting(channels: Channels, height: u32, width: u32, decoding: Decoding) -> Module {
        let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    return self.fit(x)\n";
        let methods = format!("{}{forward}", script(channels, height, width, decoding));
        let (source, class, values) = Class::new("Fit", methods).compile().unwrap();
        Module::from_source(&source, &class, &values).unwrap()
    }

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    /// The decoded image: float32 (1, channels, height, width).
    fn decoded(image: &DynamicImage) -> Tensor {
        let size = [i64::from(image.height()), i64::from(image.width()), -1];
        let pixels = Tensor::from_slice(image.as_bytes()).view(size.as_slice());
        pixels.permute([2, 0, 1]).unsqueeze(0).to_kind(Kind::Float)
    }

    /// The image as in training: float32 (1, channels, height, width).
    fn trained_on(
        image: &DynamicImage,
        channels: Channels,
        (height, width): (u32, u32),
        decoding: Decoding,
    ) -> Tensor {
        let mut fitter = Fitter::new(channels, height, width).with_decoding(decoding);
        let mut pixels = vec![0; fitter.bytes()];
        fitter.fit(&png(image), fitter.center_crop(), &mut pixels).unwrap();
        let pixels = Tensor::from_slice(&pixels).view([i64::from(height), i64::from(width), -1]);
        pixels.permute([2, 0, 1]).unsqueeze(0).to_kind(Kind::Float)
    }

    fn noisy(width: u32, height: u32) -> DynamicImage {
        let value = |x: u32, y: u32, channel: u32| ((x * 37 + y * 91 + x * y * 5 + channel * 77) % 256) as u8;
        RgbImage::from_fn(width, height, |x, y| Rgb([value(x, y, 0), value(x, y, 1), value(x, y, 2)])).into()
    }

    const DECODINGS: [Decoding; 3] = [
        Decoding { depth: None, interpolation: Interpolation::Bilinear, center_crop: 1. },
        Decoding { depth: None, interpolation: Interpolation::Bicubic, center_crop: 1. },
        Decoding { depth: None, interpolation: Interpolation::Bicubic, center_crop: 0.875 },
    ];

    /// Training rounds to bytes twice: after the rows and after the columns.
    #[test]
    fn images_of_any_size_match_training_up_to_rounding() {
        for (width, height) in [(40, 30), (31, 50), (9, 200), (7, 5), (8, 13), (64, 64), (1, 1), (101, 20)] {
            for channels in [Channels::Grey, Channels::Color] {
                for (to_height, to_width) in [(8, 8), (12, 20), (30, 17)] {
                    for (image, decoding) in [noisy(width, height), noisy(width, height).into_luma8().into()]
                        .into_iter()
                        .flat_map(|image| DECODINGS.map(|decoding| (image.clone(), decoding)))
                    {
                        let fitted = fitting(channels, to_height, to_width, decoding);
                        let fitted = fitted.call("forward", &decoded(&image)).unwrap().remove(0);
                        let expected = trained_on(&image, channels, (to_height, to_width), decoding);
                        assert_eq!(fitted.size(), expected.size());
                        let difference = (fitted - expected).abs().max().double_value(&[]);
                        let case = format!(
                            "{width}×{height} to {to_width}×{to_height}, {channels:?}, {decoding:?}: {difference}"
                        );
                        assert!(difference <= 2., "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_image_of_the_right_size_is_unchanged_and_equal_channels_become_gray() {
        let gray: DynamicImage = GrayImage::from_fn(8, 8, |x, y| Luma([(x * 31 + y * 7) as u8])).into();
        let module = fitting(Channels::Grey, 8, 8, Decoding::default());
        let x = decoded(&gray);
        let call = |x: &Tensor| module.call("forward", x).unwrap().remove(0);
        assert_eq!(call(&x), x);
        assert_eq!(call(&x.squeeze_dim(1)), x);
        assert_eq!(call(&x.expand([1, 3, 8, 8], false)), x);
    }

    #[test]
    fn invalid_images_are_refused_with_the_valid_shapes() {
        for (channels, size, says) in [
            (Channels::Grey, vec![2, 2, 8, 8], "images must be (N, height, width), (N, 1, height, width) or"),
            (Channels::Color, vec![3, 8, 8], "images must be (N, 3, height, width) or (N, 1, height, width)"),
            (Channels::Grey, vec![1, 1, 0, 8], "the images have no pixels"),
            (Channels::Grey, vec![1, 1, 1, 8, 8], "images must be"),
        ] {
            let x = Tensor::zeros(&size[..], (Kind::Float, tch::Device::Cpu));
            let error =
                fitting(channels, 8, 8, Decoding::default()).call("forward", &x).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
