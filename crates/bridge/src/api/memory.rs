//! The memory of tensors: memory format, direct access and pinning.

use tch::Tensor;

use crate::Result;
use crate::ffi::{self, lend, own};

/// Converts a tensor (N, channels, height, width) to the channels-last memory format; returns any other tensor as it is.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(own(ffi::channels_last(lend(tensor))?))
}

/// The values of a contiguous float32 tensor on the CPU, so that a batch can overwrite the previous one. None for any other
/// tensor, and if a view, a clone or an autograd graph shares the tensor or its memory.
pub fn sole_floats(tensor: &mut Tensor) -> Option<&mut [f32]> {
    let values = ffi::sole_floats(lend(tensor));
    if values.is_null() {
        return None;
    }
    // SAFETY: the tensor is contiguous and holds `numel` floats at `values`, in memory that lives as long as `tensor`. No
    // other tensor refers to that memory, and `tensor` is borrowed mutably while the slice lives.
    Some(unsafe { std::slice::from_raw_parts_mut(values, tensor.numel()) })
}

/// Copies a CPU tensor to pinned (page-locked) memory, from which a GPU can copy asynchronously.
///
/// # Errors
/// CUDA is unavailable in this process.
pub fn pinned(tensor: &Tensor) -> Result<Tensor> {
    Ok(own(ffi::pinned(lend(tensor))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn channels_come_last_in_memory_and_nothing_else_changes() {
        let picture = Tensor::randn([2, 3, 4, 5], (Kind::Float, Device::Cpu));
        let last = channels_last(&picture).unwrap();
        assert_eq!((last.stride(), &last), (vec![60, 1, 15, 3], &picture));
        let grey = Tensor::randn([2, 1, 4, 5], (Kind::Float, Device::Cpu));
        let last = channels_last(&grey).unwrap();
        assert_eq!((last.stride(), &last), (vec![20, 1, 5, 1], &grey));
        let matrix = Tensor::randn([2, 3], (Kind::Float, Device::Cpu));
        assert_eq!(channels_last(&matrix).unwrap().stride(), [3, 1]);
    }

    #[test]
    fn what_is_written_is_in_the_tensor() {
        let mut tensor = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        sole_floats(&mut tensor).unwrap().copy_from_slice(&[1., 2., 3., 4., 5., 6.]);
        assert_eq!(Vec::<f32>::try_from(tensor.view(-1)).unwrap(), [1., 2., 3., 4., 5., 6.]);
    }

    #[test]
    fn memory_that_others_can_see_is_not_given() {
        let mut tensor = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let clone = tensor.shallow_clone();
        assert!(sole_floats(&mut tensor).is_none());
        drop(clone);
        let view = tensor.narrow(0, 0, 1);
        assert!(sole_floats(&mut tensor).is_none());
        drop(view);
        let weight = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let product = &tensor * &weight;
        assert!(sole_floats(&mut tensor).is_none());
        drop(product);
        assert!(sole_floats(&mut tensor).is_some());
        assert!(sole_floats(&mut tensor.tr()).is_none());
        assert!(sole_floats(&mut Tensor::from_slice(&[1i64])).is_none());
    }
}
