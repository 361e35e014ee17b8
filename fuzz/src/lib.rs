//! What the targets share: the bytes become a file of that name, and are read as data.

use cresset::data::{DataOptions, read};
use cresset::data::options::Missing;

/// Reads `bytes` as a file called `name`, with labels beside it in `companion` if the format wants them.
pub fn read_as(name: &str, bytes: &[u8], companion: Option<(&str, &[u8])>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    if let Some((name, bytes)) = companion {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    let options = DataOptions { missing: Missing::Mean, ..DataOptions::default() };
    let _ = read(path.to_str().expect("the path is UTF-8"), &options);
}
