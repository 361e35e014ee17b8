//! McNemar's test: whether the difference between two models on the same examples is significant.

use serde::Serialize;
use tch::Tensor;

/// The result of McNemar's test for two models on the same examples.
///
/// ```
/// use cresset::evaluate::McNemar;
/// use cresset::evaluate::mcnemar::Method;
///
/// // Of 100 examples, only the first model is right on 10, and only the second one on 1.
/// let correct = (0..100).map(|row| (row >= 1, row == 0 || row > 10));
/// let test = McNemar::new(correct);
/// assert_eq!((test.only_a, test.only_b, test.rows()), (10, 1, 100));
/// assert_eq!(test.method, Method::ExactBinomial);
/// assert!((test.p - 0.0117).abs() < 1e-4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Examples that both models classified correctly.
    pub both_right: u64,
    /// Examples that only the first model classified correctly.
    pub only_a: u64,
    /// Examples that only the second model classified correctly.
    pub only_b: u64,
    /// Examples that neither model classified correctly.
    pub none_right: u64,
    /// How the p-value was computed.
    pub method: Method,
    /// The two-sided p-value.
    pub p: f64,
}

/// How the p-value is computed.
///
/// ```
/// use cresset::evaluate::McNemar;
/// use cresset::evaluate::mcnemar::Method;
///
/// let differing = |examples| McNemar::new((0..examples).map(|row| (row % 2 == 0, row % 2 == 1)));
/// assert_eq!(differing(24).method, Method::ExactBinomial);
/// assert_eq!(differing(25).method, Method::ChiSquared);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Exact two-sided binomial test, for few discordant examples.
    ExactBinomial,
    /// Chi-squared distribution with one degree of freedom and Edwards' continuity correction (1948).
    ChiSquared,
}

/// The smallest number of discordant examples for which the chi-squared approximation is used.
const MIN_CHI_SQUARED: u64 = 25;

/// The significance level.
pub(crate) const SIGNIFICANCE_LEVEL: f64 = 0.05;

impl McNemar {
    /// Compares two models, given whether each classified each example correctly (McNemar, "Note on the sampling error of the
    /// difference between correlated proportions or percentages", 1947). The test uses the discordant examples, those that exactly
    /// one model classified correctly.
    pub fn new(correct: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = [[0u64; 2]; 2];
        for (a, b) in correct {
            counts[usize::from(a)][usize::from(b)] += 1;
        }
        let [[none_right, only_b], [only_a, both_right]] = counts;
        let (method, p) = match only_a + only_b {
            0..MIN_CHI_SQUARED => (Method::ExactBinomial, exact(only_a, only_b)),
            _ => (Method::ChiSquared, chi_squared(only_a, only_b)),
        };
        McNemar { both_right, only_a, only_b, none_right, method, p }
    }

    /// The number of examples.
    pub fn rows(&self) -> u64 {
        self.both_right + self.only_a + self.only_b + self.none_right
    }

    /// Whether the difference is significant at the 5 % level.
    pub(crate) fn is_significant(&self) -> bool {
        self.p < SIGNIFICANCE_LEVEL
    }
}

/// Twice the smaller tail of the binomial distribution with probability 1/2, at most 1.
fn exact(b: u64, c: u64) -> f64 {
    let count = b + c;
    let mut combinations = 1f64;
    let mut tail = combinations;
    for k in 1..=b.min(c) {
        combinations *= (count + 1 - k) as f64 / k as f64;
        tail += combinations;
    }
    (2. * tail * 0.5f64.powi(count as i32)).min(1.)
}

/// With one degree of freedom, the tail beyond x is erfc(√(x / 2)).
fn chi_squared(b: u64, c: u64) -> f64 {
    let statistic = (b.abs_diff(c).saturating_sub(1) as f64).powi(2) / (b + c) as f64;
    Tensor::from((statistic / 2.).sqrt()).erfc().double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test(only_a: u64, only_b: u64) -> McNemar {
        let rows = |count: u64, correct| std::iter::repeat_n(correct, count as usize);
        McNemar::new(
            rows(3, (true, true)).chain(rows(only_a, (true, false))).chain(rows(only_b, (false, true))),
        )
    }

    /// Computed with SciPy 1.17.1: `binomtest(b, b + c).pvalue` below 25 rows, else `chi2.sf((abs(b - c) - 1) ** 2 / (b + c), 1)`.
    #[test]
    fn p_values_agree_with_scipy() {
        for (b, c, p) in EXPECTED {
            let value = test(b, c).p;
            assert!((value - p).abs() < 1e-12 + 1e-9 * p, "{b}, {c}: {value}, SciPy has {p}");
        }
    }

    const EXPECTED: [(u64, u64, f64); 10] = [
        (0, 1, 1.0),
        (5, 1, 0.21875),
        (10, 2, 0.03857421875),
        (6, 18, 0.022655844688415527),
        (12, 12, 1.0),
        (20, 5, 0.005110260660855866),
        (59, 6, 1.1199327149542469e-10),
        (121, 59, 5.450094825427117e-06),
        (30, 31, 1.0),
        (86, 150, 4.114562281345944e-05),
    ];

    #[test]
    fn few_discordant_examples_use_the_exact_test() {
        assert_eq!((test(20, 4).method, test(21, 4).method), (Method::ExactBinomial, Method::ChiSquared));
        assert!(
            test(15, 3).is_significant() && !test(10, 8).is_significant() && !test(0, 0).is_significant()
        );
        assert_eq!(test(7, 2).rows(), 12);
    }

    proptest! {
        #[test]
        fn it_is_a_probability_and_the_same_for_both_sides(a in 0u64..60, b in 0u64..60) {
            let (one, other) = (test(a, b).p, test(b, a).p);
            prop_assert!((0. ..=1.).contains(&one) && one == other);
            prop_assert!(a != b || one == 1.);
        }
    }
}
