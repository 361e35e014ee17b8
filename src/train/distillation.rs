//! Knowledge distillation: the loss also asks for what a better model says (Hinton, Vinyals and Dean, "Distilling the
//! Knowledge in a Neural Network", 2015).

use tch::{Kind, Tensor};

use crate::error::Result;

/// Logits (N, classes) of preprocessed inputs (N, …), on their device.
pub type Teacher = Box<dyn Fn(&Tensor) -> Result<Tensor>>;

/// A teacher, and how much it counts.
pub struct Distillation {
    /// Who teaches.
    pub teacher: Teacher,
    /// What logits are divided by, above 0: the greater, the more of what the teacher thinks of the other classes is seen.
    pub temperature: f64,
    /// How much the teacher counts, from 0 to 1; the labels have the rest.
    pub share: f64,
}

impl Distillation {
    /// The loss for logits (N, classes) of these inputs, of which `labels` is the loss by their labels; both a scalar.
    pub fn loss(&self, labels: &Tensor, logits: &Tensor, inputs: &Tensor) -> Result<Tensor> {
        let taught = tch::no_grad(|| (self.teacher)(inputs))?;
        let expected = (taught / self.temperature).log_softmax(-1, Kind::Float);
        let found = (logits / self.temperature).log_softmax(-1, Kind::Float);
        let divergence =
            (expected.exp() * (expected - found)).sum_dim_intlist(-1, false, Kind::Float).mean(None);
        // Its gradients shrink with the square of the temperature.
        let scale = self.temperature * self.temperature;
        Ok(labels * (1. - self.share) + divergence * (scale * self.share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distillation(share: f64) -> Distillation {
        Distillation { teacher: Box::new(|inputs| Ok(inputs * 2.)), temperature: 2., share }
    }

    #[test]
    fn the_loss_is_that_of_the_labels_and_the_divergence_from_the_teacher() {
        let inputs = Tensor::from_slice(&[1f32, 0., 0., 1.]).view([2, 2]);
        let logits = Tensor::from_slice(&[0f32, 0., 0., 2.]).view([2, 2]);
        let value = |share| {
            distillation(share).loss(&Tensor::from(3f32), &logits, &inputs).unwrap().double_value(&[])
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
        distillation(1.).loss(&Tensor::from(0f32), &logits, &inputs).unwrap().backward();
        let gradient = Vec::<f32>::try_from(logits.grad().view(-1)).unwrap();
        assert!(gradient[0] < 0. && gradient[2] > 0., "{gradient:?}");
    }
}
