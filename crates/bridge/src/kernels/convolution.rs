//! bfloat16 convolutions whose weight gradients need fewer AMX tiles than libtorch's.

use tch::Tensor;

use super::Kernel;
use crate::Result;
use crate::ffi::{self, lend, own};

/// Convolves images, (N, channels, height, width), with a weight, (outputs, channels, kernel, kernel), like autocast to
/// bfloat16; supports one backward pass. `None` where libtorch's operation is faster or required: on CPUs without AMX,
/// without autocast, for outputs of more than eight columns, and for inputs that are not in channels-last format.
pub fn convolve(pictures: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Result<Option<Tensor>> {
    if !Kernel::Bf16Convolution.is_enabled() || !ffi::multiplies_bfloat16_tiles() {
        return Ok(None);
    }
    let convolved = on_any_processor(pictures, weight, stride, padding)?;
    Ok(convolved.inspect(|_| Kernel::Bf16Convolution.count_run()))
}

fn on_any_processor(pictures: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Result<Option<Tensor>> {
    let convolved = ffi::convolve(lend(pictures), lend(weight), stride, padding)?;
    Ok((!convolved.is_null()).then(|| own(convolved)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autocast;
    use crate::error_beside::error;
    use crate::memory::channels_last;
    use tch::{Device, Kind};

    fn tensors(batch: i64, channels: [i64; 2], side: i64, kernel: i64) -> [Tensor; 2] {
        let options = (Kind::Float, Device::Cpu);
        let pictures = channels_last(&Tensor::randn([batch, channels[0], side, side], options)).unwrap();
        let weight = Tensor::randn([channels[1], channels[0], kernel, kernel], options);
        [pictures, channels_last(&weight).unwrap()].map(|tensor| tensor.set_requires_grad(true))
    }

    fn ours(pictures: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Option<Tensor> {
        let convolve = || on_any_processor(pictures, weight, stride, padding).unwrap();
        autocast::with(Device::Cpu, Kind::BFloat16, convolve).unwrap()
    }

    /// The error relative to float64 is about the same as that of libtorch's bfloat16, or smaller.
    #[test]
    fn values_and_gradients_are_as_exact_as_libtorchs() {
        tch::manual_seed(3);
        for (batch, channels, side, kernel, stride, padding) in [
            (3, [8, 16], 4, 3, 1, 1),
            (2, [16, 8], 15, 3, 2, 1),
            (5, [3, 5], 8, 5, 1, 2),
            (1, [32, 32], 3, 2, 1, 0),
            (4, [6, 7], 7, 3, 3, 0),
        ] {
            let exact = tensors(batch, channels, side, kernel);
            let copied = || {
                exact
                    .each_ref()
                    .map(|tensor| channels_last(&tensor.detach().copy()).unwrap().set_requires_grad(true))
            };
            let (own, theirs) = (copied(), copied());
            let of = |[x, weight]: &[Tensor; 2]| {
                x.conv2d::<&Tensor>(weight, None, [stride, stride], [padding, padding], [1, 1], 1)
            };
            let wide =
                exact.each_ref().map(|tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true));
            let results = [
                ours(&own[0], &own[1], stride, padding).expect("the kernel applies"),
                autocast::with(Device::Cpu, Kind::BFloat16, || of(&theirs)).unwrap(),
                of(&wide),
            ];
            let direction = Tensor::randn(results[0].size(), (Kind::BFloat16, Device::Cpu));
            for result in &results {
                (result * direction.to_kind(result.kind())).sum(result.kind()).backward();
            }
            assert_eq!((results[0].kind(), results[0].stride()), (results[1].kind(), results[1].stride()));
            assert!(results[0].equal(&results[1].detach()));
            for index in 0..2 {
                let [own, theirs, exact] = [&own, &theirs, &wide].map(|tensors| tensors[index].grad());
                assert_eq!((own.kind(), own.stride()), (Kind::Float, theirs.stride()));
                let [ours, theirs] = [own, theirs].map(|found| error(&[found], std::slice::from_ref(&exact)));
                assert!(ours <= 1.5 * theirs + 1e-3, "{side}, {index}: {ours} vs. {theirs}");
            }
        }
    }

    #[test]
    fn a_frozen_weight_and_images_that_need_no_gradient_get_none() {
        for frozen in 0..2 {
            let tensors = tensors(2, [8, 8], 4, 3);
            let _ = tensors[frozen].set_requires_grad(false);
            ours(&tensors[0], &tensors[1], 1, 1).unwrap().sum(Kind::Float).backward();
            assert!(!tensors[frozen].grad().defined() && tensors[1 - frozen].grad().defined());
        }
    }

    #[test]
    fn what_others_do_better_is_left_to_them() {
        let [pictures, weight] = tensors(2, [8, 8], 4, 3);
        assert!(on_any_processor(&pictures, &weight, 1, 1).unwrap().is_none(), "no autocast");
        assert!(ours(&pictures, &weight, 1, 1).is_some());
        assert!(ours(&pictures.contiguous(), &weight, 1, 1).is_none(), "channels first");
        assert!(ours(&tensors(2, [8, 8], 16, 3)[0], &weight, 1, 1).is_none(), "wide");
        assert!(
            ours(&pictures, &tensors(2, [8, 8], 4, 1)[1], 1, 0).is_none(),
            "a 1×1 convolution is already a matrix product"
        );
        assert!(ours(&pictures, &tensors(2, [6, 8], 4, 3)[1], 1, 1).is_none(), "the channels differ");
        assert!(
            ours(&pictures, &tensors(2, [8, 8], 4, 7)[1], 1, 1).is_none(),
            "the kernel is larger than the image"
        );
    }
}
