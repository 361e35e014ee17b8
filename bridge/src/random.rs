//! The state of libtorch's default random generator on the CPU, which dropout and initialisation draw from.

use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend, own};

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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

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
