//! `cresset train`

mod display;
mod feedback;
mod folds;
mod summary;
mod tracking;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use cresset::data::terminal;
use cresset::distributed::{LaunchInfo, World};
use cresset::error::Error;
use cresset::options::{Config, Setting};
#[cfg(feature = "mlflow")]
use cresset::report::mlflow::Mlflow;
use cresset::run::RunFolder;
use cresset::run::{self, CrossValidation, Outcome, Run, Trained};
use cresset::train::{RESUMABLE_OPTIONS, Silent};

use crate::arguments::Flags;
use crate::progress::resolve;
use crate::screen::tell;
use display::DisplayOptions;
use summary::{introduction, result, scores, warn_about_data};
use tracking::Tracking;

use crate::{Ended, Trust, elastic, events, report, show};

/// Train a model, evaluate it on validation data, and export it
#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    config: Flags<Config>,

    /// Run folder, which must be new or empty [default: the next free runs/DATA-MODEL-NUMBER]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    out: Option<PathBuf>,

    /// Read options from a run file (TOML), such as `batch_size = 32`; the command line takes precedence
    #[arg(long = "config", value_name = "FILE", help_heading = "Run")]
    config_file: Option<PathBuf>,

    /// Resume the run in the folder of --out, or start it there if there is none: for jobs that are restarted
    #[arg(long = "continue", help_heading = "Run", requires = "out", hide_short_help = true)]
    resume_or_start: bool,

    /// Resume a run from its last checkpoint with its own options
    ///
    /// Those that decide how long and where it trains, such as --epochs and --device, may be changed.
    #[arg(long, value_name = "RUN", help_heading = "Run", conflicts_with_all = ["out", "config_file", "resume_or_start"])]
    resume: Option<PathBuf>,

    /// Fine-tune the model of a finished run on its data and the corrections of --feedback, with its options
    #[arg(long, value_name = "RUN", help_heading = "Run", conflicts_with_all = ["resume", "config_file", "find_label_errors"], hide_short_help = true)]
    from: Option<PathBuf>,

    #[command(flatten)]
    display: DisplayOptions,

    /// With --from: replace the old model, unless the new one is worse on the validation data or no better on the corrections
    /// than the old model, as it is and trained as long without them (the exit code is then 1)
    #[arg(long, help_heading = "After training", requires = "from", hide_short_help = true)]
    promote: bool,

    /// Write report.html to the run folder
    ///
    /// It has learning curves, the confusion matrix and errors.
    #[arg(long, help_heading = "After training")]
    report: bool,

    /// Find label errors: rank the labels by out-of-fold predictions of cross-validated models (5 folds, or --folds)
    #[arg(long, help_heading = "After training", hide_short_help = true)]
    find_label_errors: bool,

    #[command(flatten)]
    trust: Trust,
}

/// Options that may change when a cross-validation is resumed. Finished folds are not trained further, so --epochs is not one.
const RESUMABLE_FOLD_OPTIONS: [&str; 2] = ["device", "threads"];

impl Train {
    pub fn run(self) -> anyhow::Result<Ended> {
        self.trust.apply();
        self.display.start_events()?;
        self.display.check()?;
        let stop = stop_on_interrupt()?;
        if let Some(from) = &self.from {
            refuse_several("--from")?;
            return feedback::run(&self, &RunFolder::open(from)?, &stop);
        }
        let given = self.config.given();
        let (config, resumed) = match &self.resume {
            Some(folder) => {
                let folder = RunFolder::open(folder)?;
                (Config::overlay(Some(&folder.config_file()), given)?, Some(folder))
            }
            None => (Config::overlay(self.config_file.as_deref(), given)?, None),
        };
        if config.folds.is_some() && config.fold.is_none() {
            refuse_several("--folds")?;
            self.refuse_single_run_options("--folds")?;
            let folds = match resumed {
                Some(folder) => {
                    refuse_changes(given, &RESUMABLE_FOLD_OPTIONS)?;
                    CrossValidation::open(&config, folder)?
                }
                None => {
                    let resolved = resolve(&config, &World::alone())?;
                    CrossValidation::start_resolved(resolved, self.out.as_deref())?
                }
            };
            return folds::run(&folds, self.find_label_errors, &|| stop.load(Ordering::Relaxed));
        }
        if self.find_label_errors {
            refuse_several("--find-label-errors")?;
        }
        let timeout = Duration::try_from_secs_f64(config.training.peer_timeout).unwrap_or(Duration::MAX);
        let world = World::from_environment(timeout)?;
        let ended = self.one_run(&config, resumed, &world, stop);
        ended.map_err(|error| elastic::report(error, &world))
    }

