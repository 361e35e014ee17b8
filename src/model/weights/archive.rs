//! Zip archives of `torch.save` and `torch.jit.save`: `NAME/data.pkl`, the pickle of the saved object, and the storages as
//! `NAME/data/KEY` (<https://pytorch.org/docs/stable/notes/serialization.html>). The code of TorchScript files is ignored.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::pickle::Pickle;
use super::{load, names};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;
use crate::model::archive;

/// Uncompressed bytes allowed in addition to [`GROWTH`] times the size of the file.
const ALLOWANCE: u64 = 1 << 16;
/// Maximum compression ratio. PyTorch does not compress, and compressed weights do not shrink to a sixteenth.
const GROWTH: u64 = 16;

/// Reads the tensors of an archive.
pub fn read(path: &Path, file: File) -> Result<Tensors> {
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    read_from(path, length, BufReader::new(file))
}

/// Reads the tensors of an archive of `length` bytes. `path` is for errors.
pub fn read_from(path: &Path, length: u64, reader: impl Read + Seek) -> Result<Tensors> {
    let archive = archive::open(reader)
        .map_err(|e| Error::artifact(path, format!("the zip archive is damaged or incomplete: {e}")))?;
    let mut parts = Parts { path, archive, folder: String::new(), left: ALLOWANCE + GROWTH * length };
    parts.folder = parts.find_folder()?;
    if parts.read("byteorder", None).is_ok_and(|order| order == b"big") {
        return Err(Error::artifact(path, "it was written on a big-endian machine, which is not supported"));
    }
    let pickle = parts.read("data.pkl", None)?;
    let views = Pickle::read(&pickle).and_then(|pickle| names::views(&pickle));
    let views = views.map_err(|problem| Error::artifact(path, problem))?;
    load(path, views, |storage| parts.read(&format!("data/{}", storage.key), Some(storage.bytes)))
}

struct Parts<'a, R> {
    path: &'a Path,
    archive: ZipArchive<R>,
    /// The top-level folder of the archive, with its `/`.
    folder: String,
    /// Remaining bytes of the limit on the uncompressed size.
    left: u64,
}

impl<R: Read + Seek> Parts<'_, R> {
    fn find_folder(&self) -> Result<String> {
        let names = self.archive.file_names().flatten();
        let folder = |name: &str| name.strip_suffix("data.pkl").map(str::to_string);
        let is_outermost = |folder: &String| folder.matches('/').count() == 1 && folder.ends_with('/');
        let found = names.filter_map(|name| folder(&name)).find(is_outermost);
        found.ok_or_else(|| {
            let problem =
                "it is a zip archive, but not one of torch.save or torch.jit.save (it has no data.pkl)";
            Error::artifact(self.path, problem)
        })
    }

    /// The bytes of a member, which must have the size `length` if it is given.
    fn read(&mut self, name: &str, length: Option<usize>) -> Result<Vec<u8>> {
        let damaged = |reason: String| {
            Error::artifact(self.path, format!("the member {} cannot be read: {reason}", quoted(name)))
        };
        let member = self.archive.by_name(&format!("{}{name}", self.folder)).map_err(|e| match e {
            ZipError::FileNotFound => damaged("it is missing".to_string()),
            other => damaged(other.to_string()),
        })?;
        let size = member.size();
        if let Some(length) = length.filter(|length| *length as u64 != size) {
            return Err(damaged(format!("it should have {length} bytes, but has {size}")));
        }
        if size > self.left {
            let problem = format!(
                "its uncompressed size is more than {GROWTH} times its size; save it without compression"
            );
            return Err(Error::artifact(self.path, problem));
        }
        let mut bytes = Vec::new();
        // Read one byte more than the size: the checksum is compared at the end of the member.
        member.take(size + 1).read_to_end(&mut bytes).map_err(|e| damaged(e.to_string()))?;
        if bytes.len() as u64 != size {
            return Err(damaged(format!("it should have {size} bytes, but has {}", bytes.len())));
        }
        self.left -= size;
        Ok(bytes)
    }
}
