//! Pictures of every format, whole and at a part of their size.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    use cresset::data::image::{Channels, Header};
    if let Ok(header) = Header::read(bytes) {
        let _ = header.decode(bytes, Channels::Color, 1, Vec::new());
        let _ = header.decode(bytes, Channels::Grey, 8, Vec::new());
    }
});
