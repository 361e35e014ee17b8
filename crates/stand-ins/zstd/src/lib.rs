//! The part of zstd 0.14 that parquet names: it decompresses in Rust, with [`ruzstd`], and refuses to compress.
//!
//! The real crate compiles the C library, half a minute of a build. This project reads Parquet files and never writes them.

/// Buffers that are compressed and decompressed as a whole.
pub mod bulk {
    use std::io::{Cursor, Error, ErrorKind, Read, Result};
    use std::marker::PhantomData;

    use ruzstd::decoding::StreamingDecoder;

    /// Refuses to compress.
    #[derive(Debug)]
    pub struct Compressor<'a>(PhantomData<&'a [u8]>);

    impl Compressor<'_> {
        /// Takes any level.
        pub fn new(_level: i32) -> Result<Self> {
            Ok(Compressor(PhantomData))
        }

        /// # Errors
        /// Always.
        pub fn compress_to_buffer(
            &mut self,
            _source: &[u8],
            _destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            Err(Error::new(ErrorKind::Unsupported, "this build cannot compress with zstd"))
        }
    }

    /// Decompresses frames.
    #[derive(Debug)]
    pub struct Decompressor<'a>(PhantomData<&'a [u8]>);

    impl Decompressor<'_> {
        /// A decompressor without a dictionary.
        pub fn new() -> Result<Self> {
            Ok(Decompressor(PhantomData))
        }

        /// Decompresses a frame to the position of `destination`, within the capacity of its vector. Returns the number of bytes.
        ///
        /// # Errors
        /// A damaged frame, and one that is larger than the capacity.
        pub fn decompress_to_buffer(
            &mut self,
            source: &[u8],
            destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            let start = destination.position() as usize;
            let output = destination.get_mut();
            output.truncate(start);
            let room = output.capacity() - start;
            let decoder = StreamingDecoder::new(source).map_err(Error::other)?;
            match decoder.take(room as u64 + 1).read_to_end(output)? {
                size if size <= room => Ok(size),
                _ => Err(Error::other("the data is larger than its header says")),
            }
        }
    }
}

/// Facts about frames.
pub mod zstd_safe {
    use std::convert::Infallible;

    /// The size of the content as the header of a frame declares it; here never known.
    pub fn get_frame_content_size(_frame: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }

    /// The size of the result of a compression, at most.
    pub fn compress_bound(size: usize) -> usize {
        size
    }
}
