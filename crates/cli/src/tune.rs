//! `cresset tune`

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use cresset::data::terminal;
use cresset::error::{Error, Result};
use cresset::search::{Goal, Search, SearchCallback, SearchOutcome, SearchStep, Trial, TrialState};
use cresset::train::{Callback, Silent};

use super::screen::tell;
use super::train::stop_on_interrupt;
use super::{Ended, Trust, show};

/// Search hyperparameters: train many runs with sampled options, and keep the best
///
/// A search space is a TOML file: [run] has the options of all trials, [space] the distributions of the sampled ones, such as
/// `lr = { log_uniform = [1e-4, 1e-1] }`, and [tune] the search method. docs/tuning.md shows an example.
#[derive(Debug, Args)]
pub struct Tune {
    /// Search space (TOML)
    #[arg(value_name = "SPACE", required_unless_present = "resume")]
    space: Option<PathBuf>,

    /// Folder of the search; a search of the same space in it is resumed [default: the next free runs/tune-SPACE-NUMBER]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Resume the search in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["space", "out"])]
    resume: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

/// Number of trials shown at the end; trials.csv has all.
const MAX_SHOWN: usize = 10;

impl Tune {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        let stop = stop_on_interrupt()?;
        let mut search = match (&self.resume, &self.space) {
            (Some(folder), _) => Search::open(folder)?,
            (None, Some(space)) => Search::start(space, self.out.as_deref())?,
            (None, None) => return Err(Error::Usage("name a search space".to_string()).into()),
        };
        let path = search.path().to_path_buf();
        show(&format!("{} in {}\n\n", search.method_name(), terminal::path(&path)))?;
        match search.run(&mut TrialPrinter(Silent), &|| stop.load(Ordering::Relaxed))? {
            SearchOutcome::Complete(trials) => show(&result(&search, &trials))?,
            SearchOutcome::Interrupted => {
                tell("interrupted; the state is saved. Resume with:");
                tell(&format!("  cresset tune --resume {}", terminal::argument(&path)));
                return Ok(Ended::Interrupted);
            }
        }
        Ok(Ended::Well)
    }
}

/// Prints the result of each trial to standard error.
struct TrialPrinter(Silent);

impl SearchCallback for TrialPrinter {
    fn ended(&mut self, step: &SearchStep, trial: &Trial) -> Result<()> {
        let width = step.trials.to_string().len();
        tell(&format!(
            "trial {:>width$}/{}  {}  {}",
            step.trial,
            step.trials,
            metrics(trial),
            options(trial)
        ));
        Ok(())
    }

    fn training(&mut self) -> &mut dyn Callback {
        &mut self.0
    }
}

fn metrics(trial: &Trial) -> String {
    match (&trial.state, &trial.best) {
        (TrialState::Failed(reason), _) => format!("failed: {}", terminal::line(reason)),
        (_, Some(best)) => format!(
            "{}  loss {:.4}  {} {:>8}",
            epochs(trial.epochs),
            best.validation_loss,
            trial.task.score_name(),
            trial.task.show_score(best.validation_accuracy)
        ),
        (_, None) => format!("{}  no finite loss", epochs(trial.epochs)),
    }
}

fn epochs(count: u32) -> String {
    format!("{count:>3} {:<6}", if count == 1 { "epoch" } else { "epochs" })
}

fn options(trial: &Trial) -> String {
    let options: Vec<_> =
        trial.drawn.iter().map(|(name, value)| format!("{name} {}", terminal::line(value))).collect();
    options.join("  ")
}

fn result(search: &Search, trials: &[Trial]) -> String {
    let mut text = "\nvalidation results, best first\n".to_string();
    for trial in trials.iter().take(MAX_SHOWN) {
        let state = if trial.state == TrialState::Stopped { "  (pruned)" } else { "" };
        text += &format!("trial {:>4}  {}  {}{state}\n", trial.number, metrics(trial), options(trial));
    }
    let best = &trials[0];
    text + &format!(
        r#"
best       trial {number}: {run}
           selected among {count} trials by the validation {metric}, so its validation results are optimistic; use a test set
trials     {path}/trials.csv
retrain    cresset train --config {best_file}
"#,
        metric = match search.space().settings.metric {
            Goal::Loss => "loss",
            Goal::Score(task) => task.score_name(),
        },
        number = best.number,
        run = terminal::path(&search.path().join(format!("trial-{}", best.number))),
        count = trials.len(),
        path = terminal::path(search.path()),
        best_file = terminal::argument(&search.best_file()),
    )
}
