//! The tensors that a package stores: `data/weights/NAME_weights_config.json` and `data/constants/NAME_constants_config.json` list
//! their files and descriptions.

use std::collections::BTreeMap;

use serde_json::Value;
use tch::{Kind, Tensor};

use super::program::{KINDS, Meta, Program, kind_of};
use crate::error::quoted;
use crate::model::weights::one_tensor;

/// The role of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Parameter,
    Buffer,
    Constant,
}

/// A tensor and the record with its values.
#[derive(Debug)]
pub struct Stored {
    pub role: Role,
    pub record: String,
    pub sizes: Vec<i64>,
    strides: Vec<i64>,
    offset: i64,
    dtype: i64,
    device: String,
    /// Whether the record is a file of `torch.save`.
    is_pickled: bool,
    /// Whether the graph describes it differently, by which libtorch reads it.
    differs: bool,
}

/// The tensors that a list describes. Objects that are not tensors are left out.
///
/// # Errors
/// An invalid list.
pub fn read(config: &Value, folder: &str, program: &Program) -> Result<BTreeMap<String, Stored>, String> {
    let fault = |name: &str| format!("the description of the tensor {} is damaged", quoted(name));
    let list = config["config"].as_object().ok_or_else(|| format!("the list of its {folder} is damaged"))?;
    let mut all = BTreeMap::new();
    for (name, payload) in list {
        let file = payload["path_name"].as_str().ok_or_else(|| fault(name))?;
        // The name of a member of the archive.
        if file.contains('/') || file.contains("..") {
            return Err(fault(name));
        }
        if payload["tensor_meta"].is_null() {
            continue;
        }
        let meta = Meta::read(&payload["tensor_meta"]).ok_or_else(|| fault(name))?;
        let fixed = |sizes: &[super::program::Size]| sizes.iter().map(|size| size.fixed()).collect();
        let (sizes, strides): (Option<Vec<i64>>, Option<Vec<i64>>) =
            (fixed(&meta.sizes), fixed(&meta.strides));
        let (Some(sizes), Some(strides), Some(offset)) = (sizes, strides, meta.offset) else {
            return Err(fault(name));
        };
        let role = match folder {
            "constants" => Role::Constant,
            _ if program.parameters.contains(name) => Role::Parameter,
            _ => Role::Buffer,
        };
        let in_graph = program.stored.get(name);
        let is_same = |graph: &Option<Meta>| {
            graph.as_ref().is_some_and(|graph| {
                (&graph.sizes, &graph.strides, graph.dtype) == (&meta.sizes, &meta.strides, meta.dtype)
            })
        };
        let stored = Stored {
            role,
            record: format!("data/{folder}/{file}"),
            sizes,
            strides,
            offset,
            dtype: meta.dtype,
            is_pickled: payload["use_pickle"].as_bool().unwrap_or(false),
            differs: in_graph.is_some_and(|graph| !is_same(graph)),
            device: meta.device,
        };
        all.insert(name.clone(), stored);
    }
    Ok(all)
}

