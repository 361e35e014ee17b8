//! The state of libtorch's default random generators, which dropout and initialisation draw from.

use tch::{Device, Tensor};

use crate::ffi::{self, lend, own};
use crate::{Error, Result};

/// The generator's state, uint8 (5056).
pub fn cpu_generator_state() -> Result<Tensor> {
    Ok(own(ffi::cpu_generator_state()?))
}

/// Takes the generator back to a state that [`cpu_generator_state`] gave.
///
/// # Errors
/// A tensor that is no such state.
pub fn set_cpu_generator_state(state: &Tensor) -> Result<()> {
    Ok(ffi::set_cpu_generator_state(lend(state))?)
}

/// The state of the generator of a CUDA device, uint8.
///
/// # Errors
/// A device that is no CUDA device, or is not there.
pub fn cuda_generator_state(device: Device) -> Result<Tensor> {
    Ok(own(ffi::cuda_generator_state(index(device)?)?))
}

/// Takes the generator of a CUDA device back to a state that [`cuda_generator_state`] gave.
pub fn set_cuda_generator_state(device: Device, state: &Tensor) -> Result<()> {
    Ok(ffi::set_cuda_generator_state(index(device)?, lend(state))?)
}

fn index(device: Device) -> Result<i64> {
    match device {
        Device::Cuda(index) => Ok(index as i64),
        other => Err(Error(format!("{other:?} is no CUDA device"))),
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
