//! Heartbeats of all ranks, so that an error can name the one that died.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cresset_bridge::process_group::KeyValueStore;

/// Interval of the heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A rank without a heartbeat for this long is dead.
const DEAD_AFTER: Duration = Duration::from_millis(2500);

/// Timeout of requests to the store.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The key of the reason why the job fails: the first one that a rank reported.
const REASON: &str = "reason";

/// Writes the heartbeats of this rank to the store, and reads those of the others.
pub(super) struct Watch {
    store: Arc<Mutex<KeyValueStore>>,
    /// The reason, once it was read: the store may be gone later.
    reason: Arc<Mutex<Option<String>>>,
    rank: u32,
    size: u32,
    /// The rank that hosts the store, unless the launcher does.
    store_rank: Option<u32>,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts the heartbeats.
    pub fn begin(store: KeyValueStore, rank: u32, size: u32, store_rank: Option<u32>) -> Self {
        let (store, reason) = (Arc::new(Mutex::new(store)), Arc::default());
        let (end, ended) = mpsc::channel();
        let (shared, seen) = (Arc::clone(&store), Arc::clone(&reason));
        let thread = std::thread::spawn(move || {
            let who = format!("pid {} on {}", std::process::id(), machine());
            for beat in 0u64.. {
                // If the store is gone, the next collective fails and reports it.
                let _ = lock(&shared).set(&heartbeat_key(rank), &format!("{beat} {who}"));
                if let Ok(Some(reason)) = lock(&shared).get(REASON) {
                    *lock(&seen) = Some(reason);
                }
                if ended.recv_timeout(HEARTBEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Watch { store, reason, rank, size, store_rank, end: Some(end), thread: Some(thread) }
    }

    /// Reports to the other ranks why this one fails.
    pub fn report(&self, error: &str) {
        let reason = format!("process {} of {} failed: {error}", self.rank, self.size);
        let store = Arc::clone(&self.store);
        let _ = within(STORE_TIMEOUT, move || store_reason(&lock(&store), reason));
    }

    /// On the rank that hosts the store, waits until the others have read the reason.
    pub(crate) fn wait_for_readers(&self) {
        if self.store_rank == Some(self.rank) {
            std::thread::sleep(2 * DEAD_AFTER);
        }
    }

    /// The failure of another rank: the reason that it reported, or the ranks without heartbeats. None if all are alive.
    pub fn failure(&self) -> Option<String> {
        let (store, rank, size) = (Arc::clone(&self.store), self.rank, self.size);
        let found = within(STORE_TIMEOUT, move || find_failure(&store, rank, size)).flatten();
        let seen = lock(&self.reason).clone().map(Some);
        seen.or(found).unwrap_or_else(|| {
            Some(match self.store_rank {
                Some(store_rank) => format!(
                    "process {store_rank} of {size}, which hosts the store, is unreachable: it ended or was killed, or its \
                     machine is unreachable"
                ),
                None => "the launcher's store is unreachable".to_string(),
            })
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        // Do not join a thread that is blocked on an unreachable store.
        if self.store.try_lock().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// The failure of another rank, if any. The outer None means that the store is unreachable.
fn find_failure(store: &Mutex<KeyValueStore>, rank: u32, size: u32) -> Option<Option<String>> {
    if let Some(reason) = lock(store).get(REASON).ok()? {
        return Some(Some(reason));
    }
    let others: Vec<u32> = (0..size).filter(|other| *other != rank).collect();
    let heartbeats = || {
        let values = others.iter().map(|other| lock(store).get(&heartbeat_key(*other)));
        values.collect::<Result<Vec<_>, _>>().ok()
    };
    let before = heartbeats()?;
    std::thread::sleep(DEAD_AFTER);
    let after = heartbeats()?;
    let silent = others.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before == after);
    let silent: Vec<_> =
        silent.map(|(other, (_, heartbeat))| described(*other, size, heartbeat.as_deref())).collect();
    if !silent.is_empty() {
        store_reason(&lock(store), silent.join("; "))?;
    }
    lock(store).get(REASON).ok()
}

/// Stores a reason unless there is one: later failures follow from the first one.
fn store_reason(store: &KeyValueStore, reason: String) -> Option<()> {
    if store.get(REASON).ok()?.is_none() {
        store.set(REASON, &reason).ok()?;
    }
    Some(())
}

fn described(rank: u32, size: u32, heartbeat: Option<&str>) -> String {
    let who = heartbeat
        .and_then(|heartbeat| heartbeat.split_once(' '))
        .map_or(String::new(), |(_, who)| format!(" ({who})"));
    format!("process {rank} of {size}{who} does not respond: it was killed, or its machine is unreachable")
}

fn heartbeat_key(rank: u32) -> String {
    format!("sign/{rank}")
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "an unnamed machine".to_string() } else { name.trim().to_string() }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The result of `work`, or None after a timeout.
fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    result.recv_timeout(time).ok()
}
