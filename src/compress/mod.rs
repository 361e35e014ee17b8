//! A trained model made smaller and faster: fewer channels, fewer bits, taught by a better model.

mod fine_tune;
mod front;
mod latency;
mod options;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::data::atomic::{self, NamesPath};
use crate::data::sha256;
use crate::error::{Error, Result, guard};
use crate::export::{self, Compression, Dtype, Found, Metadata, Variant};
use crate::model::{Int8, Network};
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::{Prepared, found, load_weights};
use crate::run::{RunFolder, Writer};
use crate::train::{Callback, Distillation};
pub use options::{Integers, Options};
pub use table::{to_csv, to_table};

/// A model that was made, and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Compressed {
    /// What was done: `original`, `int8`, `prune-0.5-int8`.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Accuracy on the held-out rows, from 0 to 1.
    pub accuracy: f64,
    /// The size of the file.
    pub bytes: u64,
    /// The number of parameters.
    pub parameters: usize,
    /// The median time for one example, in microseconds.
    pub latency_1: f64,
    /// The median time for a batch of 64, in microseconds.
    pub latency_64: f64,
    /// Whether no other model is better in something and worse in nothing.
    pub is_on_front: bool,
    /// Whether it is the lightest one that loses little.
    pub is_chosen: bool,
}

/// What happens meanwhile.
pub trait Watch {
    /// A model is being made.
    fn begins(&mut self, name: &str) -> Result<()>;

    /// What watches it being fine-tuned.
    fn training(&mut self) -> &mut dyn Callback;
}

/// Makes the models that are wished for of a complete run, in the folder `compressed` of it, with `compression.csv`. They come there
/// when all are finished. The first one of the result is the run's own.
///
/// # Errors
/// A run that is not complete, whose data has changed, or whose model does not allow what is wished for.
pub fn compress(folder: &RunFolder, options: &Options, watch: &mut dyn Watch) -> Result<Vec<Compressed>> {
    guard(|| {
        let out = folder.path().join("compressed");
        let place = atomic::partial(folder.path())?;
        let made = place.path().join("compressed");
        let work = Work::begin(folder, options, &made)?;
        let mut models = make(work, watch).map_err(|error| error.moved(&made, &out))?;
        publish(&made, &out)?;
        for model in &mut models {
            if let Ok(name) = model.file.strip_prefix(&made) {
                model.file = out.join(name);
            }
        }
        Ok(models)
    })
}

fn make(mut work: Work, watch: &mut dyn Watch) -> Result<Vec<Compressed>> {
    let original = work.trained()?;
    work.original(&original)?;
    work.forms(&original, watch)?;
    if work.options.distill.is_some() && work.options.prune.is_empty() {
        let taught = work.tuned("distill", None, watch)?;
        work.plain(&taught)?;
        work.forms(&taught, watch)?;
    }
    for share in &work.options.prune {
        let pruned = work.tuned(&format!("prune-{share}"), Some(*share), watch)?;
        work.plain(&pruned)?;
        work.forms(&pruned, watch)?;
    }
    work.finish()
}

/// What the table of the models is called.
const TABLE: &str = "compression.csv";

/// Puts the folder of finished models into its place, and of an earlier one replaces what was made anew. The table, which says what
/// is there, is not there while it does not fit the models.
fn publish(made: &Path, out: &Path) -> Result<()> {
    if fs::rename(made, out).is_ok() {
        return Ok(());
    }
    let fault = || Error::io("write to the folder", out);
    let table = out.join(TABLE);
    if table.exists() {
        fs::remove_file(&table).map_err(fault())?;
    }
    for entry in fs::read_dir(made).map_err(fault())? {
        let name = entry.map_err(fault())?.file_name();
        if name != TABLE {
            fs::rename(made.join(&name), out.join(&name)).map_err(fault())?;
        }
    }
    fs::rename(made.join(TABLE), &table).map_err(fault())
}

/// A network, and how it came about.
struct Candidate {
    /// Empty for the run's own.
    name: String,
    network: Network,
    /// The epoch that its weights are of.
    epoch: u32,
    compression: Compression,
}

impl Candidate {
    /// The name of another form of it.
    fn named(&self, form: &str) -> String {
        if self.name.is_empty() { form.to_string() } else { format!("{}-{form}", self.name) }
    }
}

