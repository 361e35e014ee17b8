use super::*;
use crate::loader::Mixed;

fn logits() -> Tensor {
    Tensor::from_slice2(&[[2f32, 0., -1.], [0., 1., 0.5], [0.3, -0.2, 0.1]])
}

fn batch(labels: Tensor) -> Batch {
    Batch::new(Tensor::new(), labels)
}

fn classes(labels: &[i64]) -> Batch {
    batch(Tensor::from_slice(labels))
}

fn mixed(weight: f32) -> Batch {
    let other = Mixed { labels: Tensor::from_slice(&[1i64, 1, 0]), weight: Tensor::from_slice(&[weight; 3]) };
    Batch { mixed: Some(other), ..classes(&[0, 2, 1]) }
}

fn objective(name: &str, options: &str, weights: Option<&[f32]>) -> Objective {
    Objective::new(name, options, weights, Device::Cpu).unwrap()
}

const WEIGHTS: Option<&[f32]> = Some(&[0.5, 2., 1.]);

/// Results of PyTorch 2.11 for these logits and the classes 0, 2, 1; `F` is torch.nn.functional, `w` the weights.
#[test]
fn losses_are_those_of_pytorch() {
    for (name, options, weights, expected) in [
        // F.cross_entropy(logits, y)
        ("cross-entropy", "", None, 0.912_018_358_707_428),
        // F.cross_entropy(logits, y, w, label_smoothing=0.1)
        ("cross-entropy", "smoothing=0.1", WEIGHTS, 1.183_591_604_232_788),
        // torchvision's form over the softmax: ((1 - p)**2 * F.cross_entropy(logits, y, reduction="none")).mean()
        ("focal", "", None, 0.450_017_839_670_181_3),
        // F.mse_loss(logits.softmax(-1), F.one_hot(y).float())
        ("mse", "", None, 0.184_085_056_185_722_35),
        // F.binary_cross_entropy_with_logits(logits, F.one_hot(y).float())
        ("bce", "", None, 0.667_857_050_895_690_9),
    ] {
        let loss = objective(name, options, weights).loss(&logits(), &classes(&[0, 2, 1])).double_value(&[]);
        assert!((loss - expected).abs() < 1e-6, "{name} {options}: {loss}, PyTorch has {expected}");
    }
}

#[test]
fn the_mean_is_that_of_the_single_losses() {
    for kind in OBJECTIVES {
        for weights in [None, WEIGHTS] {
            let objective = objective(kind.name, "", weights);
            let mean = objective.loss(&logits(), &classes(&[0, 2, 1])).double_value(&[]);
            let sum = objective.losses(&logits(), &classes(&[0, 2, 1])).sum(Kind::Double).double_value(&[]);
            let count = weights.map_or(3., |weights| f64::from(weights.iter().sum::<f32>()));
            assert!((mean - sum / count).abs() < 1e-6, "{}: {mean}, {sum}", kind.name);
        }
    }
}

#[test]
fn without_focus_the_focal_loss_is_the_cross_entropy() {
    let loss = |name, options| objective(name, options, WEIGHTS).loss(&logits(), &classes(&[0, 2, 1]));
    let difference = loss("focal", "gamma=0") - loss("cross-entropy", "");
    assert!(difference.double_value(&[]).abs() < 1e-6);
}

#[test]
fn several_labels_of_an_example_count_each() {
    let both = Tensor::from_slice2(&[[1f32, 1., 0.], [0., 0., 0.], [0., 1., 1.]]);
    let loss = objective("bce", "", None).loss(&logits(), &batch(both.shallow_clone()));
    let p = logits().sigmoid();
    let (other, improbable): (Tensor, Tensor) = (1. - &both, 1. - &p);
    let expected: Tensor = -(&both * p.log() + other * improbable.log());
    assert!((loss - expected.mean(Kind::Float)).double_value(&[]).abs() < 1e-6);
}

#[test]
fn a_mixed_batch_has_the_mixed_loss() {
    for kind in OBJECTIVES {
        let objective = objective(kind.name, "", None);
        let loss = |batch: &Batch| objective.loss(&logits(), batch).double_value(&[]);
        let (first, second) = (loss(&classes(&[0, 2, 1])), loss(&classes(&[1, 1, 0])));
        assert!((loss(&mixed(1.)) - first).abs() < 1e-6);
        assert!((loss(&mixed(0.25)) - (0.25 * first + 0.75 * second)).abs() < 1e-6);
    }
}

#[test]
fn weights_of_classes_hold_for_mixed_batches_too() {
    let objective = objective("cross-entropy", "", WEIGHTS);
    let loss = |batch: &Batch| objective.loss(&logits(), batch).double_value(&[]);
    assert!((loss(&mixed(1.)) - loss(&classes(&[0, 2, 1]))).abs() < 1e-6);
    assert!(
        (loss(&mixed(1.))
            - self::objective("cross-entropy", "", None)
                .loss(&logits(), &classes(&[0, 2, 1]))
                .double_value(&[]))
        .abs()
            > 1e-3
    );
}
