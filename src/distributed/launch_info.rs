//! Rank, world size and rendezvous address from the environment variables of the launcher: torchrun, SLURM, Open MPI, MPICH or
//! Intel MPI.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::hosts::first_host;
use crate::error::{Error, Result};

/// The rank of a process in a job, and the rendezvous.
///
/// ```
/// use cresset::distributed::LaunchInfo;
///
/// // Without `torchrun`, `srun` or `mpirun`, there is nothing to join.
/// assert_eq!(LaunchInfo::from_environment()?, None);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchInfo {
    /// Rank, from 0.
    pub rank: u32,
    /// World size.
    pub size: u32,
    /// Local rank on this machine, from 0.
    pub local_rank: u32,
    /// Local world size on this machine.
    pub local_size: u32,
    /// Host of the rendezvous.
    pub host: String,
    /// Port of the rendezvous.
    pub port: u16,
    /// Whether the launcher hosts the store, rather than rank 0.
    pub launcher_hosts_store: bool,
    /// How often the launcher has restarted the job.
    pub restarts: u32,
    /// Maximum number of restarts.
    pub max_restarts: u32,
}

/// Looks up an environment variable.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment variables of a launcher.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    size: &'static str,
    local_rank: &'static [&'static str],
    local_size: fn(Variables) -> Option<u32>,
    host: fn(Variables) -> Option<String>,
    /// Variables that identify the job.
    job: &'static [&'static str],
}

/// Launchers in the order of detection: `srun` may set MPI's variables too.
const LAUNCHERS: [Launcher; 4] = [
    Launcher {
        name: "torchrun",
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: &["LOCAL_RANK"],
        local_size: |get| number(get, "LOCAL_WORLD_SIZE"),
        host: |_| None,
        job: &[],
    },
    // A job step of srun. The script of a batch job, which is a single process, has no SLURM_STEP_NUM_TASKS.
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        size: "SLURM_STEP_NUM_TASKS",
        local_rank: &["SLURM_LOCALID"],
        local_size: slurm_local_size,
        host: |get| first_host(&get("SLURM_STEP_NODELIST").or_else(|| get("SLURM_JOB_NODELIST"))?),
        job: &["SLURM_JOB_ID", "SLURM_STEP_ID"],
    },
    Launcher {
        name: "mpirun (Open MPI)",
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: &["OMPI_COMM_WORLD_LOCAL_RANK"],
        local_size: |get| number(get, "OMPI_COMM_WORLD_LOCAL_SIZE"),
        host: |get| alone_on_machine(get, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        job: &["OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE"],
    },
    Launcher {
        name: "mpirun (MPICH, Intel MPI)",
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local_rank: &["MPI_LOCALRANKID"],
        local_size: |get| number(get, "MPI_LOCALNRANKS"),
        host: |get| alone_on_machine(get, "PMI_SIZE", "MPI_LOCALNRANKS"),
        job: &["PMI_ID", "HYDI_CONTROL_FD"],
    },
];

/// The first port for jobs without MASTER_PORT, and the number of ports.
const PORTS: (u16, u16) = (20_000, 12_000);

