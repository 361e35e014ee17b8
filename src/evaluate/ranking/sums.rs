//! Sums over users, from which the metrics are computed.

use super::TOP;

/// The metrics of the users of a [`RankingSet`](crate::loader::RankingSet).
#[derive(Debug, Clone, PartialEq)]
pub struct RankingSums {
    users: Vec<UserRanking>,
    /// The number of users to whom each item was recommended.
    recommended: Vec<u32>,
}

/// The metrics of a user.
#[derive(Debug, Clone, Copy, PartialEq)]
struct UserRanking {
    /// The number of choices.
    choices: usize,
    ndcg: f64,
    recall: f64,
    is_hit: bool,
    /// The area under the ROC curve and its weight, the number of chosen items in the training set.
    area: Option<(f64, f64)>,
}

impl RankingSums {
    /// No users yet, of this number of items.
    pub fn empty(items: usize) -> Self {
        RankingSums { users: Vec::new(), recommended: vec![0; items] }
    }

    /// Adds a user with the recommended items, the best one first, the chosen ones in ascending order, and the number of chosen items
    /// that cannot be recommended.
    pub fn add(&mut self, recommended: &[i64], chosen: &[i64], unknown: usize) {
        let gain = |place: usize| 1. / (place as f64 + 2.).log2();
        let is_hit = |item: &i64| chosen.binary_search(item).is_ok();
        let hits: Vec<usize> = (0..recommended.len()).filter(|place| is_hit(&recommended[*place])).collect();
        let choices = chosen.len() + unknown;
        let ideal: f64 = (0..choices.min(TOP)).map(gain).sum();
        self.users.push(UserRanking {
            choices,
            ndcg: hits.iter().map(|place| gain(*place)).sum::<f64>() / ideal,
            recall: hits.len() as f64 / choices as f64,
            is_hit: !hits.is_empty(),
            area: None,
        });
        recommended.iter().for_each(|item| self.recommended[*item as usize] += 1);
    }

    /// Sets the area under the ROC curve of the user added as number `user`, whose chosen items have these places, from 0, among `ranked`
    /// items. Users without chosen or without other items have none.
    pub fn set_area(&mut self, user: usize, places: &[i64], ranked: usize) {
        let chosen = places.len();
        let others = ranked.saturating_sub(chosen);
        if chosen == 0 || others == 0 {
            return;
        }
        // Above the first chosen item there are none, above the second one there is one, and so on.
        let above = places.iter().sum::<i64>() as f64 - (chosen * (chosen - 1)) as f64 / 2.;
        let weight = chosen as f64;
        self.users[user].area = Some((1. - above / others as f64 / weight, weight));
    }

    /// The users with these numbers, for a bootstrap sample. Which items were recommended to them is not known.
    pub(crate) fn select(&self, users: impl IntoIterator<Item = usize>) -> Self {
        let users = users.into_iter().map(|user| self.users[user]).collect();
        RankingSums { users, recommended: Vec::new() }
    }

    fn mean(&self, of: fn(&UserRanking) -> f64) -> f64 {
        self.users.iter().map(of).sum::<f64>() / self.users.len() as f64
    }

    /// The number of items.
    pub fn items(&self) -> usize {
        self.recommended.len()
    }

    /// The number of users.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// The number of choices.
    pub fn choices(&self) -> u64 {
        self.users.iter().map(|user| user.choices as u64).sum()
    }

    /// The number of users to whom each item is recommended, by the index of the item.
    pub fn recommended(&self) -> &[u32] {
        &self.recommended
    }

    /// The mean over users of the normalized discounted cumulative gain of the first [`TOP`] recommendations (Järvelin and Kekäläinen,
    /// "Cumulated Gain-Based Evaluation of IR Techniques", 2002), from 0 to 1.
    pub fn ndcg(&self) -> f64 {
        self.mean(|user| user.ndcg)
    }

    /// The mean over users of the share of the choices that are among the first [`TOP`] recommendations.
    pub fn recall(&self) -> f64 {
        self.mean(|user| user.recall)
    }

    /// The share of users with a choice among the first [`TOP`] recommendations.
    pub fn hit_rate(&self) -> f64 {
        self.mean(|user| f64::from(u8::from(user.is_hit)))
    }

    /// The share of the items that are among the first [`TOP`] recommendations of any user; none of a bootstrap sample.
    pub fn coverage(&self) -> Option<f64> {
        let recommended = self.recommended.iter().filter(|users| **users > 0).count();
        (!self.recommended.is_empty()).then(|| recommended as f64 / self.recommended.len() as f64)
    }

    /// The mean over users, weighted by their choices, of the area under the ROC curve (Zhu et al., "Optimized Cost per Click in Taobao
    /// Display Advertising", 2017): the probability that a chosen item is ranked above another one. None if it was not computed.
    pub fn grouped_area(&self) -> Option<f64> {
        let areas = self.users.iter().filter_map(|user| user.area);
        let (sum, weights) =
            areas.fold((0., 0.), |(sum, all), (area, weight)| (sum + area * weight, all + weight));
        (weights > 0.).then(|| sum / weights)
    }
}
