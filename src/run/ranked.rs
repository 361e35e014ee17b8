//! A finished run of recommendations.

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::ranking::{Chosen, known_before};
use super::{Examples, FinishedRun};
use crate::data::{self, DataOptions, Inputs};
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::export::ranking::names;
use crate::loader::RankingSet;
use crate::options::Config;
use crate::predict::Recommender;
use crate::run::RunFolder;

/// A finished run of recommendations: model, options, and split data.
pub struct RankedRun {
    /// The exported model.
    pub recommender: Recommender,
    /// The options.
    pub config: Config,
    /// The data.
    pub examples: Examples,
}

impl RankedRun {
    /// Opens a run, with its model on `device`.
    ///
    /// # Errors
    /// If the run has no model or one that does not recommend items, or its data is missing or has changed.
    pub fn open(run: &RunFolder, device: Device) -> Result<Self> {
        let config = Config::read(&run.config_file())?;
        let path = FinishedRun::model(run, &config)?;
        let recommender = Recommender::load(&path, device)?;
        let examples = Examples::reopen_without_corrections(&config, run)?;
        recommender.metadata().refuse_other_data(&path, &examples.dataset)?;
        Ok(RankedRun { recommender, config, examples })
    }

    /// Evaluates the model on choices in these rows, a part of the split.
    ///
    /// # Errors
    /// A model that fails.
    pub fn evaluate(&self, rows: &[i64]) -> Result<Evaluation> {
        self.recommender.evaluate(&self.choices(rows)?)
    }

    /// The choices in these rows, a part of the split.
    ///
    /// # Errors
    /// Never for the data of a run.
    pub fn choices(&self, rows: &[i64]) -> Result<RankingSet> {
        let Examples { dataset, split, .. } = &self.examples;
        RankingSet::of(dataset, rows, &known_before(rows, split))
    }

    /// The choices in a file with the columns of the run's data. Users are not to choose again what they chose in the data of the run.
    ///
    /// # Errors
    /// A file that cannot be read, and one without new choices of items that the model knows.
    pub fn choices_in(&self, path: &Path) -> Result<RankingSet> {
        // The model has the features of users and items.
        let alone = DataOptions {
            user_table: None,
            item_table: None,
            keep: None,
            ignore: None,
            ..self.config.reading.clone()
        };
        let dataset = data::read(&path.to_string_lossy(), &alone)?;
        let catalog = self.recommender.catalog();
        let layout = dataset.table.as_ref().ok_or_else(|| Error::data(path, "this is not a table"))?;
        let [users, items] = names(layout);
        let users: Vec<i64> = users.iter().map(|user| catalog.user(user).unwrap_or(-1)).collect();
        let items: Vec<i64> = items.iter().map(|item| catalog.item(item).unwrap_or(-1)).collect();
        let chosen = Chosen::of(&self.examples.dataset);
        let mut found: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        if let Inputs::Floats(values) = &dataset.inputs {
            for row in values.chunks_exact(2) {
                found.entry(row[0] as usize).or_default().push(items[row[1] as usize]);
            }
        }
        let found =
            found.into_iter().map(|(user, items)| (users[user], items, chosen.items(users[user]).to_vec()));
        let set = RankingSet::new(catalog.items().len() as i64, found);
        if !set.has_choices() {
            let problem = "it has no new choices of items in the training data: each one is in the data of the run, or of another item";
            return Err(Error::data(path, problem));
        }
        Ok(set)
    }
}
