//! Reports a run while it trains: appends to the journal, and sends it in a thread of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::journal::{Journal, Record};
use crate::settings::Settings;
use crate::state::State;

/// Time between attempts, which doubles from the first to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// How long the end of a run waits for the next request to complete.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reports a run.
#[derive(Debug)]
pub struct Tracker {
    journal: Journal,
    folder: PathBuf,
    shared: Arc<Shared>,
}

/// What could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// The number of records in the journal.
    pub records: usize,
    /// Why.
    pub reason: String,
}

/// What the thread that sends shares with the one that trains.
#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Requests that were completed.
    requests: u64,
    /// Whether the journal has new records.
    has_news: bool,
    /// Whether the run has ended.
    is_ending: bool,
    /// The result of the thread, once it has ended: the last problem.
    ended: Option<Option<String>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        // The state stays valid if a thread panicked while it held the lock.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Tracker {
    /// Starts reporting the run in `folder`. Returns the records of an earlier process, too.
    ///
    /// # Errors
    /// A journal that cannot be written.
    pub fn start(folder: &Path, settings: &Settings) -> Result<(Self, Vec<Record>)> {
        let (journal, records) = Journal::open(folder)?;
        let delivery = Delivery::new(folder, settings)?;
        // Also if the server is never reached, `sync` then knows its address.
        if State::read(folder).is_none_or(|state| state.uri != settings.uri) {
            State { uri: settings.uri.clone(), ..State::default() }.write(folder)?;
        }
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let spawned = std::thread::Builder::new().name("mlflow".to_string()).spawn(move || {
            let problem = deliver(delivery, &own);
            own.change(|progress| progress.ended = Some(problem));
        });
        if let Err(problem) = spawned {
            shared
                .change(|progress| progress.ended = Some(Some(format!("cannot start a thread: {problem}"))));
        }
        Ok((Tracker { journal, folder: folder.to_path_buf(), shared }, records))
    }

    /// Reports a record. Does not wait for the server.
    ///
    /// # Errors
    /// A journal that cannot be written.
    pub fn report(&mut self, record: &Record) -> Result<()> {
        self.journal.append(record)?;
        self.shared.change(|progress| progress.has_news = true);
        Ok(())
    }

    /// Waits until everything is sent, an attempt fails, or half a minute passes without a completed request.
    pub fn end(self) -> Option<Unsent> {
        self.shared.change(|progress| progress.is_ending = true);
        let mut progress = self.shared.lock();
        let (mut requests, mut since) = (progress.requests, Instant::now());
        while progress.ended.is_none() && since.elapsed() < PATIENCE {
            let waited = self.shared.changed.wait_timeout(progress, PATIENCE);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
            if progress.requests != requests {
                (requests, since) = (progress.requests, Instant::now());
            }
        }
        let problem = progress.ended.clone();
        drop(progress);
        let reason = match problem {
            Some(None) => return None,
            Some(Some(reason)) => reason,
            None => "the MLflow server is too slow".to_string(),
        };
        let sent = State::read(&self.folder).map_or(0, |state| state.sent);
        let records = crate::journal::read_from(&self.folder, sent).map_or(0, |records| records.len());
        (records > 0).then_some(Unsent { records, reason })
    }
}

/// Sends the journal until the run has ended. Returns why something was not sent.
fn deliver(mut delivery: Delivery, shared: &Shared) -> Option<String> {
    let (mut pause, mut is_away) = (PAUSES[0], false);
    let mut refusals = 0;
    loop {
        // Before the journal is read, so that no later record is missed.
        shared.lock().has_news = false;
        let outcome = delivery.advance(&mut |problem| {
            refusals += 1;
            match refusals {
                1 => tracing::warn!("{problem}; this was not reported to MLflow"),
                _ => tracing::debug!("{problem}; this was not reported to MLflow"),
            }
        });
        match outcome {
            Ok(true) => {
                if std::mem::take(&mut is_away) {
                    tracing::info!("the MLflow server can be reached again");
                }
                pause = PAUSES[0];
                shared.change(|progress| progress.requests += 1);
            }
            Ok(false) => {
                let mut progress = shared.lock();
                while !progress.has_news && !progress.is_ending {
                    progress = shared.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                }
                if !progress.has_news {
                    return None;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_away, true) {
                    tell(&error);
                }
                let progress = shared.lock();
                if progress.is_ending {
                    return Some(error.to_string());
                }
                let is_going_on = |progress: &mut Progress| !progress.is_ending;
                let waited = shared.changed.wait_timeout_while(progress, pause, is_going_on);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                pause = (2 * pause).min(PAUSES[1]);
            }
        }
    }
}

fn tell(error: &Error) {
    tracing::warn!(
        "{error}. Training goes on; what is to be reported is kept in the run folder and sent later"
    );
}
