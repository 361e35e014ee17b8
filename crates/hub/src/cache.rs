//! The cache on disk, in the layout of `huggingface_hub`:
//!
//! ```text
//! models--timm--resnet18.a1_in1k/
//!   refs/main                     the commit of a branch or tag
//!   blobs/<etag>                  contents; the etag of a large file is its SHA-256
//!   blobs/<etag>.incomplete       an interrupted download
//!   snapshots/<commit>/<file>     links to blobs
//!   .no_exist/<commit>/<file>     empty: the commit has no such file
//! .locks/models--timm--resnet18.a1_in1k/<etag>.lock
//! ```

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cresset_data::atomic;
use cresset_data::error::Error as DataError;

use crate::Found;
use crate::error::Result;
use crate::model_id::{ModelId, is_commit};

/// The cached files of a model.
#[derive(Debug)]
pub struct ModelCache {
    root: PathBuf,
    locks: PathBuf,
}

impl ModelCache {
    pub fn new(cache: &Path, id: &ModelId) -> Self {
        let folder = format!("models--{}", id.name().replace('/', "--"));
        ModelCache { root: cache.join(&folder), locks: cache.join(".locks").join(&folder) }
    }

    /// The commit of a revision: its own if it is one, else that of the last download.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_string());
        }
        let commit = fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_string()).filter(|commit| is_commit(commit))
    }

    /// What the cache has of a file: its path, or that the commit has no such file.
    pub fn lookup(&self, commit: &str, name: &str) -> Option<Found> {
        let path = self.snapshot(commit, name);
        let is_missing = self.missing(commit, name).is_file();
        let path = path.is_file().then_some(path);
        (path.is_some() || is_missing).then(|| Found { commit: commit.to_string(), path })
    }

    /// Records the commit of a branch or tag.
    pub fn set_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if is_commit(revision) || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        create_parent(&path)?;
        Ok(atomic::write(&path, commit.as_bytes())?)
    }

    /// Records that a commit has no such file.
    pub fn mark_missing(&self, commit: &str, name: &str) -> Result<()> {
        let path = self.missing(commit, name);
        create_parent(&path)?;
        Ok(fs::write(&path, "").map_err(DataError::io("write", &path))?)
    }

    /// The path of contents by their etag.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Locks a blob for downloading, also against `huggingface_hub`, until the file is dropped.
    pub fn lock(&self, etag: &str) -> Result<File> {
        create_parent(&self.blob(etag))?;
        lock(&self.locks.join(format!("{etag}.lock")))
    }

    /// Makes a blob a file of a commit, by a relative link, or a copy where the file system has no links.
    pub fn link(&self, commit: &str, name: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit, name);
        if path.is_file() {
            return Ok(path);
        }
        create_parent(&path)?;
        // A link whose blob was deleted.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DataError::io("replace", &path)(error))?,
            _ => {}
        }
        if link(&Path::new("../../blobs").join(etag), &path).is_err() {
            fs::copy(self.blob(etag), &path).map_err(DataError::io("write", &path))?;
        }
        Ok(path)
    }

    fn snapshot(&self, commit: &str, name: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(name)
    }

    fn missing(&self, commit: &str, name: &str) -> PathBuf {
        self.root.join(".no_exist").join(commit).join(name)
    }
}

/// Creates a file and locks it until it is dropped.
pub fn lock(path: &Path) -> Result<File> {
    create_parent(path)?;
    let file = File::create(path).map_err(DataError::io("create", path))?;
    // Some network file systems have no locks; a download without one only risks being done twice.
    if let Err(problem) = file.lock() {
        tracing::debug!("cannot lock {}: {problem}", path.display());
    }
    Ok(file)
}

fn create_parent(path: &Path) -> Result<()> {
    let folder = path.parent().expect("a file in a cache is in a folder");
    Ok(fs::create_dir_all(folder).map_err(DataError::io("create the folder", folder))?)
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_target: &Path, _path: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}
