//! The sequence of tokens that a pretrained encoder reads: one text, or a pair of texts with one frame of special tokens.

use tch::{Device, Kind, Tensor};

use crate::data::column::FeatureGroup;
use crate::data::tokens::RESERVED;
use crate::model::Task;

/// How an encoder joins the two texts of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairFrame {
    /// `[CLS] A [SEP] B [SEP]`, as BERT.
    OneSeparator,
    /// `<s> A </s> </s> B </s>`, as RoBERTa.
    TwoSeparators,
}

/// The token ids of examples as an encoder reads them.
#[derive(Debug)]
pub struct Sequence {
    /// Ids of the tokenizer, int64 (N, tokens); any id for padding.
    pub ids: Tensor,
    /// Whether a place has a token, bool (N, tokens). The first place always counts as one.
    pub mask: Tensor,
    /// 0 for the first text, 1 for the second, int64 (N, tokens).
    pub types: Tensor,
}

/// Converts features, float32 (N, features), to a [`Sequence`].
///
/// Each text has the special tokens that its tokenizer gives a single text. Of a pair, the first token of the second text is left out or
/// becomes a separator, and of a pair that is too long, the longer text loses its end first, as in the library tokenizers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSequence {
    /// The maximum number of tokens of each text.
    columns: Vec<i64>,
    frame: PairFrame,
    /// The number of ids. Higher ids, of other tokenizations than that of the encoder, share them.
    vocabulary: i64,
    /// The maximum number of tokens of a pair.
    most: i64,
}

impl TextSequence {
    /// The sequences of the texts of a task, of at most `most` tokens.
    pub fn new(task: &Task, frame: PairFrame, vocabulary: i64, most: i64) -> Self {
        let length = |group: &FeatureGroup| match group {
            FeatureGroup::Tokens { length, .. } => Some(*length as i64),
            _ => None,
        };
        TextSequence { columns: task.groups.iter().filter_map(length).collect(), frame, vocabulary, most }
    }

    /// The maximum number of tokens.
    pub fn longest(&self) -> i64 {
        match self.columns[..] {
            [first, second] => {
                (first + second - i64::from(self.frame == PairFrame::OneSeparator)).min(self.most)
            }
            _ => self.columns.iter().sum(),
        }
    }

    /// The sequence of features (N, features).
    pub fn forward(&self, x: &Tensor) -> Sequence {
        let raw = x.flatten(1, -1).to_kind(Kind::Int64);
        let [first, second] = self.columns[..] else { return self.read(&raw, &raw.zeros_like()) };
        let (joined, types) = self.joined(&raw.narrow(1, 0, first), &raw.narrow(1, first, second));
        // On a GPU, reading the length would wait for the device.
        let length = match raw.device() {
            Device::Cpu => joined.ne(0).any_dim(0, false).sum(Kind::Int64).int64_value(&[]).max(1),
            _ => joined.size()[1],
        };
        self.read(&joined.narrow(1, 0, length), &types.narrow(1, 0, length))
    }

    fn read(&self, raw: &Tensor, types: &Tensor) -> Sequence {
        let tokens = raw.gt(0);
        // An example without any token would attend to nothing.
        let first = tokens.narrow(1, 0, 1).ones_like();
        let mask = Tensor::cat(&[first, tokens.narrow(1, 1, tokens.size()[1] - 1)], 1);
        let ids = (raw - i64::from(RESERVED)).clamp_min(0).remainder(self.vocabulary);
        Sequence { ids, mask, types: types.shallow_clone() }
    }

