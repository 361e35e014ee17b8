//! Model compression: pruning, quantization, reduced precision and distillation.

mod fine_tune;
mod front;
mod latency;
mod options;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::data::atomic::{self, WithPath};
use crate::data::sha256;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::drift::DriftReference;
use crate::evaluate::interval::score_interval;
use crate::evaluate::{Evaluation, Interval, Keep, evaluate};
use crate::export::{self, Compression, Dtype, Evaluations, Metadata, Variant};
use crate::model::{Int8, Network, Outputs};
use crate::options::Config;
use crate::predict::{self, Classifier};
use crate::run::{Prepared, evaluations, load_weights};
use crate::run::{RunFolder, RunLock};
use crate::train::{Callback, Distillation};
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
    /// The validation score ([`Evaluation::score`]): accuracy or micro-averaged F1 score, from 0 to 1, or R².
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
        let job = Job::begin(folder, options, &staging)?;
        let mut models = run(job, watch).map_err(|error| error.moved(&staging, &out))?;
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

/// A network and its history.
struct Candidate {
    /// The name of the variant; empty for the original.
    name: String,
    network: Network,
    /// The epoch of the weights.
    epoch: u32,
    compression: Compression,
}

impl Candidate {
    /// The name of a variant of this candidate.
    fn named(&self, variant: &str) -> String {
        if self.name.is_empty() { variant.to_string() } else { format!("{}-{variant}", self.name) }
    }
}

/// The state of a compression.
struct Job<'a> {
    folder: &'a RunFolder,
    options: CompressOptions,
    /// Whether no compression was chosen.
    is_default: bool,
    out: PathBuf,
    config: Config,
    prepared: Prepared,
    /// SHA-256 of the original model file and of the teacher.
    from_sha256: String,
    teacher_sha256: Option<String>,
    /// Raw examples to store in the model files.
    samples: Tensor,
    /// The histograms of the training data in the original file.
    drift: Option<DriftReference>,
    /// Preprocessed batches to calibrate quantization; empty without quantization.
    calibration: Vec<Tensor>,
    models: Vec<Compressed>,
    _writer: RunLock,
}

impl<'a> Job<'a> {
    fn begin(folder: &'a RunFolder, given: &CompressOptions, out: &Path) -> Result<Self> {
        let options = given.clone().or_defaults();
        if !folder.model().is_file() {
            let problem = "the run has no model.pt yet; finish it with `cresset train --resume`";
            return Err(Error::artifact(folder.path(), problem));
        }
        let writer = folder.lock()?;
        let config = Config::read(&folder.config_file())?;
        if config.bag > 0 {
            let problem = format!(
                "the run is a bag of {} models (--bag), which cannot be compressed; a single model, trained with --bag 0, can, and \
                 with --distill it learns from this one",
                config.bag
            );
            return Err(Error::artifact(folder.path(), problem));
        }
        let prepared = Prepared::again(&config, folder)?;
        if options.distill.is_some() {
            prepared.dataset.require_classes("--distill")?;
        }
        let samples = prepared.samples(&config)?;
        let calibration = match options.quantize {
            Some(_) => calibration(&prepared, &config)?,
            None => Vec::new(),
        };
        let from_sha256 = sha256_of(&folder.model())?;
        let teacher_sha256 = options.teacher().as_deref().map(sha256_of).transpose()?;
        fs::create_dir(out).map_err(Error::io("create the folder", out))?;
        Ok(Job {
            folder,
            is_default: options != *given,
            options,
            out: out.to_path_buf(),
            config,
            prepared,
            from_sha256,
            teacher_sha256,
            samples,
            drift: predict::metadata(&folder.model())?.drift,
            calibration,
            models: Vec::new(),
            _writer: writer,
        })
    }

    /// The network of the run with its exported weights.
    fn trained(&self) -> Result<Candidate> {
        let mut network = self.prepared.untrained(&self.config)?;
        let position = load_weights(&mut network, &self.folder.best_checkpoint())?;
        let epoch = position.best.map_or(position.epoch, |best| best.epoch);
        let compression = Compression { from_sha256: self.from_sha256.clone(), ..Compression::default() };
        Ok(Candidate { name: String::new(), network, epoch, compression })
    }

