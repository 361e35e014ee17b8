//! Worker threads. Each has a copy of the model, because libtorch modules cannot move between threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use tokio::sync::oneshot;

use super::drift::Monitor;
use super::metrics::Metrics;
use super::queue::Queue;
use cresset::data::unknown::UnknownPolicy;
use cresset::error::{Error, Result, catch_panics};
use cresset::export::{Metadata, VERIFICATION, VerificationResult};
use cresset::model::Outputs;
use cresset::options::device::Threads;
use cresset::predict::explain::table::TableColumns;
use cresset::predict::explain::text::TextAttribution;
use cresset::predict::explain::{Explainer, Subject};
use cresset::predict::{
    Catalog, Classifier, InputSpec, Query, Recommendation, Recommender, Scored, metadata,
};

/// A request to the model.
pub(super) enum Job {
    /// Probabilities or numbers, and energies, of rows.
    Classify { rows: Vec<Vec<f32>>, answer: oneshot::Sender<Done<Vec<Scores>>> },
    /// Attribution of a row to a class or label, by default the most probable one, or to the number.
    Explain {
        row: Vec<f32>,
        class: Option<usize>,
        /// The text that the row was read from.
        text: Option<String>,
        answer: oneshot::Sender<Done<Explanation>>,
    },
    /// Items for users.
    Recommend { queries: Vec<Query>, answer: oneshot::Sender<Done<Vec<Vec<Recommendation>>>> },
}

impl Job {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Job::Classify { answer, .. } => answer.is_closed(),
            Job::Explain { answer, .. } => answer.is_closed(),
            Job::Recommend { answer, .. } => answer.is_closed(),
        }
    }
}

/// The results of the model for a row, or the error of the row.
pub(super) type Scores = std::result::Result<Scored, String>;

/// The result of a job, or the error of the model.
pub(super) type JobResult<T> = std::result::Result<T, String>;

/// A job that was done.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub result: JobResult<T>,
    /// When it was taken from the queue.
    pub taken: Instant,
    /// When it was done.
    pub ended: Instant,
    /// The number of rows that were computed together.
    pub rows: usize,
}

/// An attribution.
#[derive(Debug)]
pub(super) struct Explanation {
    /// The class or label; 0 for a number.
    pub class: usize,
    /// The attribution method.
    pub method: &'static str,
    /// Shape of the values: (height, width) for images, (columns) for rows of a table, (tokens) for texts.
    pub shape: Vec<i64>,
    /// Of rows of a table.
    pub columns: Option<ExplainedColumns>,
    /// Of a text, the attribution to its words.
    pub text: Option<TextAttribution>,
    /// Attribution: positive supports the class or raises the number, negative does the opposite.
    pub values: Vec<f32>,
}

/// What the values of a row of a table mean.
#[derive(Debug)]
pub(super) struct ExplainedColumns {
    /// The names of the columns.
    pub names: Vec<String>,
    /// The mean output over rows like the training data. The values add up to the difference from it.
    pub base: f64,
}

/// How workers compute.
#[derive(Debug, Clone)]
pub(super) struct WorkerOptions {
    pub path: PathBuf,
    /// The run of the model, if it is one.
    pub run: Option<PathBuf>,
    pub device: Device,
    pub threads: Threads,
    pub unknown: UnknownPolicy,
    pub workers: u32,
    pub max_batch: usize,
    pub max_delay: Duration,
}

/// A model that the workers have loaded.
pub(super) struct LoadedModel {
    pub metadata: Metadata,
    pub input: ModelInput,
    /// The mismatch with the recorded outputs, if there is one.
    pub problem: Option<String>,
}

/// What a model takes.
#[derive(Clone)]
pub(super) enum ModelInput {
    /// Images, texts or rows.
    Rows(Arc<InputSpec>),
    /// Users, to whom it recommends items.
    Users(Arc<Catalog>),
}

/// The copy of the model of a worker.
enum WorkerModel {
    Classifier(Box<Classifier>),
    Recommender(Box<Recommender>),
}

