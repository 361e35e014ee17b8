//! The device (CPU or GPU) and the number of CPU threads.

use std::fmt;
use std::str::FromStr;

use cresset_bridge::cuda::{self, Unavailable};
use cresset_options::Text;
use tch::Device;

use crate::error::{Error, Result};

/// The value of `--device`.
///
/// ```
/// use cresset::options::device::DeviceChoice;
/// use tch::Device;
///
/// let choice: DeviceChoice = "cuda:1".parse().unwrap();
/// assert_eq!(choice, DeviceChoice::Cuda(1));
/// assert_eq!(DeviceChoice::Cpu.resolve()?, Device::Cpu);
/// # Ok::<(), cresset::error::Error>(())
/// ```
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
    /// Resolves the choice to a device. Call it before anything else uses CUDA (see [`cuda`]).
    ///
    /// # Errors
    /// If a GPU was selected and is not available, with the reason.
    pub fn resolve(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda(index) => match cuda::load() {
                Ok(count) if index < count => Ok(Device::Cuda(index)),
                Ok(count) => Err(Error::Usage(format!(
                    "--device cuda:{index}: this machine has {count} GPU(s), numbered from 0"
                ))),
                Err(reason) => Err(Error::Usage(format!("--device cuda: {reason}; {}", reason.remedy()))),
            },
            DeviceChoice::Auto => Ok(match cuda::load() {
                Ok(_) => Device::Cuda(0),
                Err(Unavailable::NoDriver) => Device::Cpu,
                // The usual way to ask for the CPU.
                Err(Unavailable::Hidden(visible)) if matches!(visible.as_str(), "" | "-1") => Device::Cpu,
                Err(reason) => {
                    tracing::warn!("running on the CPU: {reason}; {}", reason.remedy());
                    Device::Cpu
                }
            }),
        }
    }
}

impl DeviceChoice {
    /// Resolves the choice for local rank `rank` of `count` processes on this machine, each with its own GPU.
    ///
    /// # Errors
    /// As [`DeviceChoice::resolve`], and if there are fewer GPUs than processes.
    pub(crate) fn resolve_for(self, rank: u32, count: u32) -> Result<Device> {
        let device = self.resolve()?;
        if count == 1 || !device.is_cuda() {
            return Ok(device);
        }
        if let DeviceChoice::Cuda(index @ 1..) = self {
            return Err(Error::Usage(format!(
                "--device cuda:{index}: the {count} processes on this machine would share that GPU; use --device cuda for one GPU \
                 per process"
            )));
        }
        let gpus = tch::Cuda::device_count();
        if gpus < i64::from(count) {
            return Err(Error::Usage(format!(
                "there are {count} processes on this machine and {gpus} GPU(s); start one process per GPU, or use \
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
                .ok_or_else(|| "expected `auto`, `cpu`, `cuda` or `cuda:N`".to_string()),
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
///
/// ```
/// use cresset::options::device::Threads;
///
/// assert_eq!("4".parse(), Ok(Threads::Count(4)));
/// assert_eq!(Threads::Count(4).count(), 4);
/// // A small model trains faster in one thread.
/// assert_eq!(Threads::Auto.for_multiply_adds(10_000), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threads {
    /// One per core, or one thread if the model is too small for several.
    #[default]
    Auto,
    /// As `Auto`, with the cores shared by this many processes.
    Shared(u32),
    /// This number, at least 1.
    Count(u16),
}

/// Minimum multiply-adds of a forward pass for several threads: about 1 ms on one core, including the backward pass.
const MIN_PARALLEL_WORK: usize = 10_000_000;

impl Threads {
    /// The number of threads for a training step with this many multiply-adds in the forward pass.
    ///
    /// Passing work to a second thread costs about 5 µs, and much more on a busy machine, where the threads wait for each
    /// other: a digits step with two threads took 1.0 to 1.2 times as long as with one, and a run up to 5 times as long while
    /// another program ran (two cores of an EPYC).
    pub fn for_multiply_adds(self, multiply_adds: usize) -> u16 {
        match self {
            Threads::Auto | Threads::Shared(_) if multiply_adds < MIN_PARALLEL_WORK => 1,
            _ => self.count(),
        }
    }

    /// The choice for each of several processes that share the cores of this machine.
    pub(crate) fn shared_by(self, processes: u32) -> Self {
        match self {
            Threads::Auto if processes > 1 => Threads::Shared(processes),
            other => other,
        }
    }

    /// The number of threads, regardless of the size of the work.
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
            _ => Err("expected `auto` or a number from 1 to 1024".to_string()),
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

/// The name of a device: `cpu` or `cuda:0`.
///
/// ```
/// use cresset::options::device;
/// use tch::Device;
///
/// assert_eq!(device::name(Device::Cuda(0)), "cuda:0");
/// ```
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
