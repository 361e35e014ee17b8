//! safetensors: the weights only, with PyTorch's names.
//!
//! Written by hand, because the safetensors crate writes the entries of `__metadata__` in random order, and exporting the same
//! model twice must give the same bytes.

use std::path::Path;

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::{ExportFormat, ExportedModel, Variants};
use crate::data::atomic;
use crate::error::{Error, Result};
use crate::model::weights::safetensors::{bytes_of, known_dtype};

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "safetensors",
    summary: "the weights with PyTorch's names, for safetensors.torch.load_file",
    extension: "safetensors",
    variants: Variants::Dtype,
    write,
};

/// The length of the header is a multiple of this, to align the data after it.
const ALIGNMENT: usize = 8;

fn write(exported: &ExportedModel, path: &Path) -> Result<()> {
    let mut state = exported.state()?;
    // The widest dtypes first, so that each tensor is aligned to its element size.
    state.sort_by(|(a, x), (b, y)| width(y).cmp(&width(x)).then_with(|| a.cmp(b)));
    let mut header = Map::from_iter([("__metadata__".to_string(), metadata_entries(exported))]);
    let mut data = Vec::new();
    for (name, tensor) in state {
        let dtype = known_dtype(tensor.kind()).ok_or_else(|| {
            let problem = format!(
                "the tensor `{name}` has the dtype {:?}, which safetensors does not support",
                tensor.kind()
            );
            Error::artifact(&exported.path, problem)
        })?;
        let start = data.len();
        data.extend(bytes_of(&tensor)?);
        let entry =
            json!({"dtype": dtype.to_string(), "shape": tensor.size(), "data_offsets": [start, data.len()]});
        header.insert(name, entry);
    }
    let mut header = serde_json::to_vec(&header).expect("a header serializes to JSON");
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let length = (header.len() as u64).to_le_bytes();
    Ok(atomic::write(path, &[length.as_slice(), &header, &data].concat())?)
}

/// The entry `format: pt` marks the names and layouts as PyTorch's.
fn metadata_entries(exported: &ExportedModel) -> Value {
    let entries = exported.notes().into_iter().map(|(name, text)| (name.to_string(), text.into()));
    Map::from_iter([("format".to_string(), "pt".into())].into_iter().chain(entries)).into()
}

fn width(tensor: &Tensor) -> usize {
    tensor.kind().elt_size_in_bytes()
}
