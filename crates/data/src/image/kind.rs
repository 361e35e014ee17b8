//! Detects the type of a file from its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{FORMATS, is_image};

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image in a supported format.
    Image,
    /// Another known type, see [`Foreign`].
    Foreign(Foreign),
    /// A file that is common next to images: text, tables, file manager metadata.
    Beside,
    /// An unknown type.
    Unknown,
}

/// A known file type that is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// The name with an article, as in "a HEIC image".
    pub name: &'static str,
    /// Whether it is an image.
    pub is_image: bool,
}

impl Foreign {
    const fn image(name: &'static str) -> Self {
        Foreign { name, is_image: true }
    }

    const fn other(name: &'static str) -> Self {
        Foreign { name, is_image: false }
    }

    /// The error message if an image is expected.
    pub fn problem(self) -> String {
        match self.is_image {
            true => format!("this is {}, which is not supported; convert it to JPEG or PNG", self.name),
            false => format!("this is {}, not an image", self.name),
        }
    }
}

/// The number of bytes that are read to detect the type.
const HEAD: usize = 4096;

/// Extensions of files that are common next to images.
const COMMON_EXTENSIONS: [&str; 26] = [
    "cfg", "csv", "db", "gz", "htm", "html", "ini", "ipynb", "json", "jsonl", "lock", "log", "md", "names",
    "py", "rst", "sha256", "toml", "tsv", "txt", "xls", "xlsx", "xml", "yaml", "yml", "zst",
];

const AVIF: Foreign = Foreign::image("an AVIF image");
const HEIC: Foreign = Foreign::image("a HEIC image");
const RAW: Foreign = Foreign::image("a camera's raw image");

/// Types by extension, if the first bytes do not identify them.
const BY_NAME: [(&[&str], Foreign); 6] = [
    (&["heic", "heif", "hif"], HEIC),
    (&["avif"], AVIF),
    (&["jxl"], Foreign::image("a JPEG XL image")),
    (&["svg", "svgz"], Foreign::image("an SVG image")),
    (&["psd"], Foreign::image("a Photoshop image (PSD)")),
    (&["arw", "cr2", "cr3", "dng", "nef", "orf", "pef", "raf", "raw", "rw2", "srw"], RAW),
];

impl Kind {
    /// Detects the type of a file from its extension and, unless that is an image's, its first bytes.
    pub fn of(path: &Path) -> Kind {
        if is_image(path) {
            return Kind::Image;
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let extension = extension.as_str();
        let is_beside = COMMON_EXTENSIONS.contains(&extension);
        let by_name =
            BY_NAME.iter().find(|(endings, _)| endings.contains(&extension)).map(|(_, foreign)| *foreign);
        let by_name = by_name.filter(|_| path.is_file());
        match (Kind::of_bytes(&head(path)), by_name) {
            (Kind::Foreign(AVIF), Some(HEIC)) => {
                Kind::Foreign(Foreign::image("a HEIC image (its contents are AVIF)"))
            }
            // Raw camera images are TIFF files.
            (Kind::Unknown, Some(foreign)) | (Kind::Image, Some(foreign @ RAW)) => Kind::Foreign(foreign),
            (Kind::Unknown, _) if is_beside => Kind::Beside,
            (Kind::Foreign(foreign), _) if is_beside && !foreign.is_image => Kind::Beside,
            (kind, _) => kind,
        }
    }

    /// Detects the type from the first bytes only, and so takes the same time for a large file.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Kind {
        let bytes = &bytes[..bytes.len().min(HEAD)];
        let is_decoded = |bytes| image::guess_format(bytes).is_ok_and(|format| FORMATS.contains(&format));
        match foreign(bytes) {
            Some(foreign) => Kind::Foreign(foreign),
            None if is_decoded(bytes) => Kind::Image,
            None => Kind::Unknown,
        }
    }
}

/// The first bytes of a regular file; empty if it cannot be read or is a pipe, which might block.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.is_file()
        && let Ok(file) = File::open(path)
    {
        // An unreadable file is reported when it is decoded.
        let _ = file.take(HEAD as u64).read_to_end(&mut bytes);
    }
    bytes
}

