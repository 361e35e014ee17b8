//! `cresset export`

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use cresset::data::InputShape;
use cresset::data::terminal;
use cresset::error::{Error, guard};
use cresset::export::{Dtype, EXPORT_FORMATS, ExportFormat, Exported, Variant};
use cresset::options::device::{self, DeviceChoice};
use cresset::predict::Classifier;
use cresset::run;
use cresset::run::{RunFolder, Writer};
use tch::Device;

use super::arguments::chosen;
use super::{Ended, Trust, models, show};

/// A checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The epoch with the least held-out loss
    Best,
    /// Where training stands, also of a run that is not complete
    Last,
}

/// Write a run's model, or an exported one, as TorchScript, ONNX, safetensors or a PyTorch state_dict
#[derive(Debug, Args)]
#[command(after_help = formats())]
pub struct Export {
    /// The folder of a run, or a TorchScript model
    #[arg(value_name = "RUN|MODEL")]
    source: PathBuf,

    /// What to write [default: by the output's name, else torchscript]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// Which weights of a run [default: best]
    #[arg(long, value_name = "WHICH")]
    checkpoint: Option<Which>,

    /// Shape of one example, such as 3x224x224, for a TorchScript model that is not from cresset
    #[arg(long, value_name = "SHAPE", value_parser = models::shape)]
    input: Option<InputShape>,

    /// Make the weights constants of the code, for inference alone
    #[arg(long)]
    freeze: bool,

    /// Freeze, and fold normalisation into the layers before it
    #[arg(long)]
    optimize: bool,

    /// Data type of the weights and the computation; the logits stay float32
    #[arg(long, value_name = "DTYPE", default_value = "f32", value_parser = chosen::<Dtype>())]
    dtype: Dtype,

    /// Where the tensors of the file are, and so where it runs when it is loaded: `cpu`, `cuda` or `cuda:N`
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
            let problem = "the file exists and was left as it is; name another one";
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
        let _writer = writer_beside(&self.output)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let mut exported = if self.source.is_dir() { self.of_run(folder.path()) } else { self.of_model() }?;
        if !variant.is_plain() {
            let path = folder.path().join("variant").join(self.file_name());
            std::fs::create_dir(folder.path().join("variant")).context("cannot make a temporary folder")?;
            exported = guard(|| variant.apply(exported, device, &path))?;
        }
        guard(|| (format.write)(&exported, &self.output))?;
        let accuracy = exported.metadata.and_then(|metadata| metadata.metrics.held_out["accuracy"].as_f64());
        let accuracy = accuracy.map(|share| format!(": held-out accuracy {:.2} %", 100. * share));
        show(&format!("written {}{}\n", terminal::path(&self.output), accuracy.unwrap_or_default()))?;
        Ok(Ended::Well)
    }

    /// The model of a checkpoint, measured anew; the file that it is read from stays in `folder`.
    fn of_run(&self, folder: &Path) -> anyhow::Result<Exported> {
        if self.input.is_some() {
            return Err(Error::Usage("--input: a run knows the shape of its examples".into()).into());
        }
        let run = RunFolder::open(&self.source)?;
        let checkpoint = match self.checkpoint {
            Some(Which::Last) => run.last_checkpoint(),
            Some(Which::Best) | None => run.best_checkpoint(),
        };
        let model = folder.join(self.file_name());
        run::export(&run, &checkpoint, &model)?;
        Ok(Classifier::load_on(&model, Device::Cpu)?.into_exported())
    }

    /// The name of the file. libtorch writes it into the file, so whatever is made on the way has it already.
    fn file_name(&self) -> &OsStr {
        self.output.file_name().unwrap_or("model.pt".as_ref())
    }

    fn of_model(&self) -> anyhow::Result<Exported> {
        if self.checkpoint.is_some() {
            let problem = "--checkpoint is for the folder of a run, and this is a file";
            return Err(Error::Usage(problem.into()).into());
        }
        match &self.input {
            Some(shape) => Ok(Exported::foreign(&self.source, shape.clone())?),
            None => Ok(Classifier::load_on(&self.source, Device::Cpu)?.into_exported()),
        }
    }
}

/// The right to write into the folder of the output, if that is the folder of a run.
fn writer_beside(output: &Path) -> cresset::error::Result<Option<Writer>> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    RunFolder::open(folder).ok().map(|run| run.writer()).transpose()
}

/// The formats, as the help lists them.
fn formats() -> String {
    let line = |format: &ExportFormat| format!("\n  {:<11}  {}", format.name, format.summary);
    format!("Formats:{}", EXPORT_FORMATS.iter().map(line).collect::<String>())
}
