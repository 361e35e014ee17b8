//! What a model says of itself, and the samples that travel with it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = cresset::export::Metadata::read(text);
        let _ = serde_json::from_str::<cresset::export::Verification>(text);
    }
});
