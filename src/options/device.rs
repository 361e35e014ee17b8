//! Where the computation runs: the CPU, or a GPU by way of libtorch's CUDA half.

use std::fmt;
use std::str::FromStr;

use cresset_bridge::cuda::{self, Unavailable};
use cresset_options::Text;
use tch::Device;

use crate::error::{Error, Result};

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of this index.
    Cuda(usize),
}

impl DeviceChoice {
    /// The device itself. Call it before anything else touches CUDA (see [`cuda`]).
    ///
    /// # Errors
    /// A GPU was asked for and there is none; the error says why.
    pub fn resolve(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(index) => match cuda::load() {
                Ok(count) if index < count => Ok(Device::Cuda(index)),
                Ok(count) => Err(Error::Usage(format!(
                    "--device cuda:{index}: this machine has {count} GPU(s), counted from 0"
                ))),
                Err(reason) => Err(Error::Usage(format!("--device cuda: {reason}; {}", reason.remedy()))),
            },
            DeviceChoice::Auto => Ok(match cuda::load() {
                Ok(_) => Device::Cuda(0),
                Err(Unavailable::NoDriver) => Device::Cpu,
                Err(reason) => {
                    tracing::warn!("running on the CPU: {reason}; {}", reason.remedy());
                    Device::Cpu
                }
            }),
        }
    }
}

impl DeviceChoice {
    /// The device of one of `count` processes on this machine, the one of this rank: each has a GPU of its own.
    ///
    /// # Errors
    /// As [`DeviceChoice::resolve`], and fewer GPUs than processes.
    pub fn resolve_for(self, rank: u32, count: u32) -> Result<Device> {
        let device = self.resolve()?;
        if count == 1 || !device.is_cuda() {
            return Ok(device);
        }
        if let DeviceChoice::Cuda(index @ 1..) = self {
            return Err(Error::Usage(format!(
                "--device cuda:{index}: {count} processes on this machine would share that GPU; write --device cuda, and \
                 each takes one of its own"
            )));
        }
        let gpus = tch::Cuda::device_count();
        if gpus < i64::from(count) {
            return Err(Error::Usage(format!(
                "there are {count} processes on this machine and {gpus} GPU(s); start one process a GPU, or write \
                 --device cpu"
            )));
        }
        Ok(Device::Cuda(rank as usize))
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(DeviceChoice::Cuda)
                .ok_or_else(|| "it is `auto`, `cpu`, `cuda` or `cuda:N`".to_string()),
        }
    }
}

impl Text for DeviceChoice {}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The number of threads that libtorch computes with on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threads {
    /// As many as there are cores, or one where the work is too small to share.
    #[default]
    Auto,
    /// The same, where so many processes share the cores.
    Shared(u32),
    /// This many, at least 1.
    Count(u16),
}

/// The multiply-adds of a forward pass from which more threads than one are used: about a millisecond's on one core, with
/// the backward pass.
const WORTH_SHARING: usize = 10_000_000;

impl Threads {
    /// The number for a training step of so many multiply-adds in the forward pass.
    ///
    /// Handing work to a second thread costs some 5 µs each time, and much more on a busy machine, where the threads wait
    /// for each other: digits with two threads took 1.0 to 1.2 times as long a step as with one, and up to 5 times in all
    /// while another program ran (two cores of an EPYC).
    pub fn for_step(self, multiply_adds: usize) -> u16 {
        match self {
            Threads::Auto | Threads::Shared(_) if multiply_adds < WORTH_SHARING => 1,
            _ => self.count(),
        }
    }

    /// The choice for one of several processes on this machine, which share its cores.
    pub fn of_several(self, processes: u32) -> Self {
        match self {
            Threads::Auto if processes > 1 => Threads::Shared(processes),
            other => other,
        }
    }

    /// The number for work of any size.
    pub fn count(self) -> u16 {
        match self {
            Threads::Count(count) => count,
            Threads::Auto => std::thread::available_parallelism().map_or(1, |n| n.get().min(1024) as u16),
            Threads::Shared(processes) => (u32::from(Threads::Auto.count()) / processes).max(1) as u16,
        }
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.parse() {
            _ if text == "auto" => Ok(Threads::Auto),
            Ok(count) if (1..=1024).contains(&count) => Ok(Threads::Count(count)),
            _ => Err("it is `auto` or a number from 1 to 1024".to_string()),
        }
    }
}

impl Text for Threads {
    const IS_NUMBER: bool = true;
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threads::Auto | Threads::Shared(_) => f.write_str("auto"),
            Threads::Count(count) => write!(f, "{count}"),
        }
    }
}

/// The device as people write it: `cpu`, `cuda:0`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_threads_read_back_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["auto", "4"] {
            assert_eq!(text.parse::<Threads>().unwrap().to_string(), text);
        }
        assert!("gpu".parse::<DeviceChoice>().is_err());
        assert!("0".parse::<Threads>().is_err());
    }
}
