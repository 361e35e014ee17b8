//! A shard of WebDataset.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    cresset_fuzz::read_as("a.tar", bytes, None);
});
