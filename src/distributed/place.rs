//! Which process of a job this is, as the program that started it says: torchrun, SLURM, Open MPI, MPICH or Intel MPI.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::hosts::first_host;
use crate::error::{Error, Result};

/// One of the processes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which process this is, from 0.
    pub rank: u32,
    /// The number of processes.
    pub size: u32,
    /// Which of the processes on this machine this is, from 0.
    pub local_rank: u32,
    /// The number of processes on this machine.
    pub local_size: u32,
    /// The machine where they meet.
    pub host: String,
    /// The port where they meet.
    pub port: u16,
    /// Whether the starter keeps the meeting place, rather than process 0.
    pub starter_serves: bool,
    /// How often the starter has started the job again.
    pub restarts: u32,
    /// How often it may.
    pub most_restarts: u32,
}

/// A variable of the environment by its name.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables by which a starter says who is who.
struct Starter {
    name: &'static str,
    rank: &'static str,
    size: &'static str,
    local_rank: &'static [&'static str],
    local_size: fn(Variables) -> Option<u32>,
    host: fn(Variables) -> Option<String>,
    /// What tells one job from another on the same machine.
    job: &'static [&'static str],
}

/// In the order in which they are looked for: `srun` may set MPI's variables too.
const STARTERS: [Starter; 4] = [
    Starter {
        name: "torchrun",
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: &["LOCAL_RANK"],
        local_size: |get| number(get, "LOCAL_WORLD_SIZE"),
        host: |_| None,
        job: &[],
    },
    // A step of srun's. The script of a batch job, which is not one of many, has SLURM_PROCID but no SLURM_STEP_NUM_TASKS.
    Starter {
        name: "srun",
        rank: "SLURM_PROCID",
        size: "SLURM_STEP_NUM_TASKS",
        local_rank: &["SLURM_LOCALID"],
        local_size: slurm_local_size,
        host: |get| first_host(&get("SLURM_STEP_NODELIST").or_else(|| get("SLURM_JOB_NODELIST"))?),
        job: &["SLURM_JOB_ID", "SLURM_STEP_ID"],
    },
    Starter {
        name: "mpirun (Open MPI)",
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: &["OMPI_COMM_WORLD_LOCAL_RANK"],
        local_size: |get| number(get, "OMPI_COMM_WORLD_LOCAL_SIZE"),
        host: |get| alone_on_machine(get, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
        job: &["OMPI_MCA_ess_base_jobid", "PMIX_NAMESPACE"],
    },
    Starter {
        name: "mpirun (MPICH, Intel MPI)",
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local_rank: &["MPI_LOCALRANKID"],
        local_size: |get| number(get, "MPI_LOCALNRANKS"),
        host: |get| alone_on_machine(get, "PMI_SIZE", "MPI_LOCALNRANKS"),
        job: &["PMI_ID", "HYDI_CONTROL_FD"],
    },
];

/// The first of the ports that are chosen for jobs whose starter names none, and how many there are.
const PORTS: (u16, u16) = (20_000, 12_000);

impl Place {
    /// The place that the environment tells of; none where this is a process of its own.
    ///
    /// # Errors
    /// Variables that contradict each other or are no numbers.
    pub fn from_environment() -> Result<Option<Self>> {
        Place::find(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn find(get: Variables) -> Result<Option<Self>> {
        let found =
            STARTERS.iter().find(|starter| get(starter.rank).is_some() && get(starter.size).is_some());
        let Some(starter) = found else { return Ok(None) };
        let whole = |name: &str| match get(name) {
            Some(text) => text.parse::<u32>().map(Some).map_err(|_| faulty(starter, name, &text)),
            None => Ok(None),
        };
        let (rank, size) = (whole(starter.rank)?.unwrap_or(0), whole(starter.size)?.unwrap_or(1));
        if rank >= size {
            return Err(faulty(starter, starter.rank, &format!("{rank} where {} is {size}", starter.size)));
        }
        let host = get("MASTER_ADDR").or_else(|| (starter.host)(get));
        if host.is_none() && size > 1 {
            return Err(Error::Usage(format!(
                "{} started {size} processes and does not say where they meet; set MASTER_ADDR to the name of the machine \
                 of process 0 (and MASTER_PORT to a free port there)",
                starter.name
            )));
        }
        let port = match get("MASTER_PORT") {
            Some(text) => text.parse().map_err(|_| faulty(starter, "MASTER_PORT", &text))?,
            None => port_of(starter.job.iter().filter_map(|name| get(name))),
        };
        let local_rank = starter.local_rank.iter().find_map(|name| number(get, name)).unwrap_or(0);
        Ok(Some(Place {
            rank,
            size,
            local_rank,
            local_size: (starter.local_size)(get).unwrap_or(1).max(local_rank + 1),
            host: host.unwrap_or_default(),
            port,
            starter_serves: get("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
            restarts: whole("TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0),
            most_restarts: whole("TORCHELASTIC_MAX_RESTARTS")?.unwrap_or(0),
        }))
    }
}

fn number(get: Variables, name: &str) -> Option<u32> {
    get(name)?.parse().ok()
}

fn faulty(starter: &Starter, name: &str, value: &str) -> Error {
    Error::Usage(format!(
        "the environment variable {name} is `{value}`, which cannot be; {} sets it, or unset it to train alone",
        starter.name
    ))
}

/// Where all processes are on one machine, they meet there.
fn alone_on_machine(get: Variables, size: &str, local_size: &str) -> Option<String> {
    (number(get, size)? == number(get, local_size)?).then(|| "127.0.0.1".to_string())
}

/// From `2(x3),1`, which is 2, 2, 2 and 1 tasks on the nodes of the step, and the number of this node.
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

/// The same port for all processes of a job, and very likely another one for another job.
fn port_of(job: impl Iterator<Item = String>) -> u16 {
    let mut hasher = DefaultHasher::new();
    job.for_each(|part| part.hash(&mut hasher));
    PORTS.0 + (hasher.finish() % u64::from(PORTS.1)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        Place::find(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        })
    }

    fn place(variables: &[(&str, &str)]) -> Place {
        found(variables).unwrap().unwrap()
    }

    #[test]
    fn without_a_starter_there_is_no_place() {
        assert_eq!(found(&[]).unwrap(), None);
        // The script of a batch job of SLURM's.
        assert_eq!(found(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(), None);
    }

    #[test]
    fn torchrun_says_everything() {
        let place = place(&[
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
        let expected = Place {
            rank: 3,
            size: 4,
            local_rank: 1,
            local_size: 2,
            host: "node0".into(),
            port: 29500,
            starter_serves: true,
            restarts: 1,
            most_restarts: 3,
        };
        assert_eq!(place, expected);
    }

    #[test]
    fn a_step_of_slurm_meets_on_its_first_node_at_a_port_of_its_own() {
        let step = |job: &'static str| {
            place(&[
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
    fn mpirun_on_one_machine_meets_there_and_on_several_asks_where() {
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
    fn a_variable_that_cannot_be_is_named() {
        let problem = found(&[("RANK", "2"), ("WORLD_SIZE", "2")]).unwrap_err().to_string();
        assert!(problem.contains("RANK is `2 where WORLD_SIZE is 2`"), "{problem}");
        let problem = found(&[("RANK", "x"), ("WORLD_SIZE", "2")]).unwrap_err().to_string();
        assert!(problem.contains("RANK is `x`"), "{problem}");
    }
}
