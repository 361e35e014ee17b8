//! A job of several processes on this machine, started as torchrun starts them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use super::cresset;

/// Processes that run.
pub struct Job(Vec<Child>);

impl Job {
    /// Processes that were started in another way.
    pub fn of(processes: Vec<Child>) -> Self {
        Job(processes)
    }

    /// Starts so many processes, each with the arguments that `arguments` gives for its rank.
    pub fn start_each(processes: usize, arguments: impl Fn(usize) -> Vec<String>) -> Self {
        Job::start_on(processes, |rank| (rank, processes), arguments)
    }

    /// The same with the local rank and the local world size that `local` gives for each rank.
    pub fn start_on(
        processes: usize,
        local: impl Fn(usize) -> (usize, usize),
        arguments: impl Fn(usize) -> Vec<String>,
    ) -> Self {
        let port = free_port();
        let start = |rank: usize| {
            let mut command = cresset();
            command.args(arguments(rank)).stdout(Stdio::piped()).stderr(Stdio::piped());
            for (name, value) in [
                ("RANK", rank),
                ("LOCAL_RANK", local(rank).0),
                ("WORLD_SIZE", processes),
                ("LOCAL_WORLD_SIZE", local(rank).1),
                ("MASTER_PORT", usize::from(port)),
            ] {
                command.env(name, value.to_string());
            }
            command.env("MASTER_ADDR", "127.0.0.1").spawn().expect("cresset starts")
        };
        Job((0..processes).map(start).collect())
    }

    /// The same with the same arguments for all.
    pub fn start(processes: usize, arguments: &[&str]) -> Self {
        Job::start_each(processes, |_| arguments.iter().map(|argument| argument.to_string()).collect())
    }

    /// Sends a signal to the process of this rank.
    pub fn send(&self, signal: &str, rank: usize) {
        send(signal, &self.0[rank]);
    }

    /// Waits until `is_there` holds, which the processes reach in a while.
    pub fn wait_until(&mut self, what: &str, is_there: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            assert!(begun.elapsed() < Duration::from_secs(120), "{what} never came");
            let ended = self.0.iter_mut().any(|child| child.try_wait().unwrap().is_some());
            assert!(!ended || is_there(), "a process ended before {what} came");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the processes leave when they have all ended.
    pub fn end(self) -> Vec<Output> {
        // At once, because one whose output nobody reads waits for that.
        let waiting =
            self.0.into_iter().map(|child| std::thread::spawn(|| child.wait_with_output().unwrap()));
        let waiting: Vec<_> = waiting.collect();
        waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    /// The same, where all must end well.
    pub fn succeed(self) -> Vec<Output> {
        let outputs = self.end();
        // What one says of its end often has its cause in another.
        let all = || {
            let said = |(rank, output)| format!("process {rank}: {}", super::stderr(output));
            outputs.iter().enumerate().map(said).collect::<Vec<_>>().join("\n")
        };
        assert!(outputs.iter().all(|output| output.status.success()), "{}", all());
        outputs
    }
}

/// Sends a signal to a process.
pub fn send(signal: &str, child: &Child) {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Kills a process and waits for its end; says whether it was still under way, which the fastest are not.
pub fn kill(child: &mut Child) -> bool {
    // One that was waited for has no number any more that a signal could be sent to.
    let was_under_way = child.try_wait().unwrap().is_none();
    if was_under_way {
        send("-KILL", child);
        child.wait().unwrap();
    }
    was_under_way
}

/// Waits until `path` exists, which a process reaches in a moment.
pub fn wait_for(path: &Path, child: &mut Child) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        assert!(child.try_wait().unwrap().is_none(), "the process ended before {} came", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The epochs that stand in a run's metrics.csv, none while there is no such file.
pub fn epochs(run: &Path) -> Vec<String> {
    let metrics = std::fs::read_to_string(run.join("metrics.csv")).unwrap_or_default();
    metrics.lines().skip(1).map(|line| line.split(',').next().unwrap().to_string()).collect()
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
