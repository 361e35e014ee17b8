//! The place of stored rows in the user's cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cresset_options::OptionSet;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::format::options::DataOptions;
use crate::hexadecimal;

/// Changes when rows are stored in another way.
const VERSION: &str = "3";

/// Files that were not used for this time are removed when another one is written.
const OLD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Age of what killed processes left behind.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Options that do not change the rows: texts are tokenized when they are read.
const WITHOUT_EFFECT: [&str; 5] = ["stream", "max_memory", "tokenizer", "vocab_size", "max_length"];

/// The place of the rows of a table, as some options read them.
pub(super) struct Place {
    folder: PathBuf,
    key: String,
}

impl Place {
    /// The place for the files of a table: another one once a file has changed.
    ///
    /// # Errors
    /// Files that cannot be read, and no cache folder.
    pub fn of(files: &[PathBuf], options: &DataOptions) -> Result<Self> {
        Place::within(folder()?, files, options)
    }

    pub(super) fn within(folder: PathBuf, files: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let mut hash = Sha256::new();
        hash.update(VERSION);
        for file in files {
            let unreadable = |e| Error::data(file.as_path(), format!("cannot read the file: {e}"));
            let path = file.canonicalize().map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            let changed = metadata.modified().map_err(unreadable)?;
            let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
            hash.update(format!("{}\0{}\0{since}\0", path.display(), metadata.len()));
        }
        for (name, value) in options.entries().into_iter().filter(|(name, _)| !WITHOUT_EFFECT.contains(name))
        {
            hash.update(format!("{name}={value}\0"));
        }
        if let Some(schema) = &options.schema {
            let unreadable = |e| Error::data(schema.as_path(), format!("cannot read the schema: {e}"));
            hash.update(fs::read(schema).map_err(unreadable)?);
        }
        Ok(Place { folder, key: hexadecimal(&hash.finalize())[..32].to_string() })
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.rows", self.key))
    }

    /// Waits until no other process writes the file.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.folder).map_err(Error::io("create the folder", &self.folder))?;
        let path = self.folder.join(format!("{}.lock", self.key));
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        // Without locks, two processes write the same file at most twice.
        if let Err(reason) = file.lock() {
            tracing::debug!("{} cannot be locked: {reason}", path.display());
        }
        Ok(file)
    }

    /// Marks the file as used.
    pub fn touch(&self) {
        let touched = File::options().write(true).open(self.file());
        let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Removes files that were not used for long, and what killed processes left behind.
    pub fn clear_old(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = age.and_then(|changed| changed.elapsed().ok()).unwrap_or_default();
            let path = entry.path();
            // Nobody depends on them, so it does not matter if that fails.
            let _ = match path.is_dir() {
                true if age > ABANDONED => fs::remove_dir_all(path),
                false if age > OLD => fs::remove_file(path),
                _ => Ok(()),
            };
        }
    }
}

/// `cresset/tables` in the user's cache.
///
/// # Errors
/// A user without a home folder.
pub(super) fn folder() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| {
        let problem = "there is no home folder for the rows of a table that is streamed; set XDG_CACHE_HOME to a folder";
        Error::Usage(problem.to_string())
    })?;
    Ok(cache.join(Path::new("cresset/tables")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_depends_on_the_files_and_the_options() {
        let folder = tempfile::tempdir().unwrap();
        let (table, cache) = (folder.path().join("a.csv"), folder.path().join("cache"));
        fs::write(&table, "a,b\n1,2\n").unwrap();
        let key = |options: &DataOptions| {
            Place::within(cache.clone(), std::slice::from_ref(&table), options).unwrap().key
        };
        let plain = DataOptions::default();
        let first = key(&plain);
        assert_eq!(key(&DataOptions { max_memory: Some(1.), ..plain.clone() }), first);
        assert_ne!(key(&DataOptions { ignore: Some("a".into()), ..plain.clone() }), first);
        fs::write(&table, "a,b\n1,2\n3,4\n").unwrap();
        assert_ne!(key(&plain), first);
    }

    #[test]
    fn only_old_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let table = folder.path().join("a.csv");
        fs::write(&table, "a,b\n1,2\n").unwrap();
        let place = Place::within(cache.clone(), &[table], &DataOptions::default()).unwrap();
        drop(place.lock().unwrap());
        let (old, new) = (cache.join("old.rows"), cache.join("new.rows"));
        for file in [&old, &new] {
            fs::write(file, "x").unwrap();
        }
        File::options().write(true).open(&old).unwrap().set_modified(SystemTime::now() - 2 * OLD).unwrap();
        place.clear_old();
        assert!(!old.exists() && new.exists());
    }
}
