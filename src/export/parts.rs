//! The sizes of the parts of a TorchScript file.

use std::collections::BTreeMap;
use std::io::Cursor;

use cresset_bridge::script::Module;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::model::archive::open as open_archive;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The part: `parameters`, `buffers`, `code`, `constants of the code`, `other`, or the name of an extra file.
    pub name: String,
    /// The size in bytes; the compressed size for code.
    pub bytes: u64,
}

/// Lists the non-empty parts of a TorchScript file, the largest first. `module` is the module loaded from `bytes`.
///
/// ```
/// use cresset::export::file_parts;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let bytes = std::fs::read(&exported.path).unwrap();
/// let parts = file_parts(&bytes, &exported.module)?;
/// assert!(parts.iter().any(|part| part.name == "parameters" && part.bytes > 0));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Bytes that are not an archive.
pub fn file_parts(bytes: &[u8], module: &Module) -> Result<Vec<FilePart>> {
    let fault = |e: zip::result::ZipError| Error::Usage(format!("cannot list the parts of the file ({e})"));
    let mut archive = open_archive(Cursor::new(bytes)).map_err(fault)?;
    let mut parts = BTreeMap::from([
        ("parameters".to_string(), size(&module.parameters()?)),
        ("buffers".to_string(), size(&module.buffers()?)),
    ]);
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(fault)?;
        // All members are in one top-level folder.
        let name = member.name().map_err(fault)?;
        let path = name.split_once('/').map_or(&*name, |(_, path)| path);
        let part = match path.split_once('/') {
            // Parameters and buffers, counted separately above.
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
