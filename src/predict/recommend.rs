//! Recommendations of items to users, with an exported model.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::metadata;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::{Evaluation, Keep};
use crate::export::{Metadata, ranking};
use crate::loader::RankingSet;
use crate::model::Outputs;
use crate::model::executor::{self, Executor};

/// A model that recommends items to users, loaded from `model.pt`.
///
/// ```
/// use cresset::options::Setting;
/// use cresset::predict::Recommender;
/// use cresset::prelude::*;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let (data, out) = (folder.path().join("clicks.csv"), folder.path().join("run"));
/// # let click = |n: usize| format!("u{},i{}\n", n % 10, (n / 10 * 2 + n % 2) % 16);
/// # std::fs::write(&data, "user,item\n".to_string() + &(0..60).map(click).collect::<String>()).unwrap();
/// let columns = ["user", "item"].map(|name| Setting { name, value: name.to_string() });
/// let options = Config { epochs: 2, ..Config::of(&columns)? };
/// Trainer::new(data.to_str().unwrap()).options(options).out(&out).fit()?;
///
/// let recommender = Recommender::load(&out.join("model.pt"), Device::Cpu)?;
/// let found = recommender.recommend("u3", 5, &["i1"])?;
/// assert!(found.len() == 5 && found.iter().all(|found| found.item != "i1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Recommender {
    path: PathBuf,
    executor: Box<dyn Executor>,
    device: Device,
    metadata: Metadata,
    users: HashMap<String, i64>,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// The item.
    pub item: String,
    /// Its score, which ranks the items of a user: the logarithm of its probability of being chosen next, up to a constant.
    pub score: f32,
}

/// The method of the exported module.
const ITEM_SCORES: &str = "item_scores";

impl Recommender {
    /// Loads a model exported by cresset.
    ///
    /// # Errors
    /// A file that is missing, damaged or not exported by cresset, and a model that does not recommend items.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let metadata = metadata(path)?;
        if metadata.outputs != Outputs::Ranking {
            let problem = format!(
                "this model does not recommend items: its task is {}; train one with --user and --item",
                metadata.outputs.task().described()
            );
            return Err(Error::artifact(path, problem));
        }
        let executor = executor::open(path)?.executor(device, &metadata.input.shape)?;
        let users = metadata.input.table.as_ref().map_or(&[][..], |layout| ranking::names(layout)[0]);
        let users = (0..).zip(users).map(|(index, user)| (user.clone(), index)).collect();
        Ok(Recommender { path: path.to_path_buf(), executor, device, users, metadata })
    }

    /// The metadata of the model.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The index of a user; none if the user is not in the training set.
    pub fn index(&self, user: &str) -> Option<i64> {
        self.users.get(user).copied()
    }

    /// The items, by their index.
    pub fn items(&self) -> &[String] {
        self.metadata.input.table.as_ref().map_or(&[], |layout| ranking::names(layout)[1])
    }

    /// The `count` items with the highest scores for a user, the best one first, without those in `exclude`. A user who is not in the
    /// training set gets what suits a user of whom nothing is known: mostly popular items.
    ///
    /// # Errors
    /// A model that fails.
    pub fn recommend(&self, user: &str, count: usize, exclude: &[&str]) -> Result<Vec<Recommendation>> {
        let exclude: HashSet<&str> = exclude.iter().copied().collect();
        let scores = self.scores(&Tensor::from_slice(&[self.index(user).unwrap_or(-1)]))?;
        let scores = Vec::<f32>::try_from(scores.to_device(Device::Cpu).to_kind(Kind::Float).view(-1))?;
        let items = self.items().iter().zip(scores).filter(|(item, _)| !exclude.contains(item.as_str()));
        let mut items: Vec<(&String, f32)> = items.collect();
        let best_first = |a: &(&String, f32), b: &(&String, f32)| b.1.total_cmp(&a.1);
        if count < items.len() {
            items.select_nth_unstable_by(count, best_first);
            items.truncate(count);
        }
        items.sort_by(best_first);
        Ok(items.into_iter().map(|(item, score)| Recommendation { item: item.clone(), score }).collect())
    }

    /// Evaluates the recommendations for users with known choices.
    ///
    /// # Errors
    /// A model that fails.
    pub fn evaluate(&self, choices: &RankingSet) -> Result<Evaluation> {
        choices.evaluate(Keep::Scores, self.device, |users| self.scores(users))
    }

    /// The scores of all items, (users, items), for the indexes of users, int64 (users).
    fn scores(&self, users: &Tensor) -> Result<Tensor> {
        let module = self.executor.module().ok_or_else(|| {
            let problem = "only TorchScript files recommend items; use model.pt";
            Error::artifact(&self.path, problem)
        })?;
        catch_panics(|| {
            tch::no_grad(|| Ok(module.call(ITEM_SCORES, &users.to_device(self.device))?.remove(0)))
        })
    }
}
