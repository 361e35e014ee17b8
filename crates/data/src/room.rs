//! Memory budget checks before allocation.
//!
//! A header can declare any size, a compressed file can expand a thousandfold, and a sparse file can have any
//! length. The size on disk limits what is plausible.

use std::fs::{File, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::error::{Error, Result};

/// A file may always take this much memory, …
const ALWAYS_ALLOWED: u64 = 1 << 30;
/// … and above it, this multiple of its size on disk. Images and tables compress to a tenth or a twentieth,
/// decompression bombs to a thousandth.
const MAX_EXPANSION: u64 = 100;

/// The memory budget from `--max-memory`, in GiB; if `None`, it depends on the file's size on disk and the
/// machine's memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryBudget(pub Option<f64>);

impl MemoryBudget {
    /// Checks that values read from `path` may take `bytes` in memory.
    ///
    /// # Errors
    /// More than is plausible for the file, than the machine has, or than the option allows.
    pub fn check(self, path: &Path, bytes: u64) -> Result<()> {
        let refuse = |reason: String| {
            Err(Error::data(path, format!("its values would take {}, {reason}", size(bytes))))
        };
        if let Some(gib) = self.0 {
            let limit = (gib * ALWAYS_ALLOWED as f64) as u64;
            return if bytes > limit {
                refuse(format!("but --max-memory allows {}", size(limit)))
            } else {
                Ok(())
            };
        }
        let on_disk = path.metadata().map_or(u64::MAX, |metadata| on_disk(&metadata));
        if bytes > ALWAYS_ALLOWED.max(on_disk.saturating_mul(MAX_EXPANSION)) {
            return refuse(format!(
                "but the file has {} on disk, so it is damaged or a decompression bomb; if it is valid, use \
                 --max-memory GIB",
                size(on_disk)
            ));
        }
        let limit = machine_memory();
        if bytes > limit {
            return refuse(format!(
                "but the machine has {} of memory; use --max-memory GIB to read it anyway",
                size(limit)
            ));
        }
        Ok(())
    }
}

impl MemoryBudget {
    /// The memory that the rows of a table may take: that of the option, or most of what is free.
    pub(crate) fn available(self) -> u64 {
        match self.0 {
            Some(gib) => (gib * ALWAYS_ALLOWED as f64) as u64,
            // The network and other programs need some, too.
            None => free_memory() / 5 * 4,
        }
    }
}

/// Opens a regular file. Devices may have no end, and opening a pipe blocks until another process writes to
/// it.
///
/// # Errors
/// A file that cannot be opened or is not a regular file.
pub fn open(path: &Path) -> std::io::Result<File> {
    match special_file_type(path.metadata()?.file_type()) {
        Some(name) => Err(std::io::Error::other(special_file_problem(name))),
        None => File::open(path),
    }
}

/// Rejects anything but files and folders. An inaccessible path is left to the reader.
pub(crate) fn reject_special(path: &Path) -> Result<()> {
    match path.metadata().ok().and_then(|metadata| special_file_type(metadata.file_type())) {
        Some(name) => Err(Error::data(path, special_file_problem(name))),
        None => Ok(()),
    }
}

fn special_file_problem(name: &str) -> String {
    format!("this is {name}; expected a regular file, so write its contents to one first")
}

fn special_file_type(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => return None,
    })
}

/// The size of a file on disk, without holes. Some file systems do not count blocks.
fn on_disk(metadata: &Metadata) -> u64 {
    if metadata.blocks() == 0 {
        metadata.len()
    } else {
        metadata.len().min(metadata.blocks().saturating_mul(512))
    }
}

/// The memory of the machine, or of its control group if that is less.
fn machine_memory() -> u64 {
    memory_info("MemTotal:").unwrap_or(u64::MAX).min(of_group("memory.max").unwrap_or(u64::MAX))
}

/// The memory that is free or can be freed, on the machine and in its control group.
fn free_memory() -> u64 {
    let used = of_group("memory.current").unwrap_or(0);
    let of_group = of_group("memory.max").map_or(u64::MAX, |limit| limit.saturating_sub(used));
    memory_info("MemAvailable:").unwrap_or(u64::MAX).min(of_group)
}

/// An entry of `/proc/meminfo`, in bytes.
fn memory_info(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?.trim();
    kib.parse::<u64>().ok()?.checked_mul(1024)
}

/// A file with a number of bytes of the control group; `None` without a limit.
fn of_group(name: &str) -> Option<u64> {
    std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok()?.trim().parse().ok()
}

/// Formats a number of bytes for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / f64::from(2f32).powi(*shift as i32)),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_on_disk_limits_the_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, vec![1; 1 << 20]).unwrap();
        let problem = |room: MemoryBudget, bytes| room.check(&path, bytes).unwrap_err().to_string();
        assert!(MemoryBudget(None).check(&path, 1 << 30).is_ok());
        let message = problem(MemoryBudget(None), (1 << 30) + 1);
        assert!(message.contains("1.0 GiB, but the file has 1.0 MiB on disk"), "{message}");
        assert!(MemoryBudget(Some(1.5)).check(&path, 3 << 29).is_ok());
        let message = problem(MemoryBudget(Some(1.5)), (3 << 29) + 1);
        assert!(message.contains("--max-memory allows 1.5 GiB"), "{message}");
        assert!(problem(MemoryBudget(None), u64::MAX).contains("16777216.0 TiB"));
    }

    #[test]
    fn holes_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, [1; 100]).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let message = MemoryBudget(None).check(&path, 1 << 40).unwrap_err().to_string();
        assert!(message.contains("would take 1.0 TiB, but the file has"), "{message}");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, socket) = (folder.path().join("a"), folder.path().join("socket"));
        std::fs::write(&path, "x").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(
            open(&path).is_ok() && reject_special(&path).is_ok() && reject_special(folder.path()).is_ok()
        );
        for (path, what) in [(Path::new("/dev/zero"), "a device"), (&socket, "a socket")] {
            assert!(open(path).unwrap_err().to_string().contains(what));
            assert!(reject_special(path).unwrap_err().to_string().contains("expected a regular file"));
        }
    }
}