/// Starts the workers, which load the model and process the queue until it is closed.
///
/// # Errors
/// If the model cannot be loaded; no thread is left then.
pub(super) fn start(
    options: &WorkerOptions,
    queue: &Arc<Queue<Job>>,
    metrics: &Arc<Metrics>,
    drift: &Arc<Monitor>,
) -> Result<(LoadedModel, Vec<JoinHandle<()>>)> {
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..options.workers)
        .map(|number| {
            let (options, queue, metrics) = (options.clone(), Arc::clone(queue), Arc::clone(metrics));
            let drift = Arc::clone(drift);
            let sender = sender.clone();
            std::thread::spawn(move || {
                // One worker compares with the recorded outputs.
                let loaded = catch_unwind(|| load(&options, number == 0)).unwrap_or_else(|_| {
                    Err(Error::artifact(&options.path, "libtorch failed to load the model"))
                });
                match loaded {
                    Ok((model, problem)) => {
                        let (metadata, input) = match &model {
                            WorkerModel::Classifier(classifier) => {
                                drift.begin(classifier);
                                let spec = Arc::new(classifier.input_spec());
                                (classifier.metadata().clone(), ModelInput::Rows(spec))
                            }
                            WorkerModel::Recommender(recommender) => {
                                let catalog = Arc::clone(recommender.catalog());
                                (recommender.metadata().clone(), ModelInput::Users(catalog))
                            }
                        };
                        let _ = sender.send(Ok(LoadedModel { metadata, input, problem }));
                        drop(sender);
                        work(&model, &options, &queue, &metrics, &drift);
                    }
                    Err(error) => drop(sender.send(Err(error))),
                }
            })
        })
        .collect();
    drop(sender);
    let loaded: Result<Vec<LoadedModel>> = receiver.iter().collect();
    let with_problem =
        |loaded: Vec<LoadedModel>| loaded.into_iter().max_by_key(|loaded| loaded.problem.is_some());
    match loaded.map(with_problem) {
        Ok(Some(loaded)) => Ok((loaded, threads)),
        failed => {
            queue.close();
            threads.into_iter().for_each(|thread| drop(thread.join()));
            let unknown = || Error::artifact(&options.path, "the workers exited while loading the model");
            Err(failed.err().unwrap_or_else(unknown))
        }
    }
}

fn load(options: &WorkerOptions, replays: bool) -> Result<(WorkerModel, Option<String>)> {
    // Some formats fix the number of threads when they are loaded.
    tch::set_num_threads(options.threads.count().into());
    if metadata(&options.path)?.outputs == Outputs::Ranking {
        let recommender = Recommender::load(&options.path, options.device)?;
        let problem = if replays { output_mismatch(recommender.replay()?) } else { None };
        return Ok((WorkerModel::Recommender(Box::new(recommender)), problem));
    }
    let classifier = Classifier::load_on(&options.path, options.device)?.with_unknown(options.unknown);
    let problem = if replays { output_mismatch(classifier.replay()?) } else { None };
    // One row takes at least one multiply-add per weight. The setting is per thread.
    let work = classifier.values()?.saturating_mul(options.max_batch);
    tch::set_num_threads(options.threads.for_multiply_adds(work).into());
    classifier.optimize();
    Ok((WorkerModel::Classifier(Box::new(classifier)), problem))
}

/// The mismatch between the outputs of the model and the recorded ones.
fn output_mismatch(replayed: Option<VerificationResult>) -> Option<String> {
    match replayed {
        Some(verified) => verified.problem(),
        None => Some(format!("it has no {VERIFICATION} with recorded outputs; export it again")),
    }
}

fn work(
    model: &WorkerModel,
    options: &WorkerOptions,
    queue: &Queue<Job>,
    metrics: &Metrics,
    drift: &Monitor,
) {
    while let Some(mut jobs) = queue.take(options.max_batch, options.max_delay) {
        // The client may have disconnected.
        jobs.retain(|job| !job.is_abandoned());
        match model {
            WorkerModel::Classifier(classifier) => {
                classify_all(classifier, jobs, options.max_batch, metrics, drift);
            }
            WorkerModel::Recommender(recommender) => {
                recommend_all(recommender, jobs, options.max_batch, metrics);
            }
        }
    }
}

/// Answers the jobs of a model that takes rows.
fn classify_all(classifier: &Classifier, jobs: Vec<Job>, most: usize, metrics: &Metrics, drift: &Monitor) {
    let (mut all, mut waiting, taken) = (Vec::new(), Vec::new(), Instant::now());
    for job in jobs {
        match job {
            Job::Classify { rows, answer } => {
                waiting.push((rows.len(), answer));
                all.extend(rows);
            }
            Job::Explain { row, class, text, answer } => {
                let begun = Instant::now();
                let result = sound(|| explain(classifier, &row, class, text.as_deref()));
                let done = Done { result, taken: begun, ended: Instant::now(), rows: 1 };
                let _ = answer.send(done);
            }
            // The routes ask a model only for what it does.
            Job::Recommend { .. } => {}
        }
    }
    if !waiting.is_empty() {
        let found = sound(|| classify(classifier, most, &all, metrics, drift));
        send_results(found, waiting, taken, all.len());
    }
}

