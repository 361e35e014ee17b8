//! Recommendations of items to users, with an exported model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::catalog::Catalog;
use super::load::replay;
use super::metadata;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::{Evaluation, Keep};
use crate::export::{ExportedModel, Metadata, VERIFICATION, VerificationResult};
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
    catalog: Arc<Catalog>,
    recorded: Option<String>,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// The item.
    pub item: String,
    /// Its score, which ranks the items of a user: the logarithm of its probability of being chosen next, up to a constant.
    pub score: f32,
}

/// A question for items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The index of the user; -1 for one who is not in the training set.
    pub user: i64,
    /// The number of items.
    pub count: usize,
    /// The indexes of items that are left out.
    pub exclude: Vec<i64>,
}

/// The method of the exported module.
const ITEM_SCORES: &str = "item_scores";

/// Scores that are computed at once.
const AT_ONCE: usize = 1 << 22;

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
        let file = executor::open(path)?;
        let recorded = file.extra(VERIFICATION)?;
        let executor = file.executor(device, &metadata.input.shape)?;
        let catalog = Arc::new(Catalog::of(&metadata));
        Ok(Recommender { path: path.to_path_buf(), executor, device, catalog, metadata, recorded })
    }

    /// The metadata of the model.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The device of the model.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The number of trainable parameters (elements).
    pub fn parameters(&self) -> Result<usize> {
        Ok(self.executor.counts()?.0)
    }

    /// The number of elements of all parameters and buffers.
    pub fn values(&self) -> Result<usize> {
        Ok(self.executor.counts()?.1)
    }

    /// The model, to write it in another format.
    ///
    /// # Errors
    /// A model that is not a TorchScript file.
    pub fn into_exported(self) -> Result<ExportedModel> {
        let Recommender { path, executor, metadata, recorded, .. } = self;
        let input = metadata.input.shape.clone();
        let module = executor.into_module().ok_or_else(|| not_torchscript(&path))?;
        let record = recorded.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Ok(ExportedModel { path, module, metadata: Some(metadata), record, input })
    }

    /// The users and items.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Recomputes the recorded samples of the file and compares the scores; `None` if it has no samples.
    ///
    /// # Errors
    /// An invalid record, and a model that fails.
    pub fn replay(&self) -> Result<Option<VerificationResult>> {
        replay(&self.path, self.recorded.as_deref(), &*self.executor, self.device)
    }

    /// The `count` items with the highest scores for a user, the best one first, without those in `exclude`. A user who is not in the
    /// training set gets what suits a user of whom nothing is known: mostly popular items.
    ///
    /// # Errors
    /// A model that fails.
    pub fn recommend(&self, user: &str, count: usize, exclude: &[&str]) -> Result<Vec<Recommendation>> {
        let exclude = exclude.iter().filter_map(|item| self.catalog.item(item).ok()).collect();
        let query = Query { user: self.catalog.user(user).unwrap_or(-1), count, exclude };
        Ok(self.answer(&[query])?.swap_remove(0))
    }

    /// The items with the highest scores for each query, the best one first. The scores of many users are computed in one product.
    ///
    /// # Errors
    /// A model that fails.
    pub fn answer(&self, queries: &[Query]) -> Result<Vec<Vec<Recommendation>>> {
        let at_once = (AT_ONCE / self.catalog.items().len().max(1)).max(1);
        let mut answers = Vec::with_capacity(queries.len());
        for queries in queries.chunks(at_once) {
            let users: Vec<i64> = queries.iter().map(|query| query.user).collect();
            let scores = self.scores(&Tensor::from_slice(&users))?.to_device(Device::Cpu);
            for (place, query) in (0..).zip(queries) {
                let scores = Vec::<f32>::try_from(scores.get(place).to_kind(Kind::Float))?;
                answers.push(self.best(scores, query));
            }
        }
        Ok(answers)
    }

    /// The items with the highest of these scores of all items.
    fn best(&self, mut scores: Vec<f32>, query: &Query) -> Vec<Recommendation> {
        for item in &query.exclude {
            scores[*item as usize] = f32::NEG_INFINITY;
        }
        let items = self.catalog.items().iter().zip(scores);
        let mut items: Vec<(&String, f32)> = items.filter(|(_, score)| *score > f32::NEG_INFINITY).collect();
        let best_first = |a: &(&String, f32), b: &(&String, f32)| b.1.total_cmp(&a.1);
        if query.count < items.len() {
            items.select_nth_unstable_by(query.count, best_first);
            items.truncate(query.count);
        }
        items.sort_by(best_first);
        items.into_iter().map(|(item, score)| Recommendation { item: item.clone(), score }).collect()
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
        let module = self.executor.module().ok_or_else(|| not_torchscript(&self.path))?;
        catch_panics(|| {
            tch::no_grad(|| Ok(module.call(ITEM_SCORES, &users.to_device(self.device))?.remove(0)))
        })
    }
}

fn not_torchscript(path: &Path) -> Error {
    Error::artifact(path, "only TorchScript files recommend items; use model.pt")
}
