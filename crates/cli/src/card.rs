//! `cresset card`

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use cresset::data::GroupingOptions;
use cresset::data::atomic;
use cresset::data::terminal;
use cresset::report::card::{About, Card as ModelCard};
use cresset::run::RunFolder;

use super::arguments::Flags;
use super::{Compute, Ended, put, show};

/// Write a model card: description, evaluation, intended use and limitations of a run's model
#[derive(Debug, Args)]
pub struct Card {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Output file, in Markdown; `-` is standard output [default: card.md in the run folder]
    #[arg(long, short, value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    output: Option<PathBuf>,

    #[command(flatten)]
    facts: CardFacts,
}

/// What a card is made of, beside the run.
#[derive(Debug, Args)]
pub struct CardFacts {
    /// TOML file with facts about the model, such as `license = "MIT"`; the options below take precedence
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    about: Option<PathBuf>,

    #[command(flatten)]
    groups: Flags<GroupingOptions>,

    #[command(flatten)]
    compute: Compute,

    #[command(flatten)]
    stated: Flags<About>,
}

impl CardFacts {
    /// Evaluates the model of a run, and returns its card.
    pub fn card(self, run: &RunFolder) -> anyhow::Result<ModelCard> {
        let device = self.compute.prepare()?;
        let file = self.about.as_deref().map(About::read).transpose()?.unwrap_or_default();
        Ok(ModelCard::of(run, self.stated.into_options().or(file), &self.groups, device)?)
    }
}

impl Card {
    pub fn run(self) -> anyhow::Result<Ended> {
        let run = RunFolder::open(&self.run)?;
        let card = self.facts.card(&run)?;
        let path = self.output.unwrap_or_else(|| run.path().join("card.md"));
        if path == Path::new("-") {
            put(&card.to_markdown())?;
            return Ok(Ended::Well);
        }
        atomic::write(&path, card.to_markdown().as_bytes())?;
        show(&format!("written to {}\n", terminal::path(&path)))?;
        let missing = card.about.not_stated();
        if !missing.is_empty() {
            show(&format!("not stated: {} (set them here or in the file of --about)\n", missing.join(" ")))?;
        }
        Ok(Ended::Well)
    }
}
