//! Two machines, as network namespaces with a cable between them: `make test-network`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::job::{Job, epochs};
use crate::support::{stderr, text};

/// A machine of its own name and network, which lasts as long as its first process.
struct Machine(Child);

impl Machine {
    fn new() -> Self {
        let mut machine = Command::new("unshare");
        let machine = machine.args(["--net", "--uts", "sleep", "1000"]).spawn().expect("util-linux is there");
        let begun = Instant::now();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let network = format!("/proc/{}/ns/net", machine.id());
        while std::fs::read_link(&network).map_or(true, |network| network == own) {
            assert!(begun.elapsed() < Duration::from_secs(10), "no network namespace; is this root?");
            std::thread::sleep(Duration::from_millis(5));
        }
        Machine(machine)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net", "--uts", program]);
        command
    }

    fn run(&self, line: &str) {
        let mut words = line.split(' ');
        let output = self.command(words.next().unwrap()).args(words).output().unwrap();
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two machines with the addresses 10.77.0.1 and 10.77.0.2.
fn machines() -> [Machine; 2] {
    let machines = [Machine::new(), Machine::new()];
    machines[0].run(&format!("ip link add cable type veth peer name cable netns {}", machines[1].0.id()));
    for (number, machine) in machines.iter().enumerate() {
        machine.run(&format!("hostname machine{number}"));
        machine.run(&format!("ip addr add 10.77.0.{}/24 dev cable", number + 1));
        machine.run("ip link set lo up");
        machine.run("ip link set cable up");
    }
    machines
}

fn start(machines: &[Machine; 2], out: &Path, epochs: &str) -> Job {
    let start = |(rank, machine): (usize, &Machine)| {
        machine
            .command(env!("CARGO_BIN_EXE_cresset"))
            .args(["train", "--batch-size", "16", "--peer-timeout", "6", "--checkpoint-minutes", "0.001"])
            .args(["--epochs", epochs, "--out", text(out), "--continue"])
            .envs([("RANK", rank.to_string()), ("LOCAL_RANK", "0".to_string())])
            .envs([("WORLD_SIZE", "2"), ("MASTER_ADDR", "10.77.0.1"), ("MASTER_PORT", "29500")])
            // The names of these machines lead nowhere.
            .env("GLOO_SOCKET_IFNAME", "cable")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    Job::of(machines.iter().enumerate().map(start).collect())
}

#[test]
#[ignore = "needs root and network namespaces: make test-network"]
fn a_disconnected_machine_is_named_and_the_job_resumes_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let machines = machines();
    let mut job = start(&machines, &out, "100000");
    job.wait_until("three epochs", || epochs(&out).len() >= 3);
    machines[1].run("ip link set cable down");
    let outputs = job.end();
    let said: Vec<_> = outputs.iter().map(stderr).collect();
    assert!(outputs.iter().all(|output| output.status.code() == Some(1)), "{said:?}");
    assert!(
        said[0].contains("process 1 of 2 (pid ") && said[0].contains(" on machine1) does not respond"),
        "{}",
        said[0]
    );
    assert!(said[1].contains("process 0 of 2, which hosts the store, is unreachable"), "{}", said[1]);
    assert!(!said.concat().contains("frame #"), "a C++ back trace: {said:?}");

    machines[1].run("ip link set cable up");
    let done = epochs(&out).len();
    start(&machines, &out, &(done + 3).to_string()).succeed();
    assert_eq!(epochs(&out).len(), done + 3);
}
