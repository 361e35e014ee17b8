//! Schedules of trials: brackets and rungs.

use super::settings::{SearchMethod, Settings};

/// A set of trials that is reduced after each rung.
///
/// ```
/// use cresset::search::{Bracket, Rung};
///
/// // Nine trials train for one epoch, and the best three for three epochs.
/// let rungs = vec![Rung { epochs: 1, trials: 9 }, Rung { epochs: 3, trials: 3 }];
/// assert_eq!(Bracket { first: 1, rungs }.trials(), 1..10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bracket {
    /// Number of the first trial, from 1.
    pub first: u32,
    /// All rungs: every trial reaches the first, only the best reach the last.
    pub rungs: Vec<Rung>,
}

/// A point at which trials are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Number of epochs of a trial at this rung.
    pub epochs: u32,
    /// Number of trials that reach this rung.
    pub trials: u32,
}

impl Bracket {
    /// The numbers of the trials.
    pub fn trials(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.rungs[0].trials
    }
}

/// The brackets of a search. In a random search, there is one rung at the end.
pub fn brackets(settings: &Settings) -> Vec<Bracket> {
    let Settings { method, trials, min_epochs, max_epochs, factor, .. } = *settings;
    match method {
        SearchMethod::Random => vec![Bracket { first: 1, rungs: vec![Rung { epochs: max_epochs, trials }] }],
        SearchMethod::Halving => {
            vec![Bracket { first: 1, rungs: rungs(trials, min_epochs, max_epochs, factor) }]
        }
        SearchMethod::Hyperband => {
            let levels = rungs(1, min_epochs, max_epochs, factor).len() as u32;
            let mut first = 1;
            let bracket = |level: u32| {
                // n = ⌈(s + 1 levels) / (s + 1) · ηˢ⌉ trials, starting with max / ηˢ epochs (Li et al., 2018, algorithm 1).
                let trials =
                    (u64::from(levels) * u64::from(factor).pow(level)).div_ceil(u64::from(level) + 1) as u32;
                let least = (f64::from(max_epochs) / f64::from(factor).powi(level as i32)).round() as u32;
                let bracket =
                    Bracket { first, rungs: rungs(trials, least.max(min_epochs), max_epochs, factor) };
                first += trials;
                bracket
            };
            (0..levels).rev().map(bracket).collect()
        }
    }
}

/// After each rung, one in `factor` trials continues with `factor` times the epochs; at least one trial reaches the end.
fn rungs(trials: u32, min_epochs: u32, max_epochs: u32, factor: u32) -> Vec<Rung> {
    let mut rungs = vec![Rung { epochs: min_epochs, trials }];
    while let Some(Rung { epochs, trials }) = rungs.last().copied().filter(|rung| rung.epochs < max_epochs) {
        let epochs = epochs.saturating_mul(factor).min(max_epochs);
        rungs.push(Rung { epochs, trials: (trials / factor).max(1) });
    }
    rungs
}

#[cfg(test)]
mod tests {
    use super::super::settings::Goal;
    use super::*;
    use proptest::prelude::*;

    fn settings(
        method: SearchMethod,
        trials: u32,
        min_epochs: u32,
        max_epochs: u32,
        factor: u32,
    ) -> Settings {
        Settings { method, trials, seed: 0, metric: Goal::Loss, min_epochs, max_epochs, factor }
    }

    fn shown(bracket: &Bracket) -> Vec<(u32, u32)> {
        bracket.rungs.iter().map(|rung| (rung.trials, rung.epochs)).collect()
    }

    #[test]
    fn halving_gives_a_third_of_the_trials_three_times_the_epochs() {
        let [bracket] = &brackets(&settings(SearchMethod::Halving, 27, 1, 27, 3))[..] else {
            panic!("there is one bracket")
        };
        assert_eq!(shown(bracket), [(27, 1), (9, 3), (3, 9), (1, 27)]);
        let [bracket] = &brackets(&settings(SearchMethod::Halving, 5, 2, 10, 2))[..] else {
            panic!("there is one bracket")
        };
        assert_eq!(shown(bracket), [(5, 2), (2, 4), (1, 8), (1, 10)]);
    }

    /// Li et al., 2018, table 1, for R = 81 and η = 3. The table rounds n of the middle brackets differently from algorithm 1,
    /// which this implementation follows.
    #[test]
    fn the_brackets_of_hyperband_are_those_of_its_paper() {
        let all = brackets(&settings(SearchMethod::Hyperband, 1, 1, 81, 3));
        assert_eq!(all.iter().map(|bracket| bracket.rungs[0].trials).collect::<Vec<_>>(), [81, 34, 15, 8, 5]);
        assert_eq!(shown(&all[0]), [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]);
        assert_eq!(shown(&all[4]), [(5, 81)]);
        assert_eq!(all[1].trials(), 82..116);
    }

    proptest! {
        #[test]
        fn rungs_rise_and_the_last_one_is_the_end(
            trials in 1u32..100, min in 1u32..20, more in 0u32..200, factor in 2u32..5, hyperband: bool
        ) {
            let method = if hyperband { SearchMethod::Hyperband } else { SearchMethod::Halving };
            for bracket in brackets(&settings(method, trials, min, min + more, factor)) {
                prop_assert!(bracket.rungs.is_sorted_by(|a, b| a.epochs < b.epochs && a.trials >= b.trials));
                prop_assert!(bracket.rungs.iter().all(|rung| rung.trials >= 1 && rung.epochs >= min));
                prop_assert_eq!(bracket.rungs.last().unwrap().epochs, min + more);
            }
        }
    }
}
