//! Models that compute logits, whatever the format of their file.

use std::path::Path;

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::loading::CheckedModelFile;
use super::onnx::OnnxFile;
use super::package::{self, CheckedCompiledPackage, CheckedPackage};
use crate::data::InputShape;
use crate::error::{Error, Result};

/// A checked model file of any format that computes logits. None of its code has run.
pub trait InferenceFile {
    /// The format as a noun with its article, such as `a TorchScript file`.
    fn format(&self) -> &'static str;

    /// The text of the extra file `name`, if it exists.
    ///
    /// # Errors
    /// A file that cannot be read.
    fn extra(&self, name: &str) -> Result<Option<String>>;

    /// Loads the model in evaluation mode for raw inputs of this shape, onto `device` or the only one that the format runs on.
    ///
    /// # Errors
    /// A model that cannot run, and one whose operations are not allowed, unless files are trusted.
    fn executor(self: Box<Self>, device: Device, input: &InputShape) -> Result<Box<dyn Executor>>;
}

/// Opens a model file and checks it. The format is detected by its contents.
///
/// ```
/// use cresset::model::executor;
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let file = executor::open(&out.join("model.pt"))?;
/// assert_eq!(file.format(), "a TorchScript file");
/// let model = file.executor(Device::Cpu, &InputShape(vec![4]))?;
/// let logits = model.forward(&Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(logits.size(), [2, 3]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A file that is missing, damaged, or of an unknown format.
pub fn open(path: &Path) -> Result<Box<dyn InferenceFile>> {
    if CheckedPackage::recognizes(path)? {
        return package::open(path);
    }
    if OnnxFile::recognizes(path) {
        return Ok(Box::new(OnnxFile::open(path)?));
    }
    Ok(Box::new(CheckedModelFile::open(path)?))
}

impl InferenceFile for CheckedModelFile {
    fn format(&self) -> &'static str {
        "a TorchScript file"
    }

    fn extra(&self, name: &str) -> Result<Option<String>> {
        CheckedModelFile::extra(self, name)
    }

    fn executor(self: Box<Self>, device: Device, _: &InputShape) -> Result<Box<dyn Executor>> {
        let mut module = self.module(device)?;
        module.set_training(false)?;
        Ok(Box::new(module))
    }
}

impl InferenceFile for CheckedPackage {
    fn format(&self) -> &'static str {
        "a torch.export package"
    }

    fn extra(&self, name: &str) -> Result<Option<String>> {
        CheckedPackage::extra(self, name)
    }

    fn executor(self: Box<Self>, _: Device, input: &InputShape) -> Result<Box<dyn Executor>> {
        Ok(Box::new(self.runner(input)?))
    }
}

impl InferenceFile for OnnxFile {
    fn format(&self) -> &'static str {
        "an ONNX file"
    }

    fn extra(&self, name: &str) -> Result<Option<String>> {
        Ok(OnnxFile::extra(self, name))
    }

    fn executor(self: Box<Self>, _: Device, input: &InputShape) -> Result<Box<dyn Executor>> {
        self.runner(input)
    }
}

impl InferenceFile for CheckedCompiledPackage {
    fn format(&self) -> &'static str {
        "a compiled package"
    }

    fn extra(&self, name: &str) -> Result<Option<String>> {
        CheckedCompiledPackage::extra(self, name)
    }

    fn executor(self: Box<Self>, _: Device, input: &InputShape) -> Result<Box<dyn Executor>> {
        Ok(Box::new(self.runner(input)?))
    }
}

/// A model that was loaded for inference.
///
/// ```
/// use cresset::model::executor::Executor;
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let model: &dyn Executor = &exported.module;
/// let logits = model.forward(&Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(logits.size(), [2, 3]);
/// assert!(model.state()?.iter().any(|(name, _)| name == "fc1.weight"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub trait Executor {
    /// Logits (N, classes), or numbers (N, 1) of a model that predicts a number, float32 without gradients, of raw inputs (N, …) on the
    /// model's device.
    ///
    /// # Errors
    /// Inputs of another shape, and a model that fails.
    fn forward(&self, inputs: &Tensor) -> Result<Tensor>;

    /// Parameters and buffers by name.
    ///
    /// # Errors
    /// A file that cannot be read again.
    fn state(&self) -> Result<Vec<(String, Tensor)>>;

    /// Other tensors that the model computes with, such as constants in its code.
    ///
    /// # Errors
    /// As [`Executor::state`].
    fn constants(&self) -> Result<Vec<Tensor>>;

    /// The number of elements of all parameters, and of all parameters and buffers.
    ///
    /// # Errors
    /// As [`Executor::state`].
    fn counts(&self) -> Result<(usize, usize)>;

    /// The only device that the model runs on; `None` if it was loaded onto a device of choice.
    fn device(&self) -> Option<Device> {
        None
    }

    /// The TorchScript module, which has further methods and gradients; `None` for other formats.
    fn module(&self) -> Option<&Module> {
        None
    }

    /// Like [`Executor::module`], as a value.
    fn into_module(self: Box<Self>) -> Option<Module> {
        None
    }
}

