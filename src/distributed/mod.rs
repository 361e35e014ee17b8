//! Training in several processes, on one machine or many: who they are, and what they do together.
//!
//! Each process has all data and takes its share of every batch; gradients are averaged while the backward pass goes on
//! (c10d's Reducer), so that all have the same weights at every step. The processes are started by `torchrun`, `srun` or
//! `mpirun`; without one of them, a process is a world of its own, in which everything here costs nothing.

mod agreement;
mod hosts;
mod place;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cresset_bridge::cuda::Plugin;
use cresset_bridge::process_group::{Meeting, ProcessGroup};
use cresset_bridge::reducer::Reducer;
use tch::{Device, Tensor};

use crate::error::{Error, Result};
pub(crate) use agreement::Agreement;
pub use place::Place;
use watch::Watch;

/// All processes that train together, seen from one of them.
#[derive(Debug, Clone, Default)]
pub struct World(Option<Arc<Joined>>);

struct Joined {
    place: Place,
    watch: Watch,
    group: ProcessGroup,
    timeout: Duration,
}

impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place.fmt(f)
    }
}

impl World {
    /// A world of one process.
    pub fn alone() -> Self {
        World(None)
    }

    /// The world that the environment tells of. `timeout` is how long a process waits for the others, now and later.
    ///
    /// # Errors
    /// Variables that cannot be; processes that do not come in time.
    pub fn from_environment(timeout: Duration) -> Result<Self> {
        match Place::from_environment()? {
            Some(place) if place.size > 1 => World::join(place, timeout),
            _ => Ok(World::alone()),
        }
    }

    /// Meets the other processes.
    pub fn join(place: Place, timeout: Duration) -> Result<Self> {
        let meeting = Meeting {
            host: place.host.clone(),
            port: place.port,
            serves: place.rank == 0 && !place.starter_serves,
            was_used: place.starter_serves && place.most_restarts > 0,
            rank: place.rank,
            size: place.size,
            timeout,
        };
        let group = ProcessGroup::join(&meeting).map_err(|problem| {
            Error::Peer(format!(
                "process {} could not meet the other {} at {}:{} within {} s ({problem}); is each of them started, and is \
                 that machine reachable from here?",
                place.rank,
                place.size - 1,
                place.host,
                place.port,
                timeout.as_secs(),
            ))
        })?;
        let keeper = (!place.starter_serves).then_some(0);
        let watch = Watch::begin(group.board()?, place.rank, place.size, keeper);
        tracing::info!(rank = place.rank, size = place.size, "joined the other processes");
        Ok(World(Some(Arc::new(Joined { place, watch, group, timeout }))))
    }

    /// Which process this is, from 0.
    pub fn rank(&self) -> u32 {
        self.0.as_ref().map_or(0, |joined| joined.place.rank)
    }

    /// The number of processes.
    pub fn size(&self) -> u32 {
        self.0.as_ref().map_or(1, |joined| joined.place.size)
    }

    /// Whether there are no others.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is the process that writes files and speaks to the user.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Which of the processes on this machine this is, from 0, and how many there are.
    pub fn on_this_machine(&self) -> (u32, u32) {
        self.0.as_ref().map_or((0, 1), |joined| (joined.place.local_rank, joined.place.local_size))
    }

    /// How often the starter has started the job again.
    pub fn restarts(&self) -> u32 {
        self.0.as_ref().map_or(0, |joined| joined.place.restarts)
    }

    /// Whether the starter may start the job again.
    pub fn may_restart(&self) -> bool {
        self.0.as_ref().is_some_and(|joined| joined.place.most_restarts > 0)
    }

    /// Makes ready for tensors on `device`: those on GPUs go by NCCL, which the CUDA plugin holds.
    ///
    /// # Errors
    /// A plugin that is missing.
    pub fn speak_on(&self, device: Device) -> Result<()> {
        let Some(joined) = self.0.as_ref().filter(|_| device.is_cuda()) else { return Ok(()) };
        Plugin::open().map_err(|reason| {
            Error::Usage(format!(
                "several processes with GPUs need NCCL, and {reason}; {}, or train by --device cpu",
                reason.remedy()
            ))
        })?;
        Ok(joined.group.open_nccl(joined.timeout)?)
    }

