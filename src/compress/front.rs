//! Selects models by score, size and latency.

use super::Compressed;

/// How much slower than the original a model may be on one example to be chosen: the noise of a measurement.
const SLOWDOWN: f64 = 1.05;

/// Marks the Pareto front of score, size and latency, and chooses a model from it: the one with the smallest size times latency
/// whose score is at most `max_loss` below that of the original, and which is not slower on one example. The first model is the
/// original.
pub fn mark(models: &mut [Compressed], max_loss: f64) {
    let Some(Compressed { score: original, latency_1, .. }) = models.first().cloned() else { return };
    let on_front: Vec<bool> =
        models.iter().map(|model| !models.iter().any(|other| dominates(other, model))).collect();
    for (model, on_front) in models.iter_mut().zip(on_front) {
        model.is_on_front = on_front;
        model.is_chosen = false;
    }
    // The margin allows for rounding errors in fractions such as 1436/1438.
    let least_score = original - max_loss - 1e-9;
    let is_allowed = |model: &&mut Compressed| {
        model.is_on_front && model.score >= least_score && model.latency_1 <= SLOWDOWN * latency_1
    };
    let chosen = models.iter_mut().filter(is_allowed);
    if let Some(chosen) = chosen.min_by(|a, b| cost(a).total_cmp(&cost(b))) {
        chosen.is_chosen = true;
    }
}

fn cost(model: &Compressed) -> f64 {
    model.bytes as f64 * model.latency_1
}

fn dominates(a: &Compressed, b: &Compressed) -> bool {
    let pairs = [
        (-a.score, -b.score),
        (a.bytes as f64, b.bytes as f64),
        (a.latency_1, b.latency_1),
        (a.latency_64, b.latency_64),
    ];
    pairs.iter().all(|(a, b)| a <= b) && pairs.iter().any(|(a, b)| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outputs;
    use proptest::prelude::*;

    fn model(score: f64, bytes: u64, latency: f64) -> Compressed {
        Compressed {
            name: String::new(),
            file: "m.pt".into(),
            outputs: Outputs::Classification,
            score,
            interval: None,
            bytes,
            parameters: 1,
            latency_1: latency,
            latency_64: latency,
            is_on_front: false,
            is_chosen: false,
        }
    }

    #[test]
    fn the_cheapest_model_of_the_front_within_the_limit_of_the_score_is_chosen() {
        let mut models = [
            model(0.99, 100, 10.),
            model(0.99, 50, 5.),
            model(0.988, 40, 6.),
            model(0.988, 40, 4.),
            model(0.90, 1, 1.),
        ];
        mark(&mut models, 0.003);
        assert_eq!(models.each_ref().map(|model| model.is_on_front), [false, true, false, true, true]);
        assert_eq!(models.each_ref().map(|model| model.is_chosen), [false, false, false, true, false]);
        mark(&mut models, 0.);
        assert!(models[1].is_chosen && !models[3].is_chosen);
    }

    #[test]
    fn a_smaller_model_that_is_slower_is_not_chosen() {
        let mut models = [model(0.99, 100, 10.), model(0.99, 20, 11.), model(0.99, 80, 10.2)];
        mark(&mut models, 0.003);
        assert_eq!(models.each_ref().map(|model| model.is_chosen), [false, false, true]);
        mark(&mut models[..2], 0.003);
        assert!(models[0].is_chosen, "the original");
    }

    proptest! {
        #[test]
        fn one_model_is_chosen_and_it_is_on_the_front(points in prop::collection::vec((0u8..4, 1u64..5, 1u8..5), 1..8)) {
            let mut models: Vec<_> =
                points.iter().map(|(a, bytes, latency)| model(f64::from(*a), *bytes, f64::from(*latency))).collect();
            mark(&mut models, 1.);
            let chosen: Vec<_> = models.iter().filter(|model| model.is_chosen).collect();
            prop_assert_eq!(chosen.len(), 1);
            prop_assert!(chosen[0].is_on_front && chosen[0].score >= models[0].score - 1.);
        }
    }
}
