//! Distributed data-parallel training in several processes, on one machine or many.
//!
//! Each rank has all data and takes its share of every batch. Gradients are averaged during the backward pass (c10d's
//! Reducer), so that all ranks have the same weights at every step. `torchrun`, `srun` or `mpirun` launches the processes.
//! Without a launcher, the world size is 1 and everything here costs nothing.

mod agreement;
mod hosts;
mod launch_info;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cresset_bridge::cuda::Plugin;
use cresset_bridge::process_group::{ProcessGroup, Rendezvous};
use cresset_bridge::reducer::Reducer;
use tch::{Device, Tensor};

use crate::error::{Error, Result};
pub(crate) use agreement::SignalSync;
pub use launch_info::LaunchInfo;
use watch::Watch;

/// The process group of a training job, as seen from one rank.
///
/// ```
/// use cresset::distributed::World;
/// use tch::Tensor;
///
/// let world = World::alone();
/// assert!(world.is_rank_zero() && world.size() == 1);
///
/// // Collectives of a world of one process return their input.
/// let mut sum = Tensor::from_slice(&[1f32, 2.]);
/// world.all_reduce_sum(&mut sum)?;
/// assert_eq!(sum, Tensor::from_slice(&[1f32, 2.]));
/// assert_eq!(world.all_reduce_max(&[3., 4.])?, [3., 4.]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct World(Option<Arc<Joined>>);

struct Joined {
    launch: LaunchInfo,
    watch: Watch,
    group: ProcessGroup,
    timeout: Duration,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.launch.fmt(f)
    }
}

impl World {
    /// A world with one process.
    pub fn alone() -> Self {
        World(None)
    }

    /// Joins the world that the environment variables of the launcher describe. `timeout` limits the rendezvous and all later
    /// collectives.
    ///
    /// # Errors
    /// Invalid environment variables, and a timeout of the rendezvous.
    pub fn from_environment(timeout: Duration) -> Result<Self> {
        match LaunchInfo::from_environment()? {
            Some(launch) if launch.size > 1 => World::join(launch, timeout),
            _ => Ok(World::alone()),
        }
    }

    /// Joins the other processes (rendezvous).
    ///
    /// # Errors
    /// A timeout.
    pub fn join(launch: LaunchInfo, timeout: Duration) -> Result<Self> {
        let rendezvous = Rendezvous {
            host: launch.host.clone(),
            port: launch.port,
            hosts_store: launch.rank == 0 && !launch.launcher_hosts_store,
            was_used: launch.launcher_hosts_store && launch.max_restarts > 0,
            rank: launch.rank,
            size: launch.size,
            timeout,
        };
        let group = ProcessGroup::join(&rendezvous).map_err(|problem| {
            Error::Peer(format!(
                "process {} could not connect to the other {} at {}:{} within {} s ({problem}); check that all processes are \
                 running and that this address is reachable",
                launch.rank,
                launch.size - 1,
                launch.host,
                launch.port,
                timeout.as_secs(),
            ))
        })?;
        let store_rank = (!launch.launcher_hosts_store).then_some(0);
        let watch = Watch::begin(group.key_value_store()?, launch.rank, launch.size, store_rank);
        tracing::info!(rank = launch.rank, size = launch.size, "joined the process group");
        Ok(World(Some(Arc::new(Joined { launch, watch, group, timeout }))))
    }

    /// The rank of this process, from 0.
    pub fn rank(&self) -> u32 {
        self.0.as_ref().map_or(0, |joined| joined.launch.rank)
    }

    /// The world size.
    pub fn size(&self) -> u32 {
        self.0.as_ref().map_or(1, |joined| joined.launch.size)
    }

    /// Whether this is the only process.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is rank 0, which writes files and prints.
    pub fn is_rank_zero(&self) -> bool {
        self.rank() == 0
    }

    /// The local rank on this machine, from 0, and the local world size.
    pub(crate) fn local_rank_and_size(&self) -> (u32, u32) {
        self.0.as_ref().map_or((0, 1), |joined| (joined.launch.local_rank, joined.launch.local_size))
    }

    /// How often the launcher has restarted the job.
    pub fn restarts(&self) -> u32 {
        self.0.as_ref().map_or(0, |joined| joined.launch.restarts)
    }

    /// Whether the launcher may restart the job.
    pub fn may_restart(&self) -> bool {
        self.0.as_ref().is_some_and(|joined| joined.launch.max_restarts > 0)
    }

    /// Prepares collectives for tensors on `device`. GPUs use NCCL, which is part of the CUDA plugin.
    ///
    /// # Errors
    /// A missing CUDA plugin.
    pub(crate) fn prepare_device(&self, device: Device) -> Result<()> {
        let Some(joined) = self.0.as_ref().filter(|_| device.is_cuda()) else { return Ok(()) };
        Plugin::open().map_err(|reason| {
            Error::Usage(format!(
                "several processes with GPUs need NCCL, but {reason}; {}, or use --device cpu",
                reason.remedy()
            ))
        })?;
        Ok(joined.group.open_nccl(joined.timeout)?)
    }

