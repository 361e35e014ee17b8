//! Integrated gradients (Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017): the gradients
//! averaged along the straight line from a baseline to the input. The attributions sum to the difference of the two logits. For texts, see
//! `text/gradients.rs`.

use tch::{Kind, Tensor};

use super::{ExplainerKind, Subject, text};
use crate::error::Result;
use cresset_options::number::{NumberOption, Options};

/// The method.
pub(crate) const INTEGRATED_GRADIENTS: ExplainerKind = ExplainerKind {
    name: "integrated-gradients",
    summary: "averaged gradients from a baseline; sum to the logit difference",
    options: &[NumberOption::whole(
        "steps",
        0,
        (0, 4096),
        "integration steps; 0: increased until the sum is exact within 1 %",
    )],
    is_for_tables: false,
    attribute,
};

/// The first and the largest number of integration steps.
const STEPS: (i64, i64) = (32, 2048);

/// The largest relative error of the sum with respect to the difference of the logits.
pub(super) const TOLERANCE: f64 = 0.005;

fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    if subject.metadata().preprocessing.kind.is_tokens() {
        return text::gradients::attribute(subject, input, options.whole("steps"));
    }
    subject.require_gradients()?;
    let baseline = subject.baseline();
    if options.whole("steps") > 0 {
        return integrate(subject, input, &baseline, options.whole("steps"));
    }
    let scores = subject.scores(&Tensor::cat(&[input, &baseline.unsqueeze(0)], 0))?;
    let difference = scores.double_value(&[0]) - scores.double_value(&[1]);
    let mut steps = STEPS.0;
    loop {
        let attribution = integrate(subject, input, &baseline, steps)?;
        let sum = attribution.sum(Kind::Double).double_value(&[]);
        if steps >= STEPS.1 || (sum - difference).abs() <= TOLERANCE * difference.abs() {
            return Ok(attribution);
        }
        steps *= 2;
    }
}

fn integrate(subject: &Subject, input: &Tensor, baseline: &Tensor, steps: i64) -> Result<Tensor> {
    let (points, weights) = gauss_legendre(steps as usize);
    let along = |values: &[f64]| {
        let sizes: Vec<i64> = std::iter::once(steps).chain(input.size()[1..].iter().map(|_| 1)).collect();
        Tensor::from_slice(values).to_kind(Kind::Float).to_device(input.device()).view(&sizes[..])
    };
    let path = input - baseline;
    let gradients = subject.gradients(&(baseline + &path * along(&points)))?;
    Ok((gradients * along(&weights)).sum_dim_intlist(0, false, Kind::Float) * path.squeeze_dim(0))
}

/// Points and weights of the Gauss–Legendre quadrature on \[0, 1\], exact for polynomials up to degree 2n − 1. The points are the
/// roots of the Legendre polynomial of degree n, computed with Newton's method (Abramowitz and Stegun, 25.4.29).
pub(super) fn gauss_legendre(n: usize) -> (Vec<f64>, Vec<f64>) {
    let root = |index: usize| {
        let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (n as f64 + 0.5)).cos();
        for _ in 0..100 {
            let (value, derivative) = legendre(n, x);
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        let (_, derivative) = legendre(n, x);
        ((1. - x) / 2., 1. / ((1. - x * x) * derivative * derivative))
    };
    (0..n).map(root).unzip()
}

/// The Legendre polynomial of degree n at x, and its derivative.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut previous, mut value) = (1., x);
    for degree in 2..=n {
        let degree = degree as f64;
        (previous, value) = (value, ((2. * degree - 1.) * x * value - (degree - 1.) * previous) / degree);
    }
    (value, n as f64 * (x * value - previous) / (x * x - 1.))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quadrature_is_exact_for_polynomials() {
        for n in [1, 2, 5, 64, 500] {
            let (points, weights) = gauss_legendre(n);
            let integral =
                |power: i32| points.iter().zip(&weights).map(|(x, w)| w * x.powi(power)).sum::<f64>();
            for power in 0..(2 * n as i32).min(20) {
                let expected = 1. / f64::from(power + 1);
                assert!((integral(power) - expected).abs() < 1e-12, "{n} {power}: {}", integral(power));
            }
        }
    }
}
