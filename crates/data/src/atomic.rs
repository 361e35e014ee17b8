//! Atomic writes of files and folders.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Error, Result};

/// An error that may contain the path of a file or folder.
pub trait WithPath: From<Error> {
    /// The path of the error, if it has one.
    fn path_mut(&mut self) -> Option<&mut PathBuf>;

    /// Replaces the prefix `from` of the error's path by `to`, so that the message names the final path and
    /// not the temporary one.
    fn moved(mut self, from: &Path, to: &Path) -> Self {
        if let Some(path) = self.path_mut()
            && let Ok(rest) = path.strip_prefix(from)
        {
            *path = if rest.as_os_str().is_empty() { to.to_path_buf() } else { to.join(rest) };
        }
        self
    }
}

impl WithPath for Error {
    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Error::Io { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// Prefix of the temporary folders; random letters follow.
const PARTIAL: &str = ".partial-";

/// Writes a file atomically: after a crash at any moment, `path` has the old contents or the new ones.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, |temporary| fs::write(temporary, bytes).map_err(Error::io("write", path)))
}

/// Like [`write()`], but `fill` writes the contents to the temporary path that it gets.
pub fn replace<E: WithPath>(
    path: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let folder = parent_folder(path);
    let temporary_folder = partial(folder)?;
    // libtorch writes a file's name into the file.
    let temporary = temporary_folder.path().join(path.file_name().unwrap_or_default());
    fill(&temporary).map_err(|error| error.moved(&temporary, path))?;
    File::open(&temporary).and_then(|file| file.sync_all()).map_err(Error::io("write", path))?;
    fs::rename(&temporary, path).map_err(Error::io("write", path))?;
    // The rename is durable only once the folder is synced to disk.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|reason| Error::io("write to the folder", folder)(reason).into())
}

/// Creates a folder atomically. `fill` writes its contents to the temporary folder that it gets. `path` must
/// not exist or be an empty folder; if `fill` fails or the process is killed, it stays as it was.
pub fn folder<E: WithPath>(
    path: &Path,
    fill: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    // A link to an empty folder stays a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = parent_folder(path);
    fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
    let temporary_folder = partial(folder)?;
    let temporary = temporary_folder.path().join(path.file_name().unwrap_or_default());
    fs::create_dir(&temporary).map_err(Error::io("create the folder", path))?;
    fill(&temporary).map_err(|error| error.moved(&temporary, path))?;
    // A rename replaces an empty folder.
    fs::rename(&temporary, path).map_err(|reason| Error::io("create the folder", path)(reason).into())
}

/// Creates a temporary folder inside `folder`, which is removed when the returned value is dropped. It is on
/// the same file system as `folder`, because a rename is atomic only within one.
pub fn partial(folder: &Path) -> Result<TempDir> {
    let temporary_folder = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(folder);
    temporary_folder.map_err(|error| Error::io("write to the folder", folder)(without_temporary_path(error)))
}

/// The parent folder of a path.
fn parent_folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the random temporary path from an error message.
fn without_temporary_path(error: io::Error) -> io::Error {
    let text = error.to_string();
    io::Error::new(error.kind(), text.split(" at path ").next().unwrap_or_default().to_string())
}

/// Removes the temporary folders that killed processes left in `folder`.
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
    fn a_folder_is_complete_or_unchanged() {
        let temporary_folder = tempfile::tempdir().unwrap();
        let path = temporary_folder.path().join("new/set");
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
        assert_eq!(temporary_folder.path().join("new").read_dir().unwrap().count(), 1);
        folder(&path, |_| Ok::<_, Error>(())).expect_err("the folder is not empty");
        assert_eq!(fs::read(path.join("a")).unwrap(), b"whole");

        let empty = temporary_folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        folder(&empty, |temporary| {
            fs::write(temporary.join("a"), "x").map_err(Error::io("write", temporary))
        })
        .unwrap();
        assert!(empty.join("a").is_file());
    }

    #[test]
    fn temporary_folders_of_killed_processes_are_removed() {
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
