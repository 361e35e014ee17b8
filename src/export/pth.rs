//! `.pth`: a state_dict for PyTorch's `torch.load`, also with `weights_only=True` and `mmap=True`.
//!
//! The layout is that of `torch.save`: an uncompressed zip archive in which `data.pkl` is a pickled `OrderedDict`, whose tensors
//! refer to their values in the members `data/0`, `data/1`, …

use std::path::Path;

use tch::{Kind, Tensor};

use super::{ExportFormat, ExportedModel, Variants, zip_archive};
use crate::data::atomic;
use crate::error::{Error, Result};
use crate::model::weights::safetensors::bytes_of;

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "pth",
    summary: "a PyTorch state_dict, for torch.load(weights_only=True)",
    extension: "pth",
    variants: Variants::Dtype,
    write,
};

/// The version of the archive format that PyTorch writes.
const VERSION: &[u8] = b"3\n";

fn write(exported: &ExportedModel, path: &Path) -> Result<()> {
    let state = exported.state()?;
    let pickle = Pickle::of(&state).map_err(|problem| Error::artifact(&exported.path, problem))?;
    let values = state.iter().map(|(_, tensor)| bytes_of(tensor)).collect::<Result<Vec<_>>>()?;
    let bytes = saved(&pickle, &values).map_err(Error::io("write", path))?;
    Ok(atomic::write(path, &bytes)?)
}

/// A file of `torch.save` with the arguments `((example,), {})` of a call, as torch.export packages store them.
///
/// # Errors
/// A tensor of a dtype that is not supported.
pub(super) fn example_inputs(example: &Tensor) -> Result<Vec<u8>> {
    let pickle = Pickle::of_call(example).map_err(Error::Usage)?;
    saved(&pickle, &[bytes_of(example)?]).map_err(Error::io("write", Path::new("the example inputs")))
}

/// A file of `torch.save`: a pickle, and the values of the tensors that it refers to by their number.
fn saved(pickle: &[u8], values: &[Vec<u8>]) -> std::io::Result<Vec<u8>> {
    let names: Vec<_> = (0..values.len()).map(|index| format!("data/{index}")).collect();
    let values = names.iter().zip(values).map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let head: [(&str, &[u8]); 2] = [("data.pkl", pickle), ("byteorder", b"little")];
    zip_archive::stored("archive", head.into_iter().chain(values).chain([("version", VERSION)]))
}

/// A writer for the subset of pickle protocol 2 that a state_dict needs.
struct Pickle(Vec<u8>);

impl Pickle {
    const PROTOCOL_2: &[u8] = b"\x80\x02";
    const MARK: &[u8] = b"(";
    const TUPLE: &[u8] = b"t";
    const EMPTY_TUPLE: &[u8] = b")";
    const EMPTY_DICT: &[u8] = b"}";
    const REDUCE: &[u8] = b"R";
    const FALSE: &[u8] = b"\x89";
    const PERSISTENT_ID: &[u8] = b"Q";
    const SET_ITEMS: &[u8] = b"u";
    const STOP: &[u8] = b".";

    /// Pickles the state as an `OrderedDict` of tensors; tensor i uses the storage with key i.
    fn of(state: &[(String, Tensor)]) -> std::result::Result<Vec<u8>, String> {
        let mut pickle = Pickle(Vec::new());
        pickle.put(&[Self::PROTOCOL_2]);
        pickle.ordered_dict();
        pickle.put(&[Self::MARK]);
        for (index, (name, tensor)) in state.iter().enumerate() {
            pickle.text(name);
            pickle.tensor(index, tensor).map_err(|problem| format!("the tensor `{name}` {problem}"))?;
        }
        pickle.put(&[Self::SET_ITEMS, Self::STOP]);
        Ok(pickle.0)
    }

    /// Pickles `((example,), {})`, with the storage 0.
    fn of_call(example: &Tensor) -> std::result::Result<Vec<u8>, String> {
        let mut pickle = Pickle(Vec::new());
        pickle.put(&[Self::PROTOCOL_2, Self::MARK, Self::MARK]);
        pickle.tensor(0, example).map_err(|problem| format!("the example {problem}"))?;
        pickle.put(&[Self::TUPLE, Self::EMPTY_DICT, Self::TUPLE, Self::STOP]);
        Ok(pickle.0)
    }

    fn put(&mut self, opcodes: &[&[u8]]) {
        opcodes.iter().for_each(|opcode| self.0.extend(*opcode));
    }

    fn global(&mut self, module: &str, name: &str) {
        self.put(&[format!("c{module}\n{name}\n").as_bytes()]);
    }

    fn text(&mut self, text: &str) {
        self.put(&[b"X", &(text.len() as u32).to_le_bytes(), text.as_bytes()]);
    }

    /// Always eight bytes.
    fn int(&mut self, value: i64) {
        self.put(&[b"\x8a\x08", &value.to_le_bytes()]);
    }

    fn ints(&mut self, values: &[i64]) {
        self.put(&[Self::MARK]);
        values.iter().for_each(|value| self.int(*value));
        self.put(&[Self::TUPLE]);
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.put(&[Self::EMPTY_TUPLE, Self::REDUCE]);
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`.
    fn tensor(&mut self, index: usize, tensor: &Tensor) -> std::result::Result<(), String> {
        let storage = storage(tensor.kind()).ok_or_else(|| {
            format!("has the dtype {:?}, which this format does not support", tensor.kind())
        })?;
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.put(&[Self::MARK, Self::MARK]);
        self.text("storage");
        self.global("torch", storage);
        self.text(&index.to_string());
        self.text("cpu");
        self.int(tensor.numel() as i64);
        self.put(&[Self::TUPLE, Self::PERSISTENT_ID]);
        self.int(0);
        self.ints(&tensor.size());
        self.ints(&contiguous_strides(&tensor.size()));
        self.put(&[Self::FALSE]);
        self.ordered_dict();
        self.put(&[Self::TUPLE, Self::REDUCE]);
        Ok(())
    }
}

/// The strides of a contiguous tensor.
fn contiguous_strides(size: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; size.len()];
    for dimension in (1..size.len()).rev() {
        strides[dimension - 1] = strides[dimension] * size[dimension].max(1);
    }
    strides
}

fn storage(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Float => "FloatStorage",
        Kind::Double => "DoubleStorage",
        Kind::Half => "HalfStorage",
        Kind::BFloat16 => "BFloat16Storage",
        Kind::Int64 => "LongStorage",
        Kind::Int => "IntStorage",
        Kind::Int16 => "ShortStorage",
        Kind::Int8 => "CharStorage",
        Kind::Uint8 => "ByteStorage",
        Kind::Bool => "BoolStorage",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn strides_are_contiguous() {
        for size in [vec![], vec![3], vec![2, 3, 4]] {
            let tensor = Tensor::zeros(&size[..], (Kind::Float, Device::Cpu));
            assert_eq!(contiguous_strides(&size), tensor.stride());
        }
    }

    #[test]
    fn a_tensor_of_an_unsupported_dtype_is_reported() {
        let state = [("w".to_string(), Tensor::zeros([2], (Kind::ComplexFloat, Device::Cpu)))];
        assert!(Pickle::of(&state).unwrap_err().starts_with("the tensor `w` has the dtype ComplexFloat"));
    }
}
