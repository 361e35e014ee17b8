//! From a file to a model that can be trusted to be what it says.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use cresset_bridge::memory::keep_freed_memory;
use tch::Device;

use super::fast::Fast;
use super::{Classifier, archive};
use crate::data::unknown::OnUnknown;
use crate::error::{Error, Result};
use crate::export::{METADATA, Metadata};
use crate::model::script;

/// What a model file says of itself. Nothing in the file is run.
///
/// # Errors
/// A file that is missing, no TorchScript, or not exported by cresset.
pub fn metadata(path: &Path) -> Result<Metadata> {
    let fault = |problem: String| Error::artifact(path, problem);
    let file = File::open(path).map_err(|e| fault(format!("cannot read the model: {e}")))?;
    let text = archive::extra_file(BufReader::new(file), METADATA);
    let text = text.ok_or_else(|| fault("this is no TorchScript file, or it is damaged".to_string()))?;
    Metadata::read(&text.unwrap_or_default()).map_err(fault)
}

impl Classifier {
    /// Loads a model that cresset exported. Of any other, no code is run. On a CPU, the process keeps more of the memory that it
    /// has freed from now on.
    ///
    /// # Errors
    /// A file that is missing, damaged, no TorchScript, or not exported by cresset.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        if path.is_dir() {
            return Err(fault("this is a folder; name a model file, such as the model.pt in it".to_string()));
        }
        let open = || {
            let file = File::open(path).map(BufReader::new);
            file.map_err(|e| fault(format!("cannot read the model: {e}")))
        };
        if let Some(member) = archive::damaged_member(open()?) {
            return Err(fault(format!("the file is damaged ({member} has changed since it was written)")));
        }
        // What is no archive at all is left to libtorch, which says so.
        let metadata = match archive::extra_file(open()?, METADATA) {
            Some(text) => Some(Metadata::read(&text.unwrap_or_default()).map_err(fault)?),
            None => None,
        };
        // libtorch has 8-bit integers on the CPU alone.
        let device = if metadata.as_ref().is_some_and(Metadata::is_int8) { Device::Cpu } else { device };
        let (mut module, _) = script::load(path, device, &[])?;
        let metadata = match metadata {
            Some(metadata) => metadata,
            None => Metadata::read("").map_err(fault)?,
        };
        module.set_training(false)?;
        let is_on_cpu = device == Device::Cpu;
        if is_on_cpu {
            keep_freed_memory();
        }
        let fast = if is_on_cpu { Fast::of(&module, &metadata) } else { None };
        Ok(Classifier {
            path: path.to_path_buf(),
            module,
            fast,
            device,
            metadata,
            views: None,
            on_unknown: OnUnknown::Allow,
        })
    }
}
