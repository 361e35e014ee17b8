//! Counts of labels that occur together, and the distribution of a quantity.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Dataset, Targets};

/// The distribution of a quantity over some examples, in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ValueSummary {
    /// The number of examples.
    pub rows: usize,
    /// The smallest value.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
    /// The standard deviation (with N).
    pub deviation: f64,
}

/// Two labels that occur together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelPair {
    /// The first label.
    pub a: String,
    /// The second label.
    pub b: String,
    /// The number of examples that have both.
    pub rows: usize,
}

/// With more labels than this, pairs of them are not counted: there would be too many.
const MAX_PAIRED: usize = 1000;

impl Dataset {
    /// The value of an example; none for other tasks than regression.
    pub fn value(&self, index: usize) -> Option<f32> {
        match &self.targets {
            Targets::Values(values) => Some(values[self.labels[index] as usize]),
            _ => None,
        }
    }

    /// Whether two examples have the same class, the same labels or the same value.
    pub fn is_same_target(&self, a: usize, b: usize) -> bool {
        // Texts such as `1` and `1.0` are different labels of one value.
        self.labels[a] == self.labels[b] || self.value(a).is_some_and(|value| self.value(b) == Some(value))
    }

    /// The distribution of the quantity over the examples at `indexes`; none without examples, and for other tasks.
    pub fn value_summary_of(&self, indexes: impl Iterator<Item = usize>) -> Option<ValueSummary> {
        let values: Option<Vec<f64>> = indexes.map(|index| Some(f64::from(self.value(index)?))).collect();
        ValueSummary::of(&values?)
    }

    /// The number of examples with no label, one label, two labels and so on; empty for other tasks.
    pub fn label_set_sizes(&self) -> Vec<usize> {
        let Targets::Sets(sets) = &self.targets else { return Vec::new() };
        let mut sizes = Vec::new();
        for size in self.labels.iter().map(|label| sets[*label as usize].len()) {
            sizes.resize(sizes.len().max(size + 1), 0);
            sizes[size] += 1;
        }
        sizes
    }

    /// The pairs of labels that occur together, the most frequent first; empty for other tasks, and with more than a thousand labels.
    pub fn label_pairs(&self) -> Vec<LabelPair> {
        let Targets::Sets(sets) = &self.targets else { return Vec::new() };
        if self.classes.len() > MAX_PAIRED {
            return Vec::new();
        }
        let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for set in self.labels.iter().map(|label| &sets[*label as usize]) {
            for (place, a) in set.iter().enumerate() {
                set[place + 1..].iter().for_each(|b| *counts.entry((*a, *b)).or_default() += 1);
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let named = |((a, b), rows): ((usize, usize), usize)| LabelPair {
            a: self.classes[a].clone(),
            b: self.classes[b].clone(),
            rows,
        };
        counts.into_iter().map(named).collect()
    }
}

impl ValueSummary {
    /// Summarizes values; none if there are none.
    ///
    /// ```
    /// use cresset_data::ValueSummary;
    ///
    /// let summary = ValueSummary::of(&[1., 2., 6.]).unwrap();
    /// assert_eq!((summary.min, summary.mean, summary.max), (1., 3., 6.));
    /// assert_eq!(ValueSummary::of(&[]), None);
    /// ```
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(ValueSummary {
            rows: values.len(),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            mean,
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            deviation: (squares / count).sqrt(),
        })
    }
}
