//! A TorchScript file as the archive that it is: the sizes that it declares are looked at before libtorch makes room for
//! them.

use std::io::{Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config};
use zip::result::ZipResult;
use zip::{CompressionMethod, ZipArchive};

use crate::error::quoted;

/// The most bytes of a text that travels with a model. Ours take some kilobytes, with a hundred thousand classes some
/// megabytes.
pub const MOST_TEXT: u64 = 64 << 20;

/// The most bytes that a packed part may unpack to. libtorch packs code alone.
const MOST_PACKED: u64 = 256 << 20;

/// Opens an archive whose first byte is the first one of the file. The zip crate, if it is to look for the beginning itself,
/// takes some of libtorch's for others: those where the first entry of the directory is as long as what stands behind it.
pub fn open<R: Read + Seek>(file: R) -> ZipResult<ZipArchive<R>> {
    ZipArchive::with_config(Config { archive_offset: ArchiveOffset::Known(0) }, file)
}

/// Refuses an archive with a part that declares an absurd size. A file that is no archive is left to libtorch, which says
/// so.
///
/// # Errors
/// Which part it is, and what it declares.
pub fn check_sizes(mut file: impl Read + Seek) -> Result<(), String> {
    let Ok(length) = file.seek(SeekFrom::End(0)) else { return Ok(()) };
    let Ok(mut archive) = open(file) else { return Ok(()) };
    for index in 0..archive.len() {
        let part =
            archive.by_index_raw(index).map_err(|e| format!("its part {} is damaged: {e}", index + 1))?;
        let (name, size) = (part.name().unwrap_or_default(), part.size());
        let most = match part.compression() {
            _ if name.split('/').nth(1) == Some("extra") => MOST_TEXT,
            CompressionMethod::Stored => length,
            _ => MOST_PACKED,
        };
        if size > most {
            let name = quoted(&name);
            return Err(format!("its part {name} is said to have {size} bytes; it can have {most} at most"));
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

    /// An archive of one part, and where its entry declares the part's size.
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
    fn a_part_that_declares_an_absurd_size_is_named() {
        let (stored, packed) = (CompressionMethod::Stored, CompressionMethod::Deflated);
        for (name, method, least) in [
            ("m/extra/metadata.json", stored, 64 << 20),
            ("m/extra/metadata.json", packed, 64 << 20),
            ("m/code/m.py", packed, 256 << 20),
            ("m/data/0", stored, 700),
        ] {
            assert_eq!(declaring(name, method, 500), Ok(()));
            let problem = declaring(name, method, least + 1).unwrap_err();
            assert!(problem.contains(&format!("`{name}` is said to have {} bytes", least + 1)), "{problem}");
        }
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
