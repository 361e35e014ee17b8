//! Process groups by c10d, the C++ half of `torch.distributed`. A Python process can be in the same group.
//!
//! Collectives use Gloo (TCP) for tensors on the CPU, and NCCL for tensors on a GPU once it is open.

use std::time::Duration;

use cxx::UniquePtr;
use tch::{Kind, Tensor};

pub use super::rendezvous::Rendezvous;
use crate::Result;
use crate::ffi::{lend, own};
use crate::ffi_distributed as ffi;

/// A process group. All processes must call its methods in the same order.
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
    /// Joins the process group.
    ///
    /// # Errors
    /// Other processes do not join within the timeout, or the store cannot be reached.
    pub fn join(rendezvous: &Rendezvous) -> Result<Self> {
        let Rendezvous { host, port, hosts_store, was_used, rank, size, timeout } = rendezvous;
        let (rank, size) = (*rank as i32, *size as i32);
        let timeout = milliseconds(*timeout);
        Ok(ProcessGroup(ffi::join_process_group(host, *port, *hosts_store, *was_used, rank, size, timeout)?))
    }

    /// Opens NCCL for tensors on the GPU. The plugin must be open ([`Plugin`](crate::cuda::Plugin)), and the GPU of
    /// this process must be the current device.
    ///
    /// # Errors
    /// The plugin is not open, or NCCL fails.
    pub fn open_nccl(&self, timeout: Duration) -> Result<()> {
        Ok(self.0.open_nccl(milliseconds(timeout))?)
    }

    /// All-reduces `tensor` in place by sum.
    pub fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.all_reduce_sum(lend(tensor))?)
    }

    /// All-reduces `tensor` in place by maximum.
    pub fn all_reduce_max(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.all_reduce_max(lend(tensor))?)
    }

    /// Broadcasts `tensor` from rank 0.
    pub fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        Ok(self.0.broadcast(lend(tensor))?)
    }

    /// All-gathers tensors of equal shape and dtype: (size, …).
    pub fn all_gather(&self, tensor: &Tensor, size: u32) -> Result<Tensor> {
        let sizes: Vec<i64> = std::iter::once(i64::from(size)).chain(tensor.size()).collect();
        let all = Tensor::zeros(sizes, (tensor.kind(), tensor.device()));
        self.0.all_gather(lend(&tensor.contiguous()), lend(&all))?;
        Ok(all)
    }

    /// The key-value store of the group, on a separate connection.
    pub fn key_value_store(&self) -> Result<KeyValueStore> {
        Ok(KeyValueStore(self.0.key_value_store()?))
    }

    /// All-reduces `tensor` by sum, differentiably: the backward pass all-reduces the gradients.
    pub fn all_reduce_with_grad(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(own(ffi::all_reduce_with_grad(&self.0, lend(tensor))?))
    }

    /// Broadcasts `text` from rank 0.
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

/// A key-value store that the processes of a group share. Its methods do not wait for other processes.
pub struct KeyValueStore(UniquePtr<ffi::KeyValueStore>);

// SAFETY: the C++ object holds a reference-counted connection, which locks itself, and nothing bound to a thread.
unsafe impl Send for KeyValueStore {}

impl KeyValueStore {
    /// Sets a value, which must not be empty.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        Ok(self.0.set(key, value)?)
    }

    /// The value of a key, or `None` if it is not set.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let value = self.0.get(key)?;
        Ok((!value.is_empty()).then_some(value))
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
