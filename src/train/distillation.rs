//! Knowledge distillation: the loss includes the divergence from a teacher (Hinton, Vinyals and Dean, "Distilling the Knowledge
//! in a Neural Network", 2015).

use std::rc::Rc;

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::loader::Batch;

/// Computes logits (N, classes) of preprocessed inputs (N, …), on the same device.
pub type LogitsOf = dyn Fn(&Tensor) -> Result<Tensor>;

/// Where the logits of the teacher come from.
///
/// ```
/// use cresset::train::Teacher;
/// use std::rc::Rc;
///
/// let doubling = Teacher::Model(Rc::new(|inputs| Ok(inputs * 2.)));
/// assert!(matches!(doubling, Teacher::Model(_)));
/// ```
#[derive(Clone)]
pub enum Teacher {
    /// They are computed for each batch.
    Model(Rc<LogitsOf>),
    /// They were computed before training, and the batches have them ([`Batch::taught`]).
    Batches,
}

/// Knowledge distillation: a teacher, and its weight in the loss.
///
/// ```
/// use cresset::loader::Batch;
/// use cresset::train::{Distillation, Teacher};
/// use std::rc::Rc;
/// use tch::{Kind, Tensor};
///
/// // A teacher that always returns the same logits.
/// let teacher = Teacher::Model(Rc::new(|_: &Tensor| Ok(Tensor::from_slice2(&[[2f32, 0.]]))));
/// let distillation = Distillation { teacher, temperature: 4., share: 1. };
/// let (label_loss, batch) = (Tensor::from(0.3f32), Batch::new(Tensor::from_slice2(&[[1f32]]), Tensor::from_slice(&[0i64])));
/// // The divergence from the teacher is 0 if the logits are equal.
/// let loss = distillation.loss(&label_loss, &Tensor::from_slice2(&[[2f32, 0.]]), &batch)?;
/// assert!(loss.to_kind(Kind::Double).double_value(&[]).abs() < 1e-6);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Clone)]
pub struct Distillation {
    /// The teacher.
    pub teacher: Teacher,
    /// Temperature that the logits are divided by, above 0. A higher temperature gives the improbable classes more weight.
    pub temperature: f64,
    /// Weight of the teacher in the loss, from 0 to 1; the labels have the rest.
    pub share: f64,
}

impl Distillation {
    /// The loss, a scalar, of logits (N, classes) for a batch. `label_loss` is their loss by the labels, a scalar.
    ///
    /// # Errors
    /// A teacher that fails, and a batch without the logits of a teacher that computed them before.
    pub fn loss(&self, label_loss: &Tensor, logits: &Tensor, batch: &Batch) -> Result<Tensor> {
        let teacher_logits = match (&self.teacher, &batch.taught) {
            (Teacher::Model(teacher), _) => tch::no_grad(|| teacher(&batch.inputs))?,
            (Teacher::Batches, Some(taught)) => taught.logits.shallow_clone(),
            (Teacher::Batches, None) => {
                let problem = "the batches of this data do not have the logits of the teacher";
                return Err(Error::Usage(problem.to_string()));
            }
        };
        let expected = (teacher_logits / self.temperature).log_softmax(-1, Kind::Float);
        let actual = (logits / self.temperature).log_softmax(-1, Kind::Float);
        let divergence =
            (expected.exp() * (expected - actual)).sum_dim_intlist(-1, false, Kind::Float).mean(None);
        // The gradients of the divergence scale with 1/T², which this factor cancels.
        let scale = self.temperature * self.temperature;
        Ok(label_loss * (1. - self.share) + divergence * (scale * self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::Taught;

    fn distillation(share: f64) -> Distillation {
        Distillation { teacher: Teacher::Model(Rc::new(|inputs| Ok(inputs * 2.))), temperature: 2., share }
    }

    fn batch(inputs: Tensor) -> Batch {
        let rows = inputs.size()[0];
        Batch::new(inputs, Tensor::zeros([rows], (Kind::Int64, tch::Device::Cpu)))
    }

    #[test]
    fn the_loss_is_that_of_the_labels_and_the_divergence_from_the_teacher() {
        let inputs = Tensor::from_slice(&[1f32, 0., 0., 1.]).view([2, 2]);
        let logits = Tensor::from_slice(&[0f32, 0., 0., 2.]).view([2, 2]);
        let value = |share| {
            let batch = batch(inputs.shallow_clone());
            distillation(share).loss(&Tensor::from(3f32), &logits, &batch).unwrap().double_value(&[])
        };
        // The teacher gives softmax(1, 0) and softmax(0, 1); the student 1/2, and the second one exactly.
        let p = 1f64.exp() / (1f64.exp() + 1.);
        let divergence = (p * (2. * p).ln() + (1. - p) * (2. * (1. - p)).ln()) / 2.;
        assert!((value(1.) - 4. * divergence).abs() < 1e-6, "{}", value(1.));
        assert_eq!(value(0.), 3.);
        assert!((value(0.25) - (2.25 + divergence)).abs() < 1e-6);
    }

    #[test]
    fn gradients_draw_the_logits_towards_the_teacher() {
        let inputs = Tensor::from_slice(&[1f32, 0., -1.]).view([1, 3]);
        let logits = Tensor::zeros([1, 3], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
        distillation(1.).loss(&Tensor::from(0f32), &logits, &batch(inputs)).unwrap().backward();
        let gradient = Vec::<f32>::try_from(logits.grad().view(-1)).unwrap();
        assert!(gradient[0] < 0. && gradient[2] > 0., "{gradient:?}");
    }

    #[test]
    fn logits_of_the_teacher_that_a_batch_has_count_as_those_it_computes() {
        let inputs = Tensor::from_slice(&[1f32, 0., 0., 1.]).view([2, 2]);
        let logits = Tensor::from_slice(&[0f32, 0., 0., 2.]).view([2, 2]);
        let loss = |teacher, taught| {
            let distillation = Distillation { teacher, ..distillation(0.5) };
            let batch = Batch { taught, ..batch(inputs.shallow_clone()) };
            distillation.loss(&Tensor::from(3f32), &logits, &batch)
        };
        let computed = loss(distillation(0.5).teacher, None).unwrap();
        let taught = Taught { logits: &inputs * 2., labelled: None };
        assert_eq!(loss(Teacher::Batches, Some(taught)).unwrap(), computed);
        assert!(loss(Teacher::Batches, None).is_err());
    }
}
