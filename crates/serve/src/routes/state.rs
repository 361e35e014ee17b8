//! State shared by the routes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::access::Access;
use crate::inputs::Limits;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::rate::Rate;
use crate::recent::Recent;
use crate::record::Recorder;
use crate::telemetry::Telemetry;
use cresset::data::unknown::UnknownPolicy;
use cresset::feedback;

/// State shared by the routes.
pub(crate) struct App {
    pub models: Arc<Models>,
    pub metrics: Arc<Metrics>,
    pub access: Access,
    pub rate: Option<Rate>,
    pub corrections: Arc<feedback::FeedbackWriter>,
    /// None unless predictions are recorded.
    pub recorder: Option<Recorder>,
    /// The latest predictions, for corrections.
    pub recent: Recent,
    /// None if it is off.
    pub telemetry: Option<Telemetry>,
    /// How unknown users are handled.
    pub unknown: UnknownPolicy,
    pub limits: Limits,
    pub most_bytes: usize,
    pub time: Duration,
}

/// A unique ID: the time, for sorting, and random digits.
pub(super) fn new_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // `RandomState` has new random keys each time.
    let random = RandomState::new().hash_one(now);
    format!("{:012x}{random:016x}", now.as_millis() as u64 & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_one_length() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_id()).collect();
        assert!(ids.len() == 1000 && ids.iter().all(|id| id.len() == 28));
    }
}
