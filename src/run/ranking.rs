//! The parts of a run that are particular to recommendations.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::{Examples, RunFolder};
use crate::data::{Dataset, Inputs, Split, TableLayout};
use crate::distributed::World;
use crate::error::{Error, Result};
use crate::export::Metadata;
use crate::export::ranking::names;
use crate::loader::{Batches, EvaluationLoader, MemoryExamples, RankingSet};
use crate::model::Network;
use crate::options::Config;

/// Choices of users, which are evaluated by ranking all items.
pub(super) struct RankedExamples {
    examples: MemoryExamples,
    set: RankingSet,
}

impl RankedExamples {
    /// The choices in `rows`. A user is not to choose again what is in an earlier part of the split.
    pub fn new(examples: MemoryExamples, dataset: &Dataset, rows: &[i64], split: &Split) -> Result<Self> {
        let set = RankingSet::of(dataset, rows, &known_before(rows, split))?;
        if rows == split.validation && !set.has_choices() {
            let problem = "no user of the validation set chose an item of the training set for the first time, so recommendations cannot be compared with choices; use more data or another --split";
            return Err(Error::data(dataset.path.as_path(), problem));
        }
        Ok(RankedExamples { examples, set })
    }
}

/// The parts of a split with the choices that were made before those in `rows`, one of its parts.
pub(super) fn known_before<'a>(rows: &[i64], split: &'a Split) -> Vec<&'a [i64]> {
    match rows == split.test {
        true => vec![&split.train, &split.validation],
        false => vec![&split.train],
    }
}

impl EvaluationLoader for RankedExamples {
    fn rows(&self) -> usize {
        self.examples.rows()
    }

    fn device(&self) -> tch::Device {
        self.examples.device()
    }

    fn in_order(&self) -> Batches<'_> {
        self.examples.in_order()
    }

    fn ranking(&self) -> Option<&RankingSet> {
        Some(&self.set)
    }
}

/// The items that each user of a run chose in its data.
#[derive(Debug)]
pub struct Chosen(BTreeMap<i64, Vec<i64>>);

impl Chosen {
    /// The choices in the data of a run with the model `metadata`.
    ///
    /// # Errors
    /// If the data is missing or has changed since the run started, or its users and items are not those of the model.
    pub fn of_run(run: &RunFolder, metadata: &Metadata) -> Result<Self> {
        let examples = Examples::reopen_without_corrections(&Config::read(&run.config_file())?, run)?;
        let names =
            |table: &Option<TableLayout>| table.as_ref().map(|layout| names(layout).map(<[String]>::to_vec));
        if names(&examples.dataset.table) != names(&metadata.input.table) {
            let problem = "the users and items of the model are not those of the data of its run; pass the model file, without its run";
            return Err(Error::artifact(run.path(), problem));
        }
        Ok(Chosen::of(&examples.dataset))
    }

    /// The choices in a data set.
    pub(super) fn of(dataset: &Dataset) -> Self {
        let mut chosen: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        if let Inputs::Floats(values) = &dataset.inputs {
            for row in values.chunks_exact(2).filter(|row| row[0] >= 0. && row[1] >= 0.) {
                chosen.entry(row[0] as i64).or_default().push(row[1] as i64);
            }
        }
        Chosen(chosen)
    }

    /// The items, by their index, that the user with this index chose.
    pub fn items(&self, user: i64) -> &[i64] {
        self.0.get(&user).map_or(&[], Vec::as_slice)
    }
}

/// Refuses to train with several processes: a batch has the items of one.
pub(super) fn check(world: &World) -> Result<()> {
    if world.is_alone() {
        return Ok(());
    }
    let problem = "a model of recommendations is trained by one process, whose batches have all negative items; start it without a launcher";
    Err(Error::Usage(problem.to_string()))
}

/// Stores the frequencies of the items among the training examples in a network with two towers. A share `masked` of the items is trained
/// as unknown.
pub(super) fn set_frequencies(network: &Network, dataset: &Dataset, split: &Split, masked: f64) {
    let name = network.log_frequency();
    let Some(stored) = name.and_then(|name| network.state().remove(&name)) else { return };
    let Inputs::Floats(values) = &dataset.inputs else { return };
    let mut counts = vec![0f64; stored.size()[0] as usize];
    for row in &split.train {
        counts[(values[2 * *row as usize + 1] + 1.) as usize] += 1.;
    }
    let rows = split.train.len() as f64;
    // An item that occurs less than once in all examples has the frequency of one that occurs once.
    let of = |count: &f64| ((count * (1. - masked)).max(1.) / rows).ln() as f32;
    let mut logarithms: Vec<f32> = counts.iter().map(of).collect();
    logarithms[0] = ((masked * rows).max(1.) / rows).ln() as f32;
    tch::no_grad(|| {
        let mut stored = stored;
        stored.copy_(&Tensor::from_slice(&logarithms).to_kind(Kind::Float));
    });
}
