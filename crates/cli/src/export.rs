//! `cresset export`

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use cresset::data::{InputShape, TableLayout, atomic, terminal};
use cresset::error::{Error, catch_panics};
use cresset::export::{Dtype, EXPORT_FORMATS, ExportFormat, ExportedModel, Metadata, Variant};
use cresset::options::device::{self, DeviceChoice};
use cresset::predict::exported;
use cresset::run::{self, RunFolder, RunLock, TOKENIZER};

use super::arguments::chosen;
use super::{Ended, Trust, models, show};

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckpointChoice {
    /// The best epoch
    Best,
    /// The last checkpoint, also of an unfinished run
    Last,
}

/// Write a run's model, or an exported one, as TorchScript, torch.export package, ONNX, safetensors or a PyTorch state_dict
#[derive(Debug, Args)]
#[command(after_help = formats())]
pub struct Export {
    /// Run folder, or TorchScript model
    #[arg(value_name = "RUN|MODEL")]
    source: PathBuf,

    /// Output format [default: by the extension of the output, else torchscript]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// Checkpoint of a run [default: best]
    #[arg(long, value_name = "WHICH")]
    checkpoint: Option<CheckpointChoice>,

    /// Shape of one example, such as 3x224x224, for a TorchScript model that is not from cresset
    #[arg(long, value_name = "SHAPE", value_parser = models::shape)]
    input: Option<InputShape>,

    /// Freeze: make the weights constants in the code, for inference only (torch.jit.freeze)
    #[arg(long)]
    freeze: bool,

    /// Freeze, and fold batch normalization into the preceding layers
    #[arg(long)]
    optimize: bool,

    /// Data type of the weights and the computation; the logits stay float32
    #[arg(long, value_name = "DTYPE", default_value = "f32", value_parser = chosen::<Dtype>())]
    dtype: Dtype,

    /// Device of the tensors in the file, where it runs when loaded: `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    trust: Trust,
}

impl Export {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        let format = match &self.format {
            Some(name) => ExportFormat::named(name)?,
            None => ExportFormat::of_file(&self.output),
        };
        if self.output.exists() {
            let problem = "the file exists and was not overwritten; choose another name";
            return Err(Error::Usage(format!("--output {}: {problem}", self.output.display())).into());
        }
        let device = self.device.resolve()?;
        let variant = Variant {
            frozen: self.freeze || self.optimize,
            optimized: self.optimize,
            dtype: self.dtype,
            device: device::name(device),
        };
        variant.check(format)?;
        let _lock = lock_run_of(&self.output)?;
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut exported =
            if self.source.is_dir() { self.load_checkpoint(folder.path()) } else { self.load_model() }?;
        if !variant.is_plain() {
            let path = folder.path().join("variant").join(self.file_name());
            std::fs::create_dir(folder.path().join("variant")).context("cannot create a temporary folder")?;
            exported = catch_panics(|| variant.apply(exported, device, &path))?;
        }
        let tokenizer = self.tokenizer(&exported)?;
        catch_panics(|| (format.write)(&exported, &self.output))?;
        if let Some((path, json)) = &tokenizer {
            atomic::write(path, json.as_bytes())?;
        }
        let score = exported.metadata.as_ref().and_then(described_score).unwrap_or_default();
        let tokenizer =
            tokenizer.map_or(String::new(), |(path, _)| format!(" and {}", terminal::path(&path)));
        show(&format!("written to {}{tokenizer}{score}\n", terminal::path(&self.output)))?;
        Ok(Ended::Well)
    }

    /// The file beside the output and its text, for a model of texts that has a tokenizer with a vocabulary.
    ///
    /// # Errors
    /// Another tokenizer that is in this place.
    fn tokenizer(&self, exported: &ExportedModel) -> anyhow::Result<Option<(PathBuf, String)>> {
        let layout = exported.metadata.as_ref().and_then(|metadata| metadata.input.table.as_ref());
        let Some(json) = layout.and_then(TableLayout::tokenizer_json) else { return Ok(None) };
        let (path, json) = (self.output.with_file_name(TOKENIZER), json?);
        if std::fs::read_to_string(&path).is_ok_and(|existing| existing != json) {
            let problem = "the tokenizer of another model is in this folder and was not overwritten; choose another folder";
            return Err(Error::Usage(format!("{}: {problem}", path.display())).into());
        }
        Ok(Some((path, json)))
    }

    /// Exports the model of a checkpoint to `folder`, evaluates it and loads it.
    fn load_checkpoint(&self, folder: &Path) -> anyhow::Result<ExportedModel> {
        if self.input.is_some() {
            return Err(Error::Usage(
                "--input: a run folder has the shape of its examples; remove the option".into(),
            )
            .into());
        }
        let run = RunFolder::open(&self.source)?;
        let checkpoint = match self.checkpoint {
            Some(CheckpointChoice::Last) => run.last_checkpoint(),
            Some(CheckpointChoice::Best) | None => run.best_checkpoint(),
        };
        let model = folder.join(self.file_name());
        run::export(&run, &checkpoint, &model)?;
        Ok(exported(&model)?)
    }

    /// The name of the output. Intermediate files have the same name, because libtorch writes it into the file.
    fn file_name(&self) -> &OsStr {
        self.output.file_name().unwrap_or("model.pt".as_ref())
    }

    fn load_model(&self) -> anyhow::Result<ExportedModel> {
        if self.checkpoint.is_some() {
            let problem = "--checkpoint needs a run folder, and this is a file";
            return Err(Error::Usage(problem.into()).into());
        }
        match &self.input {
            Some(shape) => Ok(ExportedModel::foreign(&self.source, shape.clone())?),
            None => Ok(exported(&self.source)?),
        }
    }
}

/// The validation score of a model.
fn described_score(metadata: &Metadata) -> Option<String> {
    let Metadata { outputs, .. } = metadata;
    let score = outputs.show_score(metadata.validation_score()?);
    Some(format!(": validation {} {score}", outputs.score_name()))
}

/// The lock of the output's folder, if that is a run folder.
fn lock_run_of(output: &Path) -> cresset::error::Result<Option<RunLock>> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    RunFolder::open(folder).ok().map(|run| run.lock()).transpose()
}

/// The list of formats for the help.
fn formats() -> String {
    let line = |format: &ExportFormat| format!("\n  {:<11}  {}", format.name, format.summary);
    format!("Formats:{}", EXPORT_FORMATS.iter().map(line).collect::<String>())
}
