//! Asymmetric loss: Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021.

use tch::{Kind, Tensor};

use super::ObjectiveKind;
use crate::data::TaskKind;
use cresset_options::number::NumberOption;

/// The asymmetric loss of each label, for labels that are not mutually exclusive. Most labels of an example are negative; the loss
/// gives less weight to those that are predicted well, and none to those whose probability is below `clip`.
///
/// The loss of an example is the mean over its labels, as for `bce`, where the paper has the sum. With all options 0, it is `bce`.
/// The defaults are those of `AsymmetricLossMultiLabel` in timm.
pub(crate) const ASYMMETRIC: ObjectiveKind = ObjectiveKind {
    name: "asymmetric",
    summary: "asymmetric loss: bce with less weight on negative labels predicted well",
    options: &[
        NumberOption::real("gamma_neg", 4., (0., 100.), "focusing parameter of negative labels"),
        NumberOption::real("gamma_pos", 1., (0., 100.), "focusing parameter of positive labels"),
        NumberOption::real("clip", 0.05, (0., 0.99), "probability up to which a negative label is ignored"),
    ],
    tasks: &[TaskKind::Multilabel],
    loss: |options, input| {
        let targets = input.targets();
        let positive = focused(input.logits, options.number("gamma_pos"));
        let negative = negative(input.logits, options.number("gamma_neg"), options.number("clip"));
        let losses: Tensor = &targets * positive + (1. - &targets) * negative;
        input.reduce(&losses.mean_dim(1, false, None::<Kind>))
    },
};

/// The focal loss -(1 - p)^gamma · log p of p, the sigmoid of the logits. The power is computed from the logarithm of 1 - p, whose
/// gradient is finite everywhere.
fn focused(logits: &Tensor, gamma: f64) -> Tensor {
    -((-logits).log_sigmoid() * gamma).exp() * logits.log_sigmoid()
}

/// The loss -q^gamma · log(1 - q) of negative labels, where q = max(p - clip, 0).
fn negative(logits: &Tensor, gamma: f64, clip: f64) -> Tensor {
    if clip < SMALLEST {
        return focused(&-logits, gamma);
    }
    // Not 0, where the gradient of a power below 1 is infinite.
    let shifted = (logits.sigmoid() - clip).clamp_min(SMALLEST);
    // 1 - q is at least `clip`, also where the sigmoid rounds to 1.
    let complement = ((-logits).sigmoid() + clip).clamp_max(1.);
    -shifted.pow_tensor_scalar(gamma) * complement.log()
}

/// A positive float32 that is negligible next to any probability.
const SMALLEST: f64 = 1e-30;

#[cfg(test)]
mod tests {
    use super::super::{LossInput, bce};
    use super::*;
    use cresset_options::number::Options;
    use proptest::prelude::*;
    use tch::Reduction;

    fn loss(kind: &ObjectiveKind, options: &str, logits: &Tensor, labels: &Tensor, to: Reduction) -> Tensor {
        let options = Options::parse(options, "the loss function", kind.options).unwrap();
        (kind.loss)(
            &options,
            &LossInput { logits, labels, task: TaskKind::Multilabel, weights: None, reduction: to },
        )
    }

    fn largest(difference: Tensor) -> f64 {
        difference.abs().max().double_value(&[])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn without_focus_and_clip_it_is_the_binary_cross_entropy(
            logits in prop::collection::vec(-60f32..60., 12),
            targets in prop::collection::vec(any::<bool>(), 12),
        ) {
            let logits = Tensor::from_slice(&logits).view([4, 3]);
            let targets = Tensor::from_slice(&targets).to_kind(Kind::Float).view([4, 3]);
            let options = "gamma_neg=0,gamma_pos=0,clip=0";
            let own = loss(&ASYMMETRIC, options, &logits, &targets, Reduction::None);
            let expected = loss(&bce::BCE, "", &logits, &targets, Reduction::None);
            prop_assert!(own.allclose(&expected, 1e-6, 1e-6, false));
        }

        #[test]
        fn loss_and_gradient_of_any_logits_are_finite(
            logits in prop::collection::vec(prop_oneof![-1e4f32..1e4, -20f32..20., Just(0.)], 6),
            gammas in (prop_oneof![Just(0.), 0f64..6.], prop_oneof![Just(0.), 0f64..6.]),
            clip in prop_oneof![Just(0.), Just(1e-12), 0f64..0.9],
        ) {
            let logits = Tensor::from_slice(&logits).view([2, 3]).set_requires_grad(true);
            let targets = Tensor::from_slice2(&[[1f32, 0., 1.], [0., 1., 0.]]);
            let options = format!("gamma_neg={},gamma_pos={},clip={clip}", gammas.0, gammas.1);
            let loss = loss(&ASYMMETRIC, &options, &logits, &targets, Reduction::Mean);
            loss.backward();
            prop_assert!(loss.double_value(&[]).is_finite() && loss.double_value(&[]) >= 0.);
            prop_assert!(largest(logits.grad()).is_finite());
        }
    }

    #[test]
    fn the_gradient_is_finite_where_the_probability_equals_the_clip() {
        let logits = Tensor::from_slice2(&[[0f32, 0.1]]).set_requires_grad(true);
        let options = "gamma_neg=0.5,clip=0.5";
        loss(&ASYMMETRIC, options, &logits, &logits.zeros_like().detach(), Reduction::Mean).backward();
        assert!(largest(logits.grad()).is_finite());
    }

    #[test]
    fn improbable_negative_labels_cost_nothing() {
        let logits = Tensor::from_slice2(&[[-3.1f32, -8., -90.]]).set_requires_grad(true);
        let loss = loss(&ASYMMETRIC, "", &logits, &logits.zeros_like().detach(), Reduction::Mean);
        loss.backward();
        assert_eq!((loss.double_value(&[]), largest(logits.grad())), (0., 0.));
    }
}