/// Signatures: offset, bytes and type.
const SIGNATURES: [(usize, &[u8], Foreign); 33] = [
    (0, b"\xff\x0a", Foreign::image("a JPEG XL image")),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", Foreign::image("a JPEG XL image")),
    (0, b"\0\0\0\x0cjP  ", Foreign::image("a JPEG 2000 image")),
    (0, b"\xff\x4f\xff\x51", Foreign::image("a JPEG 2000 image")),
    (0, b"8BPS", Foreign::image("a Photoshop image (PSD)")),
    (0, b"DDS ", Foreign::image("a DDS image")),
    (0, b"qoif", Foreign::image("a QOI image")),
    (0, b"farbfeld", Foreign::image("a farbfeld image")),
    (0, b"\x76\x2f\x31\x01", Foreign::image("an OpenEXR image")),
    (0, b"#?RADIANCE", Foreign::image("a Radiance HDR image")),
    (0, b"SIMPLE  =", Foreign::image("a FITS image")),
    (0, b"\0\0\x01\0", Foreign::image("an icon (ICO)")),
    (0, b"gimp xcf", Foreign::image("a GIMP image (XCF)")),
    (8, b"CR\x02", Foreign::image("a Canon raw image (CR2)")),
    (0, b"FUJIFILMCCD-RAW", Foreign::image("a Fujifilm raw image (RAF)")),
    (0, b"IIRO", Foreign::image("an Olympus raw image (ORF)")),
    (128, b"DICM", Foreign::image("a DICOM image")),
    (0, b"%PDF-", Foreign::other("a PDF document")),
    (0, b"%!PS", Foreign::other("a PostScript document")),
    (0, b"PK\x03\x04", Foreign::other("a zip archive")),
    (0, b"\x1f\x8b", Foreign::other("a gzip file")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign::other("a 7z archive")),
    (0, b"Rar!\x1a\x07", Foreign::other("a RAR archive")),
    (0, b"\xfd7zXZ\0", Foreign::other("an xz file")),
    (257, b"ustar", Foreign::other("a tar archive")),
    (0, b"\x93NUMPY", Foreign::other("a NumPy array")),
    (0, b"\x89HDF\r\n", Foreign::other("an HDF5 file")),
    (0, b"SQLite format 3\0", Foreign::other("an SQLite database")),
    (0, b"PAR1", Foreign::other("a Parquet file")),
    (0, b"\xd0\xcf\x11\xe0", Foreign::other("an Office document")),
    (0, b"\x1a\x45\xdf\xa3", Foreign::other("a video (Matroska, WebM)")),
    (8, b"AVI LIST", Foreign::other("a video (AVI)")),
    (8, b"WAVEfmt ", Foreign::other("a sound (WAV)")),
];

/// The unsupported type with this signature, if any.
fn foreign(bytes: &[u8]) -> Option<Foreign> {
    let has_signature =
        |at: usize, signature: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(signature));
    if has_signature(4, b"ftyp") {
        return Some(of_brands(bytes));
    }
    if let Some((.., foreign)) = SIGNATURES.iter().find(|(at, signature, _)| has_signature(*at, signature)) {
        return Some(*foreign);
    }
    if let [b'P', b'1'..=b'7', blank, ..] = bytes
        && blank.is_ascii_whitespace()
    {
        return Some(Foreign::image("a Netpbm image (PBM, PGM, PPM)"));
    }
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("version https://git-lfs") {
        return Some(Foreign::other("a pointer to a file in Git LFS, which `git lfs pull` fetches"));
    }
    if !text.starts_with('<') {
        return None;
    }
    if text.contains("<svg") && !text.contains("<html") {
        return Some(Foreign::image("an SVG image"));
    }
    let is_page = text.starts_with("<!doctype html") || text.contains("<html");
    is_page.then_some(Foreign::other("a web page (HTML)"))
}

