//! The steps of a compression: the networks, and the files that are written of them.

use std::fs;
use std::path::{Path, PathBuf};

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::{CompressOptions, Compressed, CompressionCallback, TABLE, fine_tune, front, latency, to_csv};
use crate::data::atomic::{self};
use crate::data::{sha256, terminal};
use crate::error::{Error, Result};
use crate::evaluate::drift::DriftReference;
use crate::evaluate::interval::score_interval;
use crate::evaluate::{Evaluation, Keep, evaluate};
use crate::export::{self, Compression, Dtype, Evaluations, Metadata, Variant};
use crate::model::{Int8, Network, Outputs};
use crate::options::Config;
use crate::predict::{self, Classifier};
use crate::run::{Prepared, evaluations, load_weights};
use crate::run::{RunFolder, RunLock};

/// A network and its history.
pub(super) struct Candidate {
    /// The name of the variant; empty for the original.
    name: String,
    pub(super) network: Network,
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
pub(super) struct Job<'a> {
    folder: &'a RunFolder,
    pub(super) options: CompressOptions,
    /// Whether no compression was chosen.
    pub(super) is_default: bool,
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
    pub(super) fn begin(folder: &'a RunFolder, given: &CompressOptions, out: &Path) -> Result<Self> {
        let options = given.clone().or_defaults();
        if !folder.model().is_file() {
            let problem = "the run has no model.pt yet; finish it with `cresset train --resume`";
            return Err(Error::artifact(folder.path(), problem));
        }
        let writer = folder.lock()?;
        let run = Config::read(&folder.config_file())?;
        // The teacher is that of the compression.
        let config = Config {
            teacher: options.distill.clone(),
            unlabelled: options.unlabelled.clone(),
            temperature: options.temperature,
            teacher_share: options.teacher_share,
            ..run
        };
        if let (1.., Some(teacher)) = (config.bag, &config.teacher) {
            let problem = format!(
                "the run is a bag of {} models (--bag), which --distill does not train, because a teacher knows the rows that each of \
                 them is validated by; train a single model that learns from a teacher, also from this bag: cresset train --config {} \
                 --bag 0 --teacher {}",
                config.bag,
                terminal::argument(&folder.config_file()),
                terminal::argument(teacher)
            );
            return Err(Error::artifact(folder.path(), problem));
        }
        if options.unlabelled.is_some() && options.distill.is_none() {
            let problem =
                "--unlabelled requires --distill, the teacher that tells the classes of these texts";
            return Err(Error::Usage(problem.to_string()));
        }
        let prepared = Prepared::again_with_teacher(&config, folder)?;
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
    pub(super) fn trained(&self) -> Result<Candidate> {
        let mut network = self.prepared.untrained(&self.config)?;
        let position = load_weights(&mut network, &self.folder.best_checkpoint())?;
        let epoch = position.best.map_or(position.epoch, |best| best.epoch);
        let compression = Compression { from_sha256: self.from_sha256.clone(), ..Compression::default() };
        Ok(Candidate { name: String::new(), network, epoch, compression })
    }

    /// The network, pruned by `share` if given, after fine-tuning.
    pub(super) fn fine_tuned(
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
        tuned.epoch = fine_tune::fine_tune(&config, &self.prepared, &mut tuned.network, watch.training())?;
        Ok(tuned)
    }

    pub(super) fn add_original(&mut self, original: &Candidate) -> Result<()> {
        let evaluations = evaluations(&self.config, &self.prepared, original.epoch, |inputs| {
            original.network.evaluated(inputs)
        })?;
        let Evaluations { outputs, validation, .. } = evaluations;
        self.add("original".to_string(), self.folder.model(), original, outputs, &validation)
    }

    /// Writes a network in float32.
    pub(super) fn write_float32(&mut self, candidate: &Candidate) -> Result<()> {
        let Candidate { name, network, epoch, compression } = candidate;
        let evaluations =
            evaluations(&self.config, &self.prepared, *epoch, |inputs| network.evaluated(inputs))?;
        let metadata = self.metadata(&evaluations, compression.clone());
        let module = network.script(&export::with_preprocessing(&self.prepared.preprocessing, &metadata))?;
        self.write(name.clone(), candidate, module, &metadata, &evaluations)
    }

    /// Writes the requested quantized and reduced-precision variants of a network.
    pub(super) fn write_variants(
        &mut self,
        candidate: &Candidate,
        watch: &mut dyn CompressionCallback,
    ) -> Result<()> {
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
        let method = if self.config.bag > 0 { export::MEMBERS } else { "forward" };
        let results = |inputs: &Tensor| {
            let raw = self.prepared.preprocessing.undo(inputs).to_device(Device::Cpu);
            Ok(cast.module.call(method, &raw)?.remove(0).to_device(self.prepared.device))
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
    pub(super) fn finish(mut self) -> Result<Vec<Compressed>> {
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
