//! Who of the processes is still there, so that an error can name the one that is not.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cresset_bridge::process_group::Board;

/// Every process leaves a sign of life this often.
const BEAT: Duration = Duration::from_secs(1);

/// One that leaves none for so long is gone.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The meeting place answers within this time, or cannot be reached.
const ANSWER: Duration = Duration::from_secs(10);

/// Where the reason stands for which the job fails: the first one that a process found.
const REASON: &str = "reason";

/// Leaves this process's signs of life, and reads those of the others.
pub(super) struct Watch {
    board: Arc<Mutex<Board>>,
    /// The reason, once it was seen: the meeting place may be gone when it is asked for.
    reason: Arc<Mutex<Option<String>>>,
    rank: u32,
    size: u32,
    /// The process that keeps the meeting place, if it is one of them.
    keeper: Option<u32>,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to leave signs of life.
    pub fn begin(board: Board, rank: u32, size: u32, keeper: Option<u32>) -> Self {
        let (board, reason) = (Arc::new(Mutex::new(board)), Arc::default());
        let (end, ended) = mpsc::channel();
        let (signs, seen) = (Arc::clone(&board), Arc::clone(&reason));
        let thread = std::thread::spawn(move || {
            let who = format!("pid {} on {}", std::process::id(), machine());
            for beat in 0u64.. {
                // Where the meeting place is gone, the next thing that is done together fails, and says so.
                let _ = lock(&signs).set(&sign(rank), &format!("{beat} {who}"));
                if let Ok(Some(reason)) = lock(&signs).get(REASON) {
                    *lock(&seen) = Some(reason);
                }
                if ended.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Watch { board, reason, rank, size, keeper, end: Some(end), thread: Some(thread) }
    }

    /// Tells the others why this process ends.
    pub fn say(&self, error: &str) {
        let reason = format!("process {} of {} failed: {error}", self.rank, self.size);
        let board = Arc::clone(&self.board);
        let _ = within(ANSWER, move || leave_reason(&lock(&board), reason));
    }

    /// Waits where the meeting place ends with this process, because the others look there for the reason.
    pub fn stay_for_others(&self) {
        if self.keeper == Some(self.rank) {
            std::thread::sleep(2 * PATIENCE);
        }
    }

    /// Why the others fail: what a process said that ended, or which ones give no sign of life. None if nothing is wrong
    /// with any of them.
    pub fn account(&self) -> Option<String> {
        let (board, rank, size) = (Arc::clone(&self.board), self.rank, self.size);
        let found = within(ANSWER, move || account(&board, rank, size)).flatten();
        let seen = lock(&self.reason).clone().map(Some);
        seen.or(found).unwrap_or_else(|| {
            Some(match self.keeper {
                Some(keeper) => format!(
                    "process {keeper} of {size}, where the others meet, cannot be reached: it ended or was killed, or its \
                     machine cannot be reached"
                ),
                None => "the place where the processes meet cannot be reached from here".to_string(),
            })
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end = None;
        // A thread that waits for a meeting place out of reach would be waited for in vain.
        if self.board.try_lock().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// What is wrong with the others, if anything; none where the meeting place cannot be reached.
fn account(board: &Mutex<Board>, rank: u32, size: u32) -> Option<Option<String>> {
    if let Some(reason) = lock(board).get(REASON).ok()? {
        return Some(Some(reason));
    }
    let others: Vec<u32> = (0..size).filter(|other| *other != rank).collect();
    let signs = || {
        let texts = others.iter().map(|other| lock(board).get(&sign(*other)));
        texts.collect::<Result<Vec<_>, _>>().ok()
    };
    let before = signs()?;
    std::thread::sleep(PATIENCE);
    let after = signs()?;
    let silent = others.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before == after);
    let silent: Vec<_> = silent.map(|(other, (_, sign))| described(*other, size, sign.as_deref())).collect();
    if !silent.is_empty() {
        leave_reason(&lock(board), silent.join("; "))?;
    }
    lock(board).get(REASON).ok()
}

/// Leaves a reason, unless there is one: what follows from the first one is none.
fn leave_reason(board: &Board, reason: String) -> Option<()> {
    if board.get(REASON).ok()?.is_none() {
        board.set(REASON, &reason).ok()?;
    }
    Some(())
}

fn described(rank: u32, size: u32, sign: Option<&str>) -> String {
    let who =
        sign.and_then(|sign| sign.split_once(' ')).map_or(String::new(), |(_, who)| format!(" ({who})"));
    format!(
        "process {rank} of {size}{who} gives no sign of life: it was killed, or its machine cannot be reached"
    )
}

fn sign(rank: u32) -> String {
    format!("sign/{rank}")
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a machine without a name".to_string() } else { name.trim().to_string() }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What `work` gives, or nothing if it takes longer.
fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(work());
    });
    result.recv_timeout(time).ok()
}