/// The type of an ISO base media file, from its brands (ISO/IEC 14496-12).
fn of_brands(bytes: &[u8]) -> Foreign {
    let size = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    let brands = &bytes[8..size.clamp(8, bytes.len().max(8)).min(bytes.len())];
    let has = |wanted: &[&[u8; 4]]| {
        brands.chunks_exact(4).any(|brand| wanted.iter().any(|wanted| wanted[..] == *brand))
    };
    if has(&[b"avif", b"avis"]) {
        AVIF
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        HEIC
    } else if has(&[b"jxl "]) {
        Foreign::image("a JPEG XL image")
    } else if has(&[b"crx "]) {
        Foreign::image("a Canon raw image (CR3)")
    } else {
        Foreign::other("a video (MP4, QuickTime)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(bytes: &[u8]) -> &'static str {
        match Kind::of_bytes(bytes) {
            Kind::Foreign(foreign) => foreign.name,
            kind => panic!("{kind:?} for {bytes:?}"),
        }
    }

    #[test]
    fn unsupported_files_are_named() {
        assert_eq!(name(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "a HEIC image");
        assert_eq!(name(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"), "an AVIF image");
        assert_eq!(name(b"\0\0\0\x14ftypisom\0\0\0\0mp41"), "a video (MP4, QuickTime)");
        assert_eq!(name(b"\xff\x0a\x7a\x1f"), "a JPEG XL image");
        assert_eq!(name(b"%PDF-1.7\n"), "a PDF document");
        assert_eq!(name(b"P5\n3 3\n255\n"), "a Netpbm image (PBM, PGM, PPM)");
        assert_eq!(name(b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<svg width=\"3\"/>"), "an SVG image");
        assert_eq!(name(b"\n<!DOCTYPE html><html><svg/></html>"), "a web page (HTML)");
        assert_eq!(name(&[&[0; 128][..], b"DICM"].concat()), "a DICOM image");
        for unknown in [&b""[..], b"no picture", b"P5", b"<annotation>"] {
            assert_eq!(Kind::of_bytes(unknown), Kind::Unknown);
        }
        assert_eq!(Kind::of_bytes(b"\xff\xd8\xff\xe0"), Kind::Image);
    }

    #[test]
    fn only_the_first_bytes_determine_the_type() {
        let drawing = |blanks: usize| [&b"<?xml"[..], &vec![b' '; blanks], b"<svg>"].concat();
        assert_eq!(name(&drawing(HEAD - 10)), "an SVG image");
        assert_eq!(Kind::of_bytes(&drawing(HEAD)), Kind::Unknown);
    }

    #[test]
    fn files_next_to_images_are_recognized_by_extension() {
        let folder = tempfile::tempdir().unwrap();
        let kind = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Kind::of(&path)
        };
        assert_eq!(kind("labels.CSV", b"a,b\n"), Kind::Beside);
        assert_eq!(kind("Thumbs.db", b"\xd0\xcf\x11\xe0"), Kind::Beside);
        assert_eq!(kind("index.html", b"<html>"), Kind::Beside);
        assert_eq!(kind("a.txt", b"\xff\xd8\xff\xe0"), Kind::Image);
        assert_eq!(kind("a.png", b"text"), Kind::Image);
        assert_eq!(kind("a", b"text"), Kind::Unknown);
        let name = |file: &str, bytes: &[u8]| match kind(file, bytes) {
            Kind::Foreign(foreign) => foreign.name,
            kind => panic!("{kind:?}"),
        };
        assert_eq!(name("a.jxl", b"\xff\x0a"), "a JPEG XL image");
        assert_eq!(name("a.heic", b"\0\0\0\x14ftypavif\0\0\0\0avif"), "a HEIC image (its contents are AVIF)");
        assert_eq!(name("a.HEIC", b"cut"), "a HEIC image");
        assert_eq!(name("a.nef", b"MM\0\x2a\0\0\0\x08"), "a camera's raw image");
        assert_eq!(Kind::of(&folder.path().join("absent.heic")), Kind::Unknown);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, size: u32, rest in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Kind::of_bytes(&bytes);
            let _ = Kind::of_bytes(&[&size.to_be_bytes()[..], b"ftyp", &rest].concat());
        }
    }
}
