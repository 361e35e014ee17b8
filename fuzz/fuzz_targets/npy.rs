//! An array of NumPy, with one of labels that fits nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cresset_fuzz::read_as("x.npy", bytes, Some(("y.npy", bytes)));
});
