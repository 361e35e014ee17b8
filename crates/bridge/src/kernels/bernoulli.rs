//! Tests of the random zeros and ones (`bernoulli.cc`); libtorch's dispatcher calls it.

use tch::{Device, Kind, Tensor};

use super::Kernel;

const COUNT: i64 = 1_000_003;

fn draw(p: f64) -> Tensor {
    Tensor::empty([COUNT], (Kind::Float, Device::Cpu)).bernoulli_float_(p)
}

/// The number of standard deviations from `p` of the mean of so many independent draws.
fn deviation(mean: f64, p: f64, count: i64) -> f64 {
    (mean - p) / (p * (1. - p) / count as f64).sqrt()
}

fn mean(values: &Tensor) -> f64 {
    values.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

#[test]
fn zeros_and_ones_are_as_frequent_as_asked_and_independent() {
    tch::manual_seed(5);
    for p in [0.0001, 0.1, 0.5, 0.9, 0.999] {
        let runs = Kernel::Bernoulli.runs();
        let values = draw(p);
        assert_eq!(Kernel::Bernoulli.runs(), runs + 1);
        let is_binary = values.eq(0.).logical_or(&values.eq(1.)).all().int64_value(&[]);
        assert_eq!(is_binary, 1);
        assert!(deviation(mean(&values), p, COUNT).abs() < 4., "{p}");
        // Neighbors, the same place of the next vector, of the next chunk, and of another tensor.
        for distance in [1, 2, 16, 1 << 14] {
            let count = COUNT - distance;
            let both = values.narrow(0, 0, count) * values.narrow(0, distance, count);
            assert!(deviation(mean(&both), p * p, count).abs() < 4.5, "{p}, {distance}");
        }
        let both = values * draw(p);
        assert!(deviation(mean(&both), p * p, COUNT).abs() < 4.5, "{p}");
    }
}

#[test]
fn a_seed_gives_the_same_numbers_on_any_number_of_threads() {
    let threads = tch::get_num_threads();
    let drawn = [1, 2, 4].map(|count| {
        tch::set_num_threads(count);
        tch::manual_seed(6);
        [draw(0.3), draw(0.3)]
    });
    tch::set_num_threads(threads);
    assert_ne!(drawn[0][0], drawn[0][1]);
    assert!(drawn.iter().all(|both| *both == drawn[0]));
    tch::manual_seed(7);
    assert_ne!(draw(0.3), drawn[0][0]);
    // A mask, of which TorchScript's dropout is made.
    tch::manual_seed(6);
    let mask = Tensor::empty([COUNT], (Kind::Bool, Device::Cpu)).bernoulli_float_(0.3);
    assert_eq!(mask.to_kind(Kind::Float), drawn[0][0]);
    // Those of an independent implementation of xoshiro128++.
    let first = drawn[0][0].narrow(0, 0, 24).to_kind(Kind::Int64);
    let first = Vec::<i64>::try_from(first).unwrap().iter().map(ToString::to_string).collect::<String>();
    assert_eq!(first, "000000000000100000010001");
}

#[test]
fn dropout_uses_it_and_the_switch_turns_it_off() {
    tch::manual_seed(8);
    let x = Tensor::ones([64, 64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let runs = Kernel::Bernoulli.runs();
    let y = x.dropout(0.25, true);
    assert_eq!(Kernel::Bernoulli.runs(), runs + 1);
    y.sum(Kind::Float).backward();
    assert_eq!(x.grad(), y);
    assert!((y.max().double_value(&[]) - 1. / 0.75).abs() < 1e-6);
    Kernel::Bernoulli.set_enabled(false);
    let _ = x.dropout(0.25, true);
    Kernel::Bernoulli.set_enabled(true);
    assert_eq!(Kernel::Bernoulli.runs(), runs + 1);
}

/// Few values, other dtypes, columns of a matrix, and certain outcomes.
#[test]
fn what_is_not_plain_is_libtorchs() {
    let runs = Kernel::Bernoulli.runs();
    let new = |kind| Tensor::empty([2000], (kind, Device::Cpu));
    assert_eq!(new(Kind::Double).bernoulli_float_(0.5).kind(), Kind::Double);
    assert_eq!(new(Kind::Float).bernoulli_float_(1.).sum(Kind::Float).double_value(&[]), 2000.);
    assert_eq!(new(Kind::Float).bernoulli_float_(0.).sum(Kind::Float).double_value(&[]), 0.);
    assert!(new(Kind::Float).f_bernoulli_float_(1.5).is_err());
    let _ = new(Kind::Float).narrow(0, 0, 100).bernoulli_float_(0.5);
    let _ = Tensor::empty([100, 100], (Kind::Float, Device::Cpu)).tr().narrow(0, 0, 50).bernoulli_float_(0.5);
    assert_eq!(Kernel::Bernoulli.runs(), runs);
}
