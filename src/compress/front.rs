//! Which of several models is worth having.

use super::Compressed;

/// Marks the models of which no other one is better in something and worse in nothing (the Pareto front), of accuracy, size
/// and latency; and among those of them whose accuracy is no more than
/// `most_lost` below the original's, the one whose size times latency is least.
/// The first model is the original.
pub fn mark(models: &mut [Compressed], most_lost: f64) {
    let Some(original) = models.first().map(|model| model.accuracy) else { return };
    let on_front: Vec<bool> =
        models.iter().map(|model| !models.iter().any(|other| is_better(other, model))).collect();
    for (model, on_front) in models.iter_mut().zip(on_front) {
        model.is_on_front = on_front;
        model.is_chosen = false;
    }
    // Shares such as 1436/1438 are compared, so what is equal may differ in the last bit.
    let least = original - most_lost - 1e-9;
    let chosen = models.iter_mut().filter(|model| model.is_on_front && model.accuracy >= least);
    if let Some(chosen) = chosen.min_by(|a, b| burden(a).total_cmp(&burden(b))) {
        chosen.is_chosen = true;
    }
}

fn burden(model: &Compressed) -> f64 {
    model.bytes as f64 * model.latency_1
}

fn is_better(a: &Compressed, b: &Compressed) -> bool {
    let pairs = [
        (-a.accuracy, -b.accuracy),
        (a.bytes as f64, b.bytes as f64),
        (a.latency_1, b.latency_1),
        (a.latency_64, b.latency_64),
    ];
    pairs.iter().all(|(a, b)| a <= b) && pairs.iter().any(|(a, b)| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model(accuracy: f64, bytes: u64, latency: f64) -> Compressed {
        Compressed {
            name: String::new(),
            file: "m.pt".into(),
            accuracy,
            bytes,
            parameters: 1,
            latency_1: latency,
            latency_64: latency,
            is_on_front: false,
            is_chosen: false,
        }
    }

    #[test]
    fn the_lightest_model_of_the_front_that_loses_little_is_chosen() {
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

    proptest! {
        #[test]
        fn one_model_is_chosen_and_it_is_on_the_front(points in prop::collection::vec((0u8..4, 1u64..5, 1u8..5), 1..8)) {
            let mut models: Vec<_> =
                points.iter().map(|(a, bytes, latency)| model(f64::from(*a), *bytes, f64::from(*latency))).collect();
            mark(&mut models, 1.);
            let chosen: Vec<_> = models.iter().filter(|model| model.is_chosen).collect();
            prop_assert_eq!(chosen.len(), 1);
            prop_assert!(chosen[0].is_on_front && chosen[0].accuracy >= models[0].accuracy - 1.);
        }
    }
}
