//! Parallel processing with results in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The results of `of` for all items, in their order, computed on all cores.
pub fn map<T: Sync, R: Send>(items: &[T], of: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Several shares a core, as some items take longer than others.
    let share = items.len().div_ceil(SHARES * cores).max(1);
    if cores == 1 || items.len() < 2 {
        return items.iter().map(of).collect();
    }
    let shares = Mutex::new(items.chunks(share).enumerate());
    let take = || shares.lock().expect("no thread panics while it holds the lock").next();
    let work = || -> Vec<(usize, Vec<R>)> {
        std::iter::from_fn(take).map(|(at, share)| (at, share.iter().map(&of).collect())).collect()
    };
    let mut done: Vec<(usize, Vec<R>)> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        started.into_iter().flat_map(|thread| thread.join().expect("the function does not panic")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

/// The number of shares of the items of [`map`] for each core.
const SHARES: usize = 8;

/// An iterator over the results of a parallel map, in the order of the items. The threads work at most
/// `ahead` items ahead of the consumer, and stop when this is dropped.
pub struct OrderedMap<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    ahead: usize,
}

struct State<T> {
    /// The index of the next item to start.
    next: usize,
    /// The index of the next result to return.
    returned: usize,
    /// The number of items, once the iterator has ended.
    count: Option<usize>,
    /// The thread that is fetching the next item.
    fetching: Option<usize>,
    done: BTreeMap<usize, T>,
    is_stopped: bool,
}

impl<T: Send + 'static> OrderedMap<T> {
    /// Processes `items` in `threads` threads. Free threads fetch items one at a time; `worker` creates the
    /// function that a thread calls for its items.
    pub fn new<I, W>(threads: usize, items: I, ahead: usize, worker: impl Fn() -> W) -> Self
    where
        I: Iterator + Send + 'static,
        W: FnMut(I::Item) -> T + Send + 'static,
    {
        let most = items.size_hint().1.unwrap_or(threads).max(1);
        let state = State {
            next: 0,
            returned: 0,
            count: None,
            fetching: None,
            done: BTreeMap::new(),
            is_stopped: false,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), ahead: ahead.max(1) });
        let items = Arc::new(Mutex::new(items));
        let threads = (0..threads.clamp(1, most)).map(|thread| {
            let (shared, items, work) = (Arc::clone(&shared), Arc::clone(&items), worker());
            std::thread::spawn(move || shared.work(thread, &items, work))
        });
        OrderedMap { threads: threads.collect(), shared }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    fn work<I: Iterator>(&self, thread: usize, items: &Mutex<I>, mut work: impl FnMut(I::Item) -> T) {
        /// Stops all threads if one panics; the consumer would otherwise wait forever for its result.
        struct StopOnPanic<'a, T>(&'a Shared<T>);
        impl<T> Drop for StopOnPanic<'_, T> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.lock().is_stopped = true;
                    self.0.changed.notify_all();
                }
            }
        }
        let _stop_on_panic = StopOnPanic(self);
        while let Some((number, item)) = self.fetch(thread, items) {
            let result = work(item);
            self.lock().done.insert(number, result);
            self.changed.notify_all();
        }
    }

    /// Waits until the next item may start and returns its index and the item; `None` at the end.
    fn fetch<I: Iterator>(&self, thread: usize, items: &Mutex<I>) -> Option<(usize, I::Item)> {
        let mut state = self.lock();
        while !state.is_stopped
            && state.count.is_none()
            && (state.fetching.is_some() || state.next >= state.returned + self.ahead)
        {
            state = self.changed.wait(state).expect("no thread panics while it holds the lock");
        }
        if state.is_stopped || state.count.is_some() {
            return None;
        }
        state.fetching = Some(thread);
        drop(state);
        // The iterator may block, for example on a channel.
        let item = items.lock().expect("a panic in the iterator stops all threads").next();
        let mut state = self.lock();
        state.fetching = None;
        self.changed.notify_all();
        let number = state.next;
        match item {
            Some(item) if !state.is_stopped => {
                state.next += 1;
                Some((number, item))
            }
            Some(_) => None,
            None => {
                state.count = Some(number);
                None
            }
        }
    }
}

impl<T: Send + 'static> Iterator for OrderedMap<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            let number = state.returned;
            if let Some(result) = state.done.remove(&number) {
                state.returned += 1;
                self.shared.changed.notify_all();
                return Some(result);
            }
            if state.count == Some(number) {
                return None;
            }
            if state.is_stopped {
                drop(state);
                panic!("a worker thread panicked");
            }
            state = self.shared.changed.wait(state).expect("no thread panics while it holds the lock");
        }
    }
}

impl<T: Send + 'static> Drop for OrderedMap<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_stopped = true;
        let fetching = state.fetching;
        drop(state);
        self.shared.changed.notify_all();
        for (number, thread) in self.threads.drain(..).enumerate() {
            // A panic has already been reported. A thread blocked in the iterator may never return, so it is
            // not joined.
            if fetching != Some(number) {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_are_in_order() {
        for threads in [1, 4] {
            let work = || {
                |item: usize| {
                    std::thread::sleep(Duration::from_micros((item * 37 % 11) as u64 * 100));
                    item * 2
                }
            };
            let results: Vec<_> = OrderedMap::new(threads, 0..50, 8, work).collect();
            assert_eq!(results, (0..50).map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_do_not_run_far_ahead_and_stop_on_drop() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let mut ordered = OrderedMap::new(3, 0..1000, 5, || {
            let count = Arc::clone(&count);
            move |item| {
                count.fetch_add(1, Ordering::SeqCst);
                item
            }
        });
        assert_eq!(ordered.next(), Some(0));
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.load(Ordering::SeqCst) <= 6);
        drop(ordered);
        assert!(begun.load(Ordering::SeqCst) <= 6);
    }

    #[test]
    #[should_panic(expected = "a worker thread panicked")]
    fn a_panic_in_a_thread_stops_the_iterator() {
        let work = || |item: usize| assert!(item < 3, "piece 3 fails");
        OrderedMap::new(2, 0..10, 4, work).for_each(drop);
    }

    #[test]
    fn received_items_are_processed_while_the_iterator_blocks_and_drop_does_not_wait_for_it() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut ordered = OrderedMap::new(2, receiver.into_iter(), 8, || |item: usize| item * 2);
        for item in 0..3 {
            sender.send(item).unwrap();
            assert_eq!(ordered.next(), Some(item * 2));
        }
        drop(ordered);
        drop(sender);
    }
}
