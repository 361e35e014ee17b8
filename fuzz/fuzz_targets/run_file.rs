//! A run file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.toml");
    std::fs::write(&path, bytes).expect("a file");
    let _ = cresset::options::Config::read(&path);
});
