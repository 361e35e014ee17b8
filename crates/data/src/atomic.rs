//! Files and folders that are whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::error::{Error, Result};

/// An error that may name the file or folder it is about.
pub trait NamesPath: From<Error> {
    /// An error on something in the folder `from`, said of its place in the folder `to`, where it would have gone.
    fn moved(self, from: &Path, to: &Path) -> Self;
}

impl NamesPath for Error {
    fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Error::Io { path, .. } = &mut self
            && let Ok(rest) = path.strip_prefix(from)
        {
            *path = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
        }
        self
    }
}

/// What the folders of unfinished writes are called, before some random letters.
const PARTIAL: &str = ".partial-";

/// Writes a file in one step: whoever reads `path`, even after a crash at any moment, finds the old contents or the new.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |temporary| fs::write(temporary, bytes).map_err(Error::io("write", path)))
}

/// Like [`write()`], for contents that `fill` writes to the path that it is given.
pub fn replace<E: NamesPath>(
    path: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let folder = holder(path);
    let place = partial(folder)?;
    // libtorch writes a file's name into the file.
    let temporary = place.path().join(path.file_name().unwrap_or_default());
    fill(&temporary).map_err(|error| error.moved(&temporary, path))?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(Error::io("write", path))?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))?;
    // The rename itself survives a crash of the machine only once the folder is on the disk.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|reason| Error::io("write to the folder", folder)(reason).into())
}

/// Makes a folder in one step: `path`, which must not exist or be an empty folder, has all that `fill` writes to the folder that
/// it is given, or is as before, also if the process is killed.
pub fn folder<E: NamesPath>(
    path: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    // A link to an empty folder stays a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = holder(path);
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let place = partial(folder)?;
    let temporary = place.path().join(path.file_name().unwrap_or_default());
    fs::create_dir(&temporary).map_err(Error::io("create the folder", path))?;
    fill(&temporary).map_err(|error| error.moved(&temporary, path))?;
    // It takes the place of an empty folder.
    fs::rename(&temporary, path).map_err(|reason| Error::io("create the folder", path)(reason).into())
}

/// A folder for unfinished writes into `folder`, which goes away with what is returned. A rename is atomic within one file
/// system only, so it is there.
pub fn partial(folder: &Path) -> Result<TempDir> {
    let place = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(folder);
    place.map_err(|error| Error::io("write to the folder", folder)(system_reason(error)))
}

/// The folder that a path is in.
fn holder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
    fn a_folder_is_whole_or_as_before() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/set");
        let failed = folder(&path, |temporary| {
            fs::write(temporary.join("a"), "half").unwrap();
            Err(Error::io("write", &temporary.join("b"))(io::Error::other("disk full")))
        });
        assert_eq!(
            failed.unwrap_err().to_string(),
            format!("cannot write {}: disk full", path.join("b").display())
        );
        assert!(!path.exists());

        folder(&path, |temporary| {
            fs::write(temporary.join("a"), "whole").map_err(Error::io("write", temporary))
        })
        .unwrap();
        assert_eq!(fs::read(path.join("a")).unwrap(), b"whole");
        assert_eq!(place.path().join("new").read_dir().unwrap().count(), 1);
        folder(&path, |_| Ok::<_, Error>(())).expect_err("it holds something");
        assert_eq!(fs::read(path.join("a")).unwrap(), b"whole");

        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        folder(&empty, |temporary| {
            fs::write(temporary.join("a"), "x").map_err(Error::io("write", temporary))
        })
        .unwrap();
        assert!(empty.join("a").is_file());
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