    /// Trains one model in this process and shows its accuracies. None if it was interrupted.
    pub fn fine_tune(
        &self,
        config: &Config,
        stop_flag: &Arc<AtomicBool>,
    ) -> anyhow::Result<Option<RunFolder>> {
        let run = self.start_or_resume(config, &World::alone())?;
        let folder = run.folder.clone();
        events::started(&run);
        show(&introduction(&run))?;
        let (outcome, tracking) = self.train_with_callbacks(run, stop_flag)?;
        match outcome {
            Outcome::Trained(trained) => {
                show(&scores(&trained))?;
                tracking.trained(&folder, &trained);
                report_end(&folder, &trained);
            }
            Outcome::CompletedOnRank0 => {}
            Outcome::Interrupted { epoch, step } => {
                tracking.interrupted(&folder);
                events::interrupted(&folder, Some((epoch, step)));
                tell(&format!(
                    "interrupted in epoch {epoch}, after step {step}; the state is saved. Resume with the same command and"
                ));
                tell(&format!("  --continue --out {}", terminal::argument(folder.path())));
                return Ok(None);
            }
        }
        Ok(Some(folder))
    }

    /// The options given on the command line.
    pub fn given(&self) -> &[Setting] {
        self.config.given()
    }

    /// Whether the new model replaces the old one (`--promote`).
    pub fn wants_promotion(&self) -> bool {
        self.promote
    }

    fn one_run(
        &self,
        config: &Config,
        resumed: Option<RunFolder>,
        world: &World,
        stop_flag: Arc<AtomicBool>,
    ) -> anyhow::Result<Ended> {
        let run = match resumed {
            Some(folder) => {
                refuse_changes(self.config.given(), &RESUMABLE_OPTIONS)?;
                run::resume(config, folder, world)?
            }
            None => self.start_or_resume(config, world)?,
        };
        let (folder, config) = (run.folder.clone(), &run.config.clone());
        if self.find_label_errors {
            // Before the training, which may take long.
            run.prepared.dataset.require_classes("--find-label-errors")?;
        }
        if world.is_rank_zero() {
            events::started(&run);
            warn_about_data(&run);
            show(&introduction(&run))?;
        }
        let stop = || stop_flag.load(Ordering::Relaxed);
        if run.is_finished()? {
            return self.handle_finished(config, run, &stop);
        }
        let (outcome, tracking) = self.train_with_callbacks(run, &stop_flag)?;
        match outcome {
            Outcome::Trained(trained) => {
                show(&result(&folder, &trained))?;
                if self.report {
                    report::write(&folder, trained.prepared.device)?;
                }
                tracking.trained(&folder, &trained);
                report_end(&folder, &trained);
            }
            Outcome::CompletedOnRank0 => return Ok(Ended::Well),
            Outcome::Interrupted { .. } if !world.is_rank_zero() => return Ok(Ended::Interrupted),
            Outcome::Interrupted { epoch, step } => {
                tracking.interrupted(&folder);
                events::interrupted(&folder, Some((epoch, step)));
                return Ok(interrupted(&terminal::argument(folder.path()), epoch, step));
            }
        }
        if self.find_label_errors {
            return folds::find_label_errors(config, &folder, &stop);
        }
        Ok(Ended::Well)
    }

    /// Leaves a finished run unchanged; writes the report and finds label errors if the options request it.
    fn handle_finished(&self, config: &Config, run: Run, stop: &dyn Fn() -> bool) -> anyhow::Result<Ended> {
        if !run.world.is_rank_zero() {
            return Ok(Ended::Well);
        }
        show(&format!("{}\n", run.finished_message()))?;
        #[cfg(feature = "mlflow")]
        tracking::warn_about(Mlflow::complete(&run, &self.display.target())?, &run.folder);
        let (folder, device) = (run.folder.clone(), run.prepared.device);
        drop(run);
        if self.report {
            report::write(&folder, device)?;
        }
        if events::is_on() {
            events::finished(&folder, &cresset::predict::metadata(&folder.model())?, true);
        }
        if self.find_label_errors {
            return folds::find_label_errors(config, &folder, stop);
        }
        Ok(Ended::Well)
    }

