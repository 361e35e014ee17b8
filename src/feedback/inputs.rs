//! The inputs of a dataset by their hashes: which of them corrections must not repeat, and in which fold of a bag each is.

use std::collections::{HashMap, HashSet};

use rand::RngExt;
use sha2::{Digest, Sha256};

use crate::data::random::{Purpose, stream};
use crate::data::{Dataset, Inputs, Split};

/// SHA-256 of the values of an input, or of an encoded image.
pub(super) type InputHash = [u8; 32];

/// The hash of these bytes.
pub(super) fn hash_of(bytes: &[u8]) -> InputHash {
    Sha256::digest(bytes).into()
}

/// Values as bytes; −0 is stored as 0.
pub(super) fn bits(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| (value + 0.).to_le_bytes()).collect()
}

/// The hash of a row. None if it is an image or a stored row that cannot be read, which is not evaluated either.
fn hash_of_row(dataset: &Dataset, row: i64) -> Option<InputHash> {
    let width = dataset.shape.features() as usize;
    let own = row as usize * width..(row as usize + 1) * width;
    match &dataset.inputs {
        Inputs::Floats(values) => Some(hash_of(&bits(&values[own]))),
        Inputs::Bytes(values) => {
            let values: Vec<f32> = values[own].iter().map(|byte| f32::from(*byte)).collect();
            Some(hash_of(&bits(&values)))
        }
        Inputs::Images(sources) => {
            let mut encoded = Vec::new();
            sources[row as usize].read(&mut encoded).ok().map(|()| hash_of(&encoded))
        }
        Inputs::Stored(rows) => rows.gather(&[row]).ok().map(|values| hash_of(&bits(&values))),
    }
}

/// The evaluated inputs, which must not be in the training set. A bag evaluates each example by the member that is not trained on it,
/// so of its examples only those of the test set count.
pub(super) struct EvaluatedInputs(HashSet<InputHash>);

impl EvaluatedInputs {
    pub fn of(dataset: &Dataset, split: &Split) -> Self {
        let validation = if split.folds.is_some() { &[][..] } else { &split.validation };
        let rows = validation.iter().chain(&split.test);
        EvaluatedInputs(rows.filter_map(|row| hash_of_row(dataset, *row)).collect())
    }

    pub fn refuse(&self, hash: &InputHash) -> Result<(), String> {
        match self.0.contains(hash) {
            true => Err("it is an example of the validation or test set".to_string()),
            false => Ok(()),
        }
    }
}

/// The folds of corrections in a bag.
pub(super) struct CorrectionFolds {
    of_known: HashMap<InputHash, i64>,
    count: u32,
    seed: u64,
}

impl CorrectionFolds {
    /// The folds of a bag of `count` members; none for a single model.
    pub fn of(dataset: &Dataset, split: &Split, count: u32, seed: u64) -> Option<Self> {
        let folds = split.folds_of(&split.train)?;
        let mut of_known = HashMap::new();
        for (row, fold) in split.train.iter().zip(folds) {
            if let Some(hash) = hash_of_row(dataset, *row) {
                of_known.entry(hash).or_insert(fold);
            }
        }
        Some(CorrectionFolds { of_known, count, seed })
    }

    /// The fold of an input: that of the training example with the same values, so that the member which validates the example does not
    /// learn its correction, or else one that only the input and the seed determine. It is the same for all corrections of the input, and
    /// in every later run, whose members start from the weights of this one.
    pub fn fold(&self, hash: &InputHash) -> i64 {
        self.of_known.get(hash).copied().unwrap_or_else(|| {
            let number = hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
            stream(self.seed, Purpose::Split, number).random_range(0..i64::from(self.count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image::Decoding;
    use crate::data::{InputShape, Names, Targets};

    fn dataset(rows: i64) -> Dataset {
        Dataset {
            path: "data".into(),
            sha256: "00".to_string(),
            classes: vec!["a".into(), "b".into()],
            labels: (0..rows).map(|row| row % 2).collect(),
            targets: Targets::Classes,
            shape: InputShape(vec![2]),
            range: None,
            inputs: Inputs::Floats((0..2 * rows).map(|value| value as f32).collect()),
            names: Names::Rows((0..rows as u64).collect()),
            table: None,
            portions: None,
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        }
    }

    /// Six rows in three folds, and a test row.
    fn bag() -> Split {
        let train: Vec<i64> = (0..6).collect();
        Split { validation: train.clone(), train, test: vec![6], folds: Some(vec![2, 1, 0, 2, 1, 0, -1]) }
    }

    #[test]
    fn a_known_input_keeps_its_fold_and_a_new_one_has_one_by_the_seed() {
        let (dataset, split) = (dataset(7), bag());
        let of_seed = |seed| CorrectionFolds::of(&dataset, &split, 3, seed).unwrap();
        for (row, fold) in split.train.iter().zip(split.folds.as_ref().unwrap()) {
            let values = [2. * *row as f32, 2. * *row as f32 + 1.];
            assert_eq!(of_seed(0).fold(&hash_of(&bits(&values))), *fold);
        }
        let new = |seed| -> Vec<i64> {
            (0..60).map(|place| of_seed(seed).fold(&hash_of(&bits(&[0.5, place as f32])))).collect()
        };
        assert_eq!(new(0), new(0));
        assert_ne!(new(0), new(1));
        for fold in 0..3 {
            assert!(new(0).iter().filter(|of| **of == fold).count() > 10, "{fold}: {:?}", new(0));
        }
    }

    #[test]
    fn a_single_model_has_no_folds_and_evaluates_its_validation_set() {
        let dataset = dataset(7);
        let single = Split { train: vec![0, 1], validation: vec![2], test: vec![6], folds: None };
        assert!(CorrectionFolds::of(&dataset, &single, 0, 0).is_none());
        let is_refused = |split: &Split, row: f32| {
            EvaluatedInputs::of(&dataset, split).refuse(&hash_of(&bits(&[2. * row, 2. * row + 1.]))).is_err()
        };
        assert_eq!([0., 2., 6.].map(|row| is_refused(&single, row)), [false, true, true]);
        assert_eq!([0., 2., 6.].map(|row| is_refused(&bag(), row)), [false, false, true]);
    }
}
