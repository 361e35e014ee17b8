//! Jobs that torchrun starts, and groups with Python processes in them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cresset::distributed::{LaunchInfo, World};
use tch::Tensor;

use crate::support::job::{Job, epochs, free_port};
use crate::support::{stderr, text};

/// torchrun, which stands beside Python.
fn torchrun(options: &[&str], out: &Path, epochs: usize) -> Command {
    let python =
        PathBuf::from(std::env::var("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON"));
    let mut command = Command::new(python.with_file_name("torchrun"));
    command.args(options).args(["--no-python", env!("CARGO_BIN_EXE_cresset"), "train", "--batch-size", "16"]);
    command.args(["--epochs", &epochs.to_string(), "--checkpoint-minutes", "0.001", "--out", text(out)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The processes of this run, whose command lines name its folder, by their ids.
fn workers(run: &Path) -> Vec<String> {
    let pattern = format!("release/cresset train .*{}", text(run));
    let found = Command::new("pgrep").args(["-f", &pattern]).output().unwrap();
    let own = std::process::id().to_string();
    let name = |id: &&str| std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    let ids = String::from_utf8(found.stdout).unwrap();
    ids.lines().filter(|id| name(id).trim() == "cresset" && **id != own).map(str::to_string).collect()
}

fn kill(id: &str) {
    assert!(Command::new("kill").args(["-KILL", id]).status().unwrap().success());
}

fn assert_complete(run: &Path, count: usize) {
    assert_eq!(epochs(run), (1..=count).map(|epoch| epoch.to_string()).collect::<Vec<_>>());
    assert!(run.join("model.pt").is_file());
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn a_job_with_a_killed_process_is_restarted_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let options = ["--standalone", "--nproc-per-node", "2", "--max-restarts", "1"];
    let mut job = Job::of(vec![torchrun(&options, &out, 60).spawn().unwrap()]);
    job.wait_until("three epochs", || epochs(&out).len() >= 3);
    kill(workers(&out).last().expect("the job runs"));
    job.succeed();
    assert_complete(&out, 60);
}

/// Three agents, of which one and its process go; the two that are left go on from the last checkpoint.
#[test]
#[ignore = "needs Python torch: make test-python"]
fn an_elastic_job_continues_with_fewer_processes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let endpoint = format!("127.0.0.1:{}", free_port());
    let options = [
        "--nnodes",
        "1:3",
        "--nproc-per-node",
        "1",
        "--max-restarts",
        "3",
        "--rdzv-backend",
        "c10d",
        "--rdzv-id",
        "elastic",
        "--rdzv-endpoint",
        &endpoint,
        "--rdzv-conf",
        "last_call_timeout=5,keep_alive_interval=1,keep_alive_max_attempt=4",
        "--local-addr",
        "127.0.0.1",
    ];
    let start = || torchrun(&options, &out, 300).spawn().unwrap();
    let mut agents: Vec<Child> = vec![start()];
    std::thread::sleep(Duration::from_secs(1));
    agents.push(start());
    let mut lost = start();
    let mut job = Job::of(agents);
    job.wait_until("three epochs", || epochs(&out).len() >= 3);
    assert_eq!(workers(&out).len(), 3);
    let workers_of_lost = Command::new("pgrep").args(["-P", &lost.id().to_string()]).output().unwrap();
    kill(&lost.id().to_string());
    String::from_utf8(workers_of_lost.stdout).unwrap().lines().for_each(kill);
    lost.wait().unwrap();
    // On a machine that stands still for seconds, one agent may come back when the other has finished the job: torchrun
    // then tells it that the rendezvous is closed.
    let ended = job.end();
    let said = || ended.iter().map(stderr).collect::<Vec<_>>().join("\n");
    assert!(ended.iter().any(|agent| agent.status.success()), "{}", said());
    let came_late = |agent: &Output| stderr(agent).contains("RendezvousClosedError");
    assert!(ended.iter().all(|agent| agent.status.success() || came_late(agent)), "{}", said());
    assert_complete(&out, 300);
}

#[test]
#[ignore = "needs Python torch: make test-python"]
fn a_python_process_joins_the_process_group() {
    let port = free_port();
    let script = r#"
import os, torch, torch.distributed as dist
dist.init_process_group("gloo", rank=1, world_size=2, init_method="env://")
values = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
dist.all_reduce(values, op=dist.ReduceOp.MAX)
total = torch.tensor([10, 20])
dist.all_reduce(total)
print(values.tolist(), total.tolist())
dist.destroy_process_group()
"#;
    let python = std::env::var("CRESSET_PYTHON").expect("`make test-python` sets CRESSET_PYTHON");
    let peer = Command::new(python)
        .args(["-c", script])
        .envs([("MASTER_ADDR", "127.0.0.1".to_string()), ("MASTER_PORT", port.to_string())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let place = LaunchInfo {
        rank: 0,
        size: 2,
        local_rank: 0,
        local_size: 2,
        host: "127.0.0.1".into(),
        port,
        launcher_hosts_store: false,
        restarts: 0,
        max_restarts: 0,
    };
    let world = World::join(place, Duration::from_secs(60)).unwrap();
    assert_eq!(world.all_reduce_max(&[3., 2., 1.]).unwrap(), [3., 2., 3.]);
    let mut total = Tensor::from_slice(&[1i64, 2]);
    world.all_reduce_sum(&mut total).unwrap();
    assert_eq!(Vec::<i64>::try_from(total).unwrap(), [11, 22]);
    let output = peer.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "[3.0, 2.0, 3.0] [11, 22]");
}
