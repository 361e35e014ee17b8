//! Pickles.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = cresset::model::weights::pickle::Pickle::read(bytes);
});
