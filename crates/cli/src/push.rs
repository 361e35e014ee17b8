//! `cresset push`

use std::path::PathBuf;

use clap::Args;
use cresset::report::{PushOptions, Repository, push};
use cresset::run::RunFolder;

use super::card::CardFacts;
use super::{Ended, progress, show};

/// Publish the model of a run on the Hugging Face hub, with a model card
///
/// Uploads the card (README.md), the weights (model.safetensors), config.json, and the exported files in the run folder (model.pt, and
/// model.onnx or model.pt2 if `cresset export` wrote them there) in one commit. The variable HF_TOKEN has the access token.
#[derive(Debug, Args)]
pub struct Push {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// The model on the hub, which is created if it does not exist
    #[arg(value_name = "hf:USER/NAME")]
    to: Repository,

    /// Create a private model
    #[arg(long)]
    private: bool,

    /// Message of the commit
    #[arg(long, value_name = "TEXT", default_value_t = PushOptions::default().message)]
    message: String,

    #[command(flatten)]
    facts: CardFacts,
}

impl Push {
    pub fn run(self) -> anyhow::Result<Ended> {
        let run = RunFolder::open(&self.run)?;
        let card = self.facts.card(&run)?;
        let options = PushOptions { message: self.message, is_private: self.private };
        let (url, commit) = push(&run, &card, &self.to, &options, &mut progress::with_bar())?;
        show(&format!("published as {url}, commit {commit}\n"))?;
        Ok(Ended::Well)
    }
}
