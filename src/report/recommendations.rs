//! Which items are recommended, and how popular they are.

use crate::data::Inputs;
use crate::evaluate::Evaluation;
use crate::run::RankedRun;

/// The items that are recommended to the users of the validation set.
pub(crate) struct RecommendedItems {
    /// The number of users.
    pub users: usize,
    /// The number of items that a user gets.
    pub places: usize,
    /// The items, those recommended to most users first.
    pub items: Vec<RecommendedItem>,
}

/// An item.
pub(crate) struct RecommendedItem {
    pub name: String,
    /// The number of users to whom it is recommended.
    pub users: u32,
    /// The number of choices of it in the training set.
    pub choices: u32,
}

impl RecommendedItems {
    /// Counts the recommendations of an evaluation of a run; `None` if it is one of another task.
    pub fn of(run: &RankedRun, evaluation: &Evaluation) -> Option<Self> {
        let sums = evaluation.ranking()?;
        let Inputs::Floats(values) = &run.examples.dataset.inputs else { return None };
        let mut choices = vec![0; sums.items()];
        for row in &run.examples.split.train {
            choices[values[2 * *row as usize + 1] as usize] += 1;
        }
        let names = run.recommender.catalog().items().iter().cloned();
        let items = names.zip(sums.recommended()).zip(choices);
        let mut items: Vec<_> =
            items.map(|((name, users), choices)| RecommendedItem { name, users: *users, choices }).collect();
        items.sort_by_key(|item| std::cmp::Reverse((item.users, item.choices)));
        let recommendations: u64 = items.iter().map(|item| u64::from(item.users)).sum();
        let places = recommendations.div_ceil(sums.users().max(1) as u64) as usize;
        Some(RecommendedItems { users: sums.users(), places, items })
    }

    /// The share of the tenth of the items that was chosen most often in training among the recommendations, and among the choices.
    pub fn popular_shares(&self) -> [f64; 2] {
        let mut items: Vec<&RecommendedItem> = self.items.iter().collect();
        items.sort_by_key(|item| std::cmp::Reverse(item.choices));
        let popular = items.len().div_ceil(10);
        let share = |of: fn(&RecommendedItem) -> u32| {
            let sum = |items: &[&RecommendedItem]| items.iter().map(|item| f64::from(of(item))).sum::<f64>();
            sum(&items[..popular]) / sum(&items).max(1.)
        };
        [share(|item| item.users), share(|item| item.choices)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_popular_items_is_that_of_the_most_chosen_tenth() {
        let item = |number: u32| RecommendedItem {
            name: format!("i{number}"),
            users: if number == 3 { 30 } else { 10 },
            choices: if number == 3 { 21 } else { 1 },
        };
        let recommended = RecommendedItems { users: 12, places: 10, items: (0..10).map(item).collect() };
        assert_eq!(recommended.popular_shares(), [30. / 120., 21. / 30.]);
    }
}
