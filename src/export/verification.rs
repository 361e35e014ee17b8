//! The extra file `verification.json`: sample inputs and logits, to verify that a model file still computes the same results.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::Dtype;
use crate::data::{InputShape, hexadecimal};
use crate::error::{Error, Result};
use crate::model::executor::Executor;
use crate::model::weights::safetensors::bytes_of;

/// The name of the extra file.
pub const VERIFICATION: &str = "verification.json";

/// The number of validation examples stored with a model.
pub const SAMPLES: usize = 4;

/// The tolerance of a logit relative to the largest one. Hardware differs in rounding, and a deep model accumulates the errors.
fn tolerance(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => 1e-3,
        Dtype::Fp16 => 2e-2,
        Dtype::Bf16 => 1e-1,
    }
}

/// The contents of `verification.json`.
///
/// ```
/// use cresset::export::{Dtype, Verification};
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let inputs = Tensor::ones([3, 4], (Kind::Float, Device::Cpu));
/// let record = Verification::of(&exported.module, &inputs, Device::Cpu, Dtype::F32)?;
/// let result = record.check(&exported.module, Device::Cpu)?;
/// assert_eq!((result.samples, result.problem()), (3, None));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// SHA-256 of names, dtypes, sizes and values of all parameters and buffers, and of the tensors in the code.
    pub state_sha256: String,
    /// The dtype of the network.
    #[serde(default)]
    dtype: Dtype,
    /// Raw inputs.
    inputs: Packed,
    /// The logits of these inputs, float32.
    logits: Packed,
}

/// A serialized tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Packed {
    dtype: PackedDtype,
    shape: Vec<i64>,
    /// The values in base64, little-endian.
    values: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PackedDtype {
    Uint8,
    Float32,
}

/// The result of a verification.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let result = fitted.classifier()?.replay()?.expect("an exported model has samples");
/// assert!(result.has_same_state && result.computes_the_same);
/// assert_eq!(result.problem(), None);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerificationResult {
    /// Whether the parameters and buffers are unchanged, as far as they can be read.
    pub has_same_state: bool,
    /// Whether the model has parameters, buffers or constants that can be read. A compiled package has none.
    pub has_state: bool,
    /// The number of samples.
    pub samples: i64,
    /// The largest difference from a recorded logit.
    pub largest_difference: f64,
    /// Whether that difference is within the tolerance.
    pub computes_the_same: bool,
}

impl Verification {
    /// Records the logits of raw inputs, (N, …), for a model on this device.
    ///
    /// # Errors
    /// A model that fails, and infinite or NaN logits in float16.
    pub fn of(model: &dyn Executor, inputs: &Tensor, device: Device, dtype: Dtype) -> Result<Self> {
        let on_device = inputs.f_to_device(device)?;
        let logits = model.forward(&on_device)?;
        if dtype == Dtype::Fp16 && logits.isfinite().all().int64_value(&[]) == 0 {
            let problem = "--dtype fp16: the model's values exceed the range of float16 (65,504); bf16 has the range of float32";
            return Err(Error::Usage(problem.to_string()));
        }
        Ok(Verification {
            state_sha256: sha256_of(model)?,
            dtype,
            inputs: Packed::new(inputs)?,
            logits: Packed::new(&logits)?,
        })
    }

    /// The raw inputs, (N, …).
    ///
    /// # Errors
    /// An invalid record.
    pub fn inputs(&self) -> Result<Tensor> {
        self.inputs.tensor()
    }

    /// The shape of one raw input.
    ///
    /// # Errors
    /// An invalid record.
    pub fn input(&self) -> Result<InputShape> {
        Ok(InputShape(self.inputs.tensor()?.size()[1..].to_vec()))
    }

    /// The record of the same model in a format that stores other tensors, with their SHA-256.
    pub(crate) fn of_other_tensors(&self, state_sha256: String) -> Self {
        Verification { state_sha256, ..self.clone() }
    }