    /// Gives numbers on the CPU their sums over all processes.
    pub fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        self.together(|group| group.sum(tensor))
    }

    /// The greatest of each of the values of all processes.
    pub fn greatest(&self, values: &[f64]) -> Result<Vec<f64>> {
        let mut tensor = Tensor::from_slice(values);
        self.together(|group| group.max(&mut tensor))?;
        Ok(Vec::try_from(tensor)?)
    }

    /// The tensors of all processes, (size, …), which have the same shape in each.
    pub fn gather(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(joined) => Ok(joined.group.gather(tensor, joined.place.size)?),
            None => Ok(tensor.unsqueeze(0)),
        }
    }

    /// What process 0 makes, told to all.
    ///
    /// # Errors
    /// In process 0 its own error, in the others that it had one.
    pub fn told_by_first(&self, make: impl FnOnce() -> Result<String>) -> Result<String> {
        let Some(joined) = &self.0 else { return make() };
        let made = if self.is_first() { Some(make()) } else { None };
        let mut message = match &made {
            Some(Ok(text)) => format!("+{text}"),
            Some(Err(error)) => format!("-{error}"),
            None => String::new(),
        };
        joined.group.broadcast_text(&mut message)?;
        match (made, message.split_at_checked(1)) {
            (Some(made), _) => made,
            (None, Some(("+", text))) => Ok(text.to_string()),
            (None, told) => {
                let problem = told.map_or("", |(_, problem)| problem);
                Err(Error::Peer(format!("process 0 of {} failed: {problem}", joined.place.size)))
            }
        }
    }

    /// Sees that all processes have the same of something, by a text that stands for it.
    ///
    /// # Errors
    /// In the processes that have other than process 0.
    pub fn same(&self, what: &str, own: &str) -> Result<()> {
        let first = self.told_by_first(|| Ok(own.to_string()))?;
        if first == own {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "process {} has other {what} than process 0 ({own} and {first}); all processes need the same",
            self.rank()
        )))
    }

    /// Gives tensors the values that they have in process 0.
    pub fn equalise(&self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        for tensor in tensors.values() {
            self.together(|group| group.broadcast(&mut tensor.detach()))?;
        }
        Ok(())
    }

    /// What averages the gradients of these parameters; nothing in a world of one.
    pub fn reducer<'a>(&self, parameters: impl IntoIterator<Item = &'a Tensor>) -> Result<Option<Reducer>> {
        let Some(joined) = &self.0 else { return Ok(None) };
        Ok(Some(Reducer::new(&joined.group, parameters)?))
    }

    /// The sum of a tensor over all processes, through which gradients flow.
    pub(crate) fn summed(&self, tensor: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Some(joined) => Ok(joined.group.summed(tensor)?),
            None => Ok(tensor.shallow_clone()),
        }
    }

    /// Does something that all processes have a part in. Where it fails, the others are told of it; and where it fails
    /// because of another one, the error names that one.
    pub fn attempt<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = work();
        let (Some(joined), Err(error)) = (&self.0, &result) else { return result };
        let may_be_anothers = matches!(error, Error::Libtorch(_) | Error::Peer(_));
        let account = if may_be_anothers { joined.watch.account() } else { None };
        if account.is_none() {
            joined.watch.say(&error.to_string());
        }
        joined.watch.stay_for_others();
        match account {
            Some(account) => {
                tracing::debug!("what was seen of it here: {error}");
                Err(Error::Peer(account))
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

/// The share of this process of `rows` examples that come one after the other: where it begins, and its length.
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
        fn shares_are_all_of_it_and_even(rows in 0usize..5000, size in 1u32..70) {
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
    fn a_world_of_one_does_everything_at_no_cost() {
        let world = World::alone();
        assert_eq!((world.rank(), world.size(), world.is_first()), (0, 1, true));
        assert_eq!(world.greatest(&[1., 2.]).unwrap(), [1., 2.]);
        assert_eq!(world.told_by_first(|| Ok("text".into())).unwrap(), "text");
        assert!(world.reducer([]).unwrap().is_none());
    }
}
