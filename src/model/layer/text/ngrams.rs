//! Bags of words and n-grams.

use cresset_bridge::kernels::embedding_bag;
use tch::nn::{self, Init};
use tch::{Device, Kind, Tensor};

use super::TextColumns;
use super::ids::{rows_of, rows_script};
use crate::model::Task;
use crate::model::layer::{Layer, Parameters};
use crate::model::script::{Class, Script};

/// The sum of the vectors of the words and n-grams of a text, divided by the root of their number (after Joulin et al., "Bag of Tricks
/// for Efficient Text Classification", 2017): token ids (N, features) to (N, width).
///
/// The vectors are rows of one table, selected by a hash. They start as zeros, so that n-grams that do not occur in the training
/// data have no effect, and have sparse gradients, so that a step costs the same for any number of rows.
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{Layer, NgramBag};
/// use cresset::prelude::*;
/// use tch::{Device, Tensor, nn};
///
/// let groups = vec![FeatureGroup::Tokens { length: 4, vocabulary: 100 }];
/// let task = Task { groups, ..Task::new(InputShape(vec![4]), 2) };
/// let variables = nn::VarStore::new(Device::Cpu);
/// let bag = NgramBag::new(&variables.root(), &task, 64, 8, 2);
/// let texts = Tensor::from_slice2(&[[7f32, 9., 3., 0.], [5., 0., 0., 0.]]);
/// assert_eq!(bag.forward(&texts, false).size(), [2, 8]);
/// ```
#[derive(Debug)]
pub struct NgramBag {
    columns: TextColumns,
    /// The largest number of tokens of an n-gram.
    longest: i64,
    /// (rows, width).
    weight: Tensor,
}

/// Factors of the hash of n-grams, whose products with ids fit in 64 bits.
const FACTOR: i64 = 1_000_003;
const OFFSET: i64 = 7_919;
const MODULUS: i64 = (1 << 31) - 1;

impl NgramBag {
    /// Creates `weight` (rows, width), zeros, in `path`, for n-grams of up to `longest` tokens.
    pub fn new(path: &nn::Path, task: &Task, rows: i64, width: i64, longest: i64) -> Self {
        NgramBag {
            columns: TextColumns::of(task),
            longest,
            weight: path.parameter("weight", &[rows, width], Init::Const(0.)),
        }
    }

    /// The rows of the words and n-grams of texts, int64 (N, …), 0 for none, and their number, int64 (N, 1).
    fn rows(&self, x: &Tensor) -> (Tensor, Tensor) {
        let ids = self.columns.ids(x);
        match ids.device() {
            Device::Cpu => self.listed_rows(&ids),
            _ => self.computed_rows(&ids),
        }
    }

    /// [`NgramBag::rows`] of ids, int64 (N, tokens), on the CPU, in one loop without the padding.
    fn listed_rows(&self, ids: &Tensor) -> (Tensor, Tensor) {
        let (texts, tokens) = (ids.size()[0], ids.size()[1]);
        let all = Vec::<i64>::try_from(ids.flatten(0, -1)).expect("ids are int64 on the CPU");
        let lines: Vec<Vec<i64>> = match tokens {
            0 => vec![Vec::new(); texts as usize],
            _ => all.chunks(tokens as usize).map(|ids| self.rows_of_text(ids)).collect(),
        };
        let length = lines.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut rows = vec![0; lines.len() * length];
        rows.chunks_mut(length)
            .zip(&lines)
            .for_each(|(place, line)| place[..line.len()].copy_from_slice(line));
        let counts: Vec<i64> = lines.iter().map(|line| line.len() as i64).collect();
        let rows = Tensor::from_slice(&rows).view([texts, length as i64]);
        (rows, Tensor::from_slice(&counts).view([texts, 1]))
    }

    /// The rows of the words and n-grams of a text.
    fn rows_of_text(&self, ids: &[i64]) -> Vec<i64> {
        let used = ids.iter().rposition(|id| *id > 0).map_or(0, |last| last + 1);
        let ids = &ids[..used];
        let others = self.weight.size()[0] as u64 - 1;
        let row = |gram: &&i64| (**gram as u64 % others) as i64 + 1;
        let is_whole = |gram: &&i64| **gram > 0;
        let mut rows = Vec::with_capacity(used * self.longest as usize);
        rows.extend(ids.iter().filter(is_whole).map(|gram| row(&gram)));
        let mut grams = ids.to_vec();
        for shift in 1..(self.longest as usize).min(used.max(1)) {
            grams.truncate(used - shift);
            for (gram, last) in grams.iter_mut().zip(&ids[shift..]) {
                *gram = match *gram > 0 && *last > 0 {
                    true => gram.wrapping_mul(FACTOR).wrapping_add(last.wrapping_mul(OFFSET)) % MODULUS + 1,
                    false => 0,
                };
            }
            rows.extend(grams.iter().filter(is_whole).map(|gram| row(&gram)));
        }
        rows
    }

