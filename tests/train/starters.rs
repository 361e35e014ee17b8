//! Jobs under the programs that start them on clusters: Open MPI's and MPICH's mpirun, and SLURM. `make test-network`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::job::{epochs, free_port};
use crate::support::{root, stderr, text};

/// Both processes have trained one run: a batch of the two together, and one of them speaks.
fn two_trained(output: &Output, run: &Path) {
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", stderr(output));
    assert_eq!(printed.matches("; 2 processes, global batch size 64").count(), 1, "{printed}");
    assert_eq!(epochs(run), ["1", "2"]);
}

fn mpirun(program: &str, options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let job = Command::new(program)
        .args(options)
        .args(["-n", "2", env!("CARGO_BIN_EXE_cresset")])
        .args(["train", "--threads", "1", "--epochs", "2", "--out", text(&run)])
        .output()
        .expect("the package openmpi-bin or mpich is installed");
    two_trained(&job, &run);
}

#[test]
#[ignore = "needs Open MPI: make test-network"]
fn open_mpi_launches_a_job() {
    mpirun("mpirun.openmpi", &["--allow-run-as-root", "--oversubscribe"]);
}

#[test]
#[ignore = "needs MPICH: make test-network"]
fn mpich_launches_a_job() {
    mpirun("mpirun.mpich", &[]);
}

/// A cluster of one node, this machine, whose daemons and files are its own.
struct Slurm {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Slurm {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        // SLURM knows machines by the first part of their names.
        let host = host.trim().split('.').next().unwrap();
        let path = text(folder.path()).to_string();
        for name in ["state", "spool"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut config = String::new();
        for (key, value) in [
            ("ClusterName", "one".to_string()),
            ("SlurmctldHost", format!("{host}(127.0.0.1)")),
            ("SlurmUser", "root".to_string()),
            ("AuthType", "auth/munge".to_string()),
            ("AuthInfo", format!("socket={path}/munge.socket")),
            ("CredType", "cred/munge".to_string()),
            ("SlurmctldPort", free_port().to_string()),
            ("SlurmdPort", free_port().to_string()),
            ("SlurmctldPidFile", format!("{path}/slurmctld.pid")),
            ("SlurmdPidFile", format!("{path}/slurmd.pid")),
            ("StateSaveLocation", format!("{path}/state")),
            ("SlurmdSpoolDir", format!("{path}/spool")),
            ("ProctrackType", "proctrack/linuxproc".to_string()),
            ("TaskPlugin", "task/none".to_string()),
            ("MpiDefault", "none".to_string()),
            ("NodeName", format!("{host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN")),
            ("PartitionName", "all Nodes=ALL Default=YES MaxTime=INFINITE State=UP".to_string()),
        ] {
            writeln!(config, "{key}={value}").unwrap();
        }
        std::fs::write(folder.path().join("slurm.conf"), config).unwrap();
        std::fs::write(folder.path().join("munge.key"), [7; 128]).unwrap();
        // Munge and SLURM refuse files that others may write or read.
        let closed = Command::new("chmod").args(["-R", "go=", &path]).status().unwrap();
        assert!(closed.success());
        let opened = Command::new("chmod").args(["711", &path]).status().unwrap();
        assert!(opened.success());

        let mut slurm = Slurm { folder, daemons: Vec::new() };
        let own = |name: &str| format!("--{name}={path}/munge.{}", name.trim_end_matches("-file"));
        let files = ["socket", "key-file", "pid-file", "seed-file", "log-file"].map(own);
        slurm.daemon(Command::new("munged").args(["--foreground", "--force"]).args(files));
        slurm.until("munge's socket", || Path::new(&format!("{path}/munge.socket")).exists());
        slurm.daemon(Command::new("slurmctld").args(["-D", "-c"]));
        slurm.daemon(Command::new("slurmd").args(["-D", "-c"]));
        slurm.until("the node", || slurm.says("sinfo", &["-h", "-o", "%t"]).trim() == "idle");
        slurm
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn daemon(&mut self, command: &mut Command) {
        let command = command.env("SLURM_CONF", self.config()).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(command.spawn().expect("the packages munge and slurm-wlm are installed"));
    }

    /// One of SLURM's commands, run in the cluster's folder.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.config()).current_dir(self.folder.path());
        command
    }

    /// What one of SLURM's commands prints.
    fn says(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn until(&self, what: &str, is_there: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_there() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // Asked, so that slurmd ends what it started.
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
    }
}

/// The batch script that docs/scale.md shows, with the machine and the data of this test.
fn batch_script(run_options: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/scale.md")).unwrap();
    let (_, rest) = page.split_once("### SLURM\n\n```sh\n").unwrap();
    let shown = rest.split("\n```").next().unwrap();
    // The recipe would stop the job early.
    let run_options = format!("--recipe none {run_options}");
    let mut script = String::new();
    let (from, to) = (shown.find("srun cresset").unwrap(), shown.find("--out ").unwrap());
    for line in shown[..from].lines() {
        match line.starts_with("#SBATCH --nodes") {
            true => script += "#SBATCH --nodes 1 --ntasks-per-node 2\n",
            false => writeln!(script, "{line}").unwrap(),
        }
    }
    let data = root().join("data/digits.csv");
    let program = env!("CARGO_BIN_EXE_cresset");
    write!(script, "srun {program} train --data {} --threads 1 {run_options} ", text(&data)).unwrap();
    script + &shown[to..] + "\n"
}

#[test]
#[ignore = "needs SLURM, and to be root: make test-network"]
fn slurm_launches_and_resumes_a_job() {
    let slurm = Slurm::start();
    let run = slurm.folder.path().join("step");
    let step = slurm
        .command("srun")
        .args(["-n", "2", env!("CARGO_BIN_EXE_cresset"), "train", "--threads", "1", "--epochs", "2"])
        .args(["--recipe", "none", "--data", text(&root().join("data/digits.csv")), "--out", text(&run)])
        .output()
        .unwrap();
    two_trained(&step, &run);

    let script = slurm.folder.path().join("job.sh");
    std::fs::write(&script, batch_script("--epochs 400")).unwrap();
    let job = slurm.says("sbatch", &["--parsable", "--job-name", "photos", text(&script)]);
    let job = job.trim();
    let run = slurm.folder.path().join("runs/photos");
    let printed = slurm.folder.path().join(format!("slurm-{job}.out"));
    slurm.until("three epochs", || epochs(&run).len() >= 3);
    // What SLURM does two minutes before the time is up.
    slurm.says("scancel", &["--signal", "TERM", job]);
    slurm.until("the queue", || slurm.says("squeue", &["-h", "-o", "%t"]).trim() == "PD");
    let stopped = epochs(&run).len();
    assert!(stopped < 400, "the job was done before it could be stopped");
    slurm.says("scontrol", &["update", &format!("JobId={job}"), "StartTime=now"]);
    slurm.until("the end", || slurm.says("squeue", &["-h"]).trim().is_empty());
    let printed = std::fs::read_to_string(printed).unwrap();
    assert_eq!(epochs(&run).len(), 400, "{printed}");
    assert_eq!(printed.matches("interrupted in epoch").count(), 1, "{printed}");
    assert!(run.join("model.pt").is_file(), "{printed}");
}
