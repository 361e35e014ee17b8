//! Layers that work element by element.

use tch::Tensor;

use super::{Channels, Elementary, Layer};
use crate::model::script::Script;

/// The rectifier, max(x, 0).
#[derive(Debug)]
pub struct Relu;

impl Layer for Relu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.relu()
    }

    fn script(&self) -> Script {
        Script::expression("torch.relu({x})")
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn elementary(&self) -> Option<Elementary<'_>> {
        Some(Elementary::Relu)
    }

    fn describe(&self) -> String {
        "ReLU".to_string()
    }
}

/// The Gaussian error linear unit, x · Φ(x) (Hendrycks and Gimpel, 2016).
#[derive(Debug)]
pub struct Gelu;

impl Layer for Gelu {
    fn forward(&self, x: &Tensor, _train: bool) -> Tensor {
        x.gelu("none")
    }

    fn script(&self) -> Script {
        Script::expression("torch.gelu({x})")
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn describe(&self) -> String {
        "GELU".to_string()
    }
}

/// In training, sets each value to zero with this probability and scales the others up (Srivastava et al., 2014).
#[derive(Debug)]
pub struct Dropout(pub f64);

impl Layer for Dropout {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x.dropout(self.0, train)
    }

    fn script(&self) -> Script {
        Script::expression(format!("torch.dropout({{x}}, {:?}, self.training)", self.0))
    }

    fn channels(&self) -> Channels {
        Channels::Keeps
    }

    fn elementary(&self) -> Option<Elementary<'_>> {
        Some(Elementary::Dropout)
    }

    fn describe(&self) -> String {
        format!("Dropout {}", self.0)
    }
}
