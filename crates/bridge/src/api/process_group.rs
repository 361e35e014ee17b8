//! Processes that compute together, on one machine or several, by c10d: libtorch's engine for it, which
//! `torch.distributed` is made on. A Python process can be one of the group.
//!
//! What it says to the others goes by Gloo (TCP) for tensors on the CPU, and by NCCL for those on a GPU once it is open.

use std::time::Duration;

use cxx::UniquePtr;
use tch::{Kind, Tensor};

use crate::Result;
use crate::ffi::{self, lend};

/// Where the processes of a group meet, and which of them this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The machine where the meeting place is kept.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether this process keeps it, rather than the program that started it.
    pub serves: bool,
    /// Whether processes may have met there before, as in a job that is started again.
    pub was_used: bool,
    /// Which process this is, from 0.
    pub rank: u32,
    /// The number of processes.
    pub size: u32,
    /// How long a process waits for the others, here and in everything that they do together.
    pub timeout: Duration,
}

/// A group of processes. All of them must call its methods in the same order.
pub struct ProcessGroup(UniquePtr<ffi::ProcessGroup>);

// SAFETY: c10d's process groups and stores lock what they share between threads.
unsafe impl Send for ProcessGroup {}
// SAFETY: as above; no method changes the C++ object itself.
unsafe impl Sync for ProcessGroup {}

impl std::fmt::Debug for ProcessGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessGroup")
    }
}

impl ProcessGroup {
    /// Meets the other processes.
    ///
    /// # Errors
    /// Processes that do not come in time, and a meeting place that cannot be reached.
    pub fn join(meeting: &Meeting) -> Result<Self> {
        let Meeting { host, port, serves, was_used, rank, size, timeout } = meeting;
        let (rank, size) = (*rank as i32, *size as i32);
        let timeout = milliseconds(*timeout);
        Ok(ProcessGroup(ffi::join_process_group(host, *port, *serves, *was_used, rank, size, timeout)?))
    }

    /// Makes NCCL the way of tensors on the GPU. The plugin must be open ([`Plugin`](crate::cuda::Plugin)), and the GPU of
    /// this process the current one.
    ///
    /// # Errors
    /// A plugin that is not open, and whatever NCCL fails with.
    pub fn open_nccl(&self, timeout: Duration) -> Result<()> {
        Ok(self.0.open_nccl(milliseconds(timeout))?)
    }

    /// Gives `tensor` the sum over all processes.
    pub fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.sum(lend(tensor))?)
    }

    /// Gives `tensor` the greatest values of all processes.
    pub fn max(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.max(lend(tensor))?)
    }

    /// Gives `tensor` the values that it has in process 0.
    pub fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.broadcast(lend(tensor))?)
    }

    /// The tensors of all processes, (size, …), which have the same shape and dtype in each.
    pub fn gather(&self, tensor: &Tensor, size: u32) -> Result<Tensor> {
        let sizes: Vec<i64> = std::iter::once(i64::from(size)).chain(tensor.size()).collect();
        let all = Tensor::zeros(sizes, (tensor.kind(), tensor.device()));
        self.0.gather(lend(&tensor.contiguous()), lend(&all))?;
        Ok(all)
    }

    /// Where the processes leave texts for each other, by a connection of its own.
    pub fn board(&self) -> Result<Board> {
        Ok(Board(self.0.board()?))
    }

    /// The sum of `tensor` over all processes, through which gradients flow.
    pub fn summed(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(ffi::own(ffi::summed(&self.0, lend(tensor))?))
    }

    /// Gives `text` what it is in process 0.
    pub fn broadcast_text(&self, text: &mut String) -> Result<()> {
        let mut length = Tensor::from_slice(&[text.len() as i64]);
        self.broadcast(&mut length)?;
        let length = length.int64_value(&[0]);
        let own = text.as_bytes();
        let mut bytes = if own.len() as i64 == length {
            Tensor::from_slice(own)
        } else {
            Tensor::zeros([length], (Kind::Uint8, tch::Device::Cpu))
        };
        self.broadcast(&mut bytes)?;
        let bytes = Vec::<u8>::try_from(&bytes).unwrap_or_default();
        *text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(())
    }

    pub(crate) fn inner(&self) -> &ffi::ProcessGroup {
        &self.0
    }
}

/// Texts by name that the processes of a group leave for each other. Nobody has to wait for anybody here.
pub struct Board(UniquePtr<ffi::Board>);

// SAFETY: the C++ object holds a reference-counted connection, which locks itself, and nothing bound to a thread.
unsafe impl Send for Board {}

impl Board {
    /// Leaves a text, which must not be empty.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    /// The text of that name, if a process left one.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let value = self.0.get(key)?;
        Ok((!value.is_empty()).then_some(value))
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