    /// [`NgramBag::rows`] of ids, int64 (N, tokens), on any device.
    fn computed_rows(&self, ids: &Tensor) -> (Tensor, Tensor) {
        let count = self.weight.size()[0];
        let mut rows = vec![rows_of(ids, count)];
        let mut grams = ids.shallow_clone();
        for shift in 1..self.longest.min(ids.size()[1]) {
            let length = ids.size()[1] - shift;
            let (first, last) = (grams.narrow(1, 0, length), ids.narrow(1, shift, length));
            let is_whole = (first.gt(0) * last.gt(0)).to_kind(Kind::Int64);
            grams = ((first * FACTOR + last * OFFSET).remainder(MODULUS) + 1) * is_whole;
            rows.push(rows_of(&grams, count));
        }
        let rows = Tensor::cat(&rows, 1);
        let counts = rows.gt(0).sum_dim_intlist(1, true, Kind::Int64);
        (rows, counts)
    }
}

impl Layer for NgramBag {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (rows, counts) = self.rows(x);
        let counts = counts.clamp_min(1).to_kind(self.weight.kind());
        if let Some(sums) = embedding_bag::bag_sums(&self.weight, &rows, train).ok().flatten() {
            return sums / counts.sqrt();
        }
        let (texts, length) = (rows.size()[0], rows.size()[1]);
        let offsets = Tensor::arange(texts, (Kind::Int64, x.device())) * length;
        let (sums, ..) = Tensor::embedding_bag_padding_idx(
            &self.weight,
            &rows.flatten(0, -1),
            &offsets,
            false,
            0,
            train,
            None::<&Tensor>,
            false,
            0,
        );
        sums / counts.sqrt()
    }

    fn script(&self) -> Script {
        let count = self.weight.size()[0];
        let mut lines = String::new();
        let mut all = vec!["rows0".to_string()];
        for shift in 1..self.longest {
            lines += &format!(
                "    length{shift} = ops.prim.max(torch.sub(torch.size(ids, 1), {shift}), 0)\n    \
                 first{shift} = torch.narrow(grams, 1, 0, length{shift})\n    \
                 last{shift} = torch.narrow(ids, 1, torch.sub(torch.size(ids, 1), length{shift}), length{shift})\n    \
                 whole{shift} = torch.mul(torch.gt(first{shift}, 0), torch.gt(last{shift}, 0)).to(4)\n    \
                 grams = torch.mul(torch.add(torch.remainder(torch.add(torch.mul(first{shift}, {FACTOR}), torch.mul(last{shift}, {OFFSET})), {MODULUS}), 1), whole{shift})\n    \
                 rows{shift} = {}\n",
                rows_script(count).replace("ids", "grams")
            );
            all.push(format!("rows{shift}"));
        }
        let methods = format!(
            "{ids}  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    ids = self.ids(x)\n    rows0 = {words}\n    grams = ids\n\
             {lines}    rows = torch.cat([{all}], 1)\n    \
             offsets = torch.mul(torch.arange(torch.size(rows, 0), dtype=4, device=ops.prim.device(x)), torch.size(rows, 1))\n    \
             counts = torch.clamp_min(torch.sum(torch.gt(rows, 0), [1], True), 1).to(ops.prim.dtype(self.weight))\n    \
             sums, _0, _1, _2 = torch.embedding_bag(self.weight, torch.flatten(rows, 0, -1), offsets, False, 0, False, None, False, 0)\n    \
             return torch.div(sums, torch.sqrt(counts))\n",
            ids = self.columns.script(),
            words = rows_script(count),
            all = all.join(", "),
        );
        Script::Class(Class::new("NgramBag", methods).parameter("weight", &self.weight))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        vec!["weight".to_string()]
    }

    fn describe(&self) -> String {
        let size = self.weight.size();
        format!("bag of n-grams of up to {} tokens, {}×{}", self.longest, size[0], size[1])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::InputShape;
    use crate::data::column::FeatureGroup;

    proptest! {
        #[test]
        fn a_loop_and_operations_of_tensors_list_the_same_rows(
            ids in prop::collection::vec(prop_oneof![Just(0i64), 1..262_144i64], 12), tokens in 1i64..7, longest in 1i64..4
        ) {
            let groups = vec![FeatureGroup::Tokens { length: tokens as usize, vocabulary: 1 << 18 }];
            let task = Task { groups, ..Task::new(InputShape(vec![tokens]), 2) };
            let variables = nn::VarStore::new(Device::Cpu);
            let bag = NgramBag::new(&variables.root(), &task, 1000, 2, longest);
            let texts = 12 / tokens;
            let ids = Tensor::from_slice(&ids).narrow(0, 0, texts * tokens).view([texts, tokens]);
            let lists = |(rows, counts): (Tensor, Tensor)| {
                let list = |text| -> Vec<i64> {
                    let rows = Vec::<i64>::try_from(rows.select(0, text)).unwrap();
                    rows.into_iter().filter(|row| *row > 0).collect()
                };
                let lists: Vec<_> = (0..texts).map(list).collect();
                (lists, Vec::<i64>::try_from(counts.flatten(0, -1)).unwrap())
            };
            prop_assert_eq!(lists(bag.listed_rows(&ids)), lists(bag.computed_rows(&ids)));
        }
    }
}
