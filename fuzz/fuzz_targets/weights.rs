//! Files of weights: safetensors, and both forms of PyTorch's.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights");
    std::fs::write(&path, bytes).expect("a file");
    let _ = cresset::model::weights::read(&path);
});
