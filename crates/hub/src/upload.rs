//! Uploads of a model's files in one commit, by the hub's API for HTTP: large files go to its storage first (Git LFS), small ones
//! are part of the request for the commit.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cresset_data::error::Error as DataError;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::model_id::ModelId;
use crate::url::revision;
use crate::{Hub, Progress, problem};

/// Bytes of a file that tell the server whether it is text.
const SAMPLE: usize = 512;

/// Attempts to send a large file.
const ATTEMPTS: u32 = 4;

/// The pause before the second attempt; it doubles for each further one.
const PAUSE: Duration = Duration::from_millis(250);

/// Bytes per read.
const CHUNK: usize = 1 << 17;

const JSON: &str = "application/json";
const LFS: &str = "application/vnd.git-lfs+json";

/// A file to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The name in the repository.
    pub name: String,
    /// The path on this machine.
    pub path: PathBuf,
}

/// A commit that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The URL of the model.
    pub url: String,
    /// The commit: 40 hexadecimal digits.
    pub commit: String,
}

/// A file with what the server asks for.
struct Prepared<'a> {
    upload: &'a Upload,
    size: u64,
    sha256: String,
    /// Whether it goes to the storage for large files.
    is_large: bool,
}

#[derive(Deserialize)]
struct Modes {
    files: Vec<Mode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mode {
    path: String,
    upload_mode: String,
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Actions {
    upload: Action,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    commit_oid: String,
}

impl Hub {
    /// Uploads files to the branch of a model in one commit; creates the model if it does not exist. Files that the storage has
    /// already, for example after an interrupted upload, are not sent again.
    ///
    /// # Errors
    /// A missing token or one without write access, files that cannot be read, and an unreachable server.
    pub fn push(
        &self,
        id: &ModelId,
        files: &[Upload],
        message: &str,
        is_private: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Pushed> {
        if self.settings.offline {
            return Err(problem::push_offline(id));
        }
        if self.settings.token.is_none() {
            return Err(problem::no_token(id, &self.settings));
        }
        let push = Push { client: &self.client, endpoint: &self.settings.endpoint, id };
        push.create(is_private)?;
        let mut prepared = files.iter().map(prepared).collect::<Result<Vec<_>>>()?;
        push.ask_modes(&mut prepared)?;
        push.send_large(&prepared, progress)?;
        let commit = push.commit(&prepared, message)?;
        Ok(Pushed { url: format!("{}/{}", self.settings.endpoint, id.name()), commit })
    }
}

fn prepared(upload: &Upload) -> Result<Prepared<'_>> {
    let path = &upload.path;
    let mut file = File::open(path).map_err(DataError::io("read", path))?;
    let (mut sha256, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk).map_err(DataError::io("read", path))?;
        if read == 0 {
            break;
        }
        sha256.update(&chunk[..read]);
        size += read as u64;
    }
    let sha256 = cresset_data::hexadecimal(&sha256.finalize());
    Ok(Prepared { upload, size, sha256, is_large: false })
}

struct Push<'a> {
    client: &'a Client,
    endpoint: &'a str,
    id: &'a ModelId,
}

