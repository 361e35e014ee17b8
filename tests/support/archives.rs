//! Rewrites zip archives, with correct checksums.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The members of an archive: names and contents.
pub type Members = Vec<(String, Vec<u8>)>;

/// Reads an archive.
pub fn members(path: &Path) -> Members {
    let mut archive = ZipArchive::new(Cursor::new(std::fs::read(path).unwrap())).unwrap();
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let (name, mut bytes) = (member.name().unwrap().into_owned(), Vec::new());
        member.read_to_end(&mut bytes).unwrap();
        members.push((name, bytes));
    }
    members
}

/// Writes an uncompressed archive.
pub fn write(path: &Path, members: &Members) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    std::fs::write(path, writer.finish().unwrap().into_inner()).unwrap();
}

/// The contents of the member whose name ends with `ending`.
pub fn member<'a>(members: &'a mut Members, ending: &str) -> &'a mut Vec<u8> {
    let found = members.iter_mut().find(|(name, _)| name.ends_with(ending));
    &mut found.unwrap_or_else(|| panic!("no member ends with {ending}")).1
}

/// Changes a member that is JSON.
pub fn change_json(members: &mut Members, ending: &str, change: impl FnOnce(&mut Value)) {
    let bytes = member(members, ending);
    let mut value: Value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    *bytes = serde_json::to_vec(&value).unwrap();
}
