//! Whether there is room for what a file says that it holds, before memory is taken for it.
//!
//! A header can declare any size, a packed file can unpack to a thousand times its own, and a file with holes is as long as one
//! likes: none of that is data. What is plausible is told by the bytes that are on the disk.

use std::fs::{File, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::error::{Error, Result};

/// What a file may become in memory in any case, …
const FREELY: u64 = 1 << 30;
/// … and beyond it so many times its bytes on the disk. Images and tables pack to a tenth or a twentieth, bombs to a thousandth.
const TIMES: u64 = 100;

/// The limit that `--max-memory` sets, in GiB; without it, what is plausible.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room(pub Option<f64>);

impl Room {
    /// Refuses values that would take so many bytes in memory, read from `path`.
    ///
    /// # Errors
    /// More than is plausible, than the machine has, or than the option allows.
    pub fn check(self, path: &Path, bytes: u64) -> Result<()> {
        let refuse = |reason: String| {
            Err(Error::data(path, format!("its values would take {}, {reason}", size(bytes))))
        };
        if let Some(gib) = self.0 {
            let most = (gib * FREELY as f64) as u64;
            return if bytes > most {
                refuse(format!("but --max-memory allows {}", size(most)))
            } else {
                Ok(())
            };
        }
        let on_disk = path.metadata().map_or(u64::MAX, |known| on_disk(&known));
        if bytes > FREELY.max(on_disk.saturating_mul(TIMES)) {
            return refuse(format!(
                "but the file has {} on the disk, so it is damaged or made to fill the memory; if it is sound, give \
                 --max-memory GIB",
                size(on_disk)
            ));
        }
        let most = of_machine();
        if bytes > most {
            return refuse(format!(
                "but the machine has {} of memory; --max-memory GIB reads it all the same",
                size(most)
            ));
        }
        Ok(())
    }
}

/// Opens a regular file. Of anything else there is no end or no beginning: opening a pipe waits for somebody to write.
///
/// # Errors
/// A file that cannot be opened, and what is none, in words that go behind "cannot read the file".
pub fn open(path: &Path) -> std::io::Result<File> {
    match special(path.metadata()?.file_type()) {
        Some(what) => Err(std::io::Error::other(what_is_needed(what))),
        None => File::open(path),
    }
}

/// Refuses what is neither a file nor a folder; what cannot be looked at is left to the reader.
pub fn refuse_special(path: &Path) -> Result<()> {
    match path.metadata().ok().and_then(|known| special(known.file_type())) {
        Some(what) => Err(Error::data(path, what_is_needed(what))),
        None => Ok(()),
    }
}

fn what_is_needed(what: &str) -> String {
    format!("this is {what}; a regular file is needed here, so write what comes from it into one first")
}

fn special(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => return None,
    })
}

/// The bytes of a file without its holes. Some file systems do not count blocks.
fn on_disk(known: &Metadata) -> u64 {
    if known.blocks() == 0 { known.len() } else { known.len().min(known.blocks().saturating_mul(512)) }
}

/// The memory of the machine, or of the part of it that this process may use.
fn of_machine() -> u64 {
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    let total = text("/proc/meminfo").lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim();
        kib.parse::<u64>().ok()?.checked_mul(1024)
    });
    let of_group = text("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
    total.unwrap_or(u64::MAX).min(of_group)
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
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
    fn what_a_file_can_hold_is_told_by_its_bytes_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, vec![1; 1 << 20]).unwrap();
        let problem = |room: Room, bytes| room.check(&path, bytes).unwrap_err().to_string();
        assert!(Room(None).check(&path, 1 << 30).is_ok());
        let said = problem(Room(None), (1 << 30) + 1);
        assert!(said.contains("1.0 GiB, but the file has 1.0 MiB on the disk"), "{said}");
        assert!(Room(Some(1.5)).check(&path, 3 << 29).is_ok());
        let said = problem(Room(Some(1.5)), (3 << 29) + 1);
        assert!(said.contains("--max-memory allows 1.5 GiB"), "{said}");
        assert!(problem(Room(None), u64::MAX).contains("16777216.0 TiB"));
    }

    #[test]
    fn holes_are_no_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, [1; 100]).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let said = Room(None).check(&path, 1 << 40).unwrap_err().to_string();
        assert!(said.contains("would take 1.0 TiB, but the file has"), "{said}");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, socket) = (folder.path().join("a"), folder.path().join("socket"));
        std::fs::write(&path, "x").unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(
            open(&path).is_ok() && refuse_special(&path).is_ok() && refuse_special(folder.path()).is_ok()
        );
        for (path, what) in [(Path::new("/dev/zero"), "a device"), (&socket, "a socket")] {
            assert!(open(path).unwrap_err().to_string().contains(what));
            assert!(refuse_special(path).unwrap_err().to_string().contains("a regular file is needed"));
        }
    }
}