impl Push<'_> {
    /// Creates the model unless it exists.
    fn create(&self, is_private: bool) -> Result<()> {
        let (organization, name) = match self.id.name().split_once('/') {
            Some((organization, name)) => (Some(organization), name),
            None => (None, self.id.name()),
        };
        let body =
            json!({ "name": name, "organization": organization, "type": "model", "private": is_private });
        let url = format!("{}/api/repos/create", self.endpoint);
        match self.client.post(&url, JSON, JSON, body.to_string().as_bytes())? {
            (200..=299 | 409, _) => Ok(()),
            (status, answer) => Err(self.refused(&url, status, &answer)),
        }
    }

    /// Asks which files are large.
    fn ask_modes(&self, files: &mut [Prepared]) -> Result<()> {
        let asked = files.iter().map(|file| {
            let bytes = first_bytes(&file.upload.path)?;
            Ok(json!({ "path": file.upload.name, "size": file.size, "sample": STANDARD.encode(bytes) }))
        });
        let body = json!({ "files": asked.collect::<Result<Vec<Value>>>()? });
        let url = format!("{}/api/models/{}/preupload/{}", self.endpoint, self.id.name(), revision(self.id));
        let modes: Modes = self.answer(&url, JSON, body.to_string().as_bytes())?;
        for file in files {
            let mode = modes.files.iter().find(|mode| mode.path == file.upload.name);
            file.is_large = mode.is_some_and(|mode| mode.upload_mode == "lfs");
        }
        Ok(())
    }

    /// Sends the large files that the storage does not have.
    fn send_large(&self, files: &[Prepared], progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let large: Vec<_> = files.iter().filter(|file| file.is_large).collect();
        if large.is_empty() {
            return Ok(());
        }
        let objects: Vec<_> =
            large.iter().map(|file| json!({ "oid": file.sha256, "size": file.size })).collect();
        let body = json!({
            "operation": "upload", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256",
            "ref": { "name": self.id.revision() },
        });
        let url = format!("{}/{}.git/info/lfs/objects/batch", self.endpoint, self.id.name());
        let batch: Batch = self.answer(&url, LFS, body.to_string().as_bytes())?;
        for file in large {
            let object = batch.objects.iter().find(|object| object.oid == file.sha256);
            let object = object.ok_or_else(|| problem::unexpected(&url, "the answer lacks a file"))?;
            if let Some(error) = &object.error {
                return Err(self.refused(&url, 422, error.to_string().as_bytes()));
            }
            // Without actions, the storage has the file.
            let Some(actions) = &object.actions else { continue };
            self.send(file, &actions.upload, progress)?;
            if let Some(verify) = &actions.verify {
                let body = json!({ "oid": file.sha256, "size": file.size }).to_string();
                match self.client.post(&verify.href, LFS, LFS, body.as_bytes())? {
                    (200..=299, _) => {}
                    (status, answer) => return Err(self.refused(&verify.href, status, &answer)),
                }
            }
        }
        Ok(())
    }

    /// Sends a file to the storage, if necessary several times.
    fn send(&self, file: &Prepared, action: &Action, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let path = &file.upload.path;
        let report = |received| Progress { file: &file.upload.name, received, total: Some(file.size) };
        let headers = action.header.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let headers: Vec<_> = headers.collect();
        for attempt in 1.. {
            progress(report(0));
            let contents = File::open(path).map_err(DataError::io("read", path))?;
            let failure = match self.client.put(&action.href, &headers, &contents) {
                Ok(200..=299) => break,
                Ok(status) if status < 500 && status != 429 => {
                    return Err(self.refused(&action.href, status, b""));
                }
                Ok(status) => format!("the storage answered HTTP {status}"),
                Err(reason) => reason,
            };
            if attempt == ATTEMPTS {
                return Err(Error::Network(format!(
                    "cannot upload {} of {}: {failure}. Run the command again; files that were sent are not sent again",
                    file.upload.name, self.id
                )));
            }
            tracing::info!("{failure}; sending {} again", file.upload.name);
            std::thread::sleep(PAUSE * (1 << (attempt - 1)));
        }
        progress(report(file.size));
        Ok(())
    }

    fn commit(&self, files: &[Prepared], message: &str) -> Result<String> {
        let mut lines = json!({ "key": "header", "value": { "summary": message } }).to_string();
        for file in files {
            let Upload { name, path } = file.upload;
            let line = if file.is_large {
                let value = json!({ "path": name, "algo": "sha256", "oid": file.sha256, "size": file.size });
                json!({ "key": "lfsFile", "value": value })
            } else {
                let contents = fs::read(path).map_err(DataError::io("read", path))?;
                let value =
                    json!({ "path": name, "content": STANDARD.encode(contents), "encoding": "base64" });
                json!({ "key": "file", "value": value })
            };
            lines += &format!("\n{line}");
        }
        let url = format!("{}/api/models/{}/commit/{}", self.endpoint, self.id.name(), revision(self.id));
        let commit: Commit = self.answer(&url, "application/x-ndjson", lines.as_bytes())?;
        Ok(commit.commit_oid)
    }

    /// Posts a request, and parses the answer.
    fn answer<T: for<'a> Deserialize<'a>>(&self, url: &str, content_type: &str, body: &[u8]) -> Result<T> {
        let accept = if content_type == LFS { LFS } else { JSON };
        let (status, answer) = self.client.post(url, content_type, accept, body)?;
        if !(200..=299).contains(&status) {
            return Err(self.refused(url, status, &answer));
        }
        serde_json::from_slice(&answer).map_err(|error| {
            problem::unexpected(url, &format!("the answer is not that of a model hub ({error})"))
        })
    }

    /// The error for a request that the server refused, with its reason.
    fn refused(&self, url: &str, status: u16, answer: &[u8]) -> Error {
        let value: Value = serde_json::from_slice(answer).unwrap_or_default();
        let reason = value["error"].as_str().or_else(|| value["message"].as_str()).unwrap_or_default();
        match status {
            401 | 403 => problem::no_write_access(self.id, status, reason, self.endpoint),
            _ => {
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                problem::unexpected(url, &format!("the server answered HTTP {status}{reason}"))
            }
        }
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(DataError::io("read", path))?;
    file.take(SAMPLE as u64).read_to_end(&mut bytes).map_err(DataError::io("read", path))?;
    Ok(bytes)
}
