//! `cresset tune`

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use cresset::data::terminal;
use cresset::error::{Error, Result};
use cresset::search::{Finished, Search, Step, Trial, TrialState, Watch};
use cresset::train::{Callback, Silent};

use super::screen::tell;
use super::train::stop_on_interrupt;
use super::{Ended, Trust, show};

/// Search for better options: train many runs with options that are drawn, and keep the best
///
/// A search space is a TOML file: [run] has the options of all trials, [space] those that are drawn, such as
/// `lr = { log_uniform = [1e-4, 1e-1] }`, and [tune] says how. docs/tuning.md shows one.
#[derive(Debug, Args)]
pub struct Tune {
    /// What is searched (TOML)
    #[arg(value_name = "SPACE", required_unless_present = "resume")]
    space: Option<PathBuf>,

    /// Folder of the search; one that holds a search of the same space is gone on with [default: the next free
    /// runs/tune-SPACE-NUMBER]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Go on with the search in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["space", "out"])]
    resume: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

/// So many trials are shown at the end; trials.csv has all.
const SHOWN: usize = 10;

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
        match search.run(&mut Narrator(Silent), &|| stop.load(Ordering::Relaxed))? {
            Finished::Complete(trials) => show(&result(&search, &trials))?,
            Finished::Interrupted => {
                tell("interrupted; everything is saved. Go on with:");
                tell(&format!("  cresset tune --resume {}", terminal::argument(&path)));
                return Ok(Ended::Interrupted);
            }
        }
        Ok(Ended::Well)
    }
}

/// Says what each trial came to, on standard error.
struct Narrator(Silent);

impl Watch for Narrator {
    fn ended(&mut self, step: &Step, trial: &Trial) -> Result<()> {
        let width = step.trials.to_string().len();
        tell(&format!(
            "trial {:>width$}/{}  {}  {}",
            step.trial,
            step.trials,
            figures(trial),
            options(trial)
        ));
        Ok(())
    }

    fn training(&mut self) -> &mut dyn Callback {
        &mut self.0
    }
}

fn figures(trial: &Trial) -> String {
    match (&trial.state, &trial.best) {
        (TrialState::Failed(reason), _) => format!("failed: {}", terminal::line(reason)),
        (_, Some(best)) => format!(
            "{}  loss {:.4}  accuracy {:6.2} %",
            epochs(trial.epochs),
            best.held_out_loss,
            100. * best.held_out_accuracy
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
    let mut text = "\nheld out, the best first\n".to_string();
    for trial in trials.iter().take(SHOWN) {
        let state = if trial.state == TrialState::Stopped { "  (given up)" } else { "" };
        text += &format!("trial {:>4}  {}  {}{state}\n", trial.number, figures(trial), options(trial));
    }
    let best = &trials[0];
    text + &format!(
        r#"
best       trial {number}: {run}
           chosen among {count} by the held-out rows, so its figures on them are flattered; measure it on others
trials     {path}/trials.csv
again      cresset train --config {best_file}
"#,
        number = best.number,
        run = terminal::path(&search.path().join(format!("trial-{}", best.number))),
        count = trials.len(),
        path = terminal::path(search.path()),
        best_file = terminal::argument(&search.best_file()),
    )
}
