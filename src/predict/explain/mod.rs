//! Why a model decides as it does: what each value of an input contributed to a class.
//!
//! Everything is computed from a `model.pt` alone, so it works on imported models too.

mod grad_cam;
mod integrated_gradients;
mod occlusion;
mod overlay;
mod smooth_grad;
mod subject;
#[cfg(test)]
mod tests;

use tch::Tensor;

use crate::error::{Error, Result, did_you_mean, guard};
use cresset_options::number::{NumberOption, Options};
pub use overlay::{heat_map, overlay, plain};
pub use subject::Subject;

/// A way to explain a decision.
///
/// To add one, write a file beside `occlusion.rs` with a constant of this type and put it in [`EXPLAINERS`].
pub struct ExplainerKind {
    /// Its name, as `--method` takes it.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What `--method-options` can set.
    pub options: &'static [NumberOption],
    /// The attribution of one raw input, float32 (1, shape…), to the subject's class: float32, (shape…) or, where it does
    /// not tell channels apart, (1, height, width). Above 0 speaks for the class, below 0 against it.
    pub attribute: fn(&Options, &Subject, &Tensor) -> Result<Tensor>,
}

/// All ways.
pub const EXPLAINERS: &[ExplainerKind] = &[
    integrated_gradients::INTEGRATED_GRADIENTS,
    smooth_grad::SMOOTH_GRAD,
    grad_cam::GRAD_CAM,
    occlusion::OCCLUSION,
];

/// A way with its options.
pub struct Explainer {
    kind: &'static ExplainerKind,
    options: Options,
}

impl Explainer {
    /// The way of this name with `options` as `--method-options` takes them.
    ///
    /// # Errors
    /// An unknown name, and faulty options.
    pub fn new(name: &str, options: &str) -> Result<Self> {
        let kind = EXPLAINERS.iter().find(|known| known.name == name).ok_or_else(|| {
            let hint = did_you_mean(name, EXPLAINERS.iter().map(|known| known.name)).unwrap_or_default();
            Error::Usage(format!("there is no method `{name}`{hint}"))
        })?;
        Ok(Explainer {
            kind,
            options: Options::parse(options, &format!("the method {name}"), kind.options)
                .map_err(Error::Usage)?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// The attribution of one raw input, (1, …), as [`ExplainerKind::attribute`] describes it.
    ///
    /// # Errors
    /// A model that this way cannot explain, and what the model fails with.
    pub fn attribute(&self, subject: &Subject, raw: &Tensor) -> Result<Tensor> {
        guard(|| {
            let attribution = (self.kind.attribute)(&self.options, subject, &subject.shaped(raw))?;
            if attribution.isfinite().all().int64_value(&[]) != 1 {
                let problem = "the model's gradients are no numbers here, so nothing can be said";
                return Err(Error::Usage(problem.to_string()));
            }
            Ok(attribution.to_device(tch::Device::Cpu))
        })
    }
}
