//! The sizes that a TorchScript file declares.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = cresset::model::archive::check_sizes(std::io::Cursor::new(bytes));
});
