//! Files of models on the Hugging Face hub, in the cache that `huggingface_hub` for Python uses too, of torchvision, in the cache
//! of `torch.hub`, and of published data sets. Needs no libtorch.
//!
//! [`Settings`] has the endpoints, the caches and the access token, by default from the environment variables of those libraries.
//! [`Hub::file`] and [`Hub::torchvision_file`] return the path of a file in the cache, after downloading it if necessary.

mod cache;
mod client;
mod datasets;
mod download;
mod error;
mod model_id;
mod problem;
mod settings;
#[cfg(test)]
mod tests;
mod torchvision;
mod upload;
mod url;

use std::fs;
use std::path::PathBuf;

use cache::ModelCache;
use client::{Answer, Client, RemoteFile};
use cresset_data::error::Error as DataError;
use download::{Download, Expected};
pub use error::{Error, Result};
pub use model_id::{ModelId, is_commit};
pub use settings::{ENDPOINT, Settings};
pub use upload::{Pushed, Upload};

/// The hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The hub.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    client: Client,
}

/// A file at a commit of a model's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The commit to which the revision refers: 40 hexadecimal digits.
    pub commit: String,
    /// The path in the cache; none if the repository has no such file.
    pub path: Option<PathBuf>,
}

/// The progress of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The bytes on disk, including those of an earlier, interrupted download.
    pub received: u64,
    /// The size of the file in bytes, if the server has sent it.
    pub total: Option<u64>,
}

impl Hub {
    /// The hub with these settings.
    ///
    /// # Errors
    /// A file of certificates (`SSL_CERT_FILE`) that cannot be read.
    pub fn new(settings: Settings) -> Result<Self> {
        let client = Client::new(&settings)?;
        Ok(Hub { settings, client })
    }

    /// The same for a question whose answer is not worth a wait: requests end after a few seconds.
    ///
    /// # Errors
    /// Those of [`Hub::new`].
    pub fn impatient(settings: Settings) -> Result<Self> {
        let client = Client::impatient(&settings)?;
        Ok(Hub { settings, client })
    }

    /// Whether the cache has a file of a model. Nothing is requested.
    pub fn is_cached(&self, id: &ModelId, name: &str) -> bool {
        let cache = ModelCache::new(&self.settings.cache, id);
        let found = cache.commit(id.revision()).and_then(|commit| cache.lookup(&commit, name));
        found.is_some_and(|found| found.path.is_some())
    }

    /// Whether the server has a file of a model; false without a request if only the cache is used. Nothing is downloaded.
    ///
    /// # Errors
    /// An unreachable server.
    pub fn has(&self, id: &ModelId, name: &str) -> Result<bool> {
        if self.settings.offline {
            return Ok(false);
        }
        match self.client.look_up(id, name) {
            Ok(Answer::File { .. }) => Ok(true),
            Ok(Answer::Missing { .. }) => Ok(false),
            Err(error @ Error::Network(_)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// The path of a file of a model. A revision that is a commit is not requested again once the file is in the cache; for
    /// a branch or a tag, the server is asked for the current commit. Without a network, the cached commit is used.
    ///
    /// # Errors
    /// A model or revision that does not exist or requires access, an unreachable server, a download that ends early or has
    /// the wrong SHA-256, and a cache that cannot be written.
    pub fn file(&self, id: &ModelId, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<Found> {
        let cache = ModelCache::new(&self.settings.cache, id);
        let known = cache.commit(id.revision());
        let cached = known.clone().and_then(|commit| cache.lookup(&commit, name));
        if let (Some(found), true) = (&cached, is_commit(id.revision())) {
            return Ok(found.clone());
        }
        if self.settings.offline {
            return cached.ok_or_else(|| problem::offline(id, name, &self.settings.cache));
        }
        match self.client.look_up(id, name) {
            Ok(Answer::File { commit, etag, file }) => {
                let path = self.download(&cache, id, (&commit, &etag), file, progress)?;
                Ok(Found { commit, path: Some(path) })
            }
            Ok(Answer::Missing { commit }) => {
                cache.mark_missing(&commit, name)?;
                cache.set_commit(id.revision(), &commit)?;
                Ok(Found { commit, path: None })
            }
            Err(error @ Error::Network(_)) => match cached {
                Some(found) => {
                    tracing::warn!("{error}; using the copy of commit {} in the cache", found.commit);
                    Ok(found)
                }
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Downloads a file at a commit unless the cache has its contents, and returns its path in the cache.
    fn download(
        &self,
        cache: &ModelCache,
        id: &ModelId,
        (commit, etag): (&str, &str),
        file: RemoteFile,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf> {
        let blob = cache.blob(etag);
        let _lock = cache.lock(etag)?;
        let name = file.name.clone();
        if !blob.is_file() {
            let incomplete = cache.blob(&format!("{etag}.incomplete"));
            // The URL of the contents may have expired.
            let renew = || match self.client.look_up(id, &name) {
                Ok(Answer::File { etag: now, file, .. }) if now == etag => Some(file),
                _ => None,
            };
            let expected = match etag.len() == SHA256_DIGITS {
                true => Expected::Prefix(etag.to_string()),
                false => Expected::Unknown,
            };
            let label = format!("`{id}`");
            Download {
                client: &self.client,
                label,
                file,
                expected,
                path: &incomplete,
                renew: &renew,
                cache_variable: "HF_HUB_CACHE",
            }
            .run(progress)?;
            fs::rename(&incomplete, &blob).map_err(DataError::io("write", &blob))?;
        }
        let path = cache.link(commit, &name, etag)?;
        cache.set_commit(id.revision(), commit)?;
        Ok(path)
    }
}
