//! Is one of two models better, or is it chance? McNemar's test on the same rows.

use serde::Serialize;
use tch::Tensor;

/// How often two models were right on the same rows, and what that says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Rows that both got right.
    pub both_right: u64,
    /// Rows that the first one alone got right.
    pub only_a: u64,
    /// Rows that the second one alone got right.
    pub only_b: u64,
    /// Rows that none got right.
    pub none_right: u64,
    /// How the probability was found.
    pub method: Method,
    /// The probability of a difference as large as this one, or larger, between models that are equally good.
    pub p: f64,
}

/// How the probability of a difference is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The binomial distribution, two-sided: for few rows.
    ExactBinomial,
    /// The chi-squared distribution with a degree of freedom, with Edwards's correction for continuity (1948).
    ChiSquared,
}

/// From so many rows on that the models disagree on, chi-squared is near enough.
const MANY: u64 = 25;

/// A difference that chance makes less often than this is called real.
pub const LEVEL: f64 = 0.05;

impl McNemar {
    /// Compares two models by whether each was right on each row (McNemar, "Note on the sampling error of the difference between
    /// correlated proportions or percentages", 1947). Only rows on which one was right and the other wrong tell them apart: of equal
    /// models, each would get half of those.
    pub fn new(right: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = [[0u64; 2]; 2];
        for (a, b) in right {
            counts[usize::from(a)][usize::from(b)] += 1;
        }
        let [[none_right, only_b], [only_a, both_right]] = counts;
        let (method, p) = match only_a + only_b {
            0..MANY => (Method::ExactBinomial, exact(only_a, only_b)),
            _ => (Method::ChiSquared, chi_squared(only_a, only_b)),
        };
        McNemar { both_right, only_a, only_b, none_right, method, p }
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.both_right + self.only_a + self.only_b + self.none_right
    }

    /// Whether chance makes so large a difference less than once in twenty times.
    pub fn is_real(&self) -> bool {
        self.p < LEVEL
    }
}

/// Twice the lesser tail of the binomial distribution with a half, as far as it is no more than 1.
fn exact(b: u64, c: u64) -> f64 {
    let count = b + c;
    let mut ways = 1f64;
    let mut tail = ways;
    for taken in 1..=b.min(c) {
        ways *= (count + 1 - taken) as f64 / taken as f64;
        tail += ways;
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
        let rows = |count: u64, right| std::iter::repeat_n(right, count as usize);
        McNemar::new(
            rows(3, (true, true)).chain(rows(only_a, (true, false))).chain(rows(only_b, (false, true))),
        )
    }

    /// Figures of SciPy 1.17.1: `binomtest(b, b + c).pvalue` below 25 rows, else `chi2.sf((abs(b - c) - 1) ** 2 / (b + c), 1)`.
    #[test]
    fn probabilities_are_those_of_scipy() {
        for (b, c, p) in FIGURES {
            let found = test(b, c).p;
            assert!((found - p).abs() < 1e-12 + 1e-9 * p, "{b}, {c}: {found} and not {p}");
        }
    }

    const FIGURES: [(u64, u64, f64); 10] = [
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
    fn few_rows_are_counted_exactly_and_many_are_not() {
        assert_eq!((test(20, 4).method, test(21, 4).method), (Method::ExactBinomial, Method::ChiSquared));
        assert!(test(15, 3).is_real() && !test(10, 8).is_real() && !test(0, 0).is_real());
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