impl Stored {
    /// The name of the dtype.
    pub fn dtype_name(&self) -> &'static str {
        KINDS.iter().find(|(.., known)| *known == self.dtype).map_or("unknown", |(_, name, ..)| name)
    }

    /// The number of values.
    pub fn count(&self) -> usize {
        self.sizes.iter().fold(1i64, |count, size| count.saturating_mul(*size)) as usize
    }

    /// Checks that the tensor lies within its record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, size: &dyn Fn(&str) -> Option<u64>) -> Result<(), String> {
        let record = quoted(&self.record);
        let bytes = size(&self.record).ok_or_else(|| format!("has no member {record}"))?;
        if self.is_pickled {
            return Ok(());
        }
        let needed = self.needed_bytes()?;
        if needed > bytes {
            return Err(format!("needs {needed} bytes, but its member {record} has {bytes}"));
        }
        Ok(())
    }

    /// The bytes from the start of the record to the end of the tensor.
    fn needed_bytes(&self) -> Result<u64, String> {
        let faulty = || "has an invalid size, stride or offset".to_string();
        let is_negative = |numbers: &[i64]| numbers.iter().any(|number| *number < 0);
        if is_negative(&self.sizes) || is_negative(&self.strides) || self.offset < 0 {
            return Err(faulty());
        }
        if self.sizes.len() != self.strides.len() || self.sizes.len() > MOST_DIMENSIONS {
            return Err(faulty());
        }
        if self.sizes.contains(&0) {
            return Ok(0);
        }
        let last =
            self.sizes.iter().zip(&self.strides).try_fold(self.offset, |last, (size, stride)| {
                last.checked_add((size - 1).checked_mul(*stride)?)
            });
        // Dtypes that are not read have at most 16 bytes.
        let width = kind_of(self.dtype).map_or(16, Kind::elt_size_in_bytes);
        let bytes = last.and_then(|last| u64::try_from(last).ok()?.checked_add(1)?.checked_mul(width as u64));
        bytes.ok_or_else(faulty)
    }

    /// Checks that libtorch's interpreter reads the tensor correctly: it takes the description in the graph, starts at the first byte of
    /// the record, and reads no Python objects.
    ///
    /// # Errors
    /// What it does not read.
    pub fn check_runs(&self) -> Result<(), String> {
        let problem = match () {
            () if self.is_pickled => "is a Python object; export the model with plain tensors",
            () if self.differs => "is described in two different ways, so the package is damaged",
            () if self.offset != 0 => {
                "is a part of another tensor, which libtorch's interpreter reads incorrectly; clone it before exporting the model"
            }
            () if self.device != "cpu" => "is on a GPU; export the model on the CPU",
            () if kind_of(self.dtype).is_none() => "has a dtype that is not supported",
            () => return Ok(()),
        };
        Err(problem.to_string())
    }

    /// The tensor with the bytes of its record.
    ///
    /// # Errors
    /// A Python object that is not a plain tensor, and a dtype that is not supported.
    pub fn tensor(&self, bytes: Vec<u8>) -> Result<Tensor, String> {
        if self.is_pickled {
            return one_tensor(bytes);
        }
        let kind = kind_of(self.dtype).ok_or("has a dtype that is not supported")?;
        let needed = self.needed_bytes()?;
        if needed == 0 {
            return Tensor::f_zeros(&self.sizes[..], (kind, tch::Device::Cpu)).map_err(|e| format!("{e}"));
        }
        if self.count() as u64 > bytes.len() as u64 {
            return Err("repeats values, and a small package could define a huge tensor".to_string());
        }
        let width = kind.elt_size_in_bytes();
        let whole = bytes.len() - bytes.len() % width;
        let values = crate::model::weights::storage_tensor(bytes[..whole].to_vec(), kind)
            .map_err(|e| format!("cannot be read: {e}"))?;
        let view = values.f_as_strided(&self.sizes[..], &self.strides[..], self.offset);
        view.map_err(|e| format!("cannot be read: {e}"))
    }
}

/// Maximum number of dimensions of libtorch's kernels.
const MOST_DIMENSIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn stored(sizes: &[i64], strides: &[i64], offset: i64) -> Stored {
        Stored {
            role: Role::Parameter,
            record: "data/weights/weight_0".to_string(),
            sizes: sizes.to_vec(),
            strides: strides.to_vec(),
            offset,
            dtype: 7,
            device: "cpu".to_string(),
            is_pickled: false,
            differs: false,
        }
    }

    fn check(sizes: &[i64], strides: &[i64], offset: i64, bytes: u64) -> Result<(), String> {
        stored(sizes, strides, offset).check(&|_| Some(bytes))
    }

    #[test]
    fn a_tensor_must_lie_within_its_record() {
        assert_eq!(check(&[2, 3], &[3, 1], 0, 24), Ok(()));
        assert_eq!(check(&[2, 3], &[1, 2], 0, 24), Ok(()));
        assert_eq!(check(&[0, 3], &[3, 1], 0, 0), Ok(()));
        assert_eq!(check(&[], &[], 0, 4), Ok(()));
        assert!(check(&[2, 3], &[3, 1], 0, 23).unwrap_err().contains("needs 24 bytes"));
        assert!(check(&[2, 3], &[3, 1], 1, 24).unwrap_err().contains("needs 28 bytes"));
        for (sizes, strides, offset) in [
            (&[-2][..], &[1][..], 0),
            (&[2], &[-1], 0),
            (&[2], &[1], -1),
            (&[2], &[], 0),
            (&[i64::MAX], &[i64::MAX], 1),
        ] {
            assert!(check(sizes, strides, offset, 1 << 40).unwrap_err().contains("invalid"), "{sizes:?}");
        }
        assert!(stored(&[1], &[1], 0).check(&|_| None).unwrap_err().contains("has no member"));
    }

    #[test]
    fn the_values_of_a_view_are_read_and_repeated_values_are_refused() {
        let bytes: Vec<u8> = (0..6).flat_map(|value| (value as f32).to_le_bytes()).collect();
        let view = stored(&[2, 2], &[1, 2], 1).tensor(bytes.clone()).unwrap();
        assert_eq!(view, Tensor::from_slice2(&[[1f32, 3.], [2., 4.]]));
        assert_eq!(view.device(), Device::Cpu);
        assert!(stored(&[1000, 1000], &[0, 0], 0).tensor(bytes).unwrap_err().contains("repeats values"));
    }
}
