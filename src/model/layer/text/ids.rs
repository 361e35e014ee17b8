//! Token ids as indices of rows of an embedding.

use tch::{Kind, Tensor};

use crate::data::column::FeatureGroup;
use crate::data::tokens::SEPARATOR;
use crate::model::Task;

/// The text columns of an example: their maximum numbers of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns(Vec<i64>);

impl TextColumns {
    /// The columns of a task whose features are token ids.
    pub fn of(task: &Task) -> Self {
        let length = |group: &FeatureGroup| match group {
            FeatureGroup::Tokens { length, .. } => Some(*length as i64),
            _ => None,
        };
        TextColumns(task.groups.iter().filter_map(length).collect())
    }

    /// The ids, int64 (N, tokens), of float32 ones (N, features). Padding is 0. The texts of several columns follow each other, with a
    /// separator between them and the padding of all at the end.
    pub fn ids(&self, x: &Tensor) -> Tensor {
        let ids = x.flatten(1, -1).to_kind(Kind::Int64);
        if self.0.len() < 2 {
            return ids;
        }
        let separator = ids.narrow(1, 0, 1).full_like(f64::from(SEPARATOR));
        let mut parts = Vec::new();
        for (place, (start, length)) in self.places().enumerate() {
            if place > 0 {
                parts.push(separator.shallow_clone());
            }
            parts.push(ids.narrow(1, start, length));
        }
        let joined = Tensor::cat(&parts, 1);
        let order = joined.eq(0).to_kind(Kind::Int64).argsort_stable(true, 1, false);
        joined.gather(1, &order, false)
    }

    /// The method `ids` in TorchScript, the equivalent of [`TextColumns::ids`].
    pub fn script(&self) -> String {
        let mut lines = String::new();
        if self.0.len() > 1 {
            let parts: Vec<String> = self
                .places()
                .map(|(start, length)| format!("torch.narrow(ids, 1, {start}, {length})"))
                .collect();
            lines = format!(
                "    separator = torch.full_like(torch.narrow(ids, 1, 0, 1), {SEPARATOR})\n    \
                 joined = torch.cat([{}], 1)\n    \
                 order = torch.argsort(torch.eq(joined, 0).to(4), stable=True, dim=1, descending=False)\n    \
                 ids = torch.gather(joined, 1, order)\n",
                parts.join(", separator, ")
            );
        }
        format!(
            "  def ids(self: {{class}}, x: Tensor) -> Tensor:\n    ids = torch.flatten(x, 1, -1).to(4)\n{lines}    return ids\n"
        )
    }

    /// First feature and length of each column.
    fn places(&self) -> impl Iterator<Item = (i64, i64)> {
        let mut start = 0;
        self.0.iter().map(move |length| {
            start += length;
            (start - length, *length)
        })
    }
}

/// The expression of the rows of an embedding with `rows` rows in TorchScript, for int64 ids in the variable `ids`. Row 0 is padding.
pub fn rows_script(rows: i64) -> String {
    format!("torch.mul(torch.add(torch.remainder(ids, {}), 1), torch.gt(ids, 0).to(4))", rows - 1)
}

/// The rows of an embedding with `rows` rows, int64, of ids of the same shape. Ids beyond the rows share them. Row 0 is padding.
pub fn rows_of(ids: &Tensor, rows: i64) -> Tensor {
    (ids.remainder(rows - 1) + 1) * ids.gt(0).to_kind(Kind::Int64)
}
