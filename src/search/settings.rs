//! Settings of a search: the table `[tune]` of a search space file.

use toml::Spanned;
use toml::de::DeTable;

use crate::data::TaskKind;
use crate::error::{Error, Result, did_you_mean, quoted};
use crate::options::entries::{Source, scalar};

/// Settings of a search.
///
/// ```
/// use cresset::search::{Goal, SearchMethod, Space};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("space.toml");
/// let text = "[space]\nlr = { log_uniform = [1e-4, 1e-1] }\n[tune]\nmethod = \"halving\"\nmax_epochs = 9\n";
/// std::fs::write(&path, text).unwrap();
/// let settings = Space::read(&path)?.settings;
/// assert_eq!((settings.method, settings.max_epochs, settings.factor), (SearchMethod::Halving, 9, 3));
/// assert_eq!(settings.metric, Goal::Loss);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Search method.
    pub method: SearchMethod,
    /// Number of trials; Hyperband determines its own.
    pub trials: u32,
    /// Seed of the sampled options.
    pub seed: u64,
    /// Metric to compare trials by.
    pub metric: Goal,
    /// Minimum number of epochs of a pruned trial.
    pub min_epochs: u32,
    /// Number of epochs of a complete trial and its learning rate schedule.
    pub max_epochs: u32,
    /// Reduction factor: one in `factor` trials continues, with `factor` times the epochs.
    pub factor: u32,
}

/// Search method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMethod {
    /// Random search without pruning (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", 2012).
    Random,
    /// Repeatedly prunes the worst trials (successive halving: Jamieson and Talwalkar, "Non-stochastic Best Arm
    /// Identification and Hyperparameter Optimization", 2016).
    Halving,
    /// Several halvings, from many trials with few epochs to few trials with many epochs (Li et al., "Hyperband: A Novel Bandit-Based
    /// Approach to Hyperparameter Optimization", 2018).
    Hyperband,
}

/// Metric to compare trials by: on the validation set, after the best epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Lowest loss.
    Loss,
    /// Highest score of this task, then lowest loss: accuracy, micro-averaged F1 score of labels, or R² of numbers.
    Score(TaskKind),
}

impl Goal {
    /// Rejects the score of another task.
    ///
    /// # Errors
    /// The sentence to show.
    pub(super) fn check(self, task: TaskKind) -> std::result::Result<(), String> {
        match self {
            Goal::Score(own) if own != task => Err(format!(
                "`metric` is {}, which {} does not have; use loss or {}",
                own.score_column(),
                task.described(),
                task.score_column()
            )),
            _ => Ok(()),
        }
    }
}

const METHODS: [(&str, SearchMethod); 3] = [
    ("random", SearchMethod::Random),
    ("halving", SearchMethod::Halving),
    ("hyperband", SearchMethod::Hyperband),
];
const GOALS: [(&str, Goal); 4] = [
    ("loss", Goal::Loss),
    ("accuracy", Goal::Score(TaskKind::Classification)),
    ("f1", Goal::Score(TaskKind::Multilabel)),
    ("r2", Goal::Score(TaskKind::Regression)),
];
const NAMES: [&str; 7] = ["method", "trials", "seed", "metric", "min_epochs", "max_epochs", "factor"];

/// Default number of trials.
const TRIALS: u32 = 20;

/// Default reduction factor (Li et al., 2018, section 2.6).
const FACTOR: u32 = 3;

impl Settings {
    /// Reads the table; without one, the search is a random search of 20 trials. `epochs` is the default number of epochs of a run.
    ///
    /// # Errors
    /// If a name is unknown, a value is out of range, or settings conflict; the error names the position.
    pub(super) fn read(source: &Source, table: Option<&Spanned<DeTable>>, epochs: u32) -> Result<Self> {
        let mut settings = Settings {
            method: SearchMethod::Random,
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
                    "unknown setting {} in [tune]{hint} Settings: {}",
                    quoted(name),
                    NAMES.join(", ")
                );
                return Err(fault(key.span().start, problem));
            }
            let text = scalar(value.get_ref()).unwrap_or_default();
            let whole = |least: u64, most: u64| {
                let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
                let problem =
                    || format!("`{name}` must be an integer from {least} to {most}, not {}", quoted(&text));
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
        if self.method == SearchMethod::Random {
            for name in ["min_epochs", "max_epochs", "factor"] {
                refuse(
                    name,
                    "applies to the methods halving and hyperband; in a random search, set `epochs` instead",
                )?;
            }
            return Ok(());
        }
        if self.method == SearchMethod::Hyperband {
            refuse(
                "trials",
                "is computed from the epochs and the factor with the method hyperband; remove it",
            )?;
        }
        if self.min_epochs > self.max_epochs {
            let problem = format!("is greater than `max_epochs`, {}", self.max_epochs);
            let name = if given("min_epochs").is_some() { "min_epochs" } else { "max_epochs" };
            return refuse(name, &problem);
        }
        Ok(())
    }
}

/// Parses one of several names.
fn named<T: Copy>(name: &str, text: &str, known: &[(&'static str, T)]) -> std::result::Result<T, String> {
    if let Some((_, value)) = known.iter().find(|(known, _)| *known == text) {
        return Ok(*value);
    }
    let names: Vec<_> = known.iter().map(|(known, _)| *known).collect();
    let hint = did_you_mean(text, names.iter().copied()).unwrap_or_default();
    Err(format!("`{name}` must be one of {}, not {}{hint}", names.join(", "), quoted(text)))
}