    /// The network, pruned by `share` if given, after fine-tuning.
    fn fine_tuned(
        &self,
        name: &str,
        share: Option<f64>,
        watch: &mut dyn CompressionCallback,
    ) -> Result<Candidate> {
        watch.begins(name)?;
        let mut tuned = Candidate { name: name.to_string(), ..self.trained()? };
        if tuned.network.has_neighbors() {
            let problem = "the model has the head knn, which cannot be fine-tuned; only --quantize and other dtypes compress it";
            return Err(Error::Usage(problem.to_string()));
        }
        if let Some(share) = share {
            tuned.network.prune(share)?;
        }
        let mut config = self.config.clone();
        config.epochs = self.options.epochs.unwrap_or((config.epochs / 2).max(1));
        config.lr = self.options.lr.unwrap_or(config.lr);
        config.training.head_epochs = 0;
        config.training.head_only = false;
        tuned.compression.pruned = share;
        tuned.compression.teacher_sha256 = self.teacher_sha256.clone();
        let teacher = self.options.teacher().map(|file| self.distillation(&file)).transpose()?;
        tuned.epoch =
            fine_tune::fine_tune(&config, &self.prepared, &mut tuned.network, teacher, watch.training())?;
        Ok(tuned)
    }

    /// Loads the teacher. It has its own preprocessing, so it takes raw values.
    fn distillation(&self, file: &Path) -> Result<Distillation> {
        let classifier = Classifier::load_on(file, self.prepared.device)?;
        let (student, teacher) = (&self.prepared.dataset, classifier.metadata());
        if teacher.classes != student.classes || teacher.input.shape != student.shape {
            let problem = format!(
                "it cannot teach this model, which takes {} and has the classes {}",
                student.shape,
                student.classes.join(", ")
            );
            return Err(Error::artifact(file, problem));
        }
        let preprocessing = self.prepared.preprocessing.clone();
        let logits = move |inputs: &Tensor| classifier.logits(&preprocessing.undo(inputs));
        let CompressOptions { temperature, teacher_share, .. } = self.options;
        Ok(Distillation { teacher: Box::new(logits), temperature, share: teacher_share })
    }

    fn add_original(&mut self, original: &Candidate) -> Result<()> {
        let evaluations = evaluations(&self.config, &self.prepared, original.epoch, |inputs| {
            original.network.forward(inputs, false)
        })?;
        let Evaluations { outputs, validation, .. } = evaluations;
        self.add("original".to_string(), self.folder.model(), original, outputs, &validation)
    }

    /// Writes a network in float32.
    fn write_float32(&mut self, candidate: &Candidate) -> Result<()> {
        let Candidate { name, network, epoch, compression } = candidate;
        let evaluations =
            evaluations(&self.config, &self.prepared, *epoch, |inputs| network.forward(inputs, false))?;
        let metadata = self.metadata(&evaluations, compression.clone());
        let module = network.script(&export::with_preprocessing(&self.prepared.preprocessing, &metadata))?;
        self.write(name.clone(), candidate, module, &metadata, &evaluations)
    }

    /// Writes the requested quantized and reduced-precision variants of a network.
    fn write_variants(&mut self, candidate: &Candidate, watch: &mut dyn CompressionCallback) -> Result<()> {
        if self.options.quantize.is_some() {
            watch.begins(&candidate.named("int8"))?;
            self.write_int8(candidate)?;
        }
        if let Some(dtype) = self.options.dtype {
            let name = candidate.named(dtype.name());
            watch.begins(&name)?;
            self.write_cast(name, candidate, dtype)?;
        }
        Ok(())
    }

    fn write_int8(&mut self, candidate: &Candidate) -> Result<()> {
        let int8 = Int8::of(&candidate.network, &self.calibration)?;
        let device = self.prepared.device;
        let logits = |inputs: &Tensor| Ok(int8.forward(&inputs.to_device(Device::Cpu))?.to_device(device));
        let evaluations = evaluations(&self.config, &self.prepared, candidate.epoch, logits)?;
        let scheme = Some(int8.scheme().to_string());
        let metadata =
            self.metadata(&evaluations, Compression { int8: scheme, ..candidate.compression.clone() });
        let module = int8.script(&export::with_preprocessing(&self.prepared.preprocessing, &metadata))?;
        self.write(candidate.named("int8"), candidate, module, &metadata, &evaluations)
    }