/// Answers the jobs of a model that recommends items to users.
fn recommend_all(recommender: &Recommender, jobs: Vec<Job>, most: usize, metrics: &Metrics) {
    let (mut all, mut waiting, taken) = (Vec::new(), Vec::new(), Instant::now());
    for job in jobs {
        if let Job::Recommend { queries, answer } = job {
            waiting.push((queries.len(), answer));
            all.extend(queries);
        }
    }
    if waiting.is_empty() {
        return;
    }
    let found = sound(|| {
        let mut found = Vec::with_capacity(all.len());
        for batch in all.chunks(most) {
            found.extend(recommender.answer(batch)?);
            metrics.computed(batch.len());
        }
        Ok(found)
    });
    send_results(found, waiting, taken, all.len());
}

/// Runs a job and returns its result or error. Catches panics: an exiting worker would leave requests without a response.
fn sound<T>(work: impl FnOnce() -> Result<T>) -> JobResult<T> {
    match catch_unwind(AssertUnwindSafe(|| catch_panics(work))) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("internal error in the model".to_string()),
    }
}

fn classify(
    classifier: &Classifier,
    most: usize,
    rows: &[Vec<f32>],
    metrics: &Metrics,
    drift: &Monitor,
) -> Result<Vec<Scores>> {
    let mut found = Vec::with_capacity(rows.len());
    for batch in rows.chunks(most) {
        let batch: Vec<&[f32]> = batch.iter().map(Vec::as_slice).collect();
        let scores = classifier.classify(&batch)?;
        drift.add(&batch, &scores);
        found.extend(scores);
        metrics.computed(batch.len());
    }
    Ok(found)
}

/// Sends each request its rows.
fn send_results<T>(
    found: JobResult<Vec<T>>,
    waiting: Vec<(usize, oneshot::Sender<Done<Vec<T>>>)>,
    taken: Instant,
    rows: usize,
) {
    let ended = Instant::now();
    let done = |result| Done { result, taken, ended, rows };
    match found {
        Ok(found) => {
            let mut found = found.into_iter();
            for (rows, answer) in waiting {
                let _ = answer.send(done(Ok(found.by_ref().take(rows).collect())));
            }
        }
        Err(problem) => {
            waiting.into_iter().for_each(|(_, answer)| drop(answer.send(done(Err(problem.clone())))));
        }
    }
}

/// A method that takes milliseconds for small models, so that the playground can update while drawing: Shapley values of the columns of
/// a table, integrated gradients of the words of a text or with few steps, or a method without gradients where there are none.
fn explain(
    classifier: &Classifier,
    row: &[f32],
    class: Option<usize>,
    text: Option<&str>,
) -> Result<Explanation> {
    let columns = TableColumns::of(classifier.metadata());
    let (name, options) = match (&columns, classifier.has_gradients()) {
        (Some(_), _) => ("shapley", ""),
        (None, true) => ("integrated-gradients", "steps=16"),
        (None, false) => ("occlusion", ""),
    };
    let raw = Tensor::from_slice(row).unsqueeze(0);
    let class = match class {
        Some(class) => class,
        None => classifier.logits(&raw)?.f_argmax(-1, false)?.f_int64_value(&[0])? as usize,
    };
    let subject = Subject::new(classifier, class);
    if let Some(text) = text {
        let found = TextAttribution::of(&subject, text)?;
        let (shape, values) = (vec![found.tokens.len() as i64], found.tokens.clone());
        return Ok(Explanation {
            class,
            method: found.method,
            shape,
            columns: None,
            text: Some(found),
            values,
        });
    }
    let explainer = Explainer::new(name, options)?;
    let attribution = explainer.attribute(&subject, &raw)?;
    let columns = columns.map(|columns| {
        let names = columns.names().into_iter().map(String::from).collect();
        Ok::<_, Error>(ExplainedColumns { names, base: subject.base()? })
    });
    let places = match attribution.dim() {
        3 => attribution.sum_dim_intlist(0, false, Kind::Float),
        _ => attribution,
    };
    let shape = places.size();
    let values = Vec::try_from(places.contiguous().view(-1))?;
    Ok(Explanation {
        class,
        method: explainer.name(),
        shape,
        columns: columns.transpose()?,
        text: None,
        values,
    })
}
