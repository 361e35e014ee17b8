//! Decides which corrections are used at once, and which wait for a second opinion.
//!
//! A wrong correction that is repeated in every epoch harms a model. The review compares it with the training set: if all
//! nearest neighbors have one class and the correction has another, the correction is probably wrong. An input that is
//! unlike all training examples has no neighbors in this sense, and its correction is used at once.

use std::collections::{HashMap, HashSet};

use crate::data::{Dataset, Inputs, Split};
use crate::error::quoted;
use crate::feedback::Correction;

/// Number of nearest neighbors.
const NEIGHBORS: usize = 5;
/// Minimum number of training examples.
const MIN_EXAMPLES: usize = 50;
/// Maximum number of training examples, evenly spaced, to limit the time to seconds.
const MAX_EXAMPLES: usize = 10_000;
/// Number of training examples for the estimate of the usual distance.
const PROBES: usize = 200;
/// Maximum distance of a neighbor, as a multiple of the usual distance. For the digits, hand-drawn images are
/// within 2.5 times, and inverted ones beyond 4.5 times.
const REACH: f64 = 3.;
/// Minimum confidence for the prediction to count, with and without neighbors.
const MIN_CONFIDENCE: f64 = 0.9;
const MIN_CONFIDENCE_ALONE: f64 = 0.95;

/// Decision about a correction.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// It is used.
    Accepted,
    /// It repeats an earlier correction.
    Repeated,
    /// It waits for a second opinion, for this reason.
    Waits(String),
}

/// Reviews corrections in order.
pub(crate) struct Review<'a> {
    dataset: &'a Dataset,
    neighbors: Option<Neighbors>,
    /// The corrected classes of each input, by hash.
    opinions: HashMap<[u8; 32], Vec<&'a str>>,
    seen: HashSet<([u8; 32], &'a str)>,
}

impl<'a> Review<'a> {
    /// Creates a review of corrections with these input hashes.
    pub fn new(
        dataset: &'a Dataset,
        split: &Split,
        corrections: impl Iterator<Item = (&'a Correction, [u8; 32])>,
    ) -> Self {
        let mut opinions: HashMap<_, Vec<&str>> = HashMap::new();
        let known = corrections.filter(|(correction, _)| dataset.classes.contains(&correction.correction));
        for (correction, digest) in known {
            opinions.entry(digest).or_default().push(&correction.correction);
        }
        Review { dataset, neighbors: Neighbors::of(dataset, split), opinions, seen: HashSet::new() }
    }

    /// Reviews a correction. `values` are the raw values of the input; `None` for images that are not kept in memory.
    pub fn decide(
        &mut self,
        correction: &'a Correction,
        digest: [u8; 32],
        values: Option<&[f32]>,
    ) -> Decision {
        let class = correction.correction.as_str();
        if !self.seen.insert((digest, class)) {
            return Decision::Repeated;
        }
        let opinions = self.opinions.get(&digest).map_or(&[][..], Vec::as_slice);
        let agreeing = opinions.iter().filter(|other| **other == class).count();
        let other = opinions.iter().filter(|other| **other != class);
        // It waits if another class was given at least as often.
        for class in other {
            if opinions.iter().filter(|other| *other == class).count() >= agreeing {
                return Decision::Waits(format!("the same input was also corrected to {}", quoted(class)));
            }
        }
        if agreeing > 1 {
            return Decision::Accepted;
        }
        match self.objection(correction, values) {
            Some(reason) => Decision::Waits(reason),
            None => Decision::Accepted,
        }
    }

    /// The reason against a correction.
    fn objection(&self, correction: &Correction, values: Option<&[f32]>) -> Option<String> {
        let (answer, class) = (&correction.answer, &correction.correction);
        let contradicts = |threshold| answer.class != *class && answer.probability >= threshold;
        let prediction =
            || format!("the model predicted {} ({:.1} %)", quoted(&answer.class), 100. * answer.probability);
        let (Some(neighbors), Some(values)) = (&self.neighbors, values) else {
            return contradicts(MIN_CONFIDENCE_ALONE).then(prediction);
        };
        let nearest = neighbors.nearest(values)?;
        let classes: Vec<&String> =
            nearest.iter().map(|row| &self.dataset.classes[self.dataset.labels[*row] as usize]).collect();
        let of = |class: &String| classes.iter().filter(|other| ***other == *class).count();
        if classes[0] != class && of(classes[0]) == NEIGHBORS {
            return Some(format!("its {NEIGHBORS} nearest training examples are all {}", quoted(classes[0])));
        }
        let contradicts_neighbors =
            contradicts(MIN_CONFIDENCE) && of(class) == 0 && 2 * of(&answer.class) > NEIGHBORS;
        contradicts_neighbors.then(|| {
            let share = format!("{} of its {NEIGHBORS} nearest training examples", of(&answer.class));
            format!("{}, the class of {share}", prediction())
        })
    }
}

/// Training examples in memory for nearest-neighbor search.
struct Neighbors {
    /// Rows in the dataset.
    rows: Vec<usize>,
    /// Scaled values, row-major.
    values: Vec<f32>,
    /// Scale of each feature; 0 for a constant feature.
    scales: Vec<f32>,
    /// Maximum squared distance of a neighbor.
    reach: f64,
}

impl Neighbors {
    /// `None` if the dataset is not in memory or has too few examples.
    fn of(dataset: &Dataset, split: &Split) -> Option<Self> {
        let width = dataset.shape.features() as usize;
        let every = split.train.len().div_ceil(MAX_EXAMPLES).max(1);
        let rows: Vec<usize> = split.train.iter().step_by(every).map(|row| *row as usize).collect();
        if rows.len() < MIN_EXAMPLES {
            return None;
        }
        let mut values = Vec::with_capacity(rows.len() * width);
        for row in &rows {
            match &dataset.inputs {
                Inputs::Floats(all) => values.extend_from_slice(&all[row * width..][..width]),
                Inputs::Bytes(all) => {
                    values.extend(all[row * width..][..width].iter().map(|b| f32::from(*b)))
                }
                Inputs::Images(_) | Inputs::Stored(_) => return None,
            }
        }
        // Pixels share a scale; table columns have individual scales.
        let scales = match dataset.range {
            Some(_) => vec![1.; width],
            None => (0..width).map(|feature| scale(values.iter().skip(feature).step_by(width))).collect(),
        };
        let mut neighbors =
            Neighbors { rows, values: scaled(&values, &scales), scales, reach: f64::INFINITY };
        neighbors.reach = neighbors.median_distance() * REACH * REACH;
        Some(neighbors)
    }

