//! The model and output to explain.

use cresset_bridge::script::Module;
use tch::{Kind, Tensor};

use super::table::Background;
use crate::error::{Error, Result};
use crate::export::{MEMBERS, Metadata};
use crate::predict::Classifier;

/// A model, and the class or label whose logit is explained; of a model that predicts a number, the number.
///
/// ```
/// use cresset::predict::explain::Subject;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let subject = Subject::new(&classifier, 0);
/// let inputs = subject.baseline().unsqueeze(0);
/// assert_eq!(subject.scores(&inputs)?.size(), [1]);
/// assert_eq!(subject.gradients(&inputs)?.size(), [1, 4]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Subject<'a> {
    classifier: &'a Classifier,
    class: i64,
    background: Option<&'a Background>,
}

/// Batch size of images and texts.
const BATCH_SIZE: i64 = 64;

/// Values of a batch of rows of a table.
const BATCH_VALUES: i64 = 1 << 16;

impl<'a> Subject<'a> {
    /// Explains the class or label with this index, or the number with the index 0.
    pub fn new(classifier: &'a Classifier, class: usize) -> Self {
        Subject { classifier, class: class as i64, background: None }
    }

    /// Compares rows of a table with these rows, and not with those from the histograms of the training data in the model file.
    pub fn with_background(self, background: &'a Background) -> Self {
        Subject { background: Some(background), ..self }
    }

    /// The raw rows that a row of a table is compared with, float32 (N, features).
    ///
    /// # Errors
    /// A model that does not take rows of a table.
    pub fn background(&self) -> Result<Tensor> {
        match self.background {
            Some(background) => Ok(background.rows.shallow_clone()),
            None => Ok(Background::of_histograms(self.metadata())?.rows),
        }
    }

    /// The mean score of the background.
    ///
    /// # Errors
    /// A model that does not take rows of a table, or fails.
    pub fn base(&self) -> Result<f64> {
        let background = self.background()?.to_device(self.classifier.device());
        Ok(self.scores(&background)?.mean(Kind::Double).double_value(&[]))
    }

    pub(super) fn metadata(&self) -> &Metadata {
        self.classifier.metadata()
    }

    /// A raw input (1, …) as float32 (1, shape…) on the model's device; the token ids of a text (1, tokens), without padding.
    pub(crate) fn shaped(&self, raw: &Tensor) -> Tensor {
        let metadata = self.classifier.metadata();
        if metadata.preprocessing.kind.is_tokens() {
            return metadata.preprocessing.trimmed(raw).to_device(self.classifier.device());
        }
        let sizes: Vec<i64> = std::iter::once(1).chain(self.shape().iter().copied()).collect();
        raw.to_device(self.classifier.device()).to_kind(Kind::Float).reshape(sizes)
    }

    /// The shape of one example.
    pub fn shape(&self) -> &[i64] {
        &self.classifier.metadata().input.shape.0
    }

    /// The baseline input, (shape…): black for images; for tables the column means, which preprocessing maps to zero; for texts
    /// padding, which models do not see.
    pub fn baseline(&self) -> Tensor {
        match self.classifier.metadata().input.value_range {
            Some(range) => self.filled(&[range.min]),
            None => self.filled(&self.classifier.metadata().preprocessing.offset),
        }
    }

    /// The scale of the input values, (shape…): the value range for images, the standard deviations of the columns for tables.
    pub fn spread(&self) -> Tensor {
        match self.classifier.metadata().input.value_range {
            Some(range) => self.filled(&[range.max - range.min]),
            None => self.filled(&self.classifier.metadata().preprocessing.scale),
        }
    }

    fn filled(&self, values: &[f32]) -> Tensor {
        let values = Tensor::from_slice(values).to_device(self.classifier.device());
        if values.numel() == 1 { values.expand(self.shape(), false) } else { values.view(self.shape()) }
    }

    /// The logit of the class, or the number, for each input, (N).
    pub fn scores(&self, inputs: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| {
            self.in_batches(inputs, |inputs| {
                Ok(self.classifier.executor.forward(inputs)?.select(1, self.class))
            })
        })
    }

    /// The gradient of these scores with respect to the inputs, (N, shape…).
    pub fn gradients(&self, inputs: &Tensor) -> Result<Tensor> {
        self.require_gradients()?;
        self.in_batches(inputs, |inputs| {
            let inputs = inputs.detach().copy().set_requires_grad(true);
            let score = self.logits(&inputs)?.select(1, self.class).sum(Kind::Float);
            gradient(&score, &inputs)
        })
    }

    /// The outputs of all operations in the forward pass of one input, in order, and its score.
    pub(crate) fn intermediates(&self, input: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        self.require_gradients()?;
        let input = input.detach().copy().set_requires_grad(true);
        let mut intermediates = self.classifier.module()?.call_with_intermediates("forward", &input)?;
        let logits =
            intermediates.pop().ok_or_else(|| Error::Usage("the model has no operations".to_string()))?;
        Ok((intermediates, logits.select(1, self.class).sum(Kind::Float)))
    }

    /// Refuses a quantized model and one that is not TorchScript. libtorch computes no gradients of quantized layers, and some fail
    /// without a clear message.
    pub(super) fn require_gradients(&self) -> Result<()> {
        if self.classifier.metadata().preprocessing.kind.is_tokens() {
            let problem = "the inputs of a model of texts are token ids, which have no gradients; use `--method occlusion`";
            return Err(Error::Usage(problem.to_string()));
        }
        if self.classifier.has_gradients() { Ok(()) } else { Err(not_differentiable()) }
    }

    /// Whether the model is one network whose gradients can be computed, and not a bag, quantized, or of a format without gradients.
    pub(super) fn has_one_network(&self) -> Result<bool> {
        if self.metadata().is_int8() || self.classifier.executor.module().is_none() {
            return Ok(false);
        }
        Ok(!self.classifier.module()?.methods()?.iter().any(|method| method == MEMBERS))
    }

    pub(super) fn module(&self) -> Result<&Module> {
        self.classifier.module()
    }

    /// The explained ones of logits or numbers (N, outputs), (N).
    pub(super) fn of_logits(&self, logits: &Tensor) -> Tensor {
        logits.select(1, self.class)
    }

    fn logits(&self, inputs: &Tensor) -> Result<Tensor> {
        Ok(self.classifier.module()?.call("forward", inputs)?.remove(0))
    }

    fn in_batches(&self, inputs: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let is_row = self.shape().len() == 1 && !self.metadata().preprocessing.kind.is_tokens();
        let size = if is_row { (BATCH_VALUES / self.shape()[0]).clamp(BATCH_SIZE, 4096) } else { BATCH_SIZE };
        let batches = inputs.to_device(self.classifier.device()).split(size, 0);
        Ok(Tensor::cat(&batches.iter().map(f).collect::<Result<Vec<_>>>()?, 0))
    }
}

/// The gradient of a scalar with respect to a tensor.
///
/// # Errors
/// A scalar that does not depend on the tensor by differentiable operations.
pub fn gradient(score: &Tensor, by: &Tensor) -> Result<Tensor> {
    if !score.requires_grad() {
        return Err(not_differentiable());
    }
    Ok(Tensor::f_run_backward(&[score], &[by], false, false)?.remove(0))
}

fn not_differentiable() -> Error {
    let problem = "the model is not differentiable (for example because it is quantized, or not a TorchScript file); `--method occlusion` needs no \
         gradients";
    Error::Usage(problem.to_string())
}
