//! Work in threads whose results come in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The results of pieces of work, in the order of the pieces. Threads work ahead of what is taken, by at most so many
/// pieces, and end when this is dropped.
pub struct Ordered<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    ahead: usize,
}

struct State<T> {
    /// The number of the piece that is to be begun next.
    next: usize,
    /// The number of the piece whose result is to be taken next.
    taken: usize,
    /// The number of all pieces, once the last is known.
    count: Option<usize>,
    /// The thread that is asking for the next piece.
    asking: Option<usize>,
    done: BTreeMap<usize, T>,
    is_over: bool,
}

impl<T: Send + 'static> Ordered<T> {
    /// Does the `pieces` in `threads` threads. They ask for a piece when they are free, one thread at a time; each calls what
    /// `worker` made for it.
    pub fn new<I, W>(threads: usize, pieces: I, ahead: usize, worker: impl Fn() -> W) -> Self
    where
        I: Iterator + Send + 'static,
        W: FnMut(I::Item) -> T + Send + 'static,
    {
        let most = pieces.size_hint().1.unwrap_or(threads).max(1);
        let state =
            State { next: 0, taken: 0, count: None, asking: None, done: BTreeMap::new(), is_over: false };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), ahead: ahead.max(1) });
        let pieces = Arc::new(Mutex::new(pieces));
        let threads = (0..threads.clamp(1, most)).map(|thread| {
            let (shared, pieces, work) = (Arc::clone(&shared), Arc::clone(&pieces), worker());
            std::thread::spawn(move || shared.work(thread, &pieces, work))
        });
        Ordered { threads: threads.collect(), shared }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    fn work<I: Iterator>(&self, thread: usize, pieces: &Mutex<I>, mut work: impl FnMut(I::Item) -> T) {
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
        while let Some((number, piece)) = self.ask(thread, pieces) {
            let result = work(piece);
            self.lock().done.insert(number, result);
            self.changed.notify_all();
        }
    }

    /// The next piece and its number, when it is time to begin it; none if there is none left.
    fn ask<I: Iterator>(&self, thread: usize, pieces: &Mutex<I>) -> Option<(usize, I::Item)> {
        let mut state = self.lock();
        while !state.is_over
            && state.count.is_none()
            && (state.asking.is_some() || state.next >= state.taken + self.ahead)
        {
            state = self.changed.wait(state).expect("no thread panics while it holds the lock");
        }
        if state.is_over || state.count.is_some() {
            return None;
        }
        state.asking = Some(thread);
        drop(state);
        // This may take long: a piece may have to come in first.
        let piece = pieces.lock().expect("whoever panics while it asks ends the work of all").next();
        let mut state = self.lock();
        state.asking = None;
        self.changed.notify_all();
        let number = state.next;
        match piece {
            Some(piece) if !state.is_over => {
                state.next += 1;
                Some((number, piece))
            }
            Some(_) => None,
            None => {
                state.count = Some(number);
                None
            }
        }
    }
}

impl<T: Send + 'static> Iterator for Ordered<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            let number = state.taken;
            if let Some(result) = state.done.remove(&number) {
                state.taken += 1;
                self.shared.changed.notify_all();
                return Some(result);
            }
            if state.count == Some(number) {
                return None;
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
        let mut state = self.shared.lock();
        state.is_over = true;
        let asking = state.asking;
        drop(state);
        self.shared.changed.notify_all();
        for (number, thread) in self.threads.drain(..).enumerate() {
            // A thread that panicked has said so already. One that waits for a piece to come in may do so for ever.
            if asking != Some(number) {
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
    fn results_come_in_order_whatever_each_takes() {
        for threads in [1, 4] {
            let work = || {
                |piece: usize| {
                    std::thread::sleep(Duration::from_micros((piece * 37 % 11) as u64 * 100));
                    piece * 2
                }
            };
            let results: Vec<_> = Ordered::new(threads, 0..50, 8, work).collect();
            assert_eq!(results, (0..50).map(|piece| piece * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_do_not_run_far_ahead_and_end_when_nobody_waits() {
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let mut ordered = Ordered::new(3, 0..1000, 5, || {
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
        Ordered::new(2, 0..10, 4, work).for_each(drop);
    }

    #[test]
    fn what_has_come_in_is_done_while_the_next_piece_is_waited_for_and_nobody_waits_for_it_at_the_end() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut ordered = Ordered::new(2, receiver.into_iter(), 8, || |piece: usize| piece * 2);
        for piece in 0..3 {
            sender.send(piece).unwrap();
            assert_eq!(ordered.next(), Some(piece * 2));
        }
        drop(ordered);
        drop(sender);
    }
}
