//! The split into training, validation and test set.

mod folds;
mod grouped;
mod leave_one_out;
mod method;
mod stratified;
mod time;

use std::path::PathBuf;

use super::{Dataset, Strata, Subset, Targets, lists};
use crate::error::{Error, Result};
pub use method::SplitMethod;

/// Options of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOptions {
    /// The validation fraction, if neither lists nor the source define a validation set.
    pub share: f64,
    /// A cross-validation fold: its number, from 1, and the number of folds.
    pub fold: Option<(u32, u32)>,
    /// The number of folds of a bag, whose members are each trained without one fold; `None` for a single model.
    pub bag: Option<u32>,
    /// An example list of the training set; if `None`, all examples in no other list.
    pub train_list: Option<PathBuf>,
    /// An example list of the validation set.
    pub validation_list: Option<PathBuf>,
    /// An example list of the test set.
    pub test_list: Option<PathBuf>,
    /// How the test set is chosen; `None` if by lists or by the source.
    pub method: Option<SplitMethod>,
    /// The random seed.
    pub seed: u64,
}

/// The subsets, as example indexes in ascending order. No example is in two subsets, except that those of a bag are in the training
/// and in the validation set: each is left out by one member, whose predictions validate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The training set. Corrections follow the other examples, each repeated by its weight.
    pub train: Vec<i64>,
    /// The validation set, which selects the best epoch.
    pub validation: Vec<i64>,
    /// The test set for the final evaluation; often empty.
    pub test: Vec<i64>,
    /// The fold of each example of a bag, from 0, and -1 for examples in none; `None` for a single model.
    pub folds: Option<Vec<i64>>,
}

/// A training and a validation set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Parts {
    train: Vec<i64>,
    validation: Vec<i64>,
}

impl Parts {
    fn sorted(mut self) -> Self {
        self.train.sort_unstable();
        self.validation.sort_unstable();
        self
    }
}

impl Split {
    /// Splits a data set by the example lists, or else by the subsets that the source defines. If this gives
    /// no validation set, it is drawn by the seed: in whole groups if there are groups, else stratified
    /// ([`Dataset::strata`]). With a method, all three parts are those of the method.
    ///
    /// # Errors
    /// Lists that cannot be read or that overlap, and data that leaves the training or validation set empty.
    pub fn new(dataset: &Dataset, plan: &SplitOptions) -> Result<Self> {
        match &plan.method {
            Some(SplitMethod::Time(column)) => return time::split(dataset, column, plan.share),
            Some(SplitMethod::LeaveOneOut(column)) => return leave_one_out::split(dataset, column.as_ref()),
            None => {}
        }
        if let Some(split) = of_all_rows(dataset, plan) {
            split.check(dataset)?;
            return Ok(split);
        }
        let mut portions = listed(dataset, plan)?.unwrap_or_else(|| subsets_of_source(dataset));
        if plan.fold.is_some() || plan.bag.is_some() {
            // Folds use all examples outside the test set.
            for portion in portions.iter_mut().filter(|portion| **portion == Some(Subset::Validation)) {
                *portion = Some(Subset::Train);
            }
        }
        let of = |wanted: Subset| -> Vec<i64> {
            let rows = portions.iter().enumerate().filter(|(_, portion)| **portion == Some(wanted));
            rows.map(|(row, _)| row as i64).collect()
        };
        let (train, validation, test) = (of(Subset::Train), of(Subset::Validation), of(Subset::Test));
        let split = match plan.bag {
            Some(bag) => {
                let mut folds = vec![-1; dataset.rows()];
                let of_train = folds_of(dataset, &train, bag, plan.seed);
                train.iter().zip(of_train).for_each(|(row, fold)| folds[*row as usize] = i64::from(fold));
                Split { validation: train.clone(), train, test, folds: Some(folds) }
            }
            None if validation.is_empty() => {
                let Parts { train, validation } = draw(dataset, &train, plan);
                Split { train, validation, test, folds: None }
            }
            None => Split { train, validation, test, folds: None },
        };
        split.check(dataset)?;
        Ok(split)
    }

    /// The number of distinct training examples; repeated ones are adjacent.
    pub fn train_rows(&self) -> usize {
        self.train.chunk_by(|a, b| a == b).count()
    }

    /// The fold of each of these examples, if they are in the folds of a bag.
    pub fn folds_of(&self, rows: &[i64]) -> Option<Vec<i64>> {
        let folds = self.folds.as_ref()?;
        let of_rows: Vec<i64> = rows.iter().map(|row| folds[*row as usize]).collect();
        of_rows.iter().all(|fold| *fold >= 0).then_some(of_rows)
    }

