//! Test-time augmentation: averages probabilities or numbers over augmented views of an image.

use cresset_options::{option, options, parse};
use tch::{Kind, Tensor};

use crate::data::random::{Purpose, stream};
use crate::data::{InputShape, ValueRange};
use crate::error::{Error, Result};
use crate::loader::augment::Augmentation;
use crate::model::Outputs;
use crate::options::values::augmentation;

options! {
    /// Options of test-time augmentation.
    ///
    /// ```
    /// use cresset::predict::ViewOptions;
    ///
    /// let options = ViewOptions { tta: "flip".to_string(), ..ViewOptions::default() };
    /// assert_eq!(options.tta_views, 8);
    /// ```
    #[derive(Eq)]
    pub struct ViewOptions {
        /// Test-time augmentation: average the probabilities or the number of each image over augmented views; takes what
        /// `--augment` takes, such as `affine=5:0.05`
        pub tta: String = option("CHANGES").default("none").parser(augmentation),

        /// Number of augmented views in addition to the image itself
        pub tta_views: u32 = option("N").default("8").parser(parse::within(1..=1000)),
    }
}

/// Test-time augmentation of images.
#[derive(Debug)]
pub(super) struct Views {
    augmentation: Augmentation,
    count: u32,
    shape: InputShape,
    range: ValueRange,
}

impl Views {
    /// Augmented views of images of this shape and value range; `None` if there is no augmentation.
    ///
    /// # Errors
    /// Augmentations that mix images, and inputs that are not images.
    pub fn new(options: &ViewOptions, shape: &InputShape, range: Option<ValueRange>) -> Result<Option<Self>> {
        let augmentation: Augmentation = options.tta.parse().map_err(Error::Usage)?;
        if augmentation.is_none() {
            return Ok(None);
        }
        let fault = |problem: &str| Error::Usage(format!("--tta {augmentation}: {problem}"));
        if !augmentation.mixing().is_empty() {
            return Err(fault("augmentations that mix images cannot be used for test-time augmentation"));
        }
        let range = range.filter(|_| shape.0.len() == 3);
        let range = range.ok_or_else(|| {
            fault("test-time augmentation needs images, but the model takes rows of a table")
        })?;
        Ok(Some(Views { augmentation, count: options.tta_views, shape: shape.clone(), range }))
    }

    /// The mean outputs of raw images (N, …) and their views, as an exported model returns them: the logarithm of the mean
    /// probabilities of classes (N, classes), the logits of the mean probabilities of labels (N, labels), or the mean number (N, 1).
    /// Each view applies the same augmentation to all images, so the result of an image does not depend on the rest of the batch.
    ///
    /// With `keep_energy`, the result of an image is shifted by a constant, which leaves the probabilities of classes the same and
    /// makes its energy the mean energy of the views. Without, all energies are 0.
    pub fn outputs(
        &self,
        raw: &Tensor,
        outputs: &Outputs,
        keep_energy: bool,
        forward: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let rows = raw.size()[0];
        let sizes: Vec<i64> = std::iter::once(rows).chain(self.shape.0.iter().copied()).collect();
        let images = raw.reshape(sizes.as_slice());
        let mut all = vec![forward(raw)?];
        for view in 0..u64::from(self.count) {
            let mut generators: Vec<_> = (0..rows).map(|_| stream(0, Purpose::Augment, view)).collect();
            all.push(forward(&self.augmentation.apply_raw(&images, self.range, &mut generators))?);
        }
        let all = Tensor::stack(&all, 0);
        Ok(match outputs {
            Outputs::Classification if keep_energy => {
                mean_of_classes(&all) + all.logsumexp([-1], true).mean_dim(0, false, Kind::Float)
            }
            Outputs::Classification => mean_of_classes(&all),
            Outputs::Multilabel { .. } => mean_of_labels(&all),
            Outputs::Regression { .. } | Outputs::Ranking => all.mean_dim(0, false, Kind::Float),
        })
    }
}

/// The logarithm of the mean probabilities (N, classes) from the logits of all views (views, N, classes).
fn mean_of_classes(logits: &Tensor) -> Tensor {
    logits.log_softmax(-1, Kind::Float).logsumexp([0], false) - (logits.size()[0] as f64).ln()
}

