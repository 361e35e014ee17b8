//! The time of `--max-minutes`, which learning rate schedules follow.

use std::time::{Duration, Instant};

/// Until this share of the time is spent, the speed of the run is not known: first steps are slower than the others.
const FIRST_SHARE: f64 = 0.05;

/// The time that a run may take, and how much of it is spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeBudget {
    limit: Duration,
    spent: Duration,
    started: Instant,
}

impl TimeBudget {
    /// `minutes` from now on, of which `spent` seconds have passed; `None` where there is no limit.
    pub fn new(minutes: Option<f64>, spent: f64) -> Option<Self> {
        let limit = Duration::try_from_secs_f64(60. * minutes?).ok()?;
        let spent = Duration::try_from_secs_f64(spent).unwrap_or(Duration::MAX);
        Some(TimeBudget { limit, spent, started: Instant::now() })
    }

    /// Whether all of it is spent.
    pub fn is_spent(&self) -> bool {
        self.elapsed() >= self.limit
    }

    /// The update of `updates` that a schedule is at, after `update` of them: a run that will not finish all of them in time is
    /// as far as its time is, so that the schedule ends with the run. Otherwise `update`, which does not depend on time.
    pub fn scheduled(&self, update: usize, updates: usize) -> usize {
        at(self.elapsed().div_duration_f64(self.limit), update, updates)
    }

    fn elapsed(&self) -> Duration {
        self.spent.saturating_add(self.started.elapsed())
    }
}

fn at(share: f64, update: usize, updates: usize) -> usize {
    if share < FIRST_SHARE { update } else { update.max((share * updates as f64) as usize).min(updates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_follows_the_time_if_the_updates_would_take_longer() {
        // Half of the time for a tenth of the updates.
        assert_eq!(at(0.5, 100, 1000), 500);
        assert_eq!(at(2., 100, 1000), 1000);
        // Fast enough: the time makes no difference.
        assert_eq!(at(0.5, 501, 1000), 501);
        // Not known yet.
        assert_eq!(at(0.04, 1, 1000), 1);
    }

    #[test]
    fn time_of_earlier_processes_counts() {
        assert!(TimeBudget::new(None, 0.).is_none());
        let budget = TimeBudget::new(Some(1.), 60.).unwrap();
        assert!(budget.is_spent());
        assert_eq!(budget.scheduled(3, 10), 10);
        assert!(!TimeBudget::new(Some(1.), 1.).unwrap().is_spent());
    }
}
