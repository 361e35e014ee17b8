//! Where the processes of a group meet.

use std::time::Duration;

/// The rendezvous of a process group, and the rank of this process in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// Host of the store.
    pub host: String,
    /// Port of the store.
    pub port: u16,
    /// Whether this process hosts the store, rather than the launcher.
    pub hosts_store: bool,
    /// Whether an earlier group may have used the store, as in a restarted job.
    pub was_used: bool,
    /// Rank of this process, from 0.
    pub rank: u32,
    /// Number of processes (world size).
    pub size: u32,
    /// Timeout of the rendezvous and of all collectives.
    pub timeout: Duration,
}
