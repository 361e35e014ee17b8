//! Uncompressed zip archives with aligned members, the layout of PyTorch's files.

use std::io::{Cursor, Result, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The alignment of the members in the file, in bytes, for memory mapping.
const ALIGNMENT: u16 = 64;

/// An archive of members, given by name and contents, in one top-level folder.
///
/// # Errors
/// More members than a zip file can have.
pub fn stored<'a>(folder: &str, members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let options = options.with_alignment(ALIGNMENT).large_file(bytes.len() > u32::MAX as usize);
        writer.start_file(format!("{folder}/{name}"), options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
