//! What shows a training run: the progress bar, the dashboard or events; TensorBoard's event files, and reports to MLflow.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use cresset::distributed::LaunchInfo;
use cresset::error::Result;
#[cfg(feature = "mlflow")]
use cresset::report::mlflow::{Mlflow, Settings, Target};
#[cfg(feature = "tensorboard")]
use cresset::report::tensorboard::TensorBoard;
use cresset::run::Run;
use cresset::train::{Callback, CallbackList};
use cresset_options::headings::LOGGING;

use super::tracking::Tracking;
use crate::events::{self, EventFormat, TrainingEvents};
use crate::progress::Progress;
#[cfg(feature = "tui")]
use crate::tui::{self, Dashboard};

/// The options of displays that this program was built with.
#[derive(Debug, Args)]
pub struct DisplayOptions {
    /// Write the events of the run to standard output for other programs, instead of the display: start, progress, epochs,
    /// checkpoints, results, warnings and errors
    #[arg(long, value_name = "FORMAT", help_heading = LOGGING)]
    events: Option<EventFormat>,

    /// Show a full-screen dashboard with learning curves; q stops and saves
    #[cfg(feature = "tui")]
    #[arg(long, help_heading = LOGGING, conflicts_with = "events")]
    tui: bool,

    /// Write TensorBoard event files to the run folder: learning curves, weight histograms, confusion matrix, options
    #[cfg(feature = "tensorboard")]
    #[arg(long, help_heading = LOGGING)]
    tensorboard: bool,

    /// Report the run to the MLflow tracking server at this address: options, metrics, files and the model. A server that is
    /// away neither stops nor slows training; what it misses is sent later
    #[cfg(feature = "mlflow")]
    #[arg(long, value_name = "URI", help_heading = LOGGING)]
    mlflow: Option<String>,

    /// Experiment in MLflow [default: that of the variable MLFLOW_EXPERIMENT_NAME, else Default]
    #[cfg(feature = "mlflow")]
    #[arg(long, value_name = "NAME", help_heading = LOGGING, requires = "mlflow")]
    mlflow_experiment: Option<String>,
}

/// What shows a run while it trains.
pub struct Display {
    shown: Box<dyn Callback>,
    #[cfg(feature = "tensorboard")]
    events: Option<TensorBoard>,
    tracking: Tracking,
}

impl DisplayOptions {
    /// Fails if the dashboard is wanted and there is no terminal for it, or if the address of the server is invalid.
    pub fn check(&self) -> Result<()> {
        #[cfg(feature = "mlflow")]
        if let Some(uri) = &self.mlflow {
            Settings::from_environment(uri)?;
        }
        #[cfg(feature = "tui")]
        if self.tui {
            tui::refuse_without_terminal()?;
        }
        Ok(())
    }

    /// Starts the events of this process, if they are wanted. With several processes, only rank 0 writes them.
    pub fn start_events(&self) -> Result<()> {
        let rank = LaunchInfo::from_environment()?.map_or(0, |place| place.rank);
        if self.events.is_some() && rank == 0 {
            events::start();
        }
        Ok(())
    }

    /// The first of the options for a single run that was given.
    pub fn given(&self) -> Option<&'static str> {
        #[cfg(feature = "tui")]
        if self.tui {
            return Some("--tui");
        }
        #[cfg(feature = "tensorboard")]
        if self.tensorboard {
            return Some("--tensorboard");
        }
        #[cfg(feature = "mlflow")]
        if self.mlflow.is_some() {
            return Some("--mlflow");
        }
        None
    }

    /// The server to report to.
    #[cfg(feature = "mlflow")]
    pub fn target(&self) -> Target {
        Target { uri: self.mlflow.clone(), experiment: self.mlflow_experiment.clone() }
    }

    #[cfg(feature = "mlflow")]
    fn track(&self, run: &Run) -> Result<Tracking> {
        Ok(Tracking { mlflow: Mlflow::open(run, &self.target())? })
    }

    #[cfg(not(feature = "mlflow"))]
    fn track(&self, _run: &Run) -> Result<Tracking> {
        Ok(Tracking {})
    }

    /// Opens the display of a run. The dashboard sets `stop` when the user quits.
    pub fn open(&self, run: &Run, stop: &Arc<AtomicBool>) -> anyhow::Result<Display> {
        #[cfg(feature = "tensorboard")]
        let events = if self.tensorboard { Some(TensorBoard::create(run)?) } else { None };
        Ok(Display {
            tracking: self.track(run)?,
            shown: match self.events {
                Some(EventFormat::Json) => Box::new(TrainingEvents::new(&run.folder)),
                None => self.screen(run, stop)?,
            },
            #[cfg(feature = "tensorboard")]
            events,
        })
    }

    #[cfg(feature = "tui")]
    fn screen(&self, run: &Run, stop: &Arc<AtomicBool>) -> anyhow::Result<Box<dyn Callback>> {
        if self.tui {
            let dashboard =
                Dashboard::open(super::summary::title(run), &run.folder.metrics(), Arc::clone(stop))?;
            return Ok(Box::new(dashboard));
        }
        Ok(Box::new(Progress::new()))
    }

    #[cfg(not(feature = "tui"))]
    fn screen(&self, _run: &Run, _stop: &Arc<AtomicBool>) -> anyhow::Result<Box<dyn Callback>> {
        Ok(Box::new(Progress::new()))
    }
}

impl Display {
    /// The callbacks that show a run.
    pub fn callbacks(&mut self) -> CallbackList<'_> {
        #[allow(unused_mut, reason = "without TensorBoard and MLflow, nothing is added")]
        let mut callbacks: Vec<&mut dyn Callback> = vec![&mut *self.shown];
        #[cfg(feature = "tensorboard")]
        if let Some(events) = &mut self.events {
            callbacks.push(events);
        }
        #[cfg(feature = "mlflow")]
        if let Some(mlflow) = &mut self.tracking.mlflow {
            callbacks.push(mlflow);
        }
        CallbackList(callbacks)
    }

    /// Closes the display of a run that ended, complete or not. The reports to MLflow go on with the results.
    #[cfg_attr(not(feature = "tensorboard"), expect(unused_variables, reason = "only event files say so"))]
    pub fn close(self, is_complete: bool) -> Result<Tracking> {
        drop(self.shown);
        #[cfg(feature = "tensorboard")]
        if let Some(events) = self.events {
            events.end(is_complete)?;
        }
        Ok(self.tracking)
    }
}