    /// Trains with the display that the options select. The reports to MLflow are to be completed with the results.
    fn train_with_callbacks(
        &self,
        run: Run,
        stop_flag: &Arc<AtomicBool>,
    ) -> anyhow::Result<(Outcome, Tracking)> {
        let stop = || stop_flag.load(Ordering::Relaxed);
        if !run.world.is_rank_zero() {
            return Ok((run::finish(run, &mut Silent, &stop)?, Tracking::default()));
        }
        let (folder, mut display) = (run.folder.clone(), self.display.open(&run, stop_flag)?);
        let outcome = run::finish(run, &mut display.callbacks(), &stop);
        let tracking = display.close(matches!(outcome, Ok(Outcome::Trained(_))))?;
        match outcome {
            Ok(outcome) => Ok((outcome, tracking)),
            Err(error) => {
                tracking.failed(&folder);
                Err(error.into())
            }
        }
    }

    fn refuse_single_run_options(&self, option: &str) -> anyhow::Result<()> {
        match self.display.given().or(self.report.then_some("--report")) {
            Some(name) => {
                let problem = format!(
                    "{name} is for a single run, and {option} trains several models; use only one of them"
                );
                Err(Error::Usage(problem).into())
            }
            None => Ok(()),
        }
    }

    /// Starts a run, or resumes the one in the folder if the user (`--continue`) or a launcher that restarted the job wants that.
    fn start_or_resume(&self, config: &Config, world: &World) -> anyhow::Result<Run> {
        let out = self.out.as_deref();
        let Some(path) = out.filter(|_| self.resume_or_start || world.restarts() > 0) else {
            if world.may_restart() && world.is_rank_zero() && out.is_none() {
                tracing::warn!(
                    "without --out, a restarted job trains from the beginning; set the run folder with --out"
                );
            }
            return Ok(run::start_resolved(resolve(config, world)?, out, world)?);
        };
        let has_checkpoint = world.broadcast_result(|| {
            let has_checkpoint = RunFolder::open(path).is_ok_and(|folder| folder.last_checkpoint().is_file());
            if !has_checkpoint {
                RunFolder::remove_unstarted(path)?;
            }
            Ok(has_checkpoint.to_string())
        })?;
        Ok(match has_checkpoint.as_str() {
            "true" => run::resume(config, RunFolder::open(path)?, world)?,
            _ => run::start_resolved(resolve(config, world)?, out, world)?,
        })
    }
}

/// The events at the end of a complete run.
fn report_end(folder: &RunFolder, trained: &Trained) {
    if let Some(reason) = &trained.stopped_early {
        events::stopped_early(reason);
    }
    if let Some(concern) = &trained.concern {
        events::warning(concern);
    }
    events::finished(folder, &trained.metadata, false);
}

fn refuse_several(option: &str) -> anyhow::Result<()> {
    match LaunchInfo::from_environment()? {
        Some(place) if place.size > 1 => {
            let problem = format!(
                "{option} trains several models in one process; start it without torchrun, srun or mpirun"
            );
            Err(Error::Usage(problem).into())
        }
        _ => Ok(()),
    }
}

/// Prints the command that resumes; `resume_arguments` are those of `--resume`.
pub fn interrupted(resume_arguments: &str, epoch: u32, step: usize) -> Ended {
    tell(&format!("interrupted in epoch {epoch}, after step {step}; the state is saved. Resume with:"));
    tell(&format!("  cresset train --resume {resume_arguments}"));
    Ended::Interrupted
}

/// The first Ctrl-C (or SIGTERM) stops training after the current step, the second one exits immediately.
pub(super) fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let requested = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if requested.swap(true, Ordering::Relaxed) {
            cresset_bridge::process::exit_at_once(130);
        }
        // The terminal echoes ^C; start a new line after it.
        tell("");
        tell("stopping after this step; press Ctrl-C again to exit immediately");
    })
    .context("cannot install the handler for Ctrl-C")?;
    Ok(stop)
}

fn refuse_changes(given: &[Setting], may_differ: &[&str]) -> anyhow::Result<()> {
    if let Some(fixed) = given.iter().find(|setting| !may_differ.contains(&setting.name)) {
        let option = fixed.name.replace('_', "-");
        let problem =
            format!("--{option} cannot be changed when a run is resumed; start a new run to change it");
        return Err(Error::Usage(problem).into());
    }
    Ok(())
}
