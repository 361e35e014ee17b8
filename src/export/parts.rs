//! What takes the room in a TorchScript file.

use std::collections::BTreeMap;
use std::io::Cursor;

use cresset_bridge::script::Module;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::model::archive::open as open_archive;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// What it is: `parameters`, `buffers`, `code`, `constants of the code`, `other`, or the name of an extra file.
    pub name: String,
    /// The bytes that it takes, of the code compressed.
    pub bytes: u64,
}

/// The parts of a file with these bytes, which holds this module, the largest first; none that is empty.
///
/// # Errors
/// Bytes that are no archive.
pub fn file_parts(bytes: &[u8], module: &Module) -> Result<Vec<FilePart>> {
    let fault = |e: zip::result::ZipError| Error::Usage(format!("the file's parts cannot be listed ({e})"));
    let mut archive = open_archive(Cursor::new(bytes)).map_err(fault)?;
    let mut parts = BTreeMap::from([
        ("parameters".to_string(), size(&module.parameters()?)),
        ("buffers".to_string(), size(&module.buffers()?)),
    ]);
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(fault)?;
        // Behind the folder that the whole file is in.
        let name = member.name().map_err(fault)?;
        let path = name.split_once('/').map_or(&*name, |(_, path)| path);
        let part = match path.split_once('/') {
            // Parameters and buffers, which are told apart above.
            Some(("data", _)) => continue,
            Some(("code", _)) => "code",
            Some(("constants", _)) => "constants of the code",
            Some(("extra", name)) => name,
            _ => "other",
        };
        *parts.entry(part.to_string()).or_default() += member.compressed_size();
    }
    let mut parts: Vec<_> = parts.into_iter().map(|(name, bytes)| FilePart { name, bytes }).collect();
    parts.retain(|part| part.bytes > 0);
    parts.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    Ok(parts)
}

fn size(tensors: &[(String, Tensor)]) -> u64 {
    let bytes = |tensor: &Tensor| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64;
    tensors.iter().map(|(_, tensor)| bytes(tensor)).sum()
}
