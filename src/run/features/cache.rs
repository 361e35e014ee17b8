//! The cache of features on disk: a safetensors file for each key, with checksums.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tch::Kind;

use super::partial::{Partial, Record};
use super::{Features, Origin};
use crate::error::{Error, Result};
use crate::model::Tensors;
use crate::model::weights::checksums::{self, Checksums};
use crate::model::weights::safetensors;

/// The variable with the size limit of the cache in MB; 0 disables the cache.
const LIMIT: &str = "CRESSET_FEATURE_CACHE_MB";

/// The size limit without the variable.
const DEFAULT_LIMIT: u64 = 2048;

/// Age of temporary folders that killed processes left behind.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The file of one key.
pub(super) struct Cache {
    path: PathBuf,
    key: String,
    /// Bytes of all files.
    limit: u64,
}

/// The metadata of a file.
#[derive(Serialize)]
struct FeaturesMetadata<'a> {
    features: &'a str,
    /// Last in the file.
    #[serde(flatten)]
    checksums: Checksums,
}

impl Cache {
    /// The place for features with this key, as the environment says; none if the cache is disabled.
    pub fn from_environment(key: String) -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let limit = match variable(LIMIT) {
            None => DEFAULT_LIMIT,
            Some(text) => text.to_str().and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| {
                tracing::warn!("{LIMIT} is not a whole number of MB; using {DEFAULT_LIMIT}");
                DEFAULT_LIMIT
            }),
        };
        let home = || Some(PathBuf::from(variable("HOME")?).join(".cache"));
        let folder = variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
        (limit > 0).then(|| Cache::at(&folder.join("cresset/features"), key, limit << 20))
    }

    fn at(folder: &Path, key: String, limit: u64) -> Self {
        Cache { path: folder.join(format!("{key}.safetensors")), key, limit }
    }

    /// The features in the cache. A damaged file is reported and ignored.
    pub fn read(&self) -> Option<Features> {
        let bytes = fs::read(&self.path).ok()?;
        match self.parse(&bytes) {
            Ok(features) => {
                // The files that were not used for the longest time are removed first.
                let touched = File::options().write(true).open(&self.path);
                let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
                // Of a process that was killed after it wrote the whole file.
                let _ = fs::remove_file(self.partial_path());
                Some(features)
            }
            Err(problem) => {
                tracing::warn!("the cached features are computed again: {problem}");
                None
            }
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Features> {
        let fault = |problem: &str| Error::artifact(&self.path, format!("the file is damaged: {problem}"));
        if !checksums::check(bytes).map_err(|problem| fault(&problem))? {
            return Err(fault("it has no checksums"));
        }
        let mut tensors = safetensors::tensors(bytes, fault)?;
        let [values, labels, rows] = ["values", "labels", "rows"].map(|name| tensors.remove(name));
        let (Some(values), Some(labels), Some(rows)) = (values, labels, rows) else {
            return Err(fault("a tensor is missing"));
        };
        let is_whole = values.dim() == 2
            && values.kind() == Kind::Float
            && labels.size() == values.size()[..1]
            && [&labels, &rows].iter().all(|tensor| tensor.kind() == Kind::Int64);
        if !is_whole {
            return Err(fault("its tensors have other shapes"));
        }
        Ok(Features { values, labels, rows, origin: Origin { is_cached: true, ..Origin::default() } })
    }

    /// The features of an interrupted computation, and the file to which those that follow are added.
    pub fn partial(&self) -> Option<(Partial, Vec<Record>)> {
        Partial::open(&self.partial_path(), self.limit)
    }

    fn partial_path(&self) -> PathBuf {
        self.path.with_extension("partial")
    }

    /// Writes features, and removes the files used least recently if the cache is too large. Failures are reported only: they cost
    /// time later, but change no result.
    pub fn write(&self, features: &Features) {
        if let Err(error) = self.store(features).and_then(|()| self.shrink()) {
            tracing::warn!("the features are not cached: {error}");
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("the file is in a folder")
    }

    fn store(&self, features: &Features) -> Result<()> {
        let Features { values, labels, rows, .. } = features;
        if 4 * values.numel() as u64 > self.limit {
            return Err(Error::Usage(format!(
                "they are larger than {} MB; {LIMIT} sets the limit",
                self.limit >> 20
            )));
        }
        let folder = self.folder();
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let tensors = Tensors::from(
            [("values", values), ("labels", labels), ("rows", rows)]
                .map(|(name, tensor)| (name.to_string(), tensor.shallow_clone())),
        );
        let named: Vec<_> = tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
        safetensors::write_checked(&self.path, &named, |checksums| {
            let metadata = FeaturesMetadata { features: &self.key, checksums };
            serde_json::to_string(&metadata).expect("the metadata can be serialized")
        })
    }

    /// Removes the oldest files until the cache has at most the size of the limit. The file of this key stays.
    fn shrink(&self) -> Result<()> {
        let folder = self.folder();
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::io("read the folder", folder))?.flatten() {
            // Another process may have removed it.
            let Ok(metadata) = entry.metadata() else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            let is_old = modified.elapsed().is_ok_and(|age| age > ABANDONED);
            if metadata.is_dir() && is_old {
                let _ = fs::remove_dir_all(entry.path());
            } else if metadata.is_file() {
                files.push((modified, metadata.len(), entry.path()));
            }
        }
        files.sort_unstable();
        let mut size: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files.iter().filter(|(_, _, path)| *path != self.path) {
            if size <= self.limit {
                break;
            }
            let _ = fs::remove_file(path);
            size -= length;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Tensor};

    use super::*;

    fn features(width: i64) -> Features {
        Features {
            values: Tensor::arange(3 * width, (Kind::Float, Device::Cpu)).view([3, width]),
            labels: Tensor::from_slice(&[0i64, 1, 0]),
            rows: Tensor::from_slice(&[0i64, 2, 3]),
            origin: Origin::default(),
        }
    }

    #[test]
    fn features_come_back_and_a_damaged_file_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("new"), "a".to_string(), 1 << 20);
        assert!(cache.read().is_none());
        cache.write(&features(4));
        let found = cache.read().unwrap();
        assert_eq!((found.values, found.rows), (features(4).values, features(4).rows));
        let whole = fs::read(&cache.path).unwrap();
        for length in [0, 7, whole.len() / 2, whole.len() - 1] {
            fs::write(&cache.path, &whole[..length]).unwrap();
            assert!(cache.read().is_none(), "cut to {length} bytes");
        }
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(&cache.path, &flipped).unwrap();
        assert!(cache.read().is_none());
    }

    #[test]
    fn the_files_used_least_recently_are_removed_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = |key: &str, limit| Cache::at(folder.path(), key.to_string(), limit);
        for (age, key) in [(30, "b"), (20, "a"), (10, "c")] {
            cache(key, 1 << 20).write(&features(1000));
            let file = File::options().write(true).open(&cache(key, 0).path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        // Reading counts as use.
        assert!(cache("b", 1 << 20).read().is_some());
        cache("d", 30_000).write(&features(1000));
        let kept = ["a", "b", "c", "d"].map(|key| cache(key, 0).path.exists());
        assert_eq!(kept, [false, true, false, true]);
        cache("e", 1000).write(&features(1000));
        assert!(!cache("e", 0).path.exists(), "larger than the limit");
    }
}
