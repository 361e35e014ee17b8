//! A lock for run folders: only one process may write.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::run::date;

/// Name of the lock file.
pub(crate) const LOCK: &str = ".lock";

/// Number of attempts: a process that only tests the lock also holds it briefly.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// The lock of a folder. It ends with the process at the latest, because the operating system holds it (flock), not the file.
///
/// ```
/// use cresset::run::RunLock;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let run = folder.path();
/// let lock = RunLock::of(run)?;
/// assert!(RunLock::is_taken(run));
/// drop(lock);
/// assert!(!RunLock::is_taken(run));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    /// `None` if the file system does not support locks.
    lock: Option<File>,
}

impl RunLock {
    /// Locks `folder`.
    ///
    /// # Errors
    /// If another process holds the lock; the error names it.
    pub fn of(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let mut tries = 0;
        loop {
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = open.map_err(Error::io("open", &path))?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => {
                    // For the error message of other processes only.
                    let _ = file.set_len(0).and_then(|()| file.write_all(process_name().as_bytes()));
                    return Ok(RunLock { path, lock: Some(file) });
                }
                // The previous holder has just removed the file.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(locked_error(folder, &mut file)),
                Err(TryLockError::Error(error)) => {
                    tracing::debug!("{}: cannot be locked: {error}", path.display());
                    return Ok(RunLock { path, lock: None });
                }
            }
        }
    }

    /// Whether a process holds the lock of `folder`.
    pub fn is_taken(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join(LOCK)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Remove the file while it is locked, so that it is not the file of another process.
        let is_own = self.lock.as_ref().is_none_or(|file| is_at(file, &self.path));
        if is_own {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is still the one at its path.
fn is_at(file: &File, path: &Path) -> bool {
    let number = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(own), Ok(there)) if number(&own) == number(&there))
}

fn process_name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let since = date::second(SystemTime::now()).map_or(String::new(), |time| format!(" since {time}"));
    format!("process {} on {}{since}", std::process::id(), host.trim())
}

fn locked_error(folder: &Path, file: &mut File) -> Error {
    let mut holder = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
    let holder: String = holder.chars().filter(|character| !character.is_control()).take(200).collect();
    let holder = if holder.is_empty() { "another process" } else { &holder };
    let problem = format!("{holder} is writing to this folder; wait for it, or stop it. Nothing was changed");
    Error::artifact(folder, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_second_lock_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_taken(folder.path()));
        let first = RunLock::of(folder.path()).unwrap();
        assert!(RunLock::is_taken(folder.path()));
        let said = RunLock::of(folder.path()).unwrap_err().to_string();
        assert!(said.contains(&format!("process {} on ", std::process::id())), "{said}");
        assert!(said.contains(" since 2"), "{said}");
        drop(first);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert!(!RunLock::is_taken(folder.path()));
        drop(RunLock::of(folder.path()).unwrap());
    }

    #[test]
    fn the_lock_file_of_a_killed_process_does_not_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK), "process 1 on elsewhere").unwrap();
        assert!(!RunLock::is_taken(folder.path()));
        RunLock::of(folder.path()).unwrap();
    }

    #[test]
    fn only_one_of_many_threads_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            let mut count = 0;
            while count < 20 {
                let Ok(_writer) = RunLock::of(folder.path()) else { continue };
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                std::thread::yield_now();
                inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                count += 1;
            }
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| {
                scope.spawn(work);
            })
        });
    }
}
