//! Vectors of users and items, whose product is the score of the item for the user.

use tch::nn;
use tch::{Kind, Tensor};

use super::Layer;
use super::tower::Tower;
use crate::data::column::FeatureGroup;
use crate::model::script::{Class, Script};

/// A vector of length 1 for each user and each item, and one for those that are unknown: the indexes of user and item (N, 2) to the product
/// of their vectors divided by the temperature, (N, 1). The index -1 is an unknown user or item.
///
/// In training, the examples are in blocks of `block` examples, and the result is the score of each user for the items of the block, (N,
/// block), less the logarithm of the frequency of the item (Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
/// Recommendations", 2019). The own item is that at the place of the example in its block. An item that is that of the user, in another
/// example, has the score minus infinity. The gradients are sparse, so that the time of a step does not depend on the numbers of users and
/// items.
///
/// With features of users or items, a vector is the sum of that of the id and of a linear layer of the features. Those whose id is not in the
/// training set then have the vector of the unknown one and of their features, for which the share `hidden` of the ids is hidden in training
/// (Volkovs et al., "DropoutNet: Addressing Cold Start in Recommender Systems", 2017). The TorchScript has the sums, not the features.
///
/// ```
/// use cresset::model::layer::{Layer, TowerOptions, TwoTowers};
/// use tch::{Device, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let options = TowerOptions { width: 8, temperature: 0.1, block: 2, hidden: 0.1 };
/// let towers = TwoTowers::new(&variables.root(), [3, 5], [&[], &[]], options);
/// let pairs = Tensor::from_slice2(&[[0f32, 4.], [2., 1.], [-1., 0.]]);
/// assert_eq!(towers.forward(&pairs, false).size(), [3, 1]);
/// assert_eq!(towers.forward(&pairs, true).size(), [3, 2]);
/// assert_eq!(towers.item_scores(&Tensor::from_slice(&[0i64, 2])).unwrap().size(), [2, 5]);
/// ```
#[derive(Debug)]
pub struct TwoTowers {
    users: Tower,
    items: Tower,
    /// The logarithm of the frequency of each item among the training examples, (items + 1).
    log_frequency: Tensor,
    options: TowerOptions,
}

/// Options of [`TwoTowers`].
#[derive(Debug, Clone, Copy)]
pub struct TowerOptions {
    /// The number of values of a vector.
    pub width: i64,
    /// The divisor of the product of two vectors of length 1.
    pub temperature: f64,
    /// The number of examples whose items are compared in training.
    pub block: i64,
    /// The share of ids that is hidden in training, where users or items have features.
    pub hidden: f64,
}

/// The name of the buffer with the logarithms of the frequencies.
pub(crate) const LOG_FREQUENCY: &str = "log_frequency";

/// Avoids a division by 0.
const SHORTEST: f64 = 1e-12;

impl TwoTowers {
    /// Creates `users` and `items`, normal with an expected length of 1, and `log_frequency`, zeros, in `path`. With the groups of the
    /// features of users or items, their vectors are `users_ids` or `items_ids`, and the features are buffers.
    pub fn new(
        path: &nn::Path,
        [users, items]: [usize; 2],
        [of_users, of_items]: [&[FeatureGroup]; 2],
        options: TowerOptions,
    ) -> Self {
        TwoTowers {
            users: Tower::new(path, "users", users, options.width, of_users),
            items: Tower::new(path, "items", items, options.width, of_items),
            log_frequency: path.zeros_no_train(LOG_FREQUENCY, &[items as i64 + 1]),
            options,
        }
    }

    /// Vectors of users, (N, width), of length 1 over the temperature.
    fn of_users(&self, vectors: &Tensor) -> Tensor {
        unit(vectors) / self.options.temperature
    }

    /// The scores of the users of the examples for the items of their block, (N, block).
    fn scores_of_blocks(&self, users: &Tensor, items: &Tensor) -> Tensor {
        let count = users.size()[0];
        let block = self.options.block.min(count).max(1);
        let blocks = (count + block - 1) / block;
        // The last block is filled with the first examples.
        let places = Tensor::arange(blocks * block, (Kind::Int64, users.device())).remainder(count);
        let [users, items] = [users, items].map(|rows| rows.index_select(0, &places));
        let in_blocks = |vectors: Tensor| vectors.view([blocks, block, -1]);
        let hidden = self.options.hidden;
        let users = in_blocks(self.of_users(&self.users.train(&users, hidden)));
        let vectors = in_blocks(unit(&self.items.train(&items, hidden)));
        let scores =
            self.corrections(&items.view([blocks, block])).baddbmm(&users, &vectors.transpose(1, 2), 1, 1);
        scores.view([blocks * block, block]).narrow(0, 0, count)
    }

