//! Files that are whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// What the folders of unfinished writes are called, before some random letters.
const PARTIAL: &str = ".partial-";

/// Writes a file in one step: whoever reads `path`, even after a crash at any moment, finds the old contents or the new.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |temporary| fs::write(temporary, bytes).map_err(Error::io("write", path)))
}

/// Like [`write()`], for contents that `fill` writes to the path that it is given.
pub fn replace(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Beside the destination, because a rename is atomic within one file system only. In a folder of its own, because
    // libtorch writes a file's name into the file.
    let place = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(folder);
    let place = place.map_err(|error| Error::io("write to the folder", folder)(system_reason(error)))?;
    let temporary = place.path().join(path.file_name().unwrap_or_default());
    fill(&temporary)?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(Error::io("write", path))?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))?;
    // The rename itself survives a crash of the machine only once the folder is on the disk.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("write to the folder", folder))
}

/// The error of a temporary folder without the random path that it speaks of.
fn system_reason(error: io::Error) -> io::Error {
    let text = error.to_string();
    io::Error::new(error.kind(), text.split(" at path ").next().unwrap_or_default().to_string())
}

/// Removes what writes into `folder` left behind when their process was killed.
pub fn clear(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(Error::io("read the folder", folder))? {
        let entry = entry.map_err(Error::io("read the folder", folder))?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let failed = replace(&path, |temporary| {
            fs::write(temporary, b"half").unwrap();
            Err(Error::Usage("stopped".into()))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".partial-abc")).unwrap();
        fs::write(folder.path().join(".partial-abc/model.pt"), "half").unwrap();
        fs::write(folder.path().join("model.pt"), "whole").unwrap();
        clear(folder.path()).unwrap();
        let left: Vec<_> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["model.pt"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let text = write(Path::new("/no/such/folder/a"), b"x").unwrap_err().to_string();
        assert!(text.starts_with("cannot write to the folder /no/such/folder: No such file"), "{text}");
        assert!(!text.contains(PARTIAL), "{text}");
    }
}
