//! A model and a class of it, as explanations ask them.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::predict::Classifier;

/// The question why a model finds an input to be of a class.
pub struct Subject<'a> {
    classifier: &'a Classifier,
    class: i64,
}

/// Inputs that go through the model together.
const TOGETHER: i64 = 64;

impl<'a> Subject<'a> {
    /// The question for the class of this index.
    pub fn new(classifier: &'a Classifier, class: usize) -> Self {
        Subject { classifier, class: class as i64 }
    }

    /// A raw input (1, …) as float32 (1, shape…) on the model's device.
    pub fn shaped(&self, raw: &Tensor) -> Tensor {
        let sizes: Vec<i64> = std::iter::once(1).chain(self.shape().iter().copied()).collect();
        raw.to_device(self.classifier.device()).to_kind(Kind::Float).reshape(sizes)
    }

    /// The shape of an input.
    pub fn shape(&self) -> &[i64] {
        &self.classifier.metadata().input.shape.0
    }

    /// An input that says nothing, (shape…): black of a picture; of a table, the means of its columns, where preprocessing
    /// makes zero of everything.
    pub fn baseline(&self) -> Tensor {
        match self.classifier.metadata().input.value_range {
            Some(range) => self.filled(&[range.min]),
            None => self.filled(&self.classifier.metadata().preprocessing.offset),
        }
    }

    /// How far the values of an input are from each other, (shape…): the range of a picture's; of a table, the deviations of
    /// its columns.
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

    /// The logit of the class for each of some inputs, (N).
    pub fn scores(&self, inputs: &Tensor) -> Result<Tensor> {
        tch::no_grad(|| self.in_portions(inputs, |inputs| Ok(self.logits(inputs)?.select(1, self.class))))
    }

    /// The derivative of the logit of the class by each value of some inputs, (N, shape…).
    pub fn gradients(&self, inputs: &Tensor) -> Result<Tensor> {
        self.in_portions(inputs, |inputs| {
            let inputs = inputs.detach().copy().set_requires_grad(true);
            let score = self.logits(&inputs)?.select(1, self.class).sum(Kind::Float);
            gradient(&score, &inputs)
        })
    }

    /// What the operations of the model make of an input on the way to the logit of the class, in their order, and that
    /// logit.
    pub fn intermediates(&self, input: &Tensor) -> Result<(Vec<Tensor>, Tensor)> {
        let input = input.detach().copy().set_requires_grad(true);
        let mut made = self.classifier.module().call_with_intermediates("forward", &input)?;
        let logits = made.pop().ok_or_else(|| Error::Usage("the model computes nothing".to_string()))?;
        Ok((made, logits.select(1, self.class).sum(Kind::Float)))
    }

    fn logits(&self, inputs: &Tensor) -> Result<Tensor> {
        Ok(self.classifier.module().call("forward", inputs)?.remove(0))
    }

    fn in_portions(&self, inputs: &Tensor, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let portions = inputs.split(TOGETHER, 0);
        Ok(Tensor::cat(&portions.iter().map(of).collect::<Result<Vec<_>>>()?, 0))
    }
}

/// The derivative of a scalar by a tensor that it was computed from.
///
/// # Errors
/// A scalar that does not depend on it by operations that have a derivative.
pub fn gradient(score: &Tensor, by: &Tensor) -> Result<Tensor> {
    if !score.requires_grad() {
        let problem = "the model cannot be differentiated (a quantised one, say); `--method occlusion` needs no gradients";
        return Err(Error::Usage(problem.to_string()));
    }
    Ok(Tensor::f_run_backward(&[score], &[by], false, false)?.remove(0))
}
