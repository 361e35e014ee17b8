//! From a file to a model that can be trusted to be what it says.

use std::io::BufReader;
use std::path::Path;

use cresset_bridge::kernels::allocator::keep_freed_memory;
use tch::Device;

use super::Classifier;
use super::fast::Fast;
use crate::data::unknown::OnUnknown;
use crate::error::{Error, Result, guard};
use crate::export::{METADATA, Metadata, VERIFICATION, Verification, Verified};
use crate::model::loading::{Unloaded, open_file};
use crate::model::members;
use crate::options::device::DeviceChoice;

/// What a model file says of itself. Nothing in the file is run.
///
/// # Errors
/// A file that is missing, no TorchScript, or not exported by cresset.
pub fn metadata(path: &Path) -> Result<Metadata> {
    let fault = |problem: String| Error::artifact(path, problem);
    let text = members::extra_file(BufReader::new(open_file(path)?), METADATA);
    let text = text.ok_or_else(|| fault("this is no TorchScript file, or it is damaged".to_string()))?;
    Metadata::read(&text.unwrap_or_default()).map_err(fault)
}

impl Classifier {
    /// Loads a model that cresset exported, on the first GPU if there is one, else on the CPU.
    ///
    /// # Errors
    /// As [`Classifier::load_on`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Classifier::load_on(path.as_ref(), DeviceChoice::Auto.resolve()?)
    }

    /// Loads a model that cresset exported on a device. On a CPU, the process keeps more of the memory that it has freed from now on.
    ///
    /// # Errors
    /// A file that is missing, damaged, no TorchScript, or not exported by cresset, and one with operations that no model needs.
    pub fn load_on(path: &Path, device: Device) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        let file = Unloaded::open(path)?;
        // What another program made need not be run to say so.
        let metadata = Metadata::read(&file.extra(METADATA)?.unwrap_or_default()).map_err(fault)?;
        // libtorch has 8-bit integers on the CPU alone.
        let device = if metadata.is_int8() { Device::Cpu } else { device };
        let mut module = file.module(device)?;
        module.set_training(false)?;
        let is_on_cpu = device == Device::Cpu;
        if is_on_cpu {
            keep_freed_memory();
        }
        let fast = if is_on_cpu { Fast::of(&module, &metadata) } else { None };
        let recorded = file.extra(VERIFICATION)?;
        Ok(Classifier {
            path: path.to_path_buf(),
            module,
            fast,
            device,
            metadata,
            views: None,
            on_unknown: OnUnknown::Allow,
            recorded,
        })
    }

    /// Computes the samples that the file recorded again; none if it recorded none.
    ///
    /// # Errors
    /// A record that makes no sense, and a model that fails.
    pub fn replay(&self) -> Result<Option<Verified>> {
        let Some(text) = &self.recorded else { return Ok(None) };
        let record: Verification = serde_json::from_str(text)
            .map_err(|e| Error::artifact(&self.path, format!("its {VERIFICATION} cannot be read: {e}")))?;
        guard(|| record.check(&self.module, self.device)).map(Some)
    }
}
