//! Tensors of a layer that are neither parameters nor buffers.

use std::cell::OnceCell;

use tch::Tensor;

/// A constant that is computed when the layer is built, such as a table of angles. It is not in the state of the model.
///
/// ```
/// use cresset::model::layer::Constant;
/// use tch::{Device, Kind, Tensor};
///
/// let angles = Constant::new(Tensor::arange(4, (Kind::Float, Device::Cpu)));
/// let x = Tensor::zeros([4], (Kind::Double, Device::Cpu));
/// assert_eq!(angles.like(&x).kind(), Kind::Double);
/// ```
#[derive(Debug)]
pub struct Constant {
    value: Tensor,
    /// On the device of the model.
    placed: OnceCell<Tensor>,
}

impl Constant {
    /// A constant on the CPU.
    pub fn new(value: Tensor) -> Self {
        Constant { value, placed: OnceCell::new() }
    }

    /// The value on the CPU.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The value on the device of `x` and in its dtype.
    pub fn like(&self, x: &Tensor) -> Tensor {
        let placed = self.placed.get_or_init(|| self.value.to_device(x.device()));
        placed.to_device(x.device()).to_kind(x.kind())
    }
}
