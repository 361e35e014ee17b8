//! Distributions of option values.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Distribution of an option. Both bounds are included.
///
/// ```
/// use cresset::search::Distribution;
/// use rand::SeedableRng;
/// use rand::rngs::ChaCha8Rng;
///
/// let lr: f64 =
///     Distribution::LogUniform(1e-4, 1e-1).draw(&mut ChaCha8Rng::seed_from_u64(0)).parse().unwrap();
/// assert!((1e-4..=1e-1).contains(&lr));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Distribution {
    /// Uniform real numbers.
    Uniform(f64, f64),
    /// Positive real numbers with uniform logarithms.
    LogUniform(f64, f64),
    /// Uniform integers.
    Integer(i64, i64),
    /// Positive integers with approximately uniform logarithms.
    LogInteger(i64, i64),
    /// One of several values with equal probability.
    Choice(Vec<String>),
}

/// Names of the distributions in a search space file.
pub const NAMES: [&str; 5] = ["uniform", "log_uniform", "integer", "log_integer", "choice"];

impl Distribution {
    /// Draws a value as text for a run file. Each draw uses one number of the generator.
    pub fn draw(&self, generator: &mut ChaCha8Rng) -> String {
        let share: f64 = generator.random();
        match self {
            Distribution::Uniform(least, most) => number(least + share * (most - least), *least, *most),
            Distribution::LogUniform(least, most) => {
                number((least.ln() + share * (most.ln() - least.ln())).exp(), *least, *most)
            }
            Distribution::Integer(least, most) => {
                let count = (most - least + 1) as f64;
                (least + (share * count) as i64).min(*most).to_string()
            }
            Distribution::LogInteger(least, most) => {
                // Extend both ends by half a step, so that the bounds are as probable as other integers.
                let (low, high) = ((*least as f64 - 0.5).ln(), (*most as f64 + 0.5).ln());
                let value = (low + share * (high - low)).exp().round() as i64;
                value.clamp(*least, *most).to_string()
            }
            Distribution::Choice(values) => values[(share * values.len() as f64) as usize].clone(),
        }
    }

    /// The values to validate: both bounds, or all choices.
    pub(crate) fn extremes(&self) -> Vec<String> {
        match self {
            Distribution::Uniform(least, most) | Distribution::LogUniform(least, most) => {
                vec![least.to_string(), most.to_string()]
            }
            Distribution::Integer(least, most) | Distribution::LogInteger(least, most) => {
                vec![least.to_string(), most.to_string()]
            }
            Distribution::Choice(values) => values.clone(),
        }
    }
}

/// Rounds to four significant digits, within the bounds.
fn number(value: f64, least: f64, most: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().expect("a formatted number parses");
    rounded.clamp(least, most).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::{Purpose, stream};
    use proptest::prelude::*;

    fn draws(distribution: &Distribution, count: u64) -> Vec<String> {
        (0..count).map(|number| distribution.draw(&mut stream(7, Purpose::Search, number))).collect()
    }

    fn numbers(distribution: &Distribution) -> Vec<f64> {
        draws(distribution, 4000).iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The fraction of draws below a bound.
    fn below(draws: &[f64], bound: f64) -> f64 {
        draws.iter().filter(|value| **value < bound).count() as f64 / draws.len() as f64
    }

    #[test]
    fn draws_are_as_probable_as_they_should_be() {
        // For 4000 draws with probability 0.5, the fraction is within 4 standard errors of 0.8 %.
        let uniform = numbers(&Distribution::Uniform(-1., 3.));
        assert!((below(&uniform, 1.) - 0.5).abs() < 0.032);
        let log = numbers(&Distribution::LogUniform(1e-4, 1e-1));
        assert!((below(&log, 1e-3) - 1. / 3.).abs() < 0.03 && (below(&log, 1e-2) - 2. / 3.).abs() < 0.03);
        let integer = numbers(&Distribution::Integer(1, 4));
        assert!((1..=4).all(|value| {
            let count = integer.iter().filter(|drawn| **drawn == f64::from(value)).count();
            (count as f64 / 4000. - 0.25).abs() < 0.028
        }));
        // ln(8.5 / 0.5) / ln(128.5 / 0.5)
        let log = numbers(&Distribution::LogInteger(1, 128));
        assert!((below(&log, 8.5) - 0.5106).abs() < 0.032);
    }

    #[test]
    fn every_choice_is_drawn() {
        let choices = ["16", "32", "64"].map(String::from);
        let drawn = draws(&Distribution::Choice(choices.to_vec()), 100);
        assert!(choices.iter().all(|choice| drawn.contains(choice)));
    }

    proptest! {
        #[test]
        fn no_draw_is_out_of_bounds(a in 1e-9f64..1e6, b in 1e-9f64..1e6, c in 1i64..1000, d in 1i64..1000, seed: u64) {
            let ((least, most), (from, to)) = ((a.min(b), a.max(b)), (c.min(d), c.max(d)));
            let mut generator = stream(seed, Purpose::Search, 0);
            for distribution in [Distribution::Uniform(least, most), Distribution::LogUniform(least, most)] {
                let value: f64 = distribution.draw(&mut generator).parse().unwrap();
                prop_assert!((least..=most).contains(&value), "{} of {:?}", value, distribution);
            }
            for distribution in [Distribution::Integer(from, to), Distribution::LogInteger(from, to)] {
                let value: i64 = distribution.draw(&mut generator).parse().unwrap();
                prop_assert!((from..=to).contains(&value), "{} of {:?}", value, distribution);
            }
        }
    }
}