impl LaunchInfo {
    /// Reads the environment variables of the launcher. None without a launcher.
    ///
    /// # Errors
    /// Contradictory variables, and values that are not numbers.
    pub fn from_environment() -> Result<Option<Self>> {
        LaunchInfo::find(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn find(get: Variables) -> Result<Option<Self>> {
        let found =
            LAUNCHERS.iter().find(|launcher| get(launcher.rank).is_some() && get(launcher.size).is_some());
        let Some(launcher) = found else { return Ok(None) };
        let whole = |name: &str| match get(name) {
            Some(text) => text.parse::<u32>().map(Some).map_err(|_| invalid(launcher, name, &text)),
            None => Ok(None),
        };
        let (rank, size) = (whole(launcher.rank)?.unwrap_or(0), whole(launcher.size)?.unwrap_or(1));
        if rank >= size {
            return Err(invalid(
                launcher,
                launcher.rank,
                &format!("{rank} where {} is {size}", launcher.size),
            ));
        }
        let host = get("MASTER_ADDR").or_else(|| (launcher.host)(get));
        if host.is_none() && size > 1 {
            return Err(Error::Usage(format!(
                "{} started {size} processes without a rendezvous address; set MASTER_ADDR to the host name of process 0 (and \
                 MASTER_PORT to a free port there)",
                launcher.name
            )));
        }
        let port = match get("MASTER_PORT") {
            Some(text) => text.parse().map_err(|_| invalid(launcher, "MASTER_PORT", &text))?,
            None => port_of(launcher.job.iter().filter_map(|name| get(name))),
        };
        let local_rank = launcher.local_rank.iter().find_map(|name| number(get, name)).unwrap_or(0);
        Ok(Some(LaunchInfo {
            rank,
            size,
            local_rank,
            local_size: (launcher.local_size)(get).unwrap_or(1).max(local_rank + 1),
            host: host.unwrap_or_default(),
            port,
            launcher_hosts_store: get("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
            restarts: whole("TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0),
            max_restarts: whole("TORCHELASTIC_MAX_RESTARTS")?.unwrap_or(0),
        }))
    }
}

fn number(get: Variables, name: &str) -> Option<u32> {
    get(name)?.parse().ok()
}

fn invalid(launcher: &Launcher, name: &str, value: &str) -> Error {
    Error::Usage(format!(
        "the environment variable {name}, set by {}, has the invalid value `{value}`; unset it to train in a single process",
        launcher.name
    ))
}

/// The local host, if all processes are on one machine.
fn alone_on_machine(get: Variables, size: &str, local_size: &str) -> Option<String> {
    (number(get, size)? == number(get, local_size)?).then(|| "127.0.0.1".to_string())
}

/// The number of tasks on this node, from a list such as `2(x3),1` (2, 2, 2 and 1 tasks) and the index of the node.
fn slurm_local_size(get: Variables) -> Option<u32> {
    let (counts, mut node) = (get("SLURM_STEP_TASKS_PER_NODE")?, number(get, "SLURM_NODEID")?);
    for group in counts.split(',') {
        let (tasks, times) = match group.split_once("(x") {
            Some((tasks, times)) => (tasks, times.trim_end_matches(')').parse().ok()?),
            None => (group, 1),
        };
        if node < times {
            return tasks.parse().ok();
        }
        node -= times;
    }
    None
}

/// A port that is the same for all processes of a job, and very likely different for other jobs.
fn port_of(job: impl Iterator<Item = String>) -> u16 {
    let mut hasher = DefaultHasher::new();
    job.for_each(|part| part.hash(&mut hasher));
    PORTS.0 + (hasher.finish() % u64::from(PORTS.1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<LaunchInfo>> {
        LaunchInfo::find(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        })
    }

    fn launch(variables: &[(&str, &str)]) -> LaunchInfo {
        found(variables).unwrap().unwrap()
    }

    #[test]
    fn without_a_launcher_there_is_none() {
        assert_eq!(found(&[]).unwrap(), None);
        // The script of a SLURM batch job.
        assert_eq!(found(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(), None);
    }

    #[test]
    fn torchrun_sets_all_variables() {
        let launch = launch(&[
            ("RANK", "3"),
            ("WORLD_SIZE", "4"),
            ("LOCAL_RANK", "1"),
            ("LOCAL_WORLD_SIZE", "2"),
            ("MASTER_ADDR", "node0"),
            ("MASTER_PORT", "29500"),
            ("TORCHELASTIC_USE_AGENT_STORE", "True"),
            ("TORCHELASTIC_RESTART_COUNT", "1"),
            ("TORCHELASTIC_MAX_RESTARTS", "3"),
        ]);
        let expected = LaunchInfo {
            rank: 3,
            size: 4,
            local_rank: 1,
            local_size: 2,
            host: "node0".into(),
            port: 29500,
            launcher_hosts_store: true,
            restarts: 1,
            max_restarts: 3,
        };
        assert_eq!(launch, expected);
    }

    #[test]
    fn a_slurm_step_uses_its_first_node_and_a_port_per_job() {
        let step = |job: &'static str| {
            launch(&[
                ("SLURM_PROCID", "5"),
                ("SLURM_STEP_NUM_TASKS", "7"),
                ("SLURM_LOCALID", "1"),
                ("SLURM_NODEID", "2"),
                ("SLURM_STEP_TASKS_PER_NODE", "2(x3),1"),
                ("SLURM_STEP_NODELIST", "gpu[07-09,12]"),
                ("SLURM_JOB_ID", job),
                ("SLURM_STEP_ID", "0"),
            ])
        };
        let one = step("41");
        assert_eq!((one.rank, one.size, one.local_rank, one.local_size), (5, 7, 1, 2));
        assert_eq!(one.host, "gpu07");
        assert_eq!(one, step("41"));
        assert_ne!(one.port, step("42").port);
    }

    #[test]
    fn mpirun_needs_master_addr_only_on_several_machines() {
        let started = |local: &'static str| {
            found(&[
                ("OMPI_COMM_WORLD_RANK", "1"),
                ("OMPI_COMM_WORLD_SIZE", "4"),
                ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
                ("OMPI_COMM_WORLD_LOCAL_SIZE", local),
            ])
        };
        assert_eq!(started("4").unwrap().unwrap().host, "127.0.0.1");
        let problem = started("2").unwrap_err().to_string();
        assert!(problem.contains("Open MPI") && problem.contains("MASTER_ADDR"), "{problem}");
    }

    #[test]
    fn an_invalid_variable_is_named() {
        let problem = found(&[("RANK", "2"), ("WORLD_SIZE", "2")]).unwrap_err().to_string();
        assert!(
            problem.contains("RANK, set by torchrun, has the invalid value `2 where WORLD_SIZE is 2`"),
            "{problem}"
        );
        let problem = found(&[("RANK", "x"), ("WORLD_SIZE", "2")]).unwrap_err().to_string();
        assert!(problem.contains("RANK, set by torchrun, has the invalid value `x`"), "{problem}");
    }
}
