//! Model files of any format, before their code runs.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.pt");
    std::fs::write(&path, bytes).expect("a file");
    let _ = cresset::model::executor::open(&path);
});
