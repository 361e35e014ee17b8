//! The features of users and items of a run, from the tables that are joined with its choices.

use std::collections::HashSet;

use tch::{Device, Kind, Tensor};

use super::categories;
use crate::data::column::FeatureGroup;
use crate::data::joined::JoinedTable;
use crate::data::options::Missing;
use crate::data::{Dataset, Inputs, Split};
use crate::error::Result;
use crate::export::ranking::names;
use crate::model::preprocessing::{self, Preprocessing, TensorDataset, TrainTensors};
use crate::model::{FEATURES, Network, TRAINED};

/// The features of users, or of items.
pub(super) struct Described {
    /// The groups of the features.
    pub groups: Vec<FeatureGroup>,
    /// The preprocessed features, (count + 1, features), first those of an unknown one.
    values: Tensor,
    /// 1 where the training set has a choice, (count + 1).
    trained: Tensor,
}

/// The names of the tensors of a network for users and for items.
const TOWERS: [&str; 2] = ["users", "items"];

impl Described {
    /// The features of users and of items, of each if it has a table. The statistics are those of users and items in the training set, if any
    /// has a row.
    ///
    /// # Errors
    /// Never for tables in memory.
    pub fn of(dataset: &Dataset, split: &Split, missing: Missing) -> Result<[Option<Self>; 2]> {
        let (Some(layout), Inputs::Floats(values)) = (&dataset.table, &dataset.inputs) else {
            return Ok([None, None]);
        };
        let mut described = [None, None];
        for (place, table) in dataset.choices.tables.iter().enumerate() {
            let Some(table) = table else { continue };
            let chosen = split.train.iter().map(|row| values[2 * *row as usize + place]);
            let trained: HashSet<usize> = chosen.map(|index| index as usize).collect();
            described[place] = Some(Described::of_table(table, names(layout)[place], &trained, missing)?);
        }
        Ok(described)
    }

    fn of_table(
        table: &JoinedTable,
        names: &[String],
        trained: &HashSet<usize>,
        missing: Missing,
    ) -> Result<Self> {
        let row_of: Vec<Option<usize>> = names.iter().map(|name| table.row(name)).collect();
        let in_training = row_of.iter().enumerate().filter(|(index, _)| trained.contains(index));
        let mut train: Vec<i64> = in_training.filter_map(|(_, row)| row.map(|row| row as i64)).collect();
        if train.is_empty() {
            train = (0..table.rows.rows() as i64).collect();
        }
        let split = Split { train, validation: Vec::new(), test: Vec::new(), folds: None };
        let all: Vec<usize> = (0..table.rows.rows()).collect();
        let rows = categories::of_training(table.rows.select(&all), &split)?;
        let marked = preprocessing::marked(&rows, &split.train, missing);
        let mut groups = preprocessing::task(&rows, marked.len()).groups;
        let tensors = |of: &[i64]| TensorDataset::of(&rows, of, Device::Cpu);
        let fitted = Preprocessing::fit(&rows, &TrainTensors(tensors(&split.train)), missing).marking(marked);
        let all: Vec<i64> = all.iter().map(|row| *row as i64).collect();
        let values = fitted.apply(&tensors(&all).inputs);
        // The last feature marks those without a row, whose other features are those of a mean row.
        let unknown = unknown(&groups);
        let values = Tensor::cat(&[values, unknown.unsqueeze(0)], 0);
        let mark = values.new_zeros([values.size()[0], 1], (Kind::Float, Device::Cpu));
        let _ = mark.get(-1).fill_(1.);
        groups.push(FeatureGroup::Indicators { count: 1 });
        let places = row_of.iter().map(|row| row.unwrap_or(all.len()) as i64);
        let places: Vec<i64> = std::iter::once(all.len() as i64).chain(places).collect();
        let values = Tensor::cat(&[values, mark], 1).index_select(0, &Tensor::from_slice(&places));
        let is_trained = |index: usize| if trained.contains(&index) { 1f32 } else { 0. };
        let flags: Vec<f32> = std::iter::once(0.).chain((0..names.len()).map(is_trained)).collect();
        Ok(Described { groups, values, trained: Tensor::from_slice(&flags) })
    }

    /// Stores the features in the buffers of a network with two towers.
    pub fn store(described: &[Option<Self>; 2], network: &Network) {
        let state = network.state();
        for (described, name) in described.iter().zip(TOWERS) {
            let Some(described) = described else { continue };
            for (end, values) in [(FEATURES, &described.values), (TRAINED, &described.trained)] {
                let is_of = |stored: &&String| stored.rsplit('.').next() == Some(&format!("{name}{end}"));
                if let Some(stored) = state.keys().find(is_of) {
                    tch::no_grad(|| state[stored].shallow_clone().copy_(values));
                }
            }
        }
    }
}

/// The preprocessed features of a row of which nothing is known: means, and unknown categories.
fn unknown(groups: &[FeatureGroup]) -> Tensor {
    let of = |group: &FeatureGroup| match group {
        FeatureGroup::Code { .. } => vec![-1f32],
        other => vec![0.; other.features()],
    };
    Tensor::from_slice(&groups.iter().flat_map(of).collect::<Vec<f32>>())
}
