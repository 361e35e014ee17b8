//! Loads and verifies model files.

use std::io::BufReader;
use std::path::Path;

use cresset_bridge::kernels::allocator::keep_freed_memory;
use tch::Device;

use super::compiled::CompiledModel;
use super::labeled::VALUES_IN_MEMORY;
use super::{Classifier, Recommender};
use crate::data::unknown::UnknownPolicy;
use crate::error::{Error, Result, catch_panics};
use crate::evaluate::ood::OodScore;
use crate::export::{
    ExportedModel, METADATA, Metadata, VERIFICATION, Verification, VerificationResult, without_metadata,
};
use crate::model::Outputs;
use crate::model::executor::{self, Executor, InferenceFile};
use crate::model::loading::open_file;
use crate::model::members;
use crate::model::onnx::OnnxFile;
use crate::model::package::CheckedPackage;
use crate::options::device::DeviceChoice;

/// Reads the metadata of a model file of any format without executing its code.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let metadata = cresset::predict::metadata(&out.join("model.pt"))?;
/// assert_eq!(metadata.classes, ["setosa", "versicolor", "virginica"]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A file that is missing or damaged, is not a model, or was not exported by cresset.
pub fn metadata(path: &Path) -> Result<Metadata> {
    if CheckedPackage::recognizes(path)? || OnnxFile::recognizes(path) {
        return read_metadata(path, &*executor::open(path)?);
    }
    let fault = |problem: String| Error::artifact(path, problem);
    let text = members::extra_file(BufReader::new(open_file(path)?), METADATA);
    let text = text.ok_or_else(|| fault("this is not a TorchScript file, or it is damaged".to_string()))?;
    Metadata::read(&text.unwrap_or_default()).map_err(fault)
}

/// Loads a TorchScript file exported by cresset on the CPU, to write it in another format.
///
/// # Errors
/// As [`Classifier::load_on`], and a model of another format.
pub fn exported(path: &Path) -> Result<ExportedModel> {
    match metadata(path)?.outputs {
        Outputs::Ranking => Recommender::load(path, Device::Cpu)?.into_exported(),
        _ => Classifier::load_on(path, Device::Cpu)?.into_exported(),
    }
}

/// The metadata of a checked file.
fn read_metadata(path: &Path, file: &dyn InferenceFile) -> Result<Metadata> {
    let text = file.extra(METADATA)?;
    let text = text.ok_or_else(|| Error::artifact(path, without_metadata(file.format())))?;
    Metadata::read(&text).map_err(|problem| Error::artifact(path, problem))
}

impl Classifier {
    /// Loads a model exported by cresset, on the first GPU if there is one, otherwise on the CPU.
    ///
    /// # Errors
    /// As [`Classifier::load_on`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Classifier::load_on(path.as_ref(), DeviceChoice::Auto.resolve()?)
    }

    /// Loads a model exported by cresset on `device`. On a CPU, this sets the allocator to keep more freed memory.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use tch::Device;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let classifier = Classifier::load_on(&out.join("model.pt"), Device::Cpu)?;
    /// assert_eq!(classifier.device(), Device::Cpu);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that is missing, damaged, not a model, or not exported by cresset, and one with operations that no model needs.
    pub fn load_on(path: &Path, device: Device) -> Result<Self> {
        let file = executor::open(path)?;
        // Check the metadata first: the code of a file from another program is not executed.
        let mut metadata = read_metadata(path, &*file)?;
        if metadata.outputs == Outputs::Ranking {
            let problem =
                "this model recommends items to users; use it with `cresset recommend` and `cresset eval`";
            return Err(Error::artifact(path, problem));
        }
        let (format, recorded) = (file.format(), file.extra(VERIFICATION)?);
        // libtorch supports quantized models on the CPU only.
        let device = if metadata.is_int8() { Device::Cpu } else { device };
        let executor = file.executor(device, &metadata.input.shape)?;
        let device = executor.device().unwrap_or(device);
        if executor.module().is_none() && metadata.ood.is_some_and(|ood| ood.score == OodScore::Knn) {
            tracing::warn!(
                "{}: {format} does not compute the distances that detect unusual inputs",
                path.display()
            );
            metadata.ood = None;
        }
        let is_on_cpu = device == Device::Cpu;
        if is_on_cpu {
            keep_freed_memory();
        }
        let module = executor.module().filter(|_| is_on_cpu);
        let compiled = module.and_then(|module| CompiledModel::of(module, &metadata));
        Ok(Classifier {
            path: path.to_path_buf(),
            format,
            executor,
            compiled,
            device,
            metadata,
            views: None,
            on_unknown: UnknownPolicy::Allow,
            values_in_memory: VALUES_IN_MEMORY,
            recorded,
        })
    }

    /// Recomputes the recorded samples of the file and compares the logits; `None` if it has no samples.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let result = fitted.classifier()?.replay()?.expect("an exported model has samples");
    /// assert_eq!(result.problem(), None);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// An invalid record, and a model that fails.
    pub fn replay(&self) -> Result<Option<VerificationResult>> {
        replay(&self.path, self.recorded.as_deref(), &*self.executor, self.device)
    }
}

/// Recomputes the samples that were recorded in a model file; `None` if there are none.
pub(super) fn replay(
    path: &Path,
    recorded: Option<&str>,
    model: &dyn Executor,
    device: Device,
) -> Result<Option<VerificationResult>> {
    let Some(text) = recorded else { return Ok(None) };
    let record: Verification = serde_json::from_str(text)
        .map_err(|e| Error::artifact(path, format!("its {VERIFICATION} cannot be read: {e}")))?;
    catch_panics(|| record.check(model, device)).map(Some)
}