    /// All-reduces a CPU tensor in place (sum).
    pub fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<()> {
        self.together(|group| group.all_reduce_sum(tensor))
    }

    /// All-reduces values (element-wise maximum).
    pub fn all_reduce_max(&self, values: &[f64]) -> Result<Vec<f64>> {
        let mut tensor = Tensor::from_slice(values);
        self.together(|group| group.all_reduce_max(&mut tensor))?;
        Ok(Vec::try_from(tensor)?)
    }

    /// All-gathers tensors of the same shape, (world size, …).
    pub(crate) fn all_gather(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(joined) => Ok(joined.group.all_gather(tensor, joined.launch.size)?),
            None => Ok(tensor.unsqueeze(0)),
        }
    }

    /// Runs `make` on rank 0 and broadcasts its text.
    ///
    /// # Errors
    /// The error of `make` on rank 0; on the other ranks, an error that contains its message.
    pub fn broadcast_result(&self, make: impl FnOnce() -> Result<String>) -> Result<String> {
        let Some(joined) = &self.0 else { return make() };
        let made = if self.is_rank_zero() { Some(make()) } else { None };
        let mut message = match &made {
            Some(Ok(text)) => format!("+{text}"),
            Some(Err(error)) => format!("-{error}"),
            None => String::new(),
        };
        joined.group.broadcast_text(&mut message)?;
        match (made, message.split_at_checked(1)) {
            (Some(made), _) => made,
            (None, Some(("+", text))) => Ok(text.to_string()),
            (None, failure) => {
                let problem = failure.map_or("", |(_, problem)| problem);
                Err(Error::Peer(format!("process 0 of {} failed: {problem}", joined.launch.size)))
            }
        }
    }

    /// Checks that all ranks have the same value of `what`, given as a text that identifies it.
    ///
    /// # Errors
    /// On the ranks whose value differs from that of rank 0.
    pub fn same(&self, what: &str, own: &str) -> Result<()> {
        let first = self.broadcast_result(|| Ok(own.to_string()))?;
        if first == own {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "process {} has different {what} than process 0 ({own} and {first}); all processes need the same",
            self.rank()
        )))
    }

    /// Broadcasts tensors from rank 0.
    pub(crate) fn broadcast_tensors(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        for tensor in tensors.values() {
            self.together(|group| group.broadcast(&mut tensor.detach()))?;
        }
        Ok(())
    }

    /// The reducer that averages the gradients of these parameters. None with a world size of 1.
    pub fn reducer<'a>(&self, parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<Option<Reducer>> {
        let Some(joined) = &self.0 else { return Ok(None) };
        Ok(Some(Reducer::new(&joined.group, parameters)?))
    }

    /// A differentiable all-reduce (sum).
    pub(crate) fn all_reduce_with_grad(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(joined) => Ok(joined.group.all_reduce_with_grad(tensor)?),
            None => Ok(tensor.shallow_clone()),
        }
    }

    /// Runs work in which all ranks take part. If it fails, reports the error to the other ranks; if it fails because of
    /// another rank, the error names that rank.
    pub(crate) fn attempt<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = work();
        let (Some(joined), Err(error)) = (&self.0, &result) else { return result };
        let may_be_remote = matches!(error, Error::Libtorch(_) | Error::Peer(_));
        let cause = if may_be_remote { joined.watch.failure() } else { None };
        if cause.is_none() {
            joined.watch.report(&error.to_string());
        }
        joined.watch.wait_for_readers();
        match cause {
            Some(cause) => {
                tracing::debug!("the local error: {error}");
                Err(Error::Peer(cause))
            }
            None => result,
        }
    }

    fn together(&self, act: impl FnOnce(&ProcessGroup) -> cresset_bridge::Result<()>) -> Result<()> {
        match &self.0 {
            Some(joined) => Ok(act(&joined.group)?),
            None => Ok(()),
        }
    }
}

/// The share of a rank of `rows` consecutive examples: start and length.
pub(crate) fn share(rows: usize, rank: u32, size: u32) -> (usize, usize) {
    let edge = |rank: u32| (rows as u128 * u128::from(rank) / u128::from(size)) as usize;
    (edge(rank), edge(rank + 1) - edge(rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_are_complete_and_even(rows in 0usize..5000, size in 1u32..70) {
            let shares: Vec<_> = (0..size).map(|rank| share(rows, rank, size)).collect();
            let mut next = 0;
            for (start, length) in &shares {
                prop_assert_eq!(*start, next);
                next += length;
            }
            prop_assert_eq!(next, rows);
            let lengths = shares.iter().map(|(_, length)| *length);
            prop_assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
        }
    }

    #[test]
    fn a_world_of_size_one_needs_no_communication() {
        let world = World::alone();
        assert_eq!((world.rank(), world.size(), world.is_rank_zero()), (0, 1, true));
        assert_eq!(world.all_reduce_max(&[1., 2.]).unwrap(), [1., 2.]);
        assert_eq!(world.broadcast_result(|| Ok("text".into())).unwrap(), "text");
        assert!(world.reducer([]).unwrap().is_none());
    }
}
