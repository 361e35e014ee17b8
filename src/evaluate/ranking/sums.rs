//! Sums over users, from which the metrics are computed.

use super::TOP;

/// Sums over the users of a [`RankingSet`](crate::loader::RankingSet).
#[derive(Debug, Clone, PartialEq)]
pub struct RankingSums {
    users: u64,
    choices: u64,
    ndcg: f64,
    recall: f64,
    hits: u64,
    /// The sum of the areas under the ROC curve, weighted by the number of choices, and the sum of the weights.
    area: (f64, f64),
    /// Whether each item was recommended to a user.
    is_recommended: Vec<bool>,
}

impl RankingSums {
    /// No users yet, of this number of items.
    pub fn empty(items: usize) -> Self {
        RankingSums {
            users: 0,
            choices: 0,
            ndcg: 0.,
            recall: 0.,
            hits: 0,
            area: (0., 0.),
            is_recommended: vec![false; items],
        }
    }

    /// Adds a user with the recommended items, the best one first, the chosen ones in ascending order, and the number of chosen items
    /// that cannot be recommended.
    pub fn add(&mut self, recommended: &[i64], chosen: &[i64], unknown: usize) {
        let gain = |place: usize| 1. / (place as f64 + 2.).log2();
        let is_hit = |item: &i64| chosen.binary_search(item).is_ok();
        let hits: Vec<usize> = (0..recommended.len()).filter(|place| is_hit(&recommended[*place])).collect();
        let all = chosen.len() + unknown;
        let ideal: f64 = (0..all.min(TOP)).map(gain).sum();
        self.users += 1;
        self.choices += all as u64;
        self.ndcg += hits.iter().map(|place| gain(*place)).sum::<f64>() / ideal;
        self.recall += hits.len() as f64 / all as f64;
        self.hits += u64::from(!hits.is_empty());
        recommended.iter().for_each(|item| self.is_recommended[*item as usize] = true);
    }

    /// Adds the area under the ROC curve of a user whose chosen items have these places, from 0, among `ranked` items. Users without chosen
    /// or without other items have none.
    pub fn add_area(&mut self, places: &[i64], ranked: usize) {
        let chosen = places.len();
        let others = ranked.saturating_sub(chosen);
        if chosen == 0 || others == 0 {
            return;
        }
        // Above the first chosen item there are none, above the second one there is one, and so on.
        let above = places.iter().sum::<i64>() as f64 - (chosen * (chosen - 1)) as f64 / 2.;
        self.area.0 += chosen as f64 - above / others as f64;
        self.area.1 += chosen as f64;
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        self.is_recommended.len()
    }

    /// The number of users.
    pub fn users(&self) -> u64 {
        self.users
    }

    /// The number of choices.
    pub fn choices(&self) -> u64 {
        self.choices
    }

    /// The mean over users of the normalized discounted cumulative gain of the first [`TOP`] recommendations (Järvelin and Kekäläinen,
    /// "Cumulated Gain-Based Evaluation of IR Techniques", 2002), from 0 to 1.
    pub fn ndcg(&self) -> f64 {
        self.ndcg / self.users as f64
    }

    /// The mean over users of the share of the choices that are among the first [`TOP`] recommendations.
    pub fn recall(&self) -> f64 {
        self.recall / self.users as f64
    }

    /// The share of users with a choice among the first [`TOP`] recommendations.
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / self.users as f64
    }

    /// The share of the items that are among the first [`TOP`] recommendations of any user.
    pub fn coverage(&self) -> f64 {
        let recommended = self.is_recommended.iter().filter(|is_recommended| **is_recommended).count();
        recommended as f64 / self.is_recommended.len() as f64
    }

    /// The mean over users, weighted by their choices, of the area under the ROC curve (Zhu et al., "Optimized Cost per Click in Taobao
    /// Display Advertising", 2017): the probability that a chosen item is ranked above another one. None if it was not computed.
    pub fn grouped_area(&self) -> Option<f64> {
        (self.area.1 > 0.).then(|| self.area.0 / self.area.1)
    }
}
