//! Weights from files, of this program or another: named tensors ([`read`]), and which of them belong where in a model
//! ([`Matching`]).
//!
//! A file of PyTorch may hold a program that runs when Python opens it. Here nothing in a file is ever run: its pickle is
//! read as data ([`pickle`]), and of that only the tensors are taken, each checked against the bytes that are there before
//! memory is taken for it.

mod archive;
pub mod checksums;
mod copies;
mod legacy;
mod matching;
mod names;
pub mod pickle;
pub mod safetensors;
pub mod storages;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use tch::{Kind, Tensor};

use crate::data::room::{self, Room};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;
pub use matching::Matching;
use view::{Storage, View};

/// Reads the tensors of a file, which is told by its first bytes: safetensors, a checkpoint of ours (of which it gives the
/// weights), or what `torch.save` or `torch.jit.save` wrote, in the form of today or of before PyTorch 1.6.
///
/// The tensors are on the CPU, of the dtypes that the file has, and share memory and have strides as they had when they were
/// saved. Those in nested dictionaries, and in modules, have the names of all that they are in, joined by dots:
/// `state_dict.conv1.weight`.
///
/// # Errors
/// A file that is missing, damaged, of another kind, without tensors, or with one of a dtype that [`safetensors::DTYPES`] has
/// not.
pub fn read(path: &Path) -> Result<Tensors> {
    read_within(path, Room::default())
}

/// Reads the tensors of a file that may take as much memory as `room` says.
///
/// # Errors
/// As [`read`], and a file that is larger.
pub(crate) fn read_within(path: &Path, room: Room) -> Result<Tensors> {
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
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] => archive::read(path, file),
        start if start == legacy::MAGIC => legacy::read(path, &all(file)?),
        // Its header, which is JSON, begins behind its length.
        [_, _, _, _, _, _, _, _, b'{', ..] => of_safetensors(path, &all(file)?),
        _ => Err(Error::artifact(
            path,
            "it holds no weights that can be read: it is neither safetensors nor a file of torch.save or torch.jit.save",
        )),
    }
}

fn of_safetensors(path: &Path, bytes: &[u8]) -> Result<Tensors> {
    let fault = |reason: &str| Error::artifact(path, format!("the safetensors file is damaged: {reason}"));
    let is_checked = match checksums::check(bytes) {
        Err(problem) => {
            let remedy = checksums::whole_sibling(path).map_or(String::new(), |other| {
                format!("; the other checkpoint of the run is whole: --init {}", other.display())
            });
            return Err(fault(&format!("{problem}{remedy}")));
        }
        Ok(is_checked) => is_checked,
    };
    let mut tensors = safetensors::tensors(bytes, fault)?;
    if safetensors::metadata(bytes, fault)?.contains_key(safetensors::CHECKPOINT) {
        if !is_checked {
            checksums::say_none(path);
        }
        tensors.retain(|name, _| !name.contains('/'));
    }
    if tensors.is_empty() {
        return Err(Error::artifact(path, "it holds no tensors"));
    }
    Ok(tensors)
}

/// The tensors of these views, from the bytes of their storages.
fn load(
    path: &Path,
    views: Vec<(String, View)>,
    mut fetch: impl FnMut(&Storage) -> Result<Vec<u8>>,
) -> Result<Tensors> {
    let mut storages: HashMap<(String, Kind), (usize, Tensor)> = HashMap::new();
    let mut tensors = Tensors::new();
    for (name, view) in views {
        let View { storage, kind, .. } = &view;
        let (bytes, values) = match storages.entry((storage.key.clone(), *kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert((storage.bytes, whole(fetch(storage)?, *kind)?)),
        };
        if *bytes != storage.bytes {
            let problem = format!("its storage {} has two sizes, so it is damaged", quoted(&storage.key));
            return Err(Error::artifact(path, problem));
        }
        tensors.insert(name, view.on(values)?);
    }
    Ok(tensors)
}

/// All values of a storage.
fn whole(mut bytes: Vec<u8>, kind: Kind) -> Result<Tensor> {
    if kind == Kind::Bool {
        // Of another byte than these two, libtorch's code may make anything.
        bytes.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
    }
    let count = bytes.len() / kind.elt_size_in_bytes();
    Ok(Tensor::f_from_data_size(&bytes, &[count as i64], kind)?)
}
