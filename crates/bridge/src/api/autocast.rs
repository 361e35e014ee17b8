//! Autocast: operations that are safe in lower precision run in it; all others stay in float32.

use tch::{Device, Kind};

use crate::ffi;
use crate::{Error, Result};

/// Runs `work` with autocast to `kind`, bfloat16 or float16, on the device type of `device`.
///
/// # Errors
/// `kind` is any other dtype.
pub fn with<R>(device: Device, kind: Kind, work: impl FnOnce() -> R) -> Result<R> {
    if !matches!(kind, Kind::BFloat16 | Kind::Half) {
        return Err(Error(format!("autocast does not support {kind:?}")));
    }
    let _entered = ffi::enter_autocast(device.is_cuda(), kind == Kind::Half)?;
    Ok(work())
}

/// Whether float32 matrix products on CUDA may use TF32 (19-bit factors).
pub fn allow_tf32(allow: bool) -> Result<()> {
    Ok(ffi::allow_tf32(allow)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    #[test]
    fn products_are_computed_in_fewer_bits_and_only_within() {
        let x = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        for kind in [Kind::BFloat16, Kind::Half] {
            let product = with(Device::Cpu, kind, || x.matmul(&x)).unwrap();
            assert_eq!(product.kind(), kind);
            assert_eq!(x.matmul(&x).kind(), Kind::Float);
        }
        assert!(with(Device::Cpu, Kind::Int64, || ()).is_err());
    }

    #[test]
    fn weights_that_change_between_two_passes_are_seen() {
        let weight = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let x = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
        let pass = || with(Device::Cpu, Kind::BFloat16, || x.linear::<&Tensor>(&weight, None)).unwrap();
        assert_eq!(pass().double_value(&[0, 0]), 2.);
        let _ = tch::no_grad(|| weight.shallow_clone().fill_(3.));
        assert_eq!(pass().double_value(&[0, 0]), 6.);
    }
}