    /// The features of a pair in one sequence, with padding at the end, and its types.
    fn joined(&self, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
        let (ends_a, ends_b) = (ends(a), ends(b));
        let (count_a, count_b) = ((&ends_a - 1).clamp_min(0), (&ends_b - 1).clamp_min(0));
        let room = self.room();
        let shorter = count_a.minimum(&count_b);
        let rest = (room - &shorter).maximum(&shorter);
        let longer = rest.where_self(&shorter.le(room), &shorter);
        let is_over = (&shorter + &longer).gt(room);
        let shorter = shorter.full_like((room / 2) as f64).where_self(&is_over, &shorter);
        let longer = longer.full_like((room / 2 + room % 2) as f64).where_self(&is_over, &longer);
        let fits = (&count_a + &count_b).le(room);
        let is_first_longer = count_a.gt_tensor(&count_b);
        let kept_a = count_a.where_self(&fits, &longer.where_self(&is_first_longer, &shorter));
        let kept_b = count_b.where_self(&fits, &shorter.where_self(&is_first_longer, &longer));
        let keep_a = kept(a, &ends_a, &kept_a);
        let keep_b = kept(b, &ends_b, &kept_b);
        let rest_b = b.narrow(1, 1, b.size()[1] - 1);
        let keep_rest = keep_b.narrow(1, 1, b.size()[1] - 1);
        let (b, keep_b) = match self.frame {
            PairFrame::OneSeparator => (rest_b, keep_rest),
            PairFrame::TwoSeparators => {
                let separator = a.gather(1, &ends_a, false);
                let is_token = separator.gt(0);
                (Tensor::cat(&[separator, rest_b], 1), Tensor::cat(&[is_token, keep_rest], 1))
            }
        };
        let keep = Tensor::cat(&[keep_a, keep_b], 1).to_kind(Kind::Int64);
        let types = Tensor::cat(&[a.zeros_like(), b.ones_like()], 1) * &keep;
        let order = keep.argsort_stable(true, 1, true);
        let gathered = |tensor: &Tensor| tensor.gather(1, &order, false).narrow(1, 0, self.longest());
        (gathered(&(Tensor::cat(&[a, &b], 1) * &keep)), gathered(&types))
    }

    /// The number of tokens of a pair that are not special.
    fn room(&self) -> i64 {
        match self.frame {
            PairFrame::OneSeparator => self.most - 3,
            PairFrame::TwoSeparators => self.most - 4,
        }
    }

    /// The method `sequence` in TorchScript, the equivalent of [`TextSequence::forward`]: ids, mask and types.
    pub fn script(&self) -> String {
        let (joined, methods) = match self.columns[..] {
            [first, second] => {
                let call = format!(
                    "    raw, types = self.joined(torch.narrow(raw, 1, 0, {first}), torch.narrow(raw, 1, {first}, {second}))\n"
                );
                (call, self.joined_script())
            }
            _ => ("    types = torch.zeros_like(raw)\n".to_string(), String::new()),
        };
        format!(
            r#"{methods}  def sequence(self: {{class}}, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    raw = torch.flatten(x, 1, -1).to(4)
{joined}    tokens = torch.gt(raw, 0)
    mask = torch.cat([torch.ones_like(torch.narrow(tokens, 1, 0, 1)), torch.narrow(tokens, 1, 1, torch.size(tokens, 1) - 1)], 1)
    ids = torch.remainder(torch.clamp_min(torch.sub(raw, {RESERVED}), 0), {vocabulary})
    return (ids, mask, types)
"#,
            vocabulary = self.vocabulary,
        )
    }

