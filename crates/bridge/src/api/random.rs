//! The state of libtorch's default random number generators, used by dropout and initialization.

use tch::{Device, Tensor};

use crate::ffi::{self, lend, own};
use crate::{Error, Result};

/// Returns the state of the CPU generator, uint8 (5056).
pub fn cpu_generator_state() -> Result<Tensor> {
    Ok(own(ffi::cpu_generator_state()?))
}

/// Restores a state returned by [`cpu_generator_state`].
///
/// # Errors
/// The tensor is not a generator state.
pub fn set_cpu_generator_state(state: &Tensor) -> Result<()> {
    Ok(ffi::set_cpu_generator_state(lend(state))?)
}

/// Returns the state of the generator of a CUDA device, uint8.
///
/// # Errors
/// The device is not a CUDA device, or does not exist.
pub fn cuda_generator_state(device: Device) -> Result<Tensor> {
    Ok(own(ffi::cuda_generator_state(index(device)?)?))
}

/// Restores a state of a CUDA device's generator, returned by [`cuda_generator_state`].
pub fn set_cuda_generator_state(device: Device, state: &Tensor) -> Result<()> {
    Ok(ffi::set_cuda_generator_state(index(device)?, lend(state))?)
}

fn index(device: Device) -> Result<i64> {
    match device {
        Device::Cuda(index) => Ok(index as i64),
        other => Err(Error(format!("{other:?} is not a CUDA device"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn a_restored_state_draws_the_same_numbers() {
        let state = cpu_generator_state().unwrap();
        let first = Tensor::rand([8], (Kind::Float, Device::Cpu));
        set_cpu_generator_state(&state).unwrap();
        assert_eq!(first, Tensor::rand([8], (Kind::Float, Device::Cpu)));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        assert!(set_cpu_generator_state(&Tensor::from_slice(&[1u8, 2])).is_err());
    }
}
