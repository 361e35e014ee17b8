//! Resumable downloads whose SHA-256 is checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use cresset_data::error::Error as DataError;
use cresset_data::terminal;
use sha2::{Digest, Sha256};

use crate::Progress;
use crate::client::{Client, RemoteFile};
use crate::error::{Error, Result};
use crate::problem::unexpected;
use crate::url::origin;

/// Attempts in a row that receive nothing before the download fails.
const ATTEMPTS: u32 = 4;

/// The pause before the second attempt; it doubles for each further one.
const PAUSE: Duration = Duration::from_millis(250);

/// Bytes per read.
const CHUNK: usize = 1 << 17;

/// A download to a file that keeps its bytes if it is interrupted.
pub struct Download<'a> {
    pub client: &'a Client,
    /// The model, in messages.
    pub label: String,
    pub file: RemoteFile,
    pub expected: Expected,
    pub path: &'a Path,
    /// Looks up the same contents again; none if that is not possible.
    pub renew: &'a dyn Fn() -> Option<RemoteFile>,
    /// The variable that moves the cache to another disk.
    pub cache_variable: &'static str,
}

/// What is known about the contents of a file.
pub enum Expected {
    /// The first hexadecimal digits of the SHA-256, or all.
    Prefix(String),
    /// Nothing.
    Unknown,
}

/// Why an attempt failed.
enum Failure {
    /// A connection or server error, after which another attempt may succeed.
    Transient(String),
    /// Another attempt would fail, too.
    Permanent(Error),
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Failure::Permanent(error.into())
    }
}

impl Download<'_> {
    pub fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let mut contents = Contents::open(self.path, self.cache_variable)?;
        let mut fruitless = 0;
        // Not the current length: a server that has fewer bytes than expected would send them again and again.
        let mut longest = contents.length;
        loop {
            let problem = match self.attempt(&mut contents, progress) {
                Ok(()) => break,
                Err(Failure::Permanent(error)) => return Err(error),
                Err(Failure::Transient(problem)) => problem,
            };
            fruitless = if contents.length > longest { 1 } else { fruitless + 1 };
            longest = longest.max(contents.length);
            if fruitless == ATTEMPTS {
                return Err(self.interrupted(contents.length, &problem));
            }
            tracing::info!("{problem}; continuing {} from byte {}", self.file.name, contents.length);
            std::thread::sleep(PAUSE * (1 << (fruitless - 1)));
            if let Some(file) = (self.renew)() {
                self.file = file;
            }
        }
        contents.file.sync_all().map_err(DataError::io("write", self.path))?;
        self.verify(contents)
    }

    /// Requests the missing bytes and appends them.
    fn attempt(
        &self,
        contents: &mut Contents,
        progress: &mut dyn FnMut(Progress),
    ) -> std::result::Result<(), Failure> {
        let RemoteFile { name, size, url, .. } = &self.file;
        if size.is_some_and(|size| contents.length > size) {
            contents.clear(self.path)?;
        }
        if *size == Some(contents.length) {
            return Ok(());
        }
        let mut response = self.client.get(url, contents.length).map_err(Failure::Transient)?;
        let status = response.status().as_u16();
        match status {
            206 if range_start(&response) == Some(contents.length) => {}
            200 => contents.clear(self.path)?,
            // Bytes that the file does not have, or other bytes than the requested ones.
            206 | 416 => {
                contents.clear(self.path)?;
                return Err(Failure::Transient(format!("{} cannot resume downloads", origin(url))));
            }
            408 | 425 | 429 | 500.. => {
                return Err(Failure::Transient(format!("{} answered HTTP {status}", origin(url))));
            }
            _ => {
                return Err(Failure::Permanent(unexpected(
                    url,
                    &format!("the server answered HTTP {status}"),
                )));
            }
        }
        let announced = response.body().content_length().map(|length| contents.length + length);
        let total = size.or(announced);
        let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            progress(Progress { file: name, received: contents.length, total });
            match reader.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => contents.append(&chunk[..read], self.path)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Transient(format!("the connection was lost ({error})"))),
            }
        }
        match total {
            Some(total) if contents.length < total => {
                Err(Failure::Transient("the server closed the connection early".to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Compares size and SHA-256 with the expected ones, and removes a wrong file.
    fn verify(&self, contents: Contents) -> Result<()> {
        let RemoteFile { name, size, .. } = &self.file;
        let found = cresset_data::hexadecimal(&contents.sha256.finalize());
        let is_wrong_size = size.is_some_and(|size| size != contents.length);
        let expected = match &self.expected {
            Expected::Prefix(digits) if !found.starts_with(&digits.to_ascii_lowercase()) => {
                match digits.len() == found.len() {
                    true => format!("its SHA-256 is {found} and must be {digits}"),
                    false => format!("its SHA-256 is {found} and must begin with {digits}"),
                }
            }
            _ if is_wrong_size => format!("it has {} bytes", contents.length),
            _ => return Ok(()),
        };
        fs::remove_file(self.path).map_err(DataError::io("remove", self.path))?;
        Err(Error::Network(format!(
            "{name} of {} was damaged in the download: {expected}. The file was removed; run the command again",
            self.label
        )))
    }

    fn interrupted(&self, received: u64, problem: &str) -> Error {
        let of = self.file.size.map_or(String::new(), |size| format!(" of {size}"));
        Error::Network(format!(
            "the download of {} of {} ended after {received}{of} bytes: {problem}. Run the command again to continue; {} keeps \
             the bytes",
            self.file.name,
            self.label,
            terminal::path(self.path)
        ))
    }
}

/// The bytes on disk, with their SHA-256.
struct Contents {
    file: File,
    length: u64,
    sha256: Sha256,
    cache_variable: &'static str,
}

impl Contents {
    /// Opens the file of an earlier download, or creates it.
    fn open(path: &Path, cache_variable: &'static str) -> Result<Self> {
        let open = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = open.map_err(DataError::io("create", path))?;
        let (mut length, mut sha256, mut chunk) = (0, Sha256::new(), vec![0; CHUNK]);
        loop {
            let read = file.read(&mut chunk).map_err(DataError::io("read", path))?;
            if read == 0 {
                return Ok(Contents { file, length, sha256, cache_variable });
            }
            sha256.update(&chunk[..read]);
            length += read as u64;
        }
    }

    fn append(&mut self, bytes: &[u8], path: &Path) -> std::result::Result<(), DataError> {
        self.file.write_all(bytes).map_err(|reason| {
            let advice = format!(
                "; set {} to a folder on another disk, or free space and run the command again to continue",
                self.cache_variable
            );
            let reason = match reason.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    io::Error::new(reason.kind(), format!("{reason}{advice}"))
                }
                _ => reason,
            };
            DataError::io("write", path)(reason)
        })?;
        self.sha256.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn clear(&mut self, path: &Path) -> std::result::Result<(), DataError> {
        self.file.set_len(0).map_err(DataError::io("write", path))?;
        (self.length, self.sha256) = (0, Sha256::new());
        Ok(())
    }
}

/// The first byte of a partial answer: `Content-Range: bytes 100-199/200`.
fn range_start(response: &ureq::http::Response<ureq::Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_where_else_the_cache_can_be() {
        // Every write to this device fails as on a full disk.
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let mut contents =
            Contents { file, length: 0, sha256: Sha256::new(), cache_variable: "HF_HUB_CACHE" };
        let problem = contents.append(b"abc", path).unwrap_err().to_string();
        assert!(
            problem.contains("No space left on device") && problem.contains("set HF_HUB_CACHE"),
            "{problem}"
        );
    }
}