    fn joined_script(&self) -> String {
        let (room, longest) = (self.room(), self.longest());
        let frame = match self.frame {
            PairFrame::OneSeparator => "",
            PairFrame::TwoSeparators => {
                "    separator = torch.gather(a, 1, ends_a)\n    rest_b = torch.cat([separator, rest_b], 1)\n    \
                 keep_b = torch.cat([torch.gt(separator, 0), keep_b], 1)\n"
            }
        };
        format!(
            r#"  def ends(self: {{class}}, ids: Tensor) -> Tensor:
    return torch.clamp_min(torch.sub(torch.sum(torch.ne(ids, 0), [1], True), 1), 0)
  def kept(self: {{class}}, ids: Tensor, ends: Tensor, count: Tensor) -> Tensor:
    places = torch.sub(torch.cumsum(torch.ones_like(ids), 1), 1)
    is_kept = torch.logical_or(torch.le(places, count), torch.eq(places, ends))
    return torch.logical_and(is_kept, torch.ne(ids, 0))
  def joined(self: {{class}}, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
    ends_a = self.ends(a)
    ends_b = self.ends(b)
    count_a = torch.clamp_min(torch.sub(ends_a, 1), 0)
    count_b = torch.clamp_min(torch.sub(ends_b, 1), 0)
    least = torch.minimum(count_a, count_b)
    most = torch.where(torch.le(least, {room}), torch.maximum(torch.rsub(least, {room}), least), least)
    is_over = torch.gt(torch.add(least, most), {room})
    shorter = torch.where(is_over, torch.full_like(least, {half}), least)
    longer = torch.where(is_over, torch.full_like(most, {rest}), most)
    fits = torch.le(torch.add(count_a, count_b), {room})
    first = torch.gt(count_a, count_b)
    keep_a = self.kept(a, ends_a, torch.where(fits, count_a, torch.where(first, longer, shorter)))
    all_b = self.kept(b, ends_b, torch.where(fits, count_b, torch.where(first, shorter, longer)))
    rest_b = torch.narrow(b, 1, 1, torch.size(b, 1) - 1)
    keep_b = torch.narrow(all_b, 1, 1, torch.size(b, 1) - 1)
{frame}    keep = torch.cat([keep_a, keep_b], 1).to(4)
    types = torch.mul(torch.cat([torch.zeros_like(a), torch.ones_like(rest_b)], 1), keep)
    order = torch.argsort(keep, stable=True, dim=1, descending=True)
    raw = torch.gather(torch.mul(torch.cat([a, rest_b], 1), keep), 1, order)
    return (torch.narrow(raw, 1, 0, {longest}), torch.narrow(torch.gather(types, 1, order), 1, 0, {longest}))
"#,
            half = room / 2,
            rest = room / 2 + room % 2,
        )
    }
}

/// The place of the last token of each text, int64 (N, 1).
fn ends(ids: &Tensor) -> Tensor {
    (ids.ne(0).sum_dim_intlist(1, true, Kind::Int64) - 1).clamp_min(0)
}

/// Whether a place has one of the first `count` tokens after the first one, the first, or the last one: bool (N, tokens).
fn kept(ids: &Tensor, ends: &Tensor, count: &Tensor) -> Tensor {
    let places = Tensor::arange(ids.size()[1], (Kind::Int64, ids.device()));
    places.le_tensor(count).logical_or(&places.eq_tensor(ends)).logical_and(&ids.ne(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;

    /// The ids of a pair of columns of 6 tokens, given as features.
    fn pair(frame: PairFrame, most: i64, row: [f32; 12]) -> (Vec<i64>, Vec<i64>) {
        let groups = vec![FeatureGroup::Tokens { length: 6, vocabulary: 50 }; 2];
        let task = Task { groups, ..Task::new(InputShape(vec![12]), 2) };
        let found =
            TextSequence::new(&task, frame, 48, most).forward(&Tensor::from_slice(&row).view([1, 12]));
        let count = found.mask.sum(Kind::Int64).int64_value(&[]);
        let of = |tensor: &Tensor| Vec::try_from(tensor.narrow(1, 0, count).flatten(0, -1)).unwrap();
        (of(&found.ids), of(&found.types))
    }

    /// 3 and 4 are [CLS] and [SEP] with 2 added.
    const ROW: [f32; 12] = [3., 11., 12., 13., 4., 0., 3., 21., 22., 4., 0., 0.];

    #[test]
    fn a_pair_has_one_frame_of_special_tokens() {
        let (ids, types) = pair(PairFrame::OneSeparator, 10, ROW);
        assert_eq!(ids, [1, 9, 10, 11, 2, 19, 20, 2]);
        assert_eq!(types, [0, 0, 0, 0, 0, 1, 1, 1]);
        let (ids, types) = pair(PairFrame::TwoSeparators, 10, ROW);
        assert_eq!(ids, [1, 9, 10, 11, 2, 2, 19, 20, 2]);
        assert_eq!(types, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn the_longer_text_of_a_pair_that_is_too_long_loses_its_end() {
        assert_eq!(pair(PairFrame::OneSeparator, 7, ROW).0, [1, 9, 10, 2, 19, 20, 2]);
        assert_eq!(pair(PairFrame::OneSeparator, 6, ROW).0, [1, 9, 10, 2, 19, 2]);
        assert_eq!(pair(PairFrame::OneSeparator, 5, ROW).0, [1, 9, 2, 19, 2]);
        assert_eq!(pair(PairFrame::TwoSeparators, 7, ROW).0, [1, 9, 10, 2, 2, 19, 2]);
    }
}
