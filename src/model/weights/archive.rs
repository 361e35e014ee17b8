//! Zip archives of `torch.save` and `torch.jit.save`: `NAME/data.pkl`, which is a pickle of what was saved, and the storages
//! as `NAME/data/KEY` (<https://pytorch.org/docs/stable/notes/serialization.html>). The code in those of TorchScript is not
//! looked at.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::pickle::Pickle;
use super::{load, names};
use crate::error::{Error, Result, quoted};
use crate::model::Tensors;
use crate::model::archive;

/// What the parts may unpack to, beyond [`GROWTH`] times the size of the file.
const ALLOWANCE: u64 = 1 << 16;
/// PyTorch does not pack its parts, and weights that others packed do not shrink to a sixteenth.
const GROWTH: u64 = 16;

/// Reads the tensors of an archive.
pub fn read(path: &Path, file: File) -> Result<Tensors> {
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let archive = archive::open(BufReader::new(file)).map_err(|e| {
        Error::artifact(path, format!("the zip archive is damaged, or not all of it is there: {e}"))
    })?;
    let mut parts = Parts { path, archive, folder: String::new(), left: ALLOWANCE + GROWTH * length };
    parts.folder = parts.find_folder()?;
    if parts.read("byteorder", None).is_ok_and(|order| order == b"big") {
        return Err(Error::artifact(path, "it was written on a big-endian machine, which is not read here"));
    }
    let pickle = parts.read("data.pkl", None)?;
    let views = Pickle::read(&pickle).and_then(|pickle| names::views(&pickle));
    let views = views.map_err(|problem| Error::artifact(path, problem))?;
    load(path, views, |storage| parts.read(&format!("data/{}", storage.key), Some(storage.bytes)))
}

struct Parts<'a> {
    path: &'a Path,
    archive: ZipArchive<BufReader<File>>,
    /// The folder in the archive that holds everything, with its `/`.
    folder: String,
    /// How many bytes more the parts may unpack to.
    left: u64,
}

impl Parts<'_> {
    fn find_folder(&self) -> Result<String> {
        let names = self.archive.file_names().flatten();
        let folder = |name: &str| name.strip_suffix("data.pkl").map(str::to_string);
        let is_outermost = |folder: &String| folder.matches('/').count() == 1 && folder.ends_with('/');
        let found = names.filter_map(|name| folder(&name)).find(is_outermost);
        found.ok_or_else(|| {
            let problem =
                "it is a zip archive, but none of torch.save or torch.jit.save (no data.pkl is in it)";
            Error::artifact(self.path, problem)
        })
    }

    /// A part's bytes, which must be as many as `length` says.
    fn read(&mut self, name: &str, length: Option<usize>) -> Result<Vec<u8>> {
        let damaged = |reason: String| {
            Error::artifact(self.path, format!("its part {} cannot be read: {reason}", quoted(name)))
        };
        let part = self.archive.by_name(&format!("{}{name}", self.folder)).map_err(|e| match e {
            ZipError::FileNotFound => damaged("it is not there".to_string()),
            other => damaged(other.to_string()),
        })?;
        let size = part.size();
        if let Some(length) = length.filter(|length| *length as u64 != size) {
            return Err(damaged(format!("it should have {length} bytes, but has {size}")));
        }
        if size > self.left {
            let problem =
                format!("its parts unpack to more than {GROWTH} times its size; save it without packing");
            return Err(Error::artifact(self.path, problem));
        }
        let mut bytes = Vec::new();
        // One byte more than there should be: at the end of a part, its checksum is compared.
        part.take(size + 1).read_to_end(&mut bytes).map_err(|e| damaged(e.to_string()))?;
        if bytes.len() as u64 != size {
            return Err(damaged(format!("it should have {size} bytes, but has {}", bytes.len())));
        }
        self.left -= size;
        Ok(bytes)
    }
}
