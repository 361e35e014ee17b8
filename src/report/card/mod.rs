//! What people should know of a model before they use it: a model card (Mitchell et al., "Model Cards for Model Reporting",
//! 2019), in Markdown with the front matter of Hugging Face's.
//!
//! Figures are measured anew; facts come from the files of the run; what only people know is what they state, and is never
//! made up.

mod about;
mod facts;
mod front_matter;
pub(crate) mod markdown;
mod section;

use tch::Device;

pub use about::{About, FIELDS, Field};
pub use facts::{File, Measured, Rows};
use markdown::plain;
use section::SECTIONS;

use crate::data::{Grouping, GroupingOptions, Split};
use crate::error::{Result, guard};
use crate::export::Metadata;
use crate::options::Config;
use crate::run::RunFolder;
use crate::run::{Examples, Finished};

/// All that a card tells.
pub struct Card {
    /// What people state.
    pub about: About,
    /// What the model is called.
    pub name: String,
    /// The options of the run.
    pub config: Config,
    /// What the model says of itself.
    pub metadata: Metadata,
    /// The file of the model.
    pub file: File,
    /// The number of trainable values.
    pub parameters: usize,
    /// The rows of the data, by class, part and group.
    pub rows: Rows,
    /// What was found on the held-out rows, and on the test rows if there are any.
    pub measured: Vec<Measured>,
}

impl Card {
    /// Measures the exported model of a run on the rows that it was not trained on.
    ///
    /// # Errors
    /// A run without a model, data that is gone or has changed since, and groups that cannot be told.
    pub fn of(run: &RunFolder, about: About, groups: &GroupingOptions, device: Device) -> Result<Self> {
        guard(|| {
            let Finished { classifier, config, examples } = Finished::open(run, device)?;
            let metadata = classifier.metadata().clone();
            let Examples { dataset, split, .. } = &examples;
            let grouping = Grouping::read(groups, &dataset.path, &dataset.names)?;
            let mut measured = Vec::new();
            for (name, rows) in parts(split) {
                let feed = examples.raw(rows, &config, device);
                let of_part = grouping
                    .as_ref()
                    .map(|grouping| (grouping.select(indexes(rows)), groups.least_group_rows));
                measured.push(Measured::new(name, &classifier, &*feed, of_part)?);
            }
            let name = about.get("name").map_or_else(|| run.name(), str::to_string);
            Ok(Card {
                name,
                file: File::of(&run.model())?,
                parameters: classifier.parameters()?,
                rows: Rows::new(dataset, split, &config, grouping.as_ref())?,
                about,
                config,
                metadata,
                measured,
            })
        })
    }

    /// The card.
    pub fn to_markdown(&self) -> String {
        let mut text = front_matter::of(self);
        text += &format!("\n# {}\n\n{}", plain(&self.name), section::summary(self));
        for (title, section) in SECTIONS {
            text += &format!("\n## {title}\n\n{}", section(self));
        }
        text
    }

    /// Whether the examples are pictures.
    fn has_pictures(&self) -> bool {
        self.metadata.input.shape.image().is_some()
    }
}

/// The parts that a model is measured on.
fn parts(split: &Split) -> impl Iterator<Item = (&'static str, &[i64])> {
    [("held-out", &split.held_out[..]), ("test", &split.test)]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
}

fn indexes(rows: &[i64]) -> impl Iterator<Item = usize> {
    rows.iter().map(|row| *row as usize)
}
