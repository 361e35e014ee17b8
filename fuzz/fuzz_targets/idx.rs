//! The files of IDX: bytes for both, cut in the middle.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (images, labels) = bytes.split_at(bytes.len() / 2);
    cresset_fuzz::read_as("a-images-idx3-ubyte", images, Some(("a-labels-idx1-ubyte", labels)));
});
