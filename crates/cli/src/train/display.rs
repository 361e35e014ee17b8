//! What shows a training run: the progress bar or the dashboard, and TensorBoard's event files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use cresset::distributed::LaunchInfo;
use cresset::error::Result;
#[cfg(feature = "tensorboard")]
use cresset::report::tensorboard::TensorBoard;
use cresset::run::Run;
use cresset::train::{Callback, CallbackList};
use cresset_options::headings::LOGGING;

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
}

/// What shows a run while it trains.
pub struct Display {
    shown: Box<dyn Callback>,
    #[cfg(feature = "tensorboard")]
    events: Option<TensorBoard>,
}

impl DisplayOptions {
    /// Fails if the dashboard is wanted and there is no terminal for it.
    pub fn check(&self) -> Result<()> {
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

    /// The first of the options that was given.
    pub fn given(&self) -> Option<&'static str> {
        if self.events.is_some() {
            return Some("--events");
        }
        #[cfg(feature = "tui")]
        if self.tui {
            return Some("--tui");
        }
        #[cfg(feature = "tensorboard")]
        if self.tensorboard {
            return Some("--tensorboard");
        }
        None
    }

    /// Opens the display of a run. The dashboard sets `stop` when the user quits.
    pub fn open(&self, run: &Run, stop: &Arc<AtomicBool>) -> anyhow::Result<Display> {
        #[cfg(feature = "tensorboard")]
        let events = if self.tensorboard { Some(TensorBoard::create(run)?) } else { None };
        Ok(Display {
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
            let dashboard = Dashboard::open(super::title(run), &run.folder.metrics(), Arc::clone(stop))?;
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
        #[allow(unused_mut, reason = "only event files are added")]
        let mut callbacks: Vec<&mut dyn Callback> = vec![&mut *self.shown];
        #[cfg(feature = "tensorboard")]
        if let Some(events) = &mut self.events {
            callbacks.push(events);
        }
        CallbackList(callbacks)
    }

    /// Closes the display of a run that ended, complete or not.
    #[cfg_attr(not(feature = "tensorboard"), expect(unused_variables, reason = "only event files say so"))]
    pub fn close(self, is_complete: bool) -> Result<()> {
        drop(self.shown);
        #[cfg(feature = "tensorboard")]
        if let Some(events) = self.events {
            events.end(is_complete)?;
        }
        Ok(())
    }
}
