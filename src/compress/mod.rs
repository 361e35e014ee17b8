//! Model compression: pruning, quantization, reduced precision and distillation.

mod fine_tune;
mod front;
mod job;
mod latency;
mod options;
mod ranking;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use crate::data::atomic::{self, WithPath};
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::Interval;
use crate::model::Outputs;
use crate::options::Config;
use crate::run::RunFolder;
use crate::train::Callback;
use job::Job;
pub use options::{CompressOptions, QuantizedDtype};
pub use table::{to_csv, to_table};

/// A compressed model with its metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Compressed {
    /// The variant: `original`, `int8`, `prune-0.5-int8`.
    pub name: String,
    /// The file of the model.
    pub file: PathBuf,
    /// The meaning of the model's outputs.
    pub outputs: Outputs,
    /// The validation score ([`Evaluation::score`](crate::evaluate::Evaluation::score)): accuracy or micro-averaged F1 score, from 0 to 1, or R².
    pub score: f64,
    /// The 95 % confidence interval of the score; none if it has too many outputs to resample.
    pub interval: Option<Interval>,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The number of parameters.
    pub parameters: usize,
    /// Median latency for one example, in microseconds.
    pub latency_1: f64,
    /// Median latency for a batch of 64, in microseconds.
    pub latency_64: f64,
    /// Whether the model is on the Pareto front of score, size and latency.
    pub is_on_front: bool,
    /// Whether this is the chosen model: the cheapest within the limits of score and latency.
    pub is_chosen: bool,
}

/// Receives the progress of a compression.
///
/// ```
/// use cresset::compress::CompressionCallback;
/// use cresset::error::Result;
/// use cresset::train::{Callback, Silent};
///
/// /// Keeps the names of the models.
/// #[derive(Default)]
/// struct Names(Vec<String>, Silent);
///
/// impl CompressionCallback for Names {
///     fn begins(&mut self, name: &str) -> Result<()> {
///         self.0.push(name.to_string());
///         Ok(())
///     }
///
///     fn training(&mut self) -> &mut dyn Callback {
///         &mut self.1
///     }
/// }
///
/// let mut names = Names::default();
/// names.begins("int8")?;
/// assert_eq!(names.0, ["int8"]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait CompressionCallback {
    /// Called before each model is created.
    fn begins(&mut self, name: &str) -> Result<()>;

    /// Called if the defaults include a compression that this model does not support, with the reason.
    fn skips(&mut self, _reason: &str) -> Result<()> {
        Ok(())
    }

    /// The callback for fine-tuning.
    fn training(&mut self) -> &mut dyn Callback;
}

/// Creates the requested models of a complete run, or those of [`CompressOptions::or_defaults`] that the model supports, and `compression.csv` in its folder `compressed`. The files are moved there when
/// all models are finished. The first model of the result is the original.
///
/// ```
/// use cresset::compress::{CompressOptions, CompressionCallback, QuantizedDtype, compress};
/// use cresset::prelude::*;
/// use cresset::run::RunFolder;
/// # use cresset::train::Silent;
/// # struct Quiet(Silent);
/// # impl CompressionCallback for Quiet {
/// #     fn begins(&mut self, _name: &str) -> Result<()> { Ok(()) }
/// #     fn training(&mut self) -> &mut dyn Callback { &mut self.0 }
/// # }
/// # let mut callback = Quiet(Silent);
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = RunFolder::open(fitted.folder())?;
/// let options = CompressOptions { quantize: Some(QuantizedDtype::Int8), ..CompressOptions::default() };
/// let models = compress(&run, &options, &mut callback)?;
/// assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["original", "int8"]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A run that is not complete, data that has changed, or a model that does not support the requested compression; distillation needs
/// a classifier.
pub fn compress(
    folder: &RunFolder,
    options: &CompressOptions,
    watch: &mut dyn CompressionCallback,
) -> Result<Vec<Compressed>> {
    catch_panics(|| {
        let out = folder.path().join("compressed");
        let temporary = atomic::partial(folder.path())?;
        let staging = temporary.path().join("compressed");
        let is_ranking = Config::read(&folder.config_file())?.reading.user.is_some();
        let models = match is_ranking {
            true => ranking::run(folder, options, &staging, watch),
            false => run(Job::begin(folder, options, &staging)?, watch),
        };
        let mut models = models.map_err(|error| error.moved(&staging, &out))?;
        publish(&staging, &out)?;
        for model in &mut models {
            if let Ok(name) = model.file.strip_prefix(&staging) {
                model.file = out.join(name);
            }
        }
        Ok(models)
    })
}

fn run(mut job: Job, watch: &mut dyn CompressionCallback) -> Result<Vec<Compressed>> {
    let original = job.trained()?;
    if job.is_default
        && let Some(reason) = original.network.why_unprunable()
    {
        watch.skips(reason)?;
        job.options.prune.clear();
    }
    job.add_original(&original)?;
    job.write_variants(&original, watch)?;
    if job.options.distill.is_some() && job.options.prune.is_empty() {
        let distilled = job.fine_tuned("distill", None, watch)?;
        job.write_float32(&distilled)?;
        job.write_variants(&distilled, watch)?;
    }
    for share in job.options.prune.clone() {
        let pruned = job.fine_tuned(&format!("prune-{share}"), Some(share), watch)?;
        job.write_float32(&pruned)?;
        job.write_variants(&pruned, watch)?;
    }
    job.finish()
}

/// The file name of the table.
const TABLE: &str = "compression.csv";

/// Moves the folder of finished models to `out`, or replaces files of an existing folder. The table is removed first and moved last,
/// so it never lists models that do not match it.
fn publish(staging: &Path, out: &Path) -> Result<()> {
    if fs::rename(staging, out).is_ok() {
        return Ok(());
    }
    let fault = || Error::io("write to the folder", out);
    let table = out.join(TABLE);
    if table.exists() {
        fs::remove_file(&table).map_err(fault())?;
    }
    for entry in fs::read_dir(staging).map_err(fault())? {
        let name = entry.map_err(fault())?.file_name();
        if name != TABLE {
            fs::rename(staging.join(&name), out.join(&name)).map_err(fault())?;
        }
    }
    fs::rename(staging.join(TABLE), &table).map_err(fault())
}
