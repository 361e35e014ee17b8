//! A bounded queue of jobs, taken in batches.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A queue of jobs with a bounded total number of rows, which determines the memory.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    most_rows: usize,
}

struct State<T> {
    jobs: VecDeque<(usize, T)>,
    rows: usize,
    /// Number of threads that wait for a job; others need no wake-up.
    idle: usize,
    is_closed: bool,
}

impl<T> Queue<T> {
    /// An empty queue. A job larger than `most_rows` is accepted only by an empty queue.
    pub fn new(most_rows: usize) -> Self {
        let state = State { jobs: VecDeque::new(), rows: 0, idle: 0, is_closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), most_rows }
    }

    /// Adds a job with `rows` rows; false if the queue is full.
    pub fn push(&self, rows: usize, job: T) -> bool {
        let mut state = self.lock();
        if state.is_closed || (!state.jobs.is_empty() && state.rows + rows > self.most_rows) {
            return false;
        }
        state.rows += rows;
        state.jobs.push_back((rows, job));
        let is_awaited = state.idle > 0;
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        }
        true
    }

    /// Takes the next jobs, with about `rows` rows in total: all in the queue, and those that arrive within `delay`. Blocks while the
    /// queue is empty. `None` once it is closed and empty.
    pub fn take(&self, rows: usize, delay: Duration) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self.wait(state, None);
        }
        let until = (!delay.is_zero()).then(|| Instant::now() + delay);
        while let Some(left) = until.and_then(|until| until.checked_duration_since(Instant::now())) {
            if state.rows >= rows || state.is_closed {
                break;
            }
            state = self.wait(state, Some(left));
        }
        let (mut jobs, mut taken) = (Vec::new(), 0);
        while taken < rows {
            let Some((rows, job)) = state.jobs.pop_front() else { break };
            taken += rows;
            jobs.push(job);
        }
        state.rows -= taken;
        // A thread that was woken for the remaining jobs may be busy by now.
        if !state.jobs.is_empty() && state.idle > 0 {
            self.changed.notify_one();
        }
        Some(jobs)
    }

    /// Closes the queue: no jobs are added, the remaining ones can be taken.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Number of rows in the queue.
    pub fn rows(&self) -> usize {
        self.lock().rows
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        most: Option<Duration>,
    ) -> MutexGuard<'a, State<T>> {
        const SOUND: &str = "no thread panics while it holds the lock";
        state.idle += 1;
        let mut state = match most {
            Some(most) => self.changed.wait_timeout(state, most).expect(SOUND).0,
            None => self.changed.wait(state).expect(SOUND),
        };
        state.idle -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_waits_is_bounded_by_its_rows_and_taken_in_order() {
        let queue = Queue::new(4);
        assert!(queue.push(9, 'a'), "nothing else waits");
        assert!(!queue.push(1, 'b'));
        assert_eq!(queue.take(4, Duration::ZERO), Some(vec!['a']));
        assert!(queue.push(2, 'c') && queue.push(1, 'd') && queue.push(1, 'e') && !queue.push(1, 'f'));
        assert_eq!(queue.take(3, Duration::ZERO), Some(vec!['c', 'd']));
        assert_eq!(queue.rows(), 1);
        queue.close();
        assert!(!queue.push(1, 'g'));
        assert_eq!((queue.take(3, Duration::ZERO), queue.take(3, Duration::ZERO)), (Some(vec!['e']), None));
    }

    #[test]
    fn a_batch_is_waited_for_and_a_full_one_is_not() {
        let queue = Arc::new(Queue::new(100));
        let other = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            let mut taken = Vec::new();
            while let Some(jobs) = other.take(8, Duration::from_secs(600)) {
                taken.push(jobs.len());
            }
            taken
        });
        (0..16).for_each(|number| assert!(queue.push(1, number)));
        while queue.rows() > 0 {
            std::thread::yield_now();
        }
        queue.close();
        assert_eq!(thread.join().unwrap(), [8, 8]);
    }

    #[test]
    fn many_threads_give_out_each_job_once() {
        let queue = Arc::new(Queue::new(usize::MAX));
        let takers = [(); 3].map(|()| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                std::iter::from_fn(|| queue.take(7, Duration::from_micros(50))).flatten().collect::<Vec<_>>()
            })
        });
        (0..10_000).for_each(|number| assert!(queue.push(1, number)));
        queue.close();
        let mut all: Vec<_> = takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
}