struct Work<'a> {
    folder: &'a RunFolder,
    options: &'a Options,
    out: PathBuf,
    config: Config,
    prepared: Prepared,
    /// SHA-256 of the run's own model, and of the teacher.
    from_sha256: String,
    teacher_sha256: Option<String>,
    /// Raw examples, which travel with the models.
    samples: Tensor,
    /// Preprocessed batches, which tell the ranges of values; none if nothing is made of integers.
    calibration: Vec<Tensor>,
    models: Vec<Compressed>,
    _writer: Writer,
}

impl<'a> Work<'a> {
    fn begin(folder: &'a RunFolder, options: &'a Options, out: &Path) -> Result<Self> {
        if !folder.model().is_file() {
            let problem = "the run has no model.pt yet; complete it with `cresset train --resume`";
            return Err(Error::artifact(folder.path(), problem));
        }
        let writer = folder.writer()?;
        let config = Config::read(&folder.config_file())?;
        let prepared = Prepared::again(&config, folder)?;
        let samples = prepared.samples(&config)?;
        let calibration = match options.quantize {
            Some(_) => calibration(&prepared, &config)?,
            None => Vec::new(),
        };
        let from_sha256 = sha256_of(&folder.model())?;
        let teacher_sha256 = options.teacher().as_deref().map(sha256_of).transpose()?;
        fs::create_dir(out).map_err(Error::io("create the folder", out))?;
        Ok(Work {
            folder,
            options,
            out: out.to_path_buf(),
            config,
            prepared,
            from_sha256,
            teacher_sha256,
            samples,
            calibration,
            models: Vec::new(),
            _writer: writer,
        })
    }

    /// The run's network with the weights that it exported.
    fn trained(&self) -> Result<Candidate> {
        let mut network = self.prepared.untrained(&self.config)?;
        let position = load_weights(&mut network, &self.folder.best_checkpoint())?;
        let epoch = position.best.map_or(position.epoch, |best| best.epoch);
        let compression = Compression { from_sha256: self.from_sha256.clone(), ..Compression::default() };
        Ok(Candidate { name: String::new(), network, epoch, compression })
    }

    /// The same with a share of its channels taken out, or whole, trained on.
    fn tuned(&self, name: &str, share: Option<f64>, watch: &mut dyn Watch) -> Result<Candidate> {
        watch.begins(name)?;
        let mut tuned = Candidate { name: name.to_string(), ..self.trained()? };
        if let Some(share) = share {
            tuned.network.prune(share)?;
        }
        let mut config = self.config.clone();
        config.epochs = self.options.epochs.unwrap_or((config.epochs / 2).max(1));
        config.lr = self.options.lr.unwrap_or(config.lr);
        config.training.head_epochs = 0;
        tuned.compression.pruned = share;
        tuned.compression.teacher_sha256 = self.teacher_sha256.clone();
        let teacher = self.options.teacher().map(|file| self.distillation(&file)).transpose()?;
        tuned.epoch =
            fine_tune::fine_tune(&config, &self.prepared, &mut tuned.network, teacher, watch.training())?;
        Ok(tuned)
    }

    /// The teacher, who is given raw values again, because it has preprocessing of its own.
    fn distillation(&self, file: &Path) -> Result<Distillation> {
        let classifier = Classifier::load_on(file, self.prepared.device)?;
        let (own, of_teacher) = (&self.prepared.dataset, classifier.metadata());
        if of_teacher.classes != own.classes || of_teacher.input.shape != own.shape {
            let problem = format!(
                "it cannot teach this model, which takes {} and tells apart {}",
                own.shape,
                own.classes.join(", ")
            );
            return Err(Error::artifact(file, problem));
        }
        let preprocessing = self.prepared.preprocessing.clone();
        let logits = move |inputs: &Tensor| classifier.logits(&preprocessing.undo(inputs));
        let Options { temperature, teacher_share, .. } = *self.options;
        Ok(Distillation { teacher: Box::new(logits), temperature, share: teacher_share })
    }

    fn original(&mut self, original: &Candidate) -> Result<()> {
        let found = found(&self.prepared, original.epoch, |inputs| original.network.forward(inputs, false))?;
        self.add("original".to_string(), self.folder.model(), original, &found)
    }

