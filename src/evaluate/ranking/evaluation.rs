//! Ranks all items for each user, and compares the first ones with the choices.

use tch::{Device, Kind, Tensor};

use super::{RankingSums, TOP};
use crate::error::Result;
use crate::evaluate::{Evaluation, Keep, Sums};
use crate::loader::RankingSet;
use crate::loader::choices::User;

/// Scores that are computed at once.
const AT_ONCE: usize = 1 << 22;

impl RankingSet {
    /// Evaluates the scores (users, items) of `scores_of`, a function of the indexes of some users, int64 (users). The loss is the mean
    /// cross-entropy of the chosen items under the softmax over the items that the user did not choose before.
    ///
    /// ```
    /// use cresset::evaluate::{Keep, METRICS};
    /// use cresset::loader::RankingSet;
    /// use tch::{Device, Kind, Tensor};
    ///
    /// // Of four items, the user 0 knows item 3 and chose item 1.
    /// let set = RankingSet::new(4, [(0, vec![1], vec![3])]);
    /// let scores = Tensor::from_slice2(&[[0.1f32, 0.3, 0.2, 0.9]]);
    /// let found = set.evaluate(Keep::Scores, Device::Cpu, |_users| Ok(scores.shallow_clone()))?;
    /// let ndcg = METRICS.iter().find(|metric| metric.name == "NDCG@10").unwrap();
    /// assert_eq!((ndcg.of)(&found), Some(1.));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// Errors of `scores_of`.
    pub fn evaluate(
        &self,
        keep: Keep,
        device: Device,
        mut scores_of: impl FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Evaluation> {
        let mut sums = RankingSums::empty(self.items as usize);
        let (mut loss, mut pairs) = (0., 0);
        let at_once = (AT_ONCE / self.items.max(1) as usize).max(1);
        tch::no_grad(|| {
            for users in self.users.chunks(at_once) {
                let indexes: Vec<i64> = users.iter().map(|user| user.index).collect();
                let scores = scores_of(&Tensor::from_slice(&indexes).to_device(device))?;
                let scores = without_seen(&scores.to_kind(Kind::Float), users)?;
                let count = users.iter().map(|user| user.chosen.len()).sum::<usize>();
                if count > 0 {
                    loss += cross_entropy(&scores, users)? * count as f64;
                    pairs += count;
                }
                let top = scores.topk((TOP as i64).min(self.items), 1, true, true).1;
                let top: Vec<Vec<i64>> = Vec::try_from(top.to_device(Device::Cpu))?;
                for (user, recommended) in users.iter().zip(&top) {
                    // An item that the user chose before is recommended only if no other is left.
                    let left = (self.items as usize - user.seen.len()).min(TOP);
                    sums.add(&recommended[..left.min(recommended.len())], &user.chosen, user.unknown);
                }
                if keep == Keep::Scores {
                    add_areas(&mut sums, &scores, users, self.items as usize)?;
                }
            }
            Ok(Evaluation { loss: loss / pairs as f64, sums: Sums::Ranking(sums), scores: None })
        })
    }
}

/// Pairs of the place of a user and one of the items, as two tensors of indexes.
fn pairs<'a>(
    users: &'a [User],
    items: impl Fn(&'a User) -> &'a [i64],
    device: Device,
) -> [Option<Tensor>; 2] {
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for (row, user) in users.iter().enumerate() {
        let items = items(user);
        rows.resize(rows.len() + items.len(), row as i64);
        columns.extend_from_slice(items);
    }
    [rows, columns].map(|indexes| Some(Tensor::from_slice(&indexes).to_device(device)))
}

/// The scores with minus infinity for the items that the users chose before.
fn without_seen(scores: &Tensor, users: &[User]) -> Result<Tensor> {
    let places = pairs(users, |user| &user.seen, scores.device());
    let lowest = Tensor::from(f32::NEG_INFINITY).to_device(scores.device());
    Ok(scores.f_index_put(&places, &lowest, false)?)
}

/// The mean cross-entropy of the chosen items.
fn cross_entropy(scores: &Tensor, users: &[User]) -> Result<f64> {
    let places = pairs(users, |user| &user.chosen, scores.device());
    let losses = -scores.f_log_softmax(1, Kind::Float)?.f_index(&places)?;
    Ok(losses.mean(Kind::Double).double_value(&[]))
}

/// Adds the area under the ROC curve of each user; these are the users who were added last.
fn add_areas(sums: &mut RankingSums, scores: &Tensor, users: &[User], items: usize) -> Result<()> {
    let first = sums.users() - users.len();
    let order = scores.f_argsort_stable(true, 1, true)?;
    let places = order.f_argsort_stable(true, 1, false)?.f_index(&pairs(
        users,
        |user| &user.chosen,
        scores.device(),
    ))?;
    let places: Vec<i64> = Vec::try_from(places.to_device(Device::Cpu))?;
    let mut rest = &places[..];
    for (number, user) in (first..).zip(users) {
        let (own, others) = rest.split_at(user.chosen.len());
        rest = others;
        sums.set_area(number, own, items - user.seen.len());
    }
    Ok(())
}
