//! safetensors: the weights alone, under PyTorch's names.
//!
//! Written by hand, because the crate puts several members of `__metadata__` in a random order, and the same model is to
//! give the same bytes.

use std::path::Path;

use serde_json::{Map, Value, json};
use tch::Tensor;

use super::{ExportFormat, Exported, Variants};
use crate::data::atomic;
use crate::error::{Error, Result};
use crate::model::weights::safetensors::{bytes_of, known_dtype};

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "safetensors",
    summary: "the weights under PyTorch's names, for safetensors.torch.load_file",
    extension: "safetensors",
    variants: Variants::Dtype,
    write,
};

/// The header's length is a multiple of this, so that the data behind it is aligned.
const ALIGNMENT: usize = 8;

fn write(exported: &Exported, path: &Path) -> Result<()> {
    let mut state = exported.state()?;
    // The widest values first, so that each tensor stands at a multiple of its values' width.
    state.sort_by(|(a, x), (b, y)| width(y).cmp(&width(x)).then_with(|| a.cmp(b)));
    let mut header = Map::from_iter([("__metadata__".to_string(), notes(exported))]);
    let mut data = Vec::new();
    for (name, tensor) in state {
        let dtype = known_dtype(tensor.kind()).ok_or_else(|| {
            let problem = format!("the tensor `{name}` is {:?}, which safetensors has not", tensor.kind());
            Error::artifact(&exported.path, problem)
        })?;
        let start = data.len();
        data.extend(bytes_of(&tensor)?);
        let place =
            json!({"dtype": dtype.to_string(), "shape": tensor.size(), "data_offsets": [start, data.len()]});
        header.insert(name, place);
    }
    let mut header = serde_json::to_vec(&header).expect("a header is plain data");
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let length = (header.len() as u64).to_le_bytes();
    Ok(atomic::write(path, &[length.as_slice(), &header, &data].concat())?)
}

/// `format` says to PyTorch's programs that the names and layouts are PyTorch's.
fn notes(exported: &Exported) -> Value {
    let notes = exported.notes().into_iter().map(|(name, text)| (name.to_string(), text.into()));
    Map::from_iter([("format".to_string(), "pt".into())].into_iter().chain(notes)).into()
}

fn width(tensor: &Tensor) -> usize {
    tensor.kind().elt_size_in_bytes()
}
