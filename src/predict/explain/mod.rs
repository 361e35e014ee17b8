//! Explanations: attributions of a prediction to the input values.
//!
//! All methods work on any `model.pt`, including imported models.

mod expected_gradients;
mod grad_cam;
mod integrated_gradients;
mod occlusion;
mod overlay;
mod shapley;
mod smooth_grad;
mod subject;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;

use tch::Tensor;

use crate::error::{Error, Result, catch_panics, did_you_mean};
use crate::model::preprocessing::PreprocessingKind;
use cresset_options::number::{NumberOption, Options};
pub use overlay::{draw_heat_map, overlay, plain};
pub use subject::Subject;

/// An attribution method.
///
/// To add a method, create a file next to `occlusion.rs` with a constant of this type and add it to [`EXPLAINERS`].
///
/// ```
/// use cresset::predict::explain::EXPLAINERS;
///
/// let occlusion = EXPLAINERS.iter().find(|kind| kind.name == "occlusion").unwrap();
/// assert!(occlusion.options.iter().any(|option| option.name == "window"));
/// ```
pub struct ExplainerKind {
    /// The name for `--method`.
    pub name: &'static str,
    /// A one-line description.
    pub summary: &'static str,
    /// The options for `--method-options`.
    pub options: &'static [NumberOption],
    /// Whether it explains the columns of tables only.
    pub is_for_tables: bool,
    /// Computes the attribution of one raw input, float32 (1, shape…), for the class or number of the subject: float32,
    /// (shape…), (columns) for methods that explain tables, or (1, height, width) for methods without an attribution per channel.
    /// Positive values support the class, or raise the number.
    pub attribute: fn(&Options, &Subject, &Tensor) -> Result<Tensor>,
}

/// All methods.
///
/// ```
/// use cresset::predict::explain::EXPLAINERS;
///
/// let names: Vec<&str> = EXPLAINERS.iter().map(|explainer| explainer.name).collect();
/// assert_eq!(names, ["integrated-gradients", "smooth-grad", "grad-cam", "occlusion", "shapley", "expected-gradients"]);
/// ```
pub const EXPLAINERS: &[ExplainerKind] = &[
    integrated_gradients::INTEGRATED_GRADIENTS,
    smooth_grad::SMOOTH_GRAD,
    grad_cam::GRAD_CAM,
    occlusion::OCCLUSION,
    shapley::SHAPLEY,
    expected_gradients::EXPECTED_GRADIENTS,
];

/// An attribution method with its options.
///
/// ```
/// use cresset::predict::explain::{Explainer, Subject};
/// use cresset::prelude::*;
/// use tch::Tensor;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let flower = Tensor::from_slice2(&[[5.1f32, 3.5, 1.4, 0.2]]);
/// let explainer = Explainer::new("integrated-gradients", "")?;
/// let attribution = explainer.attribute(&Subject::new(&classifier, 0), &flower)?;
/// assert_eq!(attribution.size(), [4]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Explainer {
    kind: &'static ExplainerKind,
    options: Options,
}

impl Explainer {
    /// Creates the method `name` with `options` in the syntax of `--method-options`.
    ///
    /// # Errors
    /// An unknown name, and invalid options.
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

    /// Integrated gradients for a model of texts that has them, else occlusion.
    ///
    /// # Errors
    /// A model whose methods cannot be listed.
    pub fn for_texts(subject: &Subject) -> Result<Self> {
        let has_gradients =
            subject.has_one_network()? && subject.metadata().preprocessing.kind == PreprocessingKind::Tokens;
        Explainer::new(if has_gradients { "integrated-gradients" } else { "occlusion" }, "")
    }

    /// The name of the method.
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Whether it explains the columns of tables, and its values sum to the difference from [`Subject::base`].
    pub fn is_for_tables(&self) -> bool {
        self.kind.is_for_tables
    }

    /// The attribution of one raw input, (1, …); see [`ExplainerKind::attribute`].
    ///
    /// # Errors
    /// A model that this method cannot explain, and a model that fails.
    pub fn attribute(&self, subject: &Subject, raw: &Tensor) -> Result<Tensor> {
        catch_panics(|| {
            let attribution = (self.kind.attribute)(&self.options, subject, &subject.shaped(raw))?;
            if attribution.isfinite().all().int64_value(&[]) != 1 {
                let problem = "the attribution of this input is NaN or infinite";
                return Err(Error::Usage(problem.to_string()));
            }
            Ok(attribution.to_device(tch::Device::Cpu))
        })
    }
}
