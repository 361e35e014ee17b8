//! Compressed text files: gzip and zstd.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::Error;

/// A compressed file may always expand to this size, …
const ALWAYS_ALLOWED: u64 = 1 << 30;
/// … and above it, to this multiple of its compressed size. Tables compress to a tenth or a twentieth,
/// decompression bombs to a thousandth.
const MAX_EXPANSION: u64 = 100;

/// A compression of whole files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    const ALL: [Codec; 2] = [Codec::Gzip, Codec::Zstd];

    fn extension(self) -> &'static str {
        match self {
            Codec::Gzip => "gz",
            Codec::Zstd => "zst",
        }
    }

    fn signature(self) -> &'static [u8] {
        match self {
            Codec::Gzip => b"\x1f\x8b",
            Codec::Zstd => b"\x28\xb5\x2f\xfd",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }

    /// The compression of a file, by its signature or else its extension.
    pub fn of(path: &Path, beginning: &[u8]) -> Option<Self> {
        let has = |codec: &Codec| beginning.starts_with(codec.signature());
        let is_named =
            |codec: &Codec| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(codec.extension()));
        Codec::ALL.into_iter().find(has).or_else(|| Codec::ALL.into_iter().find(is_named))
    }

    /// Decompresses a stream.
    pub fn reader<R: BufRead + Send + 'static>(self, source: R) -> Box<dyn Read + Send> {
        match self {
            Codec::Gzip => Box::new(MultiGzDecoder::new(source)),
            Codec::Zstd => Box::new(ZstdReader::new(source)),
        }
    }

    /// Decompresses the table at `path`, whose file has `size` bytes, and rejects decompression bombs. Errors of the reader are those of
    /// this crate.
    pub fn table_reader<R: BufRead + Send + 'static>(
        self,
        path: &Path,
        source: R,
        size: u64,
    ) -> Box<dyn Read + Send> {
        let limit = ALWAYS_ALLOWED.max(size.saturating_mul(MAX_EXPANSION));
        self.limited_reader(path, source, limit)
    }

    fn limited_reader<R: BufRead + Send + 'static>(
        self,
        path: &Path,
        source: R,
        limit: u64,
    ) -> Box<dyn Read + Send> {
        Box::new(LimitedReader {
            path: path.to_path_buf(),
            codec: self,
            source: self.reader(source),
            left: limit,
        })
    }
}

/// Decompresses a table up to a limit.
struct LimitedReader {
    path: PathBuf,
    codec: Codec,
    source: Box<dyn Read + Send>,
    /// The bytes that may still follow.
    left: u64,
}

impl Read for LimitedReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let fault = |problem: String| io::Error::other(Error::data(self.path.as_path(), problem));
        let count = match self.source.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(fault(format!("not {}, or damaged ({error})", self.codec.name()))),
            Ok(count) => count,
        };
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            fault(format!(
                "the file expands to more than {MAX_EXPANSION} times its size and more than {} GiB, which is implausible for a table; if it is valid, decompress it first",
                ALWAYS_ALLOWED >> 30
            ))
        })?;
        Ok(count)
    }
}

/// Decompresses all frames of a zstd stream, and skips those with other data.
struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    /// Whether the decoder is inside a frame.
    is_open: bool,
}

impl<R: BufRead> ZstdReader<R> {
    fn new(source: R) -> Self {
        ZstdReader { source, decoder: FrameDecoder::new(), is_open: false }
    }

    /// Begins the next frame with data; returns false at the end of the stream.
    fn open(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Compares the checksum of a finished frame, if it has one.
    fn close(&mut self) -> io::Result<()> {
        self.is_open = false;
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(recorded), Some(computed)) if recorded != computed => {
                Err(io::Error::other("the checksum of the data is wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while !bytes.is_empty() {
            if !self.is_open && !self.open()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, blocks).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(bytes)?;
            if count > 0 {
                return Ok(count);
            }
            self.close()?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn decompressed(codec: Codec, path: &Path, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let source = io::Cursor::new(bytes.to_vec());
        codec.table_reader(path, source, bytes.len() as u64).read_to_end(&mut text).map(|_| text)
    }

    #[test]
    fn no_more_is_read_than_the_limit() {
        let packed = io::Cursor::new(zstd(&[b'1'; 1000]));
        let read = |limit| {
            let mut reader = Codec::Zstd.limited_reader(Path::new("a.csv.zst"), packed.clone(), limit);
            let mut text = Vec::new();
            reader.read_to_end(&mut text).map_err(|error| error.to_string())
        };
        assert_eq!(read(1000), Ok(1000));
        let problem = read(999).unwrap_err();
        assert!(problem.starts_with("a.csv.zst: the file expands to more than 100 times"), "{problem}");
    }

    #[test]
    fn a_file_is_recognized_by_its_signature_or_else_its_name() {
        for (name, beginning, expected) in [
            ("a.csv.gz", &b""[..], Some(Codec::Gzip)),
            ("a.csv.ZST", b"", Some(Codec::Zstd)),
            ("a.csv", &zstd(b"1,2")[..], Some(Codec::Zstd)),
            ("a.csv.zst", b"\x1f\x8b\x08", Some(Codec::Gzip)),
            ("a.csv", b"1,2", None),
        ] {
            assert_eq!(Codec::of(Path::new(name), beginning), expected, "{name}");
        }
    }

    #[test]
    fn all_frames_are_read_and_skippable_ones_are_not() {
        let skipped = [&b"\x50\x2a\x4d\x18\x03\0\0\0"[..], b"abc"].concat();
        let stream = [&skipped[..], &zstd(b"1,2\n"), &zstd(b""), &skipped, &zstd(b"3,4\n")].concat();
        let path = Path::new("a.csv.zst");
        assert_eq!(decompressed(Codec::Zstd, path, &stream).unwrap(), b"1,2\n3,4\n");
        assert_eq!(decompressed(Codec::Zstd, path, b"").unwrap(), b"");
        let mut text = Vec::new();
        Codec::Zstd.reader(io::Cursor::new(stream.clone())).read_to_end(&mut text).unwrap();
        assert_eq!(text, b"1,2\n3,4\n");
        for cut in [1, skipped.len() + 3, stream.len() - 1] {
            let error = decompressed(Codec::Zstd, path, &stream[..cut]).unwrap_err().to_string();
            assert!(error.starts_with("a.csv.zst: not zstd, or damaged ("), "{cut}: {error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_an_error_or_other_bytes(
            text in prop::collection::vec(0u8..9, 0..2000), at: prop::sample::Index, byte: u8
        ) {
            let mut stream = zstd(&text);
            let path = Path::new("a.csv.zst");
            prop_assert_eq!(&decompressed(Codec::Zstd, path, &stream).unwrap(), &text);
            *at.get_mut(&mut stream) = byte;
            let _ = decompressed(Codec::Zstd, path, &stream);
        }
    }
}
