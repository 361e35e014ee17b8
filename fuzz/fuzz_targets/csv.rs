//! Tables.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cresset_fuzz::read_as("t.csv", bytes, None);
});
