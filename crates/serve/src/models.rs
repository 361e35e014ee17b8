//! The served model, and its replacement.
//!
//! A request holds a reference to its model, with its queue and workers, until it is answered. So a new model replaces
//! the old one at once, and no request is lost or runs on a model of another shape.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use super::drift::Monitor;
use super::metrics::Metrics;
use super::problem::Problem;
use super::queue::Queue;
use super::worker::{self, Job, LoadedModel, ModelInput, WorkerOptions};
use cresset::data::sha256;
use cresset::error::{Error, Result};
use cresset::export::Metadata;
use cresset::model::Outputs;
use cresset::model::loading::open_file;
use cresset::predict::{Catalog, InputSpec};
use cresset::run::{Chosen, RunFolder};

/// A loaded model and its queue.
pub(super) struct ServedModel {
    pub sha256: String,
    pub metadata: Metadata,
    pub input: ModelInput,
    /// The items that users chose in the data of the run, if that is known.
    pub chosen: Option<Chosen>,
    pub queue: Arc<Queue<Job>>,
    /// The drift of its inputs and predictions.
    pub drift: Arc<Monitor>,
    file: FileId,
}

impl ServedModel {
    /// The input of a model that takes rows.
    pub fn spec(&self) -> std::result::Result<&Arc<InputSpec>, Problem> {
        match &self.input {
            ModelInput::Rows(spec) => Ok(spec),
            ModelInput::Users(_) => Err(Problem::unprocessable(
                "this model recommends items to users; send POST /v1/recommend with {\"user\": \"…\"}",
            )),
        }
    }

    /// The users and items of a model of recommendations.
    pub fn catalog(&self) -> std::result::Result<&Arc<Catalog>, Problem> {
        match &self.input {
            ModelInput::Users(catalog) => Ok(catalog),
            ModelInput::Rows(_) => {
                let task = self.metadata.outputs.task().described();
                let problem =
                    format!("this model does not recommend items: its task is {task}; use /v1/predict");
                Err(Problem::unprocessable(problem))
            }
        }
    }
}

impl Drop for ServedModel {
    /// Closes the queue, so that the workers exit after the remaining jobs.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Identifies a file: a replacement by rename has another inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl FileId {
    fn of(path: &Path) -> Result<Self> {
        let of =
            fs::metadata(path).map_err(|e| Error::artifact(path, format!("cannot read the model: {e}")))?;
        Ok(FileId {
            device: of.dev(),
            inode: of.ino(),
            bytes: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
        })
    }
}

/// The current model.
pub(super) struct Models {
    options: WorkerOptions,
    queue_capacity: usize,
    metrics: Arc<Metrics>,
    current: RwLock<Arc<ServedModel>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The file that was rejected last, to avoid repeated attempts; `Some(None)` stands for a missing file.
    refused: Mutex<Option<Option<FileId>>>,
    /// Locked while a model is loaded, on blocking threads.
    reload_lock: Arc<tokio::sync::Mutex<()>>,
}

impl Models {
    /// Loads the model.
    pub fn load(options: WorkerOptions, queue_capacity: usize, metrics: Arc<Metrics>) -> Result<Self> {
        let (served, threads, problem) = load(&options, queue_capacity, &metrics)?;
        if let Some(problem) = problem {
            tracing::warn!("{}: {problem}", options.path.display());
        }
        Ok(Models {
            options,
            queue_capacity,
            metrics,
            current: RwLock::new(Arc::new(served)),
            threads: Mutex::new(threads),
            refused: Mutex::new(None),
            reload_lock: Arc::default(),
        })
    }

    /// Path of the model file.
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// Name of the model: the folder of its run, or the file name if it is not that of a run.
    pub fn name(&self) -> String {
        let path: PathBuf = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path().to_path_buf());
        let stem = path.file_stem();
        let folder =
            path.parent().and_then(Path::file_name).filter(|_| stem.is_some_and(|stem| stem == "model"));
        folder.or(stem).unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The current model.
    pub fn current(&self) -> Arc<ServedModel> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads the model file if it has changed. Requests use the old model until then. A file that was rejected before is only
    /// tried again with `again`. Returns whether the model was replaced.
    ///
    /// # Errors
    /// If the file cannot be loaded or its outputs do not match the recorded ones; the old model stays.
    pub async fn reload(self: &Arc<Self>, again: bool) -> Result<bool> {
        let (reload_lock, models) = (Arc::clone(&self.reload_lock).lock_owned().await, Arc::clone(self));
        let loading = tokio::task::spawn_blocking(move || {
            // The lock is held until loading ends, even if the caller is dropped.
            let _turn = reload_lock;
            models.reload_now(again)
        });
        loading.await.unwrap_or_else(|_| Err(Error::artifact(self.path(), "the model could not be loaded")))
    }

    fn reload_now(&self, again: bool) -> Result<bool> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let file = FileId::of(self.path());
        let id = file.as_ref().ok().copied();
        if id == Some(self.current().file) {
            *refused = None;
            self.metrics.accepted();
            return Ok(false);
        }
        if !again && *refused == Some(id) {
            return Ok(false);
        }
        let taken = file.and_then(|_| self.take());
        *refused = taken.is_err().then_some(id);
        match &taken {
            Ok(()) => self.metrics.reloaded(),
            Err(Error::Artifact { problem, .. }) => self.metrics.refused(problem),
            Err(error) => self.metrics.refused(&error.to_string()),
        }
        taken.map(|()| true)
    }

    fn take(&self) -> Result<()> {
        let (served, mut threads, problem) = load(&self.options, self.queue_capacity, &self.metrics)?;
        if let Some(problem) = problem {
            // The workers exit with it.
            return Err(Error::artifact(self.path(), problem));
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        let mut all = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|thread| !thread.is_finished());
        all.append(&mut threads);
        Ok(())
    }

    /// Closes the queue, so that the workers exit after the remaining jobs. No request may follow.
    pub fn stop(&self) {
        self.current().queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// The model, its worker threads, and the mismatch with its recorded outputs if there is one.
type Loading = (ServedModel, Vec<JoinHandle<()>>, Option<String>);

fn load(options: &WorkerOptions, queue_capacity: usize, metrics: &Arc<Metrics>) -> Result<Loading> {
    let path = &options.path;
    loop {
        let file = FileId::of(path)?;
        let mut bytes = Vec::new();
        let read = open_file(path)?.read_to_end(&mut bytes);
        read.map_err(|e| Error::artifact(path, format!("cannot read the model: {e}")))?;
        let sha256 = sha256(&bytes);
        drop(bytes);
        let queue = Arc::new(Queue::new(queue_capacity));
        let drift = Arc::new(Monitor::default());
        let loaded = worker::start(options, &queue, metrics, &drift);
        // The hash must be that of the loaded file.
        if FileId::of(path).is_ok_and(|now| now == file) {
            let (LoadedModel { metadata, input, problem }, threads) = loaded?;
            let run = options.run.as_deref().filter(|_| metadata.outputs == Outputs::Ranking);
            let chosen = run.map(|run| Chosen::of_run(&RunFolder::open(run)?, &metadata)).transpose();
            return match chosen {
                Ok(chosen) => {
                    let served = ServedModel { sha256, metadata, input, chosen, queue, drift, file };
                    Ok((served, threads, problem))
                }
                Err(error) => {
                    queue.close();
                    threads.into_iter().for_each(|thread| drop(thread.join()));
                    Err(error)
                }
            };
        }
        queue.close();
    }
}
