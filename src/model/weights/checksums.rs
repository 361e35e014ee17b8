//! Checksums of checkpoints, to detect corrupted weights.
//!
//! The metadata entry [`CHECKPOINT`] contains a CRC-32C of the bytes of each tensor, and at its end one of the whole header,
//! computed with zeros in place of its own digits. The file stays plain safetensors, and every bit of it is covered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::safetensors::CHECKPOINT;

/// The checksums, as JSON fields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Checksums {
    /// The checksum of the bytes of each tensor, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksums: Option<BTreeMap<String, String>>,
    /// The checksum of the header. It must be the last field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seal: Option<String>,
}

/// The bytes before the checksum of the header: the field in JSON in a JSON string.
const SEAL: &[u8] = br#"\"seal\":\""#;

const ZEROS: &[u8; 8] = b"00000000";

impl Checksums {
    /// Checksums of tensors, given as names and bytes. [`seal`] fills in that of the header.
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

/// Verifies the checksums of a file. Returns whether it has checksums.
///
/// # Errors
/// The header or the tensor with a wrong checksum.
pub fn check(file: &[u8]) -> Result<bool, String> {
    let (_, header) = SafeTensors::read_metadata(file).map_err(|error| error.to_string())?;
    let changed =
        |what: &str| format!("the checksum of {what} is wrong: it has changed since it was written");
    let seal = digits_of(file);
    if let Some(digits) = seal {
        let mut header = file[..header_length(file)].to_vec();
        let written = header.splice(digits..digits + ZEROS.len(), *ZEROS).collect::<Vec<_>>();
        if checksum(&header).as_bytes() != written {
            return Err(changed("the header"));
        }
    }
    let Some(text) = header.metadata().as_ref().and_then(|metadata| metadata.get(CHECKPOINT)) else {
        return Ok(false);
    };
    let sums: Checksums =
        serde_json::from_str(text).map_err(|_| "it has no training progress".to_string())?;
    let Some(sums) = sums.checksums else { return Ok(false) };
    if seal.is_none() {
        return Err(changed("the header"));
    }
    let tensors = SafeTensors::deserialize(file).map_err(|error| error.to_string())?;
    let wrong = tensors.iter().find(|(name, view)| sums.get(*name) != Some(&checksum(view.data())));
    wrong.map_or(Ok(true), |(name, _)| Err(changed(&format!("`{name}`"))))
}

/// Warns that a checkpoint has no checksums.
pub(crate) fn warn_missing(path: &Path) {
    tracing::warn!(
        "{}: this checkpoint has no checksums because an older version of cresset wrote it; damage cannot be detected",
        path.display()
    );
}

/// The other checkpoint of the run (best or last), if it is valid.
pub(crate) fn whole_sibling(path: &Path) -> Option<PathBuf> {
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

/// The size of the header with its length prefix.
fn header_length(file: &[u8]) -> usize {
    let length = file.first_chunk().map_or(0, |length| u64::from_le_bytes(*length) as usize);
    length.saturating_add(8).min(file.len())
}

/// The offset of the checksum of the header.
fn digits_of(file: &[u8]) -> Option<usize> {
    let header = &file[..header_length(file)];
    // The last occurrence, because a tensor may have the same name.
    let at = header.windows(SEAL.len()).rposition(|bytes| bytes == SEAL)? + SEAL.len();
    (at + ZEROS.len() <= header.len()).then_some(at)
}
