use crate::evaluate::{Evaluation, Keep, METRICS};
use crate::loader::RankingSet;
use tch::{Device, Tensor};

fn metric(found: &Evaluation, name: &str) -> f64 {
    (METRICS.iter().find(|metric| metric.name == name).unwrap().of)(found).unwrap()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6, "{a}, not {b}");
}

/// Twelve items with the scores 12, 11, … of both users.
fn evaluated(users: Vec<(i64, Vec<i64>, Vec<i64>)>) -> Evaluation {
    let count = users.len() as i64;
    let scores = Tensor::from_slice(&(0..12).map(|item| (12 - item) as f32).collect::<Vec<_>>());
    let scores = scores.repeat([count, 1]);
    let set = RankingSet::new(12, users);
    set.evaluate(Keep::Scores, Device::Cpu, |_| Ok(scores.shallow_clone())).unwrap()
}

/// By hand. User 0 has seen the items 0 and 1 and chose 2, 4 and 11, which are recommended at the places 1, 3 and 10. User 1 chose the
/// items 1 and 10, at the places 2 and 11, and one that is not in the training set.
#[test]
fn metrics_are_those_by_hand() {
    let found = evaluated(vec![(0, vec![11, 2, 4], vec![0, 1]), (1, vec![1, 10, -1], vec![])]);
    let gain = |place: f64| 1. / (place + 1.).log2();
    let ideal = gain(1.) + gain(2.) + gain(3.);
    close(metric(&found, "NDCG@10"), ((gain(1.) + gain(3.) + gain(10.)) / ideal + gain(2.) / ideal) / 2.);
    close(metric(&found, "recall@10"), (3. / 3. + 1. / 3.) / 2.);
    close(metric(&found, "hit rate@10"), 1.);
    // All but none: 2 to 11 for user 0, 0 to 9 for user 1.
    close(metric(&found, "coverage@10"), 1.);
    // User 0: of 3 × 7 pairs, 0 + 1 + 7 are in the wrong order; user 1: of 2 × 10 pairs, 1 + 9.
    close(metric(&found, "GAUC"), (3. * (1. - 8. / 21.) + 2. * (1. - 10. / 20.)) / 5.);
    assert_eq!(found.rows(), 6);
}

#[test]
fn the_loss_is_the_cross_entropy_over_the_items_not_seen() {
    let found = evaluated(vec![(0, vec![3], vec![0, 1, 2])]);
    let sum: f64 = (3..12).map(|item| f64::from(12 - item).exp()).sum();
    close(found.loss, sum.ln() - 9.);
}

#[test]
fn repeated_choices_and_users_without_new_ones_do_not_count() {
    let found = evaluated(vec![(0, vec![0, 5, 5], vec![0]), (1, vec![7], vec![7])]);
    let sums = found.ranking().unwrap();
    assert_eq!((sums.users(), sums.choices()), (1, 1));
    close(sums.hit_rate(), 1.);
    // Without the item 0, ten of twelve items are recommended.
    close(sums.coverage().unwrap(), 10. / 12.);
    assert_eq!(sums.recommended(), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
}

#[test]
fn fewer_items_than_recommendations_are_ranked_too() {
    let set = RankingSet::new(3, [(0, vec![2], vec![0])]);
    let scores = Tensor::from_slice2(&[[0.5f32, 0.1, 0.2]]);
    let found = set.evaluate(Keep::Scores, Device::Cpu, |_| Ok(scores.shallow_clone())).unwrap();
    close(metric(&found, "NDCG@10"), 1.);
    close(metric(&found, "coverage@10"), 2. / 3.);
}
