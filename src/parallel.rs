//! Work in threads whose results come in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The results of numbered pieces of work, in the order of their numbers. Threads work ahead of what is taken, by at most
/// so many pieces, and end when this is dropped.
pub struct Ordered<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
    count: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    ahead: usize,
}

struct State<T> {
    /// The piece that is to be begun next.
    next: usize,
    /// The piece whose result is to be taken next.
    taken: usize,
    done: BTreeMap<usize, T>,
    is_over: bool,
}

impl<T: Send + 'static> Ordered<T> {
    /// Does the pieces 0 to `count` in `threads` threads. Each thread calls what `worker` made for it.
    pub fn new<W>(threads: usize, count: usize, ahead: usize, worker: impl Fn() -> W) -> Self
    where
        W: FnMut(usize) -> T + Send + 'static,
    {
        let state = State { next: 0, taken: 0, done: BTreeMap::new(), is_over: false };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), ahead: ahead.max(1) });
        let threads = (0..threads.clamp(1, count.max(1))).map(|_| {
            let (shared, work) = (Arc::clone(&shared), worker());
            std::thread::spawn(move || shared.work(count, work))
        });
        Ordered { threads: threads.collect(), shared, count }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    fn work(&self, count: usize, mut work: impl FnMut(usize) -> T) {
        /// A thread that panics ends the work of all, or whoever waits for its result would wait for ever.
        struct OnPanic<'a, T>(&'a Shared<T>);
        impl<T> Drop for OnPanic<'_, T> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.lock().is_over = true;
                    self.0.changed.notify_all();
                }
            }
        }
        let _on_panic = OnPanic(self);
        loop {
            let mut state = self.lock();
            while !state.is_over && state.next < count && state.next >= state.taken + self.ahead {
                state = self.changed.wait(state).expect("no thread panics while it holds the lock");
            }
            if state.is_over || state.next >= count {
                return;
            }
            let piece = state.next;
            state.next += 1;
            drop(state);
            let result = work(piece);
            self.lock().done.insert(piece, result);
            self.changed.notify_all();
        }
    }
}

impl<T: Send + 'static> Iterator for Ordered<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        if state.taken >= self.count {
            return None;
        }
        loop {
            let piece = state.taken;
            if let Some(result) = state.done.remove(&piece) {
                state.taken += 1;
                self.shared.changed.notify_all();
                return Some(result);
            }
            if state.is_over {
                drop(state);
                panic!("a working thread panicked");
            }
            state = self.shared.changed.wait(state).expect("no thread panics while it holds the lock");
        }
    }
}

impl<T: Send + 'static> Drop for Ordered<T> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_come_in_order_whatever_each_takes() {
        for threads in [1, 4] {
            let work = || {
                |piece: usize| {
                    std::thread::sleep(Duration::from_micros((piece * 37 % 11) as u64 * 100));
                    piece * 2
                }
            };
            let results: Vec<_> = Ordered::new(threads, 50, 8, work).collect();
            assert_eq!(results, (0..50).map(|piece| piece * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_do_not_run_far_ahead_and_end_when_nobody_waits() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let mut ordered = Ordered::new(3, 1000, 5, || {
            let count = Arc::clone(&count);
            move |piece| {
                count.fetch_add(1, Ordering::SeqCst);
                piece
            }
        });
        assert_eq!(ordered.next(), Some(0));
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.load(Ordering::SeqCst) <= 6);
        drop(ordered);
        assert!(begun.load(Ordering::SeqCst) <= 6);
    }

    #[test]
    #[should_panic(expected = "a working thread panicked")]
    fn a_panic_in_a_thread_is_not_waited_for() {
        let work = || |piece: usize| assert!(piece < 3, "piece 3 fails");
        Ordered::new(2, 10, 4, work).for_each(drop);
    }
}