    /// Writes a network as it is.
    fn plain(&mut self, candidate: &Candidate) -> Result<()> {
        let Candidate { name, network, epoch, compression } = candidate;
        let found = found(&self.prepared, *epoch, |inputs| network.forward(inputs, false))?;
        let metadata = self.metadata(&found, compression.clone());
        let module = network.script(&export::dress(&self.prepared.preprocessing, &metadata))?;
        self.write(name.clone(), candidate, module, &metadata, &found)
    }

    /// Writes a network in the other forms that are wished for.
    fn forms(&mut self, candidate: &Candidate, watch: &mut dyn Watch) -> Result<()> {
        if self.options.quantize.is_some() {
            watch.begins(&candidate.named("int8"))?;
            self.int8(candidate)?;
        }
        if let Some(dtype) = self.options.dtype {
            let name = candidate.named(dtype.name());
            watch.begins(&name)?;
            self.cast(name, candidate, dtype)?;
        }
        Ok(())
    }

    fn int8(&mut self, candidate: &Candidate) -> Result<()> {
        let int8 = Int8::of(&candidate.network, &self.calibration)?;
        let device = self.prepared.device;
        let logits = |inputs: &Tensor| Ok(int8.forward(&inputs.to_device(Device::Cpu))?.to_device(device));
        let found = found(&self.prepared, candidate.epoch, logits)?;
        let scheme = Some(int8.scheme().to_string());
        let metadata = self.metadata(&found, Compression { int8: scheme, ..candidate.compression.clone() });
        let module = int8.script(&export::dress(&self.prepared.preprocessing, &metadata))?;
        self.write(candidate.named("int8"), candidate, module, &metadata, &found)
    }

    fn write(
        &mut self,
        name: String,
        of: &Candidate,
        module: Module,
        metadata: &Metadata,
        found: &Found,
    ) -> Result<()> {
        let file = self.file(&name);
        export::torchscript(module, metadata, &self.samples, &file)?;
        self.add(name, file, of, found)
    }

    /// The file of the plain form with weights of fewer bits.
    fn cast(&mut self, name: String, candidate: &Candidate, dtype: Dtype) -> Result<()> {
        let plain = match candidate.name.as_str() {
            "" => self.folder.model(),
            name => self.file(name),
        };
        let file = self.file(&name);
        let exported = Classifier::load_on(&plain, Device::Cpu)?.into_exported();
        let variant = Variant { dtype, ..Variant::default() };
        let cast = variant.apply(exported, Device::Cpu, &file)?;
        let logits = |inputs: &Tensor| {
            let raw = self.prepared.preprocessing.undo(inputs).to_device(Device::Cpu);
            Ok(cast.module.call("forward", &raw)?.remove(0).to_device(self.prepared.device))
        };
        let found = found(&self.prepared, candidate.epoch, logits)?;
        self.add(name, file, candidate, &found)
    }

    fn metadata(&self, found: &Found, compression: Compression) -> Metadata {
        let Prepared { dataset, split, preprocessing, .. } = &self.prepared;
        let metadata = Metadata::new(&self.config, dataset, split, preprocessing, found);
        Metadata { compression: Some(compression), ..metadata }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out.join(format!("{name}.pt"))
    }

    fn add(&mut self, name: String, file: PathBuf, of: &Candidate, found: &Found) -> Result<()> {
        let bytes = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
        self.models.push(Compressed {
            name,
            file,
            accuracy: found.held_out.confusion.accuracy(),
            bytes,
            parameters: of.network.parameter_count(),
            latency_1: 0.,
            latency_64: 0.,
            is_on_front: false,
            is_chosen: false,
        });
        Ok(())
    }

    /// Takes the latencies, all in one go, and writes the table.
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

/// Training examples that tell the ranges of values.
const CALIBRATION: usize = 1024;

/// Preprocessed training examples without augmentation, evenly over all of them.
fn calibration(prepared: &Prepared, config: &Config) -> Result<Vec<Tensor>> {
    let feed = prepared.training_sample(config, CALIBRATION);
    feed.in_order().map(|batch| Ok(prepared.preprocessing.apply(&batch?.inputs))).collect()
}

fn sha256_of(file: &Path) -> Result<String> {
    Ok(sha256(&fs::read(file).map_err(Error::io("read", file))?))
}
