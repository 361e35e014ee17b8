//! Model cards (Mitchell et al., "Model Cards for Model Reporting", 2019) in Markdown with Hugging Face front matter.
//!
//! Metrics are measured again, facts come from the run folder, and the author states the rest. Nothing is made up.

mod about;
mod facts;
mod front_matter;
pub(crate) mod markdown;
mod section;

use tch::Device;

pub use about::{About, FIELDS, Field};
pub use facts::{ModelFile, PartEvaluation, SplitCounts};
use markdown::plain;
use section::SECTIONS;

use crate::data::{Grouping, GroupingOptions, Split, TaskKind};
use crate::error::{Error, Result, catch_panics};
use crate::export::Metadata;
use crate::model::Outputs;
use crate::options::Config;
use crate::predict;
use crate::run::RunFolder;
use crate::run::{Examples, FinishedRun, RankedRun};

/// The contents of a model card.
///
/// ```
/// use cresset::data::GroupingOptions;
/// use cresset::prelude::*;
/// use cresset::report::card::{About, Card};
/// use cresset::run::RunFolder;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// # let about = out.join("about.toml");
/// std::fs::write(&about, "name = \"Iris species\"\nlicense = \"MIT\"\n").unwrap();
/// let about = About::read(&about)?;
/// let run = RunFolder::open(fitted.folder())?;
/// let card = Card::of(&run, about, &GroupingOptions::default(), Device::Cpu)?;
/// assert!(card.to_markdown().contains("# Iris species"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Card {
    /// The fields that the author states.
    pub about: About,
    /// Name of the model.
    pub name: String,
    /// Options of the run.
    pub config: Config,
    /// Metadata of the model.
    pub metadata: Metadata,
    /// The model file.
    pub file: ModelFile,
    /// Number of trainable parameters.
    pub parameters: usize,
    /// Number of examples by class or label, part and group.
    pub rows: SplitCounts,
    /// Evaluation on the validation set, and on the test set if there is one.
    pub measured: Vec<PartEvaluation>,
}

impl Card {
    /// Evaluates the exported model of a run on its validation and test sets.
    ///
    /// # Errors
    /// If the run has no model, the data is missing or has changed, or the groups cannot be determined.
    pub fn of(run: &RunFolder, about: About, groups: &GroupingOptions, device: Device) -> Result<Self> {
        catch_panics(|| {
            let config = Config::read(&run.config_file())?;
            if predict::metadata(&FinishedRun::model(run, &config)?)?.outputs == Outputs::Ranking {
                return Card::of_recommendations(run, about, groups, device);
            }
            let FinishedRun { classifier, config, examples } = FinishedRun::open(run, device)?;
            let metadata = classifier.metadata().clone();
            let Examples { dataset, split, .. } = &examples;
            let grouping = Grouping::read(groups, &dataset.path, &dataset.names)?;
            let mut measured = Vec::new();
            for (name, rows) in parts(split) {
                let feed = examples.raw(rows, &config, device);
                let of_part = grouping
                    .as_ref()
                    .map(|grouping| (grouping.select(indexes(rows)), groups.least_group_rows));
                measured.push(PartEvaluation::new(name, &classifier, &*feed, of_part)?);
            }
            let name = about.get("name").map_or_else(|| run.name(), str::to_string);
            Ok(Card {
                name,
                file: ModelFile::of(&run.model())?,
                parameters: classifier.parameters()?,
                rows: SplitCounts::new(dataset, split, &config, grouping.as_ref())?,
                about,
                config,
                metadata,
                measured,
            })
        })
    }

    /// Evaluates the recommendations of a run on its validation and test sets.
    fn of_recommendations(
        run: &RunFolder,
        about: About,
        groups: &GroupingOptions,
        device: Device,
    ) -> Result<Self> {
        if groups.group_by.is_some() || groups.groups.is_some() {
            let problem =
                "--group-by and --groups compare classes, and this model recommends items; remove the option";
            return Err(Error::Usage(problem.to_string()));
        }
        let ranked = RankedRun::open(run, device)?;
        let Examples { dataset, split, .. } = &ranked.examples;
        let measured =
            parts(split).map(|(name, rows)| Ok(PartEvaluation::of_ranking(name, ranked.evaluate(rows)?)));
        let measured = measured.collect::<Result<_>>()?;
        let name = about.get("name").map_or_else(|| run.name(), str::to_string);
        Ok(Card {
            name,
            file: ModelFile::of(&run.model())?,
            parameters: ranked.recommender.parameters()?,
            rows: SplitCounts::new(dataset, split, &ranked.config, None)?,
            about,
            metadata: ranked.recommender.metadata().clone(),
            config: ranked.config,
            measured,
        })
    }

    /// Renders the card.
    pub fn to_markdown(&self) -> String {
        let mut text = front_matter::of(self);
        text += &format!("\n# {}\n\n{}", plain(&self.name), section::summary(self));
        for (title, section) in SECTIONS {
            text += &format!("\n## {title}\n\n{}", section(self));
        }
        text
    }

    /// The task.
    fn task(&self) -> TaskKind {
        self.metadata.outputs.task()
    }

    /// The numbers of users and of items that the model knows; 0 for other tasks.
    fn names(&self) -> [usize; 2] {
        self.metadata.names().map_or([0; 2], |names| names.map(<[String]>::len))
    }

    /// Whether the examples are images.
    fn has_images(&self) -> bool {
        self.metadata.input.shape.image().is_some()
    }
}

/// The parts of the split that the model is evaluated on.
fn parts(split: &Split) -> impl Iterator<Item = (&'static str, &[i64])> {
    [("validation", &split.validation[..]), ("test", &split.test)]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
}

fn indexes(rows: &[i64]) -> impl Iterator<Item = usize> {
    rows.iter().map(|row| *row as usize)
}