/// The logits of the mean probabilities (N, labels) from the logits of all views (views, N, labels). The logit of a mean is the
/// logarithm of the sum of the probabilities less that of the sum of their complements, which is finite where a mean rounds to 1.
fn mean_of_labels(logits: &Tensor) -> Tensor {
    logits.log_sigmoid().logsumexp([0], false) - (-logits).log_sigmoid().logsumexp([0], false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::ood::energies;
    use tch::Device;

    fn views(tta: &str, views: u32) -> Result<Option<Views>> {
        let options = ViewOptions { tta: tta.to_string(), tta_views: views };
        Views::new(&options, &InputShape(vec![1, 2, 3]), Some(ValueRange { min: 0., max: 16. }))
    }

    /// A model that depends on the first column only, so an image and its horizontal flip differ.
    fn by_first_column(x: &Tensor) -> Result<Tensor> {
        let column = x.view([-1, 2, 3]).select(2, 0).sum_dim_intlist(1, false, Kind::Float);
        Ok(Tensor::stack(&[&column, &column.zeros_like()], 1))
    }

    #[test]
    fn probabilities_are_the_mean_over_the_views() {
        let raw = Tensor::from_slice(&[0f32, 0., 2., 0., 0., 0.]).view([1, 6]);
        // A horizontal flip with probability 1.
        let views = views("flip=1", 1).unwrap().unwrap();
        let found = views
            .outputs(&raw, &Outputs::Classification, false, by_first_column)
            .unwrap()
            .exp()
            .double_value(&[0, 0]);
        let expected = (0.5 + 1. / (1. + (-2f64).exp())) / 2.;
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn labels_have_the_logits_of_their_mean_probabilities_and_numbers_their_mean() {
        let raw = Tensor::from_slice(&[0f32, 0., 2., 0., 0., 0.]).view([1, 6]);
        let views = views("flip=1", 1).unwrap().unwrap();
        // The logits 0 and 40 of the image and 2 and 40 of its flip.
        let labels = |x: &Tensor| Ok(by_first_column(x)? + Tensor::from_slice(&[0f32, 40.]));
        let outputs = Outputs::Multilabel { thresholds: vec![0.5, 0.5] };
        let found = views.outputs(&raw, &outputs, false, labels).unwrap();
        let mean = (0.5 + 1. / (1. + (-2f64).exp())) / 2.;
        assert!((found.sigmoid().double_value(&[0, 0]) - mean).abs() < 1e-6, "{found}");
        assert!((found.double_value(&[0, 1]) - 40.).abs() < 1e-4, "{found}");

        let numbers = |x: &Tensor| Ok(by_first_column(x)?.narrow(1, 0, 1) * 3. - 1.);
        let outputs = Outputs::Regression { offset: 0., scale: 1., interval: None };
        // The numbers -1 of the image and 5 of its flip.
        assert_eq!(views.outputs(&raw, &outputs, false, numbers).unwrap(), Tensor::from_slice2(&[[2f32]]));
    }

    #[test]
    fn the_energy_is_the_mean_over_the_views_and_the_probabilities_stay() {
        let raw = Tensor::from_slice(&[0f32, 0., 2., 0., 0., 0.]).view([1, 6]);
        let views = views("flip=1", 1).unwrap().unwrap();
        let logits = |keep| views.outputs(&raw, &Outputs::Classification, keep, by_first_column).unwrap();
        let energy = energies(&logits(true))[0];
        // The logits (0, 0) of the image and (2, 0) of its flip.
        let expected = -(2f32.ln() + (2f32.exp() + 1.).ln()) / 2.;
        assert!((energy - expected).abs() < 1e-6, "{energy} {expected}");
        assert!(energies(&logits(false))[0].abs() < 1e-6);
        let probabilities = |keep| logits(keep).softmax(-1, Kind::Float);
        assert!(probabilities(true).allclose(&probabilities(false), 1e-6, 1e-6, false));
    }

    #[test]
    fn the_result_of_an_image_does_not_depend_on_the_batch() {
        let raw = Tensor::rand([5, 6], (Kind::Float, Device::Cpu)) * 16.;
        let views = views("affine=20:0.2,noise=0.1", 3).unwrap().unwrap();
        let of = |raw: &Tensor| views.outputs(raw, &Outputs::Classification, true, by_first_column).unwrap();
        let (all, third) = (of(&raw), of(&raw.narrow(0, 2, 1)));
        assert_eq!(all.get(2), third.get(0));
    }

    #[test]
    fn mixing_and_tables_are_refused() {
        assert!(views("none", 3).unwrap().is_none());
        assert!(views("mixup", 3).unwrap_err().to_string().contains("augmentations that mix images"));
        let options = ViewOptions { tta: "flip".to_string(), tta_views: 2 };
        let refused = Views::new(&options, &InputShape(vec![4]), None).unwrap_err().to_string();
        assert!(refused.contains("rows of a table"), "{refused}");
    }
}