    /// The name of each subset, as in `split.csv`, with its examples.
    pub fn parts(&self) -> [(&'static str, &[i64]); 3] {
        [("train", &self.train), ("heldout", &self.validation), ("test", &self.test)]
    }

    fn check(&self, dataset: &Dataset) -> Result<()> {
        let problem = if self.validation.is_empty() && dataset.groups.is_some() {
            "all examples are in one group, so there can be no validation set"
        } else if self.validation.is_empty() {
            "no class has two examples, so there can be no validation set"
        } else if self.train.is_empty() {
            "the training set is empty"
        } else {
            return Ok(());
        };
        Err(Error::data(dataset.path.as_path(), problem))
    }
}

/// The split of a data set without any parts, lists, groups or folds, in less memory: [`draw`] from all rows.
fn of_all_rows(dataset: &Dataset, plan: &SplitOptions) -> Option<Split> {
    let has_lists =
        [&plan.train_list, &plan.validation_list, &plan.test_list].iter().any(|list| list.is_some());
    let has_parts = dataset.portions.is_some() || dataset.groups.is_some();
    if has_lists
        || has_parts
        || plan.fold.is_some()
        || plan.bag.is_some()
        || dataset.targets != Targets::Classes
    {
        return None;
    }
    let parts = stratified::stratified(&dataset.labels, dataset.classes.len(), plan.share, plan.seed);
    let Parts { train, validation } = parts;
    Some(Split { train, validation, test: Vec::new(), folds: None })
}

/// The subset of each example by the user's lists, if any. An example may be in none.
fn listed(dataset: &Dataset, plan: &SplitOptions) -> Result<Option<Vec<Option<Subset>>>> {
    let lists = [
        (&plan.train_list, Subset::Train),
        (&plan.validation_list, Subset::Validation),
        (&plan.test_list, Subset::Test),
    ];
    if lists.iter().all(|(list, _)| list.is_none()) {
        return Ok(None);
    }
    let unlisted = plan.train_list.is_none().then_some(Subset::Train);
    let mut portions = vec![None; dataset.rows()];
    for (list, portion) in lists {
        let Some(list) = list else { continue };
        let mut indexes: Vec<_> = lists::read(dataset, list)?.into_iter().collect();
        indexes.sort_unstable();
        for index in indexes {
            if portions[index].is_some() {
                let name = dataset.names.name(index);
                let problem = format!("the example {name} is in two lists");
                return Err(Error::data(list.as_path(), problem));
            }
            portions[index] = Some(portion);
        }
    }
    Ok(Some(portions.into_iter().map(|portion| portion.or(unlisted)).collect()))
}

fn subsets_of_source(dataset: &Dataset) -> Vec<Option<Subset>> {
    match &dataset.portions {
        Some(portions) => portions.iter().map(|portion| Some(*portion)).collect(),
        None => vec![Some(Subset::Train); dataset.rows()],
    }
}

/// Labels and groups of some examples, and the number of classes.
fn strata_of(dataset: &Dataset, rows: &[i64]) -> (Vec<i64>, usize, Option<Vec<String>>) {
    let Strata { of_example, count } = dataset.strata();
    let labels = rows.iter().map(|row| of_example[*row as usize]).collect();
    let groups = dataset.groups.as_ref().map(|groups| {
        let of_row = |row: &i64| groups[*row as usize].clone();
        rows.iter().map(of_row).collect()
    });
    (labels, count, groups)
}

/// The fold, from 0, of each of the examples `rows`: in whole groups if there are groups, else stratified.
fn folds_of(dataset: &Dataset, rows: &[i64], folds: u32, seed: u64) -> Vec<u32> {
    match strata_of(dataset, rows) {
        (labels, classes, None) => folds::stratified_folds(&labels, classes, folds, seed),
        (labels, classes, Some(groups)) => grouped::grouped_folds(&groups, &labels, classes, folds, seed),
    }
}

/// Draws the validation set from `rows`.
fn draw(dataset: &Dataset, rows: &[i64], plan: &SplitOptions) -> Parts {
    let parts = match plan.fold {
        None => match strata_of(dataset, rows) {
            (labels, classes, None) => stratified::stratified(&labels, classes, plan.share, plan.seed),
            (labels, classes, Some(groups)) => {
                grouped::grouped(&groups, &labels, classes, plan.share, plan.seed)
            }
        },
        Some((fold, folds)) => {
            let fold_of = folds_of(dataset, rows, folds, plan.seed);
            let (validation, train) =
                (0..rows.len() as i64).partition(|row| fold_of[*row as usize] + 1 == fold);
            Parts { train, validation }
        }
    };
    let to_rows = |indexes: Vec<i64>| indexes.into_iter().map(|index| rows[index as usize]).collect();
    Parts { train: to_rows(parts.train), validation: to_rows(parts.validation) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Decoding;
    use crate::{InputShape, Inputs, Names};

    fn dataset(portions: Option<&str>, groups: Option<&str>) -> Dataset {
        let rows = 40;
        let portion = |letter| match letter {
            't' => Subset::Train,
            'v' => Subset::Validation,
            _ => Subset::Test,
        };
        Dataset {
            path: "data".into(),
            sha256: String::new(),
            classes: vec!["a".into(), "b".into()],
            labels: (0..rows).map(|row| row % 2).collect(),
            targets: crate::Targets::Classes,
            shape: InputShape(vec![1]),
            range: None,
            inputs: Inputs::Bytes(vec![0; rows as usize]),
            names: Names::Rows((0..rows as u64).collect()),
            table: None,
            portions: portions.map(|letters| letters.chars().map(portion).cycle().take(40).collect()),
            groups: groups.map(|names| names.chars().map(String::from).cycle().take(40).collect()),
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        }
    }

    fn plan(fold: Option<(u32, u32)>) -> SplitOptions {
        SplitOptions {
            share: 0.25,
            fold,
            bag: None,
            train_list: None,
            validation_list: None,
            test_list: None,
            method: None,
            seed: 1,
        }
    }

    fn sizes(split: &Split) -> [usize; 3] {
        split.parts().map(|(_, rows)| rows.len())
    }

    #[test]
    fn subsets_of_the_source_are_kept() {
        let split = Split::new(&dataset(Some("ttvs"), None), &plan(None)).unwrap();
        assert_eq!(sizes(&split), [20, 10, 10]);
        assert!(split.validation.iter().all(|row| row % 4 == 2) && split.test.iter().all(|row| row % 4 == 3));
    }

    #[test]
    fn a_missing_validation_set_is_drawn_from_the_training_set() {
        let split = Split::new(&dataset(Some("ttts"), None), &plan(None)).unwrap();
        assert_eq!(sizes(&split), [22, 8, 10]);
        assert!(split.test.iter().all(|row| row % 4 == 3));
    }

    #[test]
    fn folds_exclude_the_test_set() {
        let data = dataset(Some("ttvs"), None);
        let mut validation = Vec::new();
        for fold in 1..=3 {
            let split = Split::new(&data, &plan(Some((fold, 3)))).unwrap();
            assert_eq!(sizes(&split), [20, 10, 10]);
            validation.extend(split.validation);
        }
        validation.sort_unstable();
        assert_eq!(validation, (0..40).filter(|row| row % 4 != 3).collect::<Vec<_>>());
    }

    #[test]
    fn every_example_of_a_bag_outside_the_test_set_is_in_one_fold() {
        let split =
            Split::new(&dataset(Some("ttvs"), None), &SplitOptions { bag: Some(5), ..plan(None) }).unwrap();
        assert_eq!((sizes(&split), &split.train), ([30, 30, 10], &split.validation));
        let folds = split.folds_of(&split.train).unwrap();
        for fold in 0..5 {
            assert_eq!(folds.iter().filter(|of| **of == fold).count(), 6);
        }
        assert_eq!(split.folds_of(&split.test), None);
    }

    #[test]
    fn groups_stay_together() {
        let data = dataset(None, Some("aabbccdd"));
        for plan in [plan(None), plan(Some((2, 4)))] {
            let split = Split::new(&data, &plan).unwrap();
            let groups = data.groups.as_ref().unwrap();
            let of = |rows: &[i64]| rows.iter().map(|row| groups[*row as usize].as_str()).collect::<Vec<_>>();
            let validation = of(&split.validation);
            assert_eq!(validation.len(), 10);
            assert!(!of(&split.train).iter().any(|group| validation.contains(group)));
        }
    }

    #[test]
    fn data_of_one_group_or_without_a_training_set_is_rejected() {
        let error = |data| Split::new(&data, &plan(None)).unwrap_err().to_string();
        assert!(error(dataset(None, Some("a"))).contains("all examples are in one group"));
        assert!(error(dataset(Some("v"), None)).contains("the training set is empty"));
    }
}
