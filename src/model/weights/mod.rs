//! Weights from files of Cresset, PyTorch and others: reading of named tensors ([`read`]) and matching with a model
//! ([`Matching`]).
//!
//! A PyTorch file may contain code that runs when Python loads it. Here no code is ever run: the pickle is read as data
//! ([`pickle`]), and each tensor is checked against the available bytes before memory is allocated.

mod adapting;
mod archive;
pub(crate) mod checksums;
mod copies;
mod efficientnet;
mod encoders;
mod legacy;
mod matching;
mod names;
pub mod pickle;
pub mod safetensors;
pub(crate) mod storages;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use tch::{Kind, Tensor};

use crate::data::room::{self, MemoryBudget};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;
use crate::model::onnx::OnnxFile;
use crate::model::package::CheckedPackage;
pub use adapting::adapt;
pub use matching::Matching;
use view::{Storage, StorageView};

/// Reads the tensors of a file. The format is detected by its contents: safetensors, a checkpoint of Cresset (only its weights), a
/// file of `torch.save` or `torch.jit.save`, in the current format or that before PyTorch 1.6, or a torch.export package.
///
/// The tensors are on the CPU with the dtypes of the file. They share memory and have strides as when they were saved. The
/// names of tensors in nested dictionaries and modules are joined by dots: `state_dict.conv1.weight`.
///
/// ```
/// use cresset::model::weights;
/// use std::collections::HashMap;
/// use tch::Tensor;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("weights.safetensors");
/// let bias = Tensor::from_slice(&[1f32, 2.]);
/// weights::safetensors::write(&path, &[("fc1.bias".to_string(), &bias)], HashMap::new())?;
/// assert_eq!(weights::read(&path)?["fc1.bias"], bias);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A file that is missing, damaged, of another format, without tensors, or with a dtype that is not in
/// [`safetensors::DTYPES`].
pub fn read(path: &Path) -> Result<Tensors> {
    read_within(path, MemoryBudget::default())
}

/// Like [`read`], with a memory budget.
///
/// # Errors
/// Those of [`read`], and a file that exceeds the budget.
pub(crate) fn read_within(path: &Path, room: MemoryBudget) -> Result<Tensors> {
    let cannot = |e: std::io::Error| Error::artifact(path, format!("cannot read the weights: {e}"));
    let mut file = room::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    room.check(path, length)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(legacy::MAGIC.len() as u64).read_to_end(&mut start).map_err(cannot)?;
    file.rewind().map_err(cannot)?;
    let all = |mut file: File| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(cannot)?;
        Ok::<_, Error>(bytes)
    };
    if OnnxFile::recognizes(path) {
        return OnnxFile::open(path)?.weights();
    }
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] if CheckedPackage::recognizes(path)? => CheckedPackage::open(path)?.weights(),
        [b'P', b'K', 3, 4, ..] => archive::read(path, file),
        start if start == legacy::MAGIC => legacy::read(path, &all(file)?),
        // A length of 8 bytes, then the JSON header.
        [_, _, _, _, _, _, _, _, b'{', ..] => of_safetensors(path, &all(file)?),
        _ => Err(Error::artifact(
            path,
            "it is not a file of weights: neither safetensors nor a file of torch.save or torch.jit.save",
        )),
    }
}

fn of_safetensors(path: &Path, bytes: &[u8]) -> Result<Tensors> {
    let fault = |reason: &str| Error::artifact(path, format!("the safetensors file is damaged: {reason}"));
    let is_checked = match checksums::check(bytes) {
        Err(problem) => {
            let remedy = checksums::whole_sibling(path).map_or(String::new(), |other| {
                format!("; the other checkpoint of the run is intact: use --init {}", other.display())
            });
            return Err(fault(&format!("{problem}{remedy}")));
        }
        Ok(is_checked) => is_checked,
    };
    let mut tensors = safetensors::tensors(bytes, fault)?;
    if safetensors::metadata(bytes, fault)?.contains_key(safetensors::CHECKPOINT) {
        if !is_checked {
            checksums::warn_missing(path);
        }
        tensors.retain(|name, _| !name.contains('/'));
    }
    if tensors.is_empty() {
        return Err(Error::artifact(path, "it contains no tensors"));
    }
    Ok(tensors)
}

/// Creates the tensors of views from the bytes of their storages.
fn load(
    path: &Path,
    views: Vec<(String, StorageView)>,
    mut fetch: impl FnMut(&Storage) -> Result<Vec<u8>>,
) -> Result<Tensors> {
    let mut storages: HashMap<(String, Kind), (usize, Tensor)> = HashMap::new();
    let mut tensors = Tensors::new();
    for (name, view) in views {
        let StorageView { storage, kind, .. } = &view;
        let (bytes, values) = match storages.entry((storage.key.clone(), *kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert((storage.bytes, storage_tensor(fetch(storage)?, *kind)?)),
        };
        if *bytes != storage.bytes {
            let problem =
                format!("the storage {} has two sizes, so the file is damaged", quoted(&storage.key));
            return Err(Error::artifact(path, problem));
        }
        tensors.insert(name, view.on(values)?);
    }
    Ok(tensors)
}

/// The only tensor in a file of `torch.save`, given as bytes.
///
/// # Errors
/// Bytes of another format, without tensors or with several.
pub(crate) fn one_tensor(bytes: Vec<u8>) -> std::result::Result<Tensor, String> {
    let name = Path::new("the tensor");
    let tensors =
        archive::read_from(name, bytes.len() as u64, Cursor::new(bytes)).map_err(|e| e.to_string())?;
    match tensors.len() {
        1 => Ok(tensors.into_values().next().expect("there is one")),
        count => Err(format!("is not a plain tensor: it holds {count}")),
    }
}

/// A storage as a one-dimensional tensor.
pub(crate) fn storage_tensor(mut bytes: Vec<u8>, kind: Kind) -> Result<Tensor> {
    if kind == Kind::Bool {
        // Other bytes than 0 and 1 are undefined behavior in libtorch.
        bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    let count = bytes.len() / kind.elt_size_in_bytes();
    Ok(Tensor::f_from_data_size(&bytes, &[count as i64], kind)?)
}