    /// Compares a model on this device with the record.
    ///
    /// # Errors
    /// An invalid record, and a model that fails.
    pub fn check(&self, model: &dyn Executor, device: Device) -> Result<VerificationResult> {
        let (inputs, expected) = (self.inputs.tensor()?, self.logits.tensor()?);
        let inputs = inputs.f_to_device(device)?;
        let logits = model.forward(&inputs)?.f_to_device(Device::Cpu)?;
        if logits.size() != expected.size() {
            return Err(invalid("the model returns logits of a different size"));
        }
        let largest_difference = (logits - &expected).abs().max().double_value(&[]);
        let scale = expected.abs().max().double_value(&[]).max(1.);
        let (state, constants) = (model.state()?, model.constants()?);
        let has_state = !state.is_empty() || !constants.is_empty();
        Ok(VerificationResult {
            has_same_state: !has_state || Verification::state_sha256(state, constants)? == self.state_sha256,
            has_state,
            samples: inputs.size()[0],
            largest_difference,
            computes_the_same: largest_difference <= tolerance(self.dtype) * scale,
        })
    }
}

impl Verification {
    /// SHA-256 of named tensors, in this order, and of constants in any order.
    pub(crate) fn state_sha256(state: Vec<(String, Tensor)>, constants: Vec<Tensor>) -> Result<String> {
        let mut hash = Sha256::new();
        for (name, tensor) in state {
            hash.update(format!("{name} {:?} {:?}\n", tensor.kind(), tensor.size()));
            hash.update(bytes_of(&tensor)?);
        }
        // Methods may share constants, and their order may change when a file is loaded.
        let constants: BTreeSet<_> = constants.iter().map(constant_sha256).collect::<Result<_>>()?;
        constants.iter().for_each(|constant| hash.update(constant));
        Ok(hexadecimal(&hash.finalize()))
    }
}

impl VerificationResult {
    /// The reason of a failed verification.
    pub fn problem(&self) -> Option<String> {
        if !self.computes_the_same {
            return Some(format!(
                "it computes different results than when it was written: the logits of its recorded samples differ by up to {:.1e}",
                self.largest_difference
            ));
        }
        let changed = "its parameters have changed since it was written (their SHA-256 differs)";
        (!self.has_same_state).then(|| changed.to_string())
    }
}

impl Packed {
    fn new(tensor: &Tensor) -> Result<Self> {
        let (dtype, tensor) = match tensor.kind() {
            Kind::Uint8 => (PackedDtype::Uint8, tensor.shallow_clone()),
            _ => (PackedDtype::Float32, tensor.to_kind(Kind::Float)),
        };
        Ok(Packed { dtype, shape: tensor.size(), values: STANDARD.encode(bytes_of(&tensor)?) })
    }

    fn tensor(&self) -> Result<Tensor> {
        let values = STANDARD.decode(&self.values).map_err(|_| invalid("its values are not valid base64"))?;
        let kind = match self.dtype {
            PackedDtype::Uint8 => Kind::Uint8,
            PackedDtype::Float32 => Kind::Float,
        };
        let count = self.shape.iter().try_fold(1i64, |n, size| n.checked_mul(*size).filter(|n| *n >= 0));
        let bytes = count.and_then(|n| n.checked_mul(kind.elt_size_in_bytes() as i64));
        if bytes != Some(values.len() as i64) || self.shape.first().is_none_or(|rows| *rows < 1) {
            return Err(invalid("the shape of its samples does not match their values"));
        }
        Ok(Tensor::f_from_data_size(&values, &self.shape, kind)?)
    }
}

fn invalid(problem: &str) -> Error {
    Error::Usage(format!("its {VERIFICATION} is invalid: {problem}"))
}

fn sha256_of(model: &dyn Executor) -> Result<String> {
    Verification::state_sha256(model.state()?, model.constants()?)
}

fn constant_sha256(tensor: &Tensor) -> Result<String> {
    let mut hash = Sha256::new_with_prefix(format!("{:?} {:?}\n", tensor.kind(), tensor.size()));
    hash.update(bytes_of(tensor)?);
    Ok(hexadecimal(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_shape_and_no_values_make_the_reader_panic(shape: Vec<i64>, values in "[A-Za-z0-9+/]{0,40}={0,2}", bytes: bool) {
            let dtype = if bytes { PackedDtype::Uint8 } else { PackedDtype::Float32 };
            let _ = Packed { dtype, shape, values }.tensor();
        }

        #[test]
        fn tensors_round_trip(rows in 1i64..4, columns in 0i64..5, bytes: bool) {
            let tensor = Tensor::rand([rows, columns], (Kind::Float, Device::Cpu)) * 255.;
            let tensor = if bytes { tensor.to_kind(Kind::Uint8) } else { tensor };
            prop_assert_eq!(Packed::new(&tensor).unwrap().tensor().unwrap(), tensor);
        }
    }
}