impl Executor for Module {
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let logits = tch::no_grad(|| self.call("forward", inputs))?.into_iter().next();
        logits.ok_or_else(|| Error::Usage("the model returns an empty tuple".to_string()))
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(Module::state(self)?)
    }

    fn constants(&self) -> Result<Vec<Tensor>> {
        Ok(Module::constants(self)?)
    }

    fn counts(&self) -> Result<(usize, usize)> {
        let count = |tensors: Vec<(String, Tensor)>| tensors.iter().map(|(_, values)| values.numel()).sum();
        Ok((count(self.parameters()?), count(Module::state(self)?)))
    }

    fn module(&self) -> Option<&Module> {
        Some(self)
    }

    fn into_module(self: Box<Self>) -> Option<Module> {
        Some(*self)
    }
}

/// How a graph takes a batch, whose shape, dtype and size TorchScript would adapt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batching {
    /// The shape of an example.
    pub shape: Vec<i64>,
    /// The dtype of the input.
    pub kind: Kind,
    /// The limits of the batch size.
    pub least: i64,
    pub most: Option<i64>,
}

impl Batching {
    /// Runs raw inputs (N, …) in batches of the size that the graph takes, and returns its results, float32 (N, …). A last batch that
    /// is too small is filled with copies of its last example.
    ///
    /// # Errors
    /// Inputs of another shape, results of another number of rows, and errors of `run`.
    pub fn run(&self, inputs: &Tensor, run: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let rows = inputs.size().first().copied().unwrap_or(0);
        let size: Vec<i64> = std::iter::once(rows).chain(self.shape.iter().copied()).collect();
        let has_values = inputs.numel() as i64 == size.iter().product::<i64>();
        if !has_values {
            let problem =
                format!("the model takes inputs of shape {size:?}, but they have {:?}", inputs.size());
            return Err(Error::Usage(problem));
        }
        let inputs = inputs.f_reshape(&size[..])?.f_to_device(Device::Cpu)?.f_to_kind(self.kind)?;
        let inputs = inputs.contiguous();
        let most = self.most.unwrap_or(i64::MAX).max(1);
        let mut results = Vec::new();
        let mut start = 0;
        while start < rows {
            let count = most.min(rows - start);
            let batch = inputs.narrow(0, start, count);
            let result = run(&self.filled(&batch, count)?)?;
            if result.size().first().is_none_or(|rows| *rows < count) {
                let problem =
                    format!("for {count} inputs the model returns a tensor of shape {:?}", result.size());
                return Err(Error::Usage(problem));
            }
            results.push(result.narrow(0, 0, count).f_to_kind(Kind::Float)?);
            start += count;
        }
        match results.len() {
            1 => Ok(results.remove(0)),
            0 => Err(Error::Usage("there are no inputs".to_string())),
            _ => Ok(Tensor::f_cat(&results, 0)?),
        }
    }

    /// The batch with copies of its last example, if it is smaller than the smallest batch.
    fn filled(&self, batch: &Tensor, count: i64) -> Result<Tensor> {
        if count >= self.least {
            return Ok(batch.shallow_clone());
        }
        let last = batch.narrow(0, count - 1, 1);
        let copies = last.repeat_interleave_self_int(self.least - count, 0, None);
        Ok(Tensor::f_cat(&[batch, &copies], 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(rows: i64, least: i64, most: Option<i64>) -> (Vec<i64>, Tensor) {
        let batching = Batching { shape: vec![2], kind: Kind::Float, least, most };
        let inputs = Tensor::arange(2 * rows, (Kind::Int64, Device::Cpu)).view([rows, 2]);
        let seen = std::cell::RefCell::new(Vec::new());
        let run = |inputs: &Tensor| {
            seen.borrow_mut().push(inputs.size()[0]);
            Ok(inputs * 2.)
        };
        let found = batching.run(&inputs, run).unwrap();
        assert_eq!(found, inputs.to_kind(Kind::Float) * 2.);
        (seen.into_inner(), found)
    }

    #[test]
    fn a_batch_is_run_in_parts_of_the_size_that_the_graph_takes() {
        assert_eq!(sizes(5, 1, None).0, [5]);
        assert_eq!(sizes(5, 1, Some(2)).0, [2, 2, 1]);
        assert_eq!(sizes(5, 2, Some(2)).0, [2, 2, 2]);
        assert_eq!(sizes(1, 4, None).0, [4]);
    }

    #[test]
    fn inputs_of_another_shape_are_refused() {
        let batching = Batching { shape: vec![1, 8, 8], kind: Kind::Float, least: 1, most: None };
        let run = |width: i64| {
            batching.run(&Tensor::zeros([3, width], (Kind::Uint8, Device::Cpu)), |x| {
                assert_eq!((x.size(), x.kind()), (vec![3, 1, 8, 8], Kind::Float));
                Ok(x.flatten(1, -1))
            })
        };
        assert_eq!(run(64).unwrap().size(), [3, 64]);
        assert!(run(65).unwrap_err().to_string().contains("[3, 1, 8, 8]"));
    }
}
