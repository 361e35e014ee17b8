//! How a search goes about it: the table `[tune]` of a space.

use toml::Spanned;
use toml::de::DeTable;

use crate::error::{Error, Result, did_you_mean, quoted};
use crate::options::entries::{Source, scalar};

/// How a search goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which trials are given how many epochs.
    pub method: Method,
    /// The number of trials; Hyperband has its own.
    pub trials: u32,
    /// Seed of the trials' options.
    pub seed: u64,
    /// By what trials are compared.
    pub metric: Goal,
    /// The fewest epochs of a trial that is given up.
    pub min_epochs: u32,
    /// The epochs of a trial that is not given up, and of its schedule.
    pub max_epochs: u32,
    /// Of so many trials, one goes on, for so many times the epochs.
    pub factor: u32,
}

/// Which trials are given how many epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// All are trained to their end (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", 2012).
    Random,
    /// The worst ones are given up, again and again (successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm
    /// Identification and Hyperparameter Optimization", 2016).
    Halving,
    /// Several halvings, from many trials with few epochs to few trials with many (Li et al., "Hyperband: A Novel Bandit-Based
    /// Approach to Hyperparameter Optimization", 2018).
    Hyperband,
}

/// By what trials are compared: figures on the held-out rows after the epoch with the least loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The least mean cross-entropy.
    Loss,
    /// The greatest accuracy; of equal ones, the least loss.
    Accuracy,
}

const METHODS: [(&str, Method); 3] =
    [("random", Method::Random), ("halving", Method::Halving), ("hyperband", Method::Hyperband)];
const GOALS: [(&str, Goal); 2] = [("loss", Goal::Loss), ("accuracy", Goal::Accuracy)];
const NAMES: [&str; 7] = ["method", "trials", "seed", "metric", "min_epochs", "max_epochs", "factor"];

/// As many trials as keep hardly anything of value from being tried, and few enough to wait for.
const TRIALS: u32 = 20;

/// What Jamieson and Talwalkar's successors found to work (Li et al., 2018, section 2.6).
const FACTOR: u32 = 3;

impl Settings {
    /// Reads the table; without one, it is a random search of 20 trials. `epochs` is what a run has without a search.
    ///
    /// # Errors
    /// Unknown names, values out of range, and settings that do not go together, each at its place.
    pub(super) fn read(source: &Source, table: Option<&Spanned<DeTable>>, epochs: u32) -> Result<Self> {
        let mut settings = Settings {
            method: Method::Random,
            trials: TRIALS,
            seed: 0,
            metric: Goal::Loss,
            min_epochs: 1,
            max_epochs: epochs,
            factor: FACTOR,
        };
        let Some(table) = table else { return Ok(settings) };
        let fault = |offset: usize, problem: String| Error::data(source.at(offset), problem);
        for (key, value) in table.get_ref() {
            let (name, at) = (key.get_ref().as_ref(), value.span().start);
            if !NAMES.contains(&name) {
                let hint = did_you_mean(name, NAMES).unwrap_or_else(|| ".".to_string());
                let problem = format!(
                    "there is no setting {} of a search{hint} They are {}",
                    quoted(name),
                    NAMES.join(", ")
                );
                return Err(fault(key.span().start, problem));
            }
            let text = scalar(value.get_ref()).unwrap_or_default();
            let whole = |least: u64, most: u64| {
                let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
                let problem =
                    || format!("`{name}` is a whole number from {least} to {most}, not {}", quoted(&text));
                number.ok_or_else(|| fault(at, problem()))
            };
            match name {
                "method" => {
                    settings.method = named(name, &text, &METHODS).map_err(|problem| fault(at, problem))?
                }
                "metric" => {
                    settings.metric = named(name, &text, &GOALS).map_err(|problem| fault(at, problem))?
                }
                "trials" => settings.trials = whole(1, 100_000)? as u32,
                "seed" => settings.seed = whole(0, u64::MAX)?,
                "min_epochs" => settings.min_epochs = whole(1, u32::MAX.into())? as u32,
                "max_epochs" => settings.max_epochs = whole(1, u32::MAX.into())? as u32,
                _ => settings.factor = whole(2, 1000)? as u32,
            }
        }
        settings.check(source, table)?;
        Ok(settings)
    }

    fn check(&self, source: &Source, table: &Spanned<DeTable>) -> Result<()> {
        let given = |name: &str| table.get_ref().keys().find(|key| key.get_ref().as_ref() == name);
        let refuse = |name: &str, problem: &str| match given(name) {
            Some(key) => Err(Error::data(source.at(key.span().start), format!("`{name}` {problem}"))),
            None => Ok(()),
        };
        if self.method == Method::Random {
            for name in ["min_epochs", "max_epochs", "factor"] {
                refuse(
                    name,
                    "is for the methods halving and hyperband; in a random search, `epochs` says how long a run is",
                )?;
            }
            return Ok(());
        }
        if self.method == Method::Hyperband {
            refuse(
                "trials",
                "follows from the epochs and the factor where the method is hyperband; leave it out",
            )?;
        }
        if self.min_epochs > self.max_epochs {
            let problem = format!("is more than `max_epochs`, {}", self.max_epochs);
            let name = if given("min_epochs").is_some() { "min_epochs" } else { "max_epochs" };
            return refuse(name, &problem);
        }
        Ok(())
    }
}

/// One of some names.
fn named<T: Copy>(name: &str, text: &str, known: &[(&'static str, T)]) -> std::result::Result<T, String> {
    if let Some((_, value)) = known.iter().find(|(known, _)| *known == text) {
        return Ok(*value);
    }
    let names: Vec<_> = known.iter().map(|(known, _)| *known).collect();
    let hint = did_you_mean(text, names.iter().copied()).unwrap_or_default();
    Err(format!("`{name}` is one of {}, not {}{hint}", names.join(", "), quoted(text)))
}