    fn write(
        &mut self,
        name: String,
        candidate: &Candidate,
        module: Module,
        metadata: &Metadata,
        evaluations: &Evaluations,
    ) -> Result<()> {
        let file = self.file(&name);
        export::torchscript(module, metadata, &self.samples, &file)?;
        self.add(name, file, candidate, evaluations.outputs.clone(), &evaluations.validation)
    }

    /// Casts the float32 file of a candidate to `dtype`.
    fn write_cast(&mut self, name: String, candidate: &Candidate, dtype: Dtype) -> Result<()> {
        let source = match candidate.name.as_str() {
            "" => self.folder.model(),
            name => self.file(name),
        };
        let file = self.file(&name);
        let exported = Classifier::load_on(&source, Device::Cpu)?.into_exported()?;
        let variant = Variant { dtype, ..Variant::default() };
        let cast = variant.apply(exported, Device::Cpu, &file)?;
        // The file keeps the thresholds and the interval of its source.
        let outputs = cast.metadata.map(|metadata| metadata.outputs).unwrap_or_default();
        let results = |inputs: &Tensor| {
            let raw = self.prepared.preprocessing.undo(inputs).to_device(Device::Cpu);
            Ok(cast.module.call("forward", &raw)?.remove(0).to_device(self.prepared.device))
        };
        let classes = self.prepared.dataset.classes.len();
        let validation = evaluate(&*self.prepared.validation, &outputs, classes, Keep::Scores, results)?;
        self.add(name, file, candidate, outputs, &validation)
    }

    fn metadata(&self, evaluations: &Evaluations, compression: Compression) -> Metadata {
        let Prepared { dataset, split, preprocessing, .. } = &self.prepared;
        let metadata = Metadata::new(&self.config, dataset, split, preprocessing, evaluations);
        Metadata { compression: Some(compression), drift: self.drift.clone(), ..metadata }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out.join(format!("{name}.pt"))
    }

    fn add(
        &mut self,
        name: String,
        file: PathBuf,
        candidate: &Candidate,
        outputs: Outputs,
        validation: &Evaluation,
    ) -> Result<()> {
        let bytes = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
        self.models.push(Compressed {
            name,
            file,
            interval: score_interval(validation, &outputs),
            outputs,
            score: validation.score(),
            bytes,
            parameters: candidate.network.parameter_count(),
            latency_1: 0.,
            latency_64: 0.,
            is_on_front: false,
            is_chosen: false,
        });
        Ok(())
    }

    /// Measures the latencies of all models and writes the table.
    fn finish(mut self) -> Result<Vec<Compressed>> {
        tch::set_num_threads(self.options.threads.count().into());
        let files: Vec<&Path> = self.models.iter().map(|model| model.file.as_path()).collect();
        let samples = &self.samples;
        let one = latency::latencies(&files, &samples.narrow(0, 0, 1))?;
        let rows = Tensor::arange(64, (Kind::Int64, Device::Cpu)).remainder(samples.size()[0]);
        let many = latency::latencies(&files, &samples.index_select(0, &rows))?;
        for ((model, one), many) in self.models.iter_mut().zip(one).zip(many) {
            (model.latency_1, model.latency_64) = (one, many);
        }
        front::mark(&mut self.models, self.options.max_loss / 100.);
        atomic::write(&self.out.join(TABLE), to_csv(&self.models).as_bytes())?;
        Ok(self.models)
    }
}

/// The number of training examples for calibration.
const CALIBRATION_EXAMPLES: usize = 1024;

/// Preprocessed training examples without augmentation, evenly spaced over the training set.
fn calibration(prepared: &Prepared, config: &Config) -> Result<Vec<Tensor>> {
    let feed = prepared.training_sample(config, CALIBRATION_EXAMPLES);
    feed.in_order().map(|batch| Ok(prepared.preprocessing.apply(&batch?.inputs))).collect()
}

fn sha256_of(file: &Path) -> Result<String> {
    Ok(sha256(&fs::read(file).map_err(Error::io("read", file))?))
}