    /// The rows of the nearest neighbors; `None` if any is out of reach.
    fn nearest(&self, values: &[f32]) -> Option<Vec<usize>> {
        let found = self.sorted(&scaled(values, &self.scales), NEIGHBORS);
        found
            .iter()
            .all(|(distance, _)| *distance <= self.reach)
            .then(|| found.iter().map(|(_, place)| self.rows[*place]).collect())
    }

    /// Median squared distance between an example and its nearest neighbor.
    fn median_distance(&self) -> f64 {
        let every = self.rows.len().div_ceil(PROBES).max(1);
        let width = self.scales.len();
        // The nearest one is the example itself.
        let second = |place: usize| self.sorted(&self.values[place * width..][..width], 2)[1].0;
        let mut distances: Vec<f64> = (0..self.rows.len()).step_by(every).map(second).collect();
        distances.sort_by(f64::total_cmp);
        distances[distances.len() / 2]
    }

    /// Squared distances and indices of the nearest examples, nearest first.
    fn sorted(&self, values: &[f32], count: usize) -> Vec<(f64, usize)> {
        let squared = |row: &[f32]| row.iter().zip(values).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let distances = self.values.chunks_exact(self.scales.len()).map(squared);
        let mut all: Vec<_> =
            distances.enumerate().map(|(place, distance)| (distance.into(), place)).collect();
        all.select_nth_unstable_by(count - 1, |a: &(f64, usize), b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.truncate(count);
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all
    }
}

/// Inverse standard deviation of a column.
fn scale<'a>(column: impl Iterator<Item = &'a f32> + Clone) -> f32 {
    let known = column.filter(|value| value.is_finite()).map(|value| f64::from(*value));
    let count = known.clone().count().max(1) as f64;
    let mean = known.clone().sum::<f64>() / count;
    let variance = known.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    if variance > 0. { (1. / variance.sqrt()) as f32 } else { 0. }
}

/// Scaled values; missing ones become 0.
fn scaled(values: &[f32], scales: &[f32]) -> Vec<f32> {
    let scaled = values.iter().zip(scales.iter().cycle()).map(|(value, scale)| value * scale);
    scaled.map(|value| if value.is_finite() { value } else { 0. }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::image::Decoding;
    use crate::data::{InputShape, Names};
    use crate::feedback::{Answer, CorrectedInput};

    /// Two clusters of forty points each, around 0 and around 10.
    fn dataset() -> (Dataset, Split) {
        let rows = 80;
        let inputs = (0..rows).flat_map(|row| {
            let center = if row < 40 { 0. } else { 10. };
            [center + (row % 8) as f32 / 8., center + (row / 8 % 5) as f32 / 8.]
        });
        let dataset = Dataset {
            path: "data".into(),
            sha256: "00".to_string(),
            classes: vec!["low".into(), "high".into()],
            labels: (0..rows).map(|row| i64::from(row >= 40)).collect(),
            targets: crate::data::Targets::Classes,
            shape: InputShape(vec![2]),
            range: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
            inputs: Inputs::Floats(inputs.collect()),
            names: Names::Rows((0..rows as u64).collect()),
            table: None,
            portions: None,
            groups: None,
        };
        (dataset, Split { train: (0..rows as i64).collect(), validation: vec![], test: vec![], folds: None })
    }

    fn correction(values: [f32; 2], answer: (&str, f64), class: &str) -> Correction {
        Correction {
            id: "c".to_string(),
            time: "2026-07-31T12:34:56Z".to_string(),
            input: CorrectedInput::Values(values.to_vec()),
            answer: Answer { class: answer.0.to_string(), probability: answer.1 },
            correction: class.to_string(),
            model_sha256: "00".to_string(),
            model_version: None,
        }
    }

    fn verdicts(corrections: &[Correction]) -> Vec<Decision> {
        let (dataset, split) = dataset();
        let digest = |correction: &Correction| {
            let CorrectedInput::Values(values) = &correction.input else { unreachable!("values") };
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&values[0].to_le_bytes());
            digest[4..8].copy_from_slice(&values[1].to_le_bytes());
            (digest, values.clone())
        };
        let mut review = Review::new(&dataset, &split, corrections.iter().map(|c| (c, digest(c).0)));
        let verdict = |c| {
            let (digest, values) = digest(c);
            review.decide(c, digest, Some(&values))
        };
        corrections.iter().map(verdict).collect()
    }

    fn waits(verdict: &Decision, because: &str) {
        assert!(matches!(verdict, Decision::Waits(reason) if reason.contains(because)), "{verdict:?}");
    }

    #[test]
    fn corrections_that_contradict_all_neighbors_wait_and_others_are_accepted() {
        let verdict = |values, class| verdicts(&[correction(values, ("low", 0.5), class)]).remove(0);
        waits(&verdict([0.3, 0.3], "high"), "its 5 nearest training examples are all `low`");
        assert_eq!(verdict([0.3, 0.3], "low"), Decision::Accepted);
        // Far from all examples.
        assert_eq!(verdict([5., 5.], "high"), Decision::Accepted);
        assert_eq!(verdict([-40., 3.], "high"), Decision::Accepted);
    }

    #[test]
    fn a_second_opinion_confirms_and_a_contradicting_one_delays() {
        let [high, low] = ["high", "low"].map(|class| correction([0.3, 0.3], ("low", 0.9), class));
        let twice = [high.clone(), high.clone()];
        assert_eq!(verdicts(&twice), [Decision::Accepted, Decision::Repeated]);
        let both = verdicts(&[low.clone(), high.clone()]);
        waits(&both[0], "also corrected to `high`");
        waits(&both[1], "also corrected to `low`");
        let most = verdicts(&[high.clone(), low, high]);
        assert_eq!((&most[0], &most[2]), (&Decision::Accepted, &Decision::Repeated));
        waits(&most[1], "also corrected to `high`");
    }

    #[test]
    fn without_neighbors_a_confident_model_counts() {
        let (dataset, _) = dataset();
        let few = Split { train: vec![1, 50], validation: vec![], test: vec![], folds: None };
        let verdict = |probability| {
            let correction = correction([0.3, 0.3], ("low", probability), "high");
            Review::new(&dataset, &few, [(&correction, [0; 32])].into_iter()).decide(
                &correction,
                [0; 32],
                None,
            )
        };
        assert_eq!(verdict(0.94), Decision::Accepted);
        waits(&verdict(0.96), "the model predicted `low` (96.0 %)");
    }

    #[test]
    fn a_confident_model_counts_among_neighbors_of_several_classes() {
        let (mut dataset, split) = dataset();
        dataset.classes.push("middle".into());
        // One of the nearest five.
        dataset.labels[18] = 2;
        let verdict = |probability, class: &str| {
            let correction = correction([0.25, 0.25], ("low", probability), class);
            Review::new(&dataset, &split, [(&correction, [0; 32])].into_iter()).decide(
                &correction,
                [0; 32],
                Some(&[0.25, 0.25]),
            )
        };
        waits(&verdict(0.97, "high"), "the model predicted `low` (97.0 %), the class of 4 of its 5");
        assert_eq!(verdict(0.6, "high"), Decision::Accepted);
        assert_eq!(verdict(0.97, "middle"), Decision::Accepted);
    }
}
