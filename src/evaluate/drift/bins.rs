//! The histogram of one column, statistic or output.

use serde::{Deserialize, Serialize};

/// The number of quantile bins of numbers.
const QUANTILES: usize = 10;

/// The categories with a bin of their own, the most frequent ones; the others share one.
const MAX_CATEGORIES: usize = 20;

/// The most characters of a category in the file.
const MAX_NAME: usize = 40;

/// The bins of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Bins {
    /// Of numbers: below `low`, up to each edge, above the last edge, and missing. An edge belongs to the bin below it.
    Number {
        /// The minimum of the training data.
        low: f32,
        /// The upper bounds of the bins, increasing. The last one is the maximum of the training data.
        edges: Vec<f32>,
    },
    /// Of categories: one for each of `kept`, then other categories, no known category, and missing.
    Category {
        /// The indexes of the most frequent categories.
        kept: Vec<usize>,
        /// Their names.
        names: Vec<String>,
    },
}

/// The histogram of a column, a statistic of images, or an output in the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// The name of the column or statistic.
    pub name: String,
    /// The index of its first feature or statistic.
    #[serde(default)]
    pub start: usize,
    /// The number of its features: above 1, or with categories, each feature is an indicator. 0 stands for one feature that is the
    /// index of a category.
    #[serde(default)]
    pub features: usize,
    /// The bins.
    #[serde(flatten)]
    pub bins: Bins,
    /// The number of training examples in each bin.
    pub counts: Vec<u64>,
}

impl Bins {
    /// Quantile bins of numbers. NaN is a missing value.
    pub fn of_numbers(values: impl Iterator<Item = f32>) -> Self {
        let mut values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f32::total_cmp);
        let quantile = |part: usize| values[(values.len() * part).div_ceil(QUANTILES) - 1];
        let mut edges: Vec<f32> = match values.is_empty() {
            true => Vec::new(),
            false => (1..=QUANTILES).map(quantile).collect(),
        };
        edges.dedup();
        Bins::Number { low: values.first().copied().unwrap_or(0.), edges }
    }

    /// Bins of the most frequent categories.
    pub fn of_categories(counts: &[u64], name: impl Fn(usize) -> String) -> Self {
        let mut kept: Vec<usize> = (0..counts.len()).filter(|index| counts[*index] > 0).collect();
        kept.sort_by_key(|index| (std::cmp::Reverse(counts[*index]), *index));
        kept.truncate(MAX_CATEGORIES);
        let short = |index: &usize| name(*index).chars().take(MAX_NAME).collect();
        Bins::Category { names: kept.iter().map(short).collect(), kept }
    }

    /// The number of bins.
    pub fn count(&self) -> usize {
        match self {
            Bins::Number { edges, .. } => edges.len() + 3,
            Bins::Category { kept, .. } => kept.len() + 3,
        }
    }

    /// The bin of a number.
    pub fn of_number(&self, value: f32) -> usize {
        match self {
            Bins::Number { .. } | Bins::Category { .. } if value.is_nan() => self.count() - 1,
            Bins::Number { low, .. } if value < *low => 0,
            Bins::Number { edges, .. } => 1 + edges.partition_point(|edge| *edge < value),
            Bins::Category { .. } if value < 0. => self.count() - 2,
            Bins::Category { .. } => self.of_category(value as usize),
        }
    }

    /// The bin of a known category.
    pub fn of_category(&self, index: usize) -> usize {
        match self {
            Bins::Category { kept, .. } => kept.iter().position(|kept| *kept == index).unwrap_or(kept.len()),
            Bins::Number { .. } => self.of_number(index as f32),
        }
    }

    /// The bin of no known category.
    pub fn of_no_category(&self) -> usize {
        self.count() - 2
    }

    /// The bin of missing values.
    pub fn of_missing(&self) -> usize {
        self.count() - 1
    }

    /// The names of the bins, for display.
    pub fn names(&self) -> Vec<String> {
        match self {
            Bins::Number { low, edges } => {
                let mut names = vec![format!("below {low}")];
                let mut from = *low;
                for edge in edges {
                    names.push(if from == *edge { edge.to_string() } else { format!("{from} to {edge}") });
                    from = *edge;
                }
                names.extend([format!("above {from}"), "missing".to_string()]);
                names
            }
            Bins::Category { names, .. } => {
                let others = ["others", "none or unknown", "missing"].map(String::from);
                names.iter().cloned().chain(others).collect()
            }
        }
    }

    /// Whether the values are in order and there are as many names as categories.
    fn is_valid(&self) -> bool {
        match self {
            Bins::Number { low, edges } => {
                let all: Vec<f32> = [*low].into_iter().chain(edges.iter().copied()).collect();
                all.iter().all(|value| value.is_finite())
                    && edges.is_sorted()
                    && edges.iter().all(|edge| edge >= low)
            }
            Bins::Category { kept, names } => kept.len() == names.len(),
        }
    }
}

impl Variable {
    /// A histogram of `bins` without examples. `features` are its first feature and their number ([`Variable::features`]).
    pub(super) fn empty(name: String, features: (usize, usize), bins: Bins) -> Self {
        let counts = vec![0; bins.count()];
        Variable { name, start: features.0, features: features.1, bins, counts }
    }

    /// Adds the values of an example to `counts`. An example with several indicators, as of a list, counts in several bins.
    pub(super) fn count(&self, values: &[f32], counts: &mut [u64]) {
        let own = &values[self.start..self.start + self.features.max(1)];
        if self.features == 0 || matches!(self.bins, Bins::Number { .. }) {
            counts[self.bins.of_number(own[0])] += 1;
            return;
        }
        if own.iter().any(|value| value.is_nan()) {
            counts[self.bins.of_missing()] += 1;
            return;
        }
        let mut is_any = false;
        for (index, _) in own.iter().enumerate().filter(|(_, value)| **value > 0.) {
            counts[self.bins.of_category(index)] += 1;
            is_any = true;
        }
        if !is_any {
            counts[self.bins.of_no_category()] += 1;
        }
    }

    /// The training examples whose value is missing or no known category.
    pub(super) fn without_value(&self, counts: &[u64]) -> u64 {
        let missing = counts[self.bins.of_missing()];
        match self.bins {
            Bins::Number { .. } => missing,
            Bins::Category { .. } => missing + counts[self.bins.of_no_category()],
        }
    }

    /// Whether the histogram fits examples of this many values.
    pub(super) fn is_valid(&self, values: usize) -> bool {
        self.bins.is_valid()
            && self.counts.len() == self.bins.count()
            && self.start.checked_add(self.features.max(1)).is_some_and(|end| end <= values)
    }
}
