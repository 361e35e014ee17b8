//! `cresset embed`

use std::path::{Path, PathBuf};

use clap::Args;
use cresset::data::{DataOptions, terminal};
use cresset::distributed::World;
use cresset::error::Error;
use cresset::model::preprocessing::Normalization;
use cresset::options::{Config, ModelChoice};
use cresset::predict::Classifier;
use cresset::run::RunFolder;
use cresset::run::embedding::Embedded;

use super::arguments::Flags;
use super::progress::resolve;
use super::{Compute, Ended, show, thousands};

/// Write the embeddings (inputs of the last layer) of labeled examples as a NumPy array
#[derive(Debug, Args)]
pub struct Embed {
    /// Exported model (model.pt), or run folder
    #[arg(value_name = "MODEL|RUN", required_unless_present = "pretrained", conflicts_with = "pretrained")]
    model: Option<PathBuf>,

    /// Pretrained weights, as in `cresset train`, instead of a trained model
    #[arg(long, value_name = "NAME|PATH")]
    pretrained: Option<String>,

    /// Architecture of the pretrained weights [default: that in their configuration]
    #[arg(long, value_name = "NAME", requires = "pretrained")]
    architecture: Option<String>,

    /// Normalization of images for the pretrained weights, as in `cresset train` [default: that in their configuration]
    #[arg(long, value_name = "VALUES", requires = "pretrained")]
    normalization: Option<Normalization>,

    /// Built-in dataset, or a file or folder of labeled examples [default: the data of the run]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,

    /// Array to write: float32 (examples, width)
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,

    /// CSV file for the name and the label of each row [default: the path of --out, with the extension csv]
    #[arg(long, value_name = "FILE.csv")]
    names: Option<PathBuf>,

    #[command(flatten)]
    reading: Flags<DataOptions>,

    #[command(flatten)]
    compute: Compute,
}

impl Embed {
    pub fn run(self) -> anyhow::Result<Ended> {
        let names = self.names.clone().unwrap_or_else(|| self.out.with_extension("csv"));
        if names == self.out {
            let problem = "--out and --names are the same file; use another one for the names";
            return Err(Error::Usage(problem.to_string()).into());
        }
        let embedded = match (&self.model, &self.pretrained) {
            (Some(model), _) => self.with_model(model)?,
            (None, name) => self.with_pretrained(name.clone())?,
        };
        embedded.write(&self.out, &names)?;
        let size = embedded.values.size();
        show(&format!(
            "{} embeddings of {} values written to {}, their names and labels to {}\n",
            thousands(size[0] as usize),
            thousands(size[1] as usize),
            terminal::path(&self.out),
            terminal::path(&names)
        ))?;
        Ok(Ended::Well)
    }

    fn with_model(&self, model: &Path) -> anyhow::Result<Embedded> {
        let device = self.compute.prepare()?;
        let run = model.is_dir().then(|| RunFolder::open(model)).transpose()?;
        let path = run.as_ref().map_or(model.to_path_buf(), RunFolder::model);
        let classifier = Classifier::load_on(&path, device)?;
        let own = run.as_ref().map(|run| Config::read(&run.config_file())).transpose()?;
        let (data, reading) = match (&self.data, own) {
            (Some(data), _) => (data.clone(), (*self.reading).clone()),
            (None, Some(config)) => (config.data, config.reading),
            (None, None) => return Err(missing_data().into()),
        };
        let threads = self.compute.threads.count().into();
        Ok(Embedded::with_classifier(&classifier, &data, &reading, threads)?)
    }

    fn with_pretrained(&self, name: Option<String>) -> anyhow::Result<Embedded> {
        self.compute.trust.apply();
        let defaults = Config::default();
        let model = self.architecture.clone().unwrap_or(defaults.model);
        if !matches!(ModelChoice::of(&model), ModelChoice::Architecture(_)) {
            let problem = "--architecture is one that `cresset models` lists";
            return Err(Error::Usage(problem.to_string()).into());
        }
        let config = Config {
            data: self.data.clone().ok_or_else(missing_data)?,
            reading: (*self.reading).clone(),
            pretrained: name,
            model,
            normalization: self.normalization.clone(),
            device: self.compute.device,
            threads: self.compute.threads,
            recipe: cresset::recipe::NONE.to_string(),
            ..Config::default()
        };
        Ok(Embedded::with_pretrained(&resolve(&config, &World::alone())?.config)?)
    }
}

fn missing_data() -> Error {
    Error::Usage("missing --data: the examples to embed".to_string())
}
