//! Integrated gradients of texts (Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017): the vectors of the
//! embedding are scaled from 0 to 1, and the gradients by them are averaged.

use tch::{Kind, Tensor};

use super::super::Subject;
use super::super::integrated_gradients::{TOLERANCE, gauss_legendre};
use super::super::subject::gradient;
use crate::error::{Error, Result};
use crate::model::preprocessing::PreprocessingKind;

/// The first and the largest number of integration steps.
const STEPS: (i64, i64) = (16, 512);

/// Entries of the embedding that are computed together.
const AT_ONCE: i64 = 8192;

/// The attribution to each token of a text (1, tokens), float32 (tokens), with this number of steps, or with 0 until the sum is exact
/// within 1 % of the difference from [`base`].
///
/// # Errors
/// A model without gradients by an embedding, a bag of models, and pairs of texts.
pub fn attribute(subject: &Subject, ids: &Tensor, steps: i64) -> Result<Tensor> {
    check(subject)?;
    if steps > 0 {
        return of_tokens(integrate(subject, ids, steps)?, ids.size()[1]);
    }
    let difference = subject.scores(ids)?.double_value(&[0]) - base(subject, ids)?;
    let mut steps = STEPS.0;
    loop {
        let entries = integrate(subject, ids, steps)?;
        let sum = entries.sum(Kind::Double).double_value(&[]);
        // A hundredth of a logit is no difference.
        if steps >= STEPS.1 || (sum - difference).abs() <= TOLERANCE * difference.abs().max(1.) {
            return of_tokens(entries, ids.size()[1]);
        }
        steps *= 2;
    }
}

/// The score of a text of as many tokens whose vectors are all zero.
///
/// # Errors
/// Those of [`attribute`].
pub fn base(subject: &Subject, ids: &Tensor) -> Result<f64> {
    check(subject)?;
    let (_, score) = tch::no_grad(|| scaled(subject, ids, &[0.]))?;
    Ok(score.double_value(&[]))
}

fn check(subject: &Subject) -> Result<()> {
    let problem = match subject.metadata().preprocessing.kind {
        PreprocessingKind::TokenPairs => "the method integrated-gradients does not explain pairs of texts",
        _ if !subject.has_one_network()? => {
            "the method integrated-gradients needs the gradients of a single network"
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(format!("{problem}; use `--method occlusion`")))
}

/// The attribution to each entry of the embedding, (entries).
fn integrate(subject: &Subject, ids: &Tensor, steps: i64) -> Result<Tensor> {
    let (points, weights) = gauss_legendre(steps as usize);
    let at_once = (AT_ONCE / ids.size()[1]).clamp(1, steps) as usize;
    let mut sum: Option<Tensor> = None;
    for (points, weights) in points.chunks(at_once).zip(weights.chunks(at_once)) {
        let (vectors, score) = scaled(subject, ids, points)?;
        let gradients = gradient(&score, &vectors)?;
        let along = |values: Vec<f64>| {
            Tensor::from_slice(&values).to_kind(Kind::Float).to_device(ids.device()).view([-1, 1, 1])
        };
        // Scaled vectors, divided by their factors, are those of the text.
        let factors = weights.iter().zip(points).map(|(weight, point)| weight / point).collect();
        let part = (gradients * vectors.detach() * along(factors)).sum_dim_intlist(
            [0, 2].as_slice(),
            false,
            Kind::Float,
        );
        sum = Some(sum.map_or_else(|| part.shallow_clone(), |sum| sum + &part));
    }
    sum.ok_or_else(|| Error::Usage("there are no integration steps".to_string()))
}

/// The vectors of a text at these factors, (factors, entries, width), and the sum of the scores.
fn scaled(subject: &Subject, ids: &Tensor, factors: &[f64]) -> Result<(Tensor, Tensor)> {
    let factors = Tensor::from_slice(factors).to_kind(Kind::Float).to_device(ids.device()).view([-1, 1, 1]);
    let copies = ids.repeat([factors.size()[0], 1]);
    let factors = factors.set_requires_grad(true);
    let (vectors, logits) = subject.module()?.call_with_scaled_embedding("forward", &copies, &factors)?;
    Ok((vectors, subject.of_logits(&logits).sum(Kind::Float)))
}

/// The attribution to tokens from that to the entries of the embedding: the tokens themselves, or n-grams of 1, 2, … tokens, whose
/// attribution their tokens share.
fn of_tokens(entries: Tensor, tokens: i64) -> Result<Tensor> {
    let sum = Tensor::zeros([tokens], (Kind::Float, entries.device()));
    let (mut start, mut length) = (0, 1);
    while start < entries.size()[0] {
        let count = tokens - length + 1;
        if count < 1 || start + count > entries.size()[0] {
            let problem = "the entries of the model's embedding are not the tokens of the text; use `--method occlusion`";
            return Err(Error::Usage(problem.to_string()));
        }
        let share = entries.narrow(0, start, count) / length as f64;
        for shift in 0..length {
            let _ = sum.narrow(0, shift, count).g_add_(&share);
        }
        (start, length) = (start + count, length + 1);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ngrams_are_shared_by_their_tokens() {
        let entries = Tensor::from_slice(&[1f32, 2., 3., 10., 20.]);
        assert_eq!(of_tokens(entries, 3).unwrap(), Tensor::from_slice(&[6f32, 17., 13.]));
        assert_eq!(of_tokens(Tensor::from_slice(&[1f32, 2.]), 2).unwrap(), Tensor::from_slice(&[1f32, 2.]));
        assert!(of_tokens(Tensor::from_slice(&[1f32, 2., 3., 4.]), 2).is_err());
    }
}
