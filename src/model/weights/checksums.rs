//! Checksums of a checkpoint, so that a bit that changed on a disk or on the way is not taken for a weight.
//!
//! The text under [`CHECKPOINT`] in the file's metadata has a CRC-32C of the bytes of each tensor, and in the end one of the whole
//! header, in which its own digits count as zeros. So the file is plain safetensors, and each of its bits is in a checksum.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::safetensors::CHECKPOINT;

/// The checksums, as fields of the text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checksums {
    /// Of the bytes of each tensor, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksums: Option<BTreeMap<String, String>>,
    /// Of the header; the text must end with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
}

/// What stands before the digits of the header's checksum: the field in a text in JSON in JSON.
const SEAL: &[u8] = br#"\"seal\":\""#;

const ZEROS: &[u8; 8] = b"00000000";

impl Checksums {
    /// Of tensors with these bytes; the header's is filled in by [`seal`].
    pub fn of<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let checksums = tensors.map(|(name, bytes)| (name.to_string(), checksum(bytes)));
        let seal = String::from_utf8_lossy(ZEROS).into_owned();
        Checksums { checksums: Some(checksums.collect()), seal: Some(seal) }
    }
}

/// Fills in the checksum of the header of a file with these bytes.
pub fn seal(file: &mut [u8]) {
    let Some(digits) = digits_of(file) else { return };
    let checksum = checksum(&file[..header_length(file)]);
    file[digits..digits + ZEROS.len()].copy_from_slice(checksum.as_bytes());
}

/// Checks a file with these bytes. Gives whether it has checksums.
///
/// # Errors
/// What has changed since it was written.
pub fn check(file: &[u8]) -> Result<bool, String> {
    let (_, header) = SafeTensors::read_metadata(file).map_err(|error| error.to_string())?;
    let changed =
        |what: &str| format!("the checksum of {what} is wrong: bits of it have changed since it was written");
    let seal = digits_of(file);
    if let Some(digits) = seal {
        let mut header = file[..header_length(file)].to_vec();
        let written = header.splice(digits..digits + ZEROS.len(), *ZEROS).collect::<Vec<_>>();
        if checksum(&header).as_bytes() != written {
            return Err(changed("its header"));
        }
    }
    let Some(text) = header.metadata().as_ref().and_then(|metadata| metadata.get(CHECKPOINT)) else {
        return Ok(false);
    };
    let sums: Checksums =
        serde_json::from_str(text).map_err(|_| "it does not say how far the run had come".to_string())?;
    let Some(sums) = sums.checksums else { return Ok(false) };
    if seal.is_none() {
        return Err(changed("its header"));
    }
    let tensors = SafeTensors::deserialize(file).map_err(|error| error.to_string())?;
    let wrong = tensors.iter().find(|(name, view)| sums.get(*name) != Some(&checksum(view.data())));
    wrong.map_or(Ok(true), |(name, _)| Err(changed(&format!("`{name}`"))))
}

/// Says of an older checkpoint that nothing can be said of it.
pub fn say_none(path: &Path) {
    tracing::warn!(
        "{}: this checkpoint carries no checksums, as an older version of cresset wrote it; damage to it would not be noticed",
        path.display()
    );
}

/// The other checkpoint of the run, if this is one of the two and the other one is whole.
pub fn whole_sibling(path: &Path) -> Option<PathBuf> {
    let other = match path.file_name()?.to_str()? {
        "last.safetensors" => "best.safetensors",
        "best.safetensors" => "last.safetensors",
        _ => return None,
    };
    let other = path.with_file_name(other);
    let bytes = std::fs::read(&other).ok()?;
    (check(&bytes).is_ok() && SafeTensors::deserialize(&bytes).is_ok()).then_some(other)
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32c::crc32c(bytes))
}

/// The bytes of the header and of its length before it.
fn header_length(file: &[u8]) -> usize {
    let length = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    length.saturating_add(8).min(file.len())
}

/// Where the digits of the header's checksum begin.
fn digits_of(file: &[u8]) -> Option<usize> {
    let header = &file[..header_length(file)];
    // A tensor may have the same name, but its checksum stands before.
    let at = header.windows(SEAL.len()).rposition(|bytes| bytes == SEAL)? + SEAL.len();
    (at + ZEROS.len() <= header.len()).then_some(at)
}