    /// What is added to the scores of users for the items (blocks, block) of their block, (blocks, block, block): the negative logarithm of
    /// the frequency of the item, or minus infinity if it is that of the user in another example.
    fn corrections(&self, items: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let frequencies = self.log_frequency.index_select(0, &items.view(-1)).view_as(items).neg();
            // Comparisons of 32 bits are vectorized.
            let items = items.to_kind(Kind::Int);
            let is_same = items.unsqueeze(1).eq_tensor(&items.unsqueeze(2));
            let corrections =
                frequencies.unsqueeze(1).expand_as(&is_same).masked_fill(&is_same, f64::NEG_INFINITY);
            corrections.diagonal(0, 1, 2).copy_(&frequencies);
            corrections
        })
    }
}

/// The rows of indexes (N), int64: 0 for -1 and for indexes without a vector.
fn rows(indexes: &Tensor, count: i64) -> Tensor {
    let places = (indexes + 1).clamp_min(0);
    &places * places.lt(count).to_kind(Kind::Int64)
}

/// Vectors (N, width) with length 1.
fn unit(vectors: &Tensor) -> Tensor {
    vectors / vectors.square().sum_dim_intlist(-1, true, None::<Kind>).sqrt().clamp_min(SHORTEST)
}

impl Layer for TwoTowers {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let indexes = x.to_kind(Kind::Int64);
        let users = rows(&indexes.select(1, 0), self.users.rows());
        let items = rows(&indexes.select(1, 1), self.items.rows());
        if train {
            return self.scores_of_blocks(&users, &items);
        }
        let (users, items) = (self.of_users(&self.users.vectors(&users)), unit(&self.items.vectors(&items)));
        (users * items).sum_dim_intlist(-1, true, None::<Kind>)
    }

    fn script(&self) -> Script {
        let methods = format!(
            r#"  def rows(self: {{class}}, indexes: Tensor, count: int) -> Tensor:
    places = torch.clamp_min(torch.add(indexes, 1), 0)
    return torch.mul(places, torch.lt(places, count).to(4))
  def unit(self: {{class}}, vectors: Tensor) -> Tensor:
    lengths = torch.sqrt(torch.sum(torch.mul(vectors, vectors), [-1], True))
    return torch.div(vectors, torch.clamp_min(lengths, {SHORTEST:?}))
  def user_vectors(self: {{class}}, users: Tensor) -> Tensor:
    vectors = torch.embedding(self.users, self.rows(users, torch.size(self.users, 0)))
    return torch.div(self.unit(vectors.to(6)), {temperature:?})
  def item_vectors(self: {{class}}, items: Tensor) -> Tensor:
    return self.unit(torch.embedding(self.items, self.rows(items, torch.size(self.items, 0))).to(6))
  def item_scores(self: {{class}}, users: Tensor) -> Tensor:
    items = torch.slice(self.items, 0, 1, 9223372036854775807, 1)
    return torch.matmul(self.user_vectors(users), torch.t(self.unit(items.to(6))))
  def forward(self: {{class}}, x: Tensor) -> Tensor:
    indexes = x.to(4)
    users = self.user_vectors(torch.select(indexes, 1, 0))
    items = self.item_vectors(torch.select(indexes, 1, 1))
    return torch.sum(torch.mul(users, items), [-1], True)
"#,
            temperature = self.options.temperature
        );
        let [users, items] = tch::no_grad(|| [&self.users, &self.items].map(Tower::all));
        let class = Class::new("TwoTowers", methods);
        Script::Class(class.parameter("users", &users).parameter("items", &items))
    }

    fn describe(&self) -> String {
        let of = |tower: &Tower, name: &str| {
            let features = match tower.features() {
                0 => String::new(),
                count => format!(" with {count} features"),
            };
            format!("{} {name}{features}", tower.rows() - 1)
        };
        let (users, items) = (of(&self.users, "users"), of(&self.items, "items"));
        format!("vectors of {users} and {items}, {} values", self.users.width())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        super::product(&[input[0], self.users.width()])
    }

    fn sparse_parameters(&self) -> Vec<String> {
        [&self.users, &self.items].map(Tower::sparse_parameters).concat()
    }

    fn item_scores(&self, users: &Tensor) -> Option<Tensor> {
        let items = self.items.all();
        let items = items.narrow(0, 1, self.items.rows() - 1);
        let users = self.of_users(&self.users.vectors(&rows(users, self.users.rows())));
        Some(users.matmul(&unit(&items).tr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn towers() -> (nn::VarStore, TwoTowers) {
        tch::manual_seed(1);
        let variables = nn::VarStore::new(Device::Cpu);
        let options = TowerOptions { width: 6, temperature: 0.2, block: 3, hidden: 0.1 };
        let mut towers = TwoTowers::new(&variables.root(), [3, 4], [&[], &[]], options);
        tch::no_grad(|| towers.log_frequency.copy_(&Tensor::from_slice(&[-5f32, -1., -2., -3., -4.])));
        (variables, towers)
    }

    #[test]
    fn the_score_of_a_pair_is_the_cosine_over_the_temperature_and_all_forms_agree() {
        let (_variables, towers) = towers();
        let pairs = Tensor::from_slice2(&[[2f32, 1.], [-1., 3.], [7., -1.]]);
        let scores = Vec::<f32>::try_from(towers.forward(&pairs, false).view(-1)).unwrap();
        let of = |user: i64, item: i64| {
            let (user, item) = (towers.users.all().get(user), towers.items.all().get(item));
            (user.dot(&item) / user.norm() / item.norm() / 0.2).double_value(&[]) as f32
        };
        // Index -1 and indexes without a vector are row 0.
        for (score, expected) in scores.iter().zip([of(3, 2), of(0, 4), of(0, 0)]) {
            assert!((score - expected).abs() < 1e-5, "{score}, {expected}");
        }
        let all = towers.item_scores(&Tensor::from_slice(&[2i64, -1])).unwrap();
        assert!((all.double_value(&[0, 1]) as f32 - scores[0]).abs() < 1e-5);
        assert!((all.double_value(&[1, 3]) as f32 - scores[1]).abs() < 1e-5);
    }

    #[test]
    fn the_script_computes_the_same() {
        let (_variables, towers) = towers();
        let Script::Class(class) = towers.script() else { panic!("it is a class") };
        let (source, name, values) = class.compile().unwrap();
        let module = cresset_bridge::script::Module::from_source(&source, &name, &values).unwrap();
        let pairs = Tensor::from_slice2(&[[2f32, 1.], [-1., 3.], [7., -1.]]);
        assert_eq!(module.call("forward", &pairs).unwrap()[0], towers.forward(&pairs, false));
        let users = Tensor::from_slice(&[2i64, -1, 9]);
        assert_eq!(module.call("item_scores", &users).unwrap()[0], towers.item_scores(&users).unwrap());
    }

    #[test]
    fn training_corrects_for_frequencies_and_leaves_out_the_own_item_of_others() {
        let (_variables, towers) = towers();
        let pairs = Tensor::from_slice2(&[[0f32, 1.], [1., 1.], [2., 3.]]);
        let scores = towers.forward(&pairs, true);
        assert_eq!(scores.double_value(&[0, 1]), f64::NEG_INFINITY);
        let all = towers.item_scores(&Tensor::from_slice(&[0i64, 1, 2])).unwrap();
        for (row, column, item, log_frequency) in
            [(0, 0, 1, -2.), (0, 2, 3, -4.), (2, 1, 1, -2.), (2, 2, 3, -4.)]
        {
            let expected = all.double_value(&[row, item]) - log_frequency;
            assert!((scores.double_value(&[row, column]) - expected).abs() < 1e-5);
        }
        scores.log_softmax(1, Kind::Float).diagonal(0, 0, 1).sum(Kind::Float).backward();
        assert!([&towers.users, &towers.items].iter().all(|tower| tower.all().grad().is_sparse()));
        // Of five examples, the last two are compared with the first one.
        let more = Tensor::from_slice2(&[[0f32, 1.], [1., 1.], [2., 3.], [0., 2.], [1., 0.]]);
        let blocks = towers.forward(&more, true);
        assert_eq!((blocks.size(), blocks.narrow(0, 0, 3)), (vec![5, 3], scores));
        for (row, column, item, log_frequency) in
            [(3, 0, 2, -3.), (3, 2, 1, -2.), (4, 1, 0, -1.), (4, 2, 1, -2.)]
        {
            let user = if row == 3 { 0 } else { 1 };
            let expected = all.double_value(&[user, item]) - log_frequency;
            assert!((blocks.double_value(&[row, column]) - expected).abs() < 1e-5);
        }
    }
}
