//! Checks of the zip archive of a TorchScript file, before libtorch allocates the sizes that it declares.

use std::io::{Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;
use zip::{CompressionMethod, ZipArchive};

use crate::error::quoted;

/// Maximum size in bytes of an extra file. Those of exported models take some kilobytes, or some megabytes for a hundred
/// thousand classes.
pub(crate) const MOST_TEXT: u64 = 64 << 20;

/// Maximum uncompressed size in bytes of a compressed member. libtorch compresses code only.
const MOST_PACKED: u64 = 256 << 20;

/// Opens an archive that starts at offset 0 of the file. The offset detection of the zip crate misreads some archives of
/// libtorch: those whose first directory entry is as long as the data after it.
pub fn open<R: Read + Seek>(file: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)
}

/// The place of the external attributes in a directory entry, and the bit in them that marks a folder in MS-DOS.
const ATTRIBUTES: u64 = 38;
const IS_FOLDER: u8 = 0x10;

/// Rejects an archive with a member that declares an implausible size, or that is marked as a folder: libtorch would leave its
/// contents unread, and its tensor uninitialized. A file that is not an archive passes: libtorch reports it.
///
/// # Errors
/// The member and what it declares.
pub fn check_sizes(mut file: impl Read + Seek) -> Result<(), String> {
    let Ok(length) = file.seek(SeekFrom::End(0)) else { return Ok(()) };
    let Ok(mut archive) = open(file) else { return Ok(()) };
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let member =
            archive.by_index_raw(index).map_err(|e| format!("member {} is damaged: {e}", index + 1))?;
        let (name, size) = (member.name().unwrap_or_default(), member.size());
        let most = match member.compression() {
            _ if name.split('/').nth(1) == Some("extra") => MOST_TEXT,
            CompressionMethod::Stored => length,
            _ => MOST_PACKED,
        };
        if size > most {
            let name = quoted(&name);
            return Err(format!("member {name} declares {size} bytes, more than the maximum of {most}"));
        }
        if size > 0 {
            entries.push((member.central_header_start(), name.into_owned()));
        }
    }
    let mut file = archive.into_inner();
    for (entry, name) in entries {
        let mut attributes = [0];
        let read =
            file.seek(SeekFrom::Start(entry + ATTRIBUTES)).and_then(|_| file.read_exact(&mut attributes));
        if read.is_err() || attributes[0] & IS_FOLDER != 0 {
            return Err(format!("member {} is marked as a folder, but has contents", quoted(&name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use proptest::prelude::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    /// An archive with one member, and the offset of the member's size in its directory entry.
    fn archive(name: &str, method: CompressionMethod) -> (Vec<u8>, usize) {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(&[b'a'; 500]).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let entry = bytes.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
        (bytes, entry + 24)
    }

    fn declaring(name: &str, method: CompressionMethod, size: u32) -> Result<(), String> {
        let (mut bytes, at) = archive(name, method);
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
        check_sizes(Cursor::new(bytes))
    }

    #[test]
    fn a_member_with_an_implausible_size_is_named() {
        let (stored, packed) = (CompressionMethod::Stored, CompressionMethod::Deflated);
        for (name, method, least) in [
            ("m/extra/metadata.json", stored, 64 << 20),
            ("m/extra/metadata.json", packed, 64 << 20),
            ("m/code/m.py", packed, 256 << 20),
            ("m/data/0", stored, 700),
        ] {
            assert_eq!(declaring(name, method, 500), Ok(()));
            let problem = declaring(name, method, least + 1).unwrap_err();
            assert!(problem.contains(&format!("`{name}` declares {} bytes", least + 1)), "{problem}");
        }
    }

    #[test]
    fn a_member_that_is_marked_as_a_folder_is_named() {
        let (mut bytes, size) = archive("m/data/0", CompressionMethod::Stored);
        assert_eq!(check_sizes(Cursor::new(&bytes)), Ok(()));
        bytes[size + 14] |= IS_FOLDER;
        let problem = check_sizes(Cursor::new(bytes)).unwrap_err();
        assert_eq!(problem, "member `m/data/0` is marked as a folder, but has contents");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_check_panic(bytes: Vec<u8>, at in 0usize..1000, byte: u8) {
            let _ = check_sizes(Cursor::new(bytes));
            let (mut file, _) = archive("m/extra/a", CompressionMethod::Stored);
            let at = at % file.len();
            file[at] = byte;
            let _ = check_sizes(Cursor::new(file));
        }
    }
}
