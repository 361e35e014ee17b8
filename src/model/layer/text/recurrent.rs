//! Recurrent layers over the tokens of a text.

use tch::nn;
use tch::{Device, Tensor};

use super::WordVectors;
use super::word_vectors::{MASKED_MEAN, lengths, masked_mean};
use crate::model::Task;
use crate::model::layer::{Layer, Recurrent, RecurrentCell};
use crate::model::script::{Class, Script};

/// Bidirectional recurrent layers over word vectors, without padding (packed sequences), and the mean over the text: token ids
/// (N, features) to (N, 2 · hidden).
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::Task;
/// use cresset::model::layer::{Layer, RecurrentCell, TextRecurrent};
/// use cresset::prelude::*;
/// use tch::{Device, Tensor, nn};
///
/// let groups = vec![FeatureGroup::Tokens { length: 4, vocabulary: 100 }];
/// let task = Task { groups, ..Task::new(InputShape(vec![4]), 2) };
/// let variables = nn::VarStore::new(Device::Cpu);
/// let lstm = TextRecurrent::new(&variables.root(), &task, RecurrentCell::Lstm, (64, 8), (16, 1), 0.);
/// let texts = Tensor::from_slice2(&[[7f32, 9., 3., 0.], [5., 0., 0., 0.]]);
/// assert_eq!(lstm.forward(&texts, false).size(), [2, 32]);
/// ```
#[derive(Debug)]
pub struct TextRecurrent {
    vectors: WordVectors,
    recurrent: Recurrent,
}

impl TextRecurrent {
    /// Creates `embedding.weight` (rows, width), and `depth` layers `rnn` with states of size `hidden` and dropout between them, in
    /// `path`.
    pub fn new(
        path: &nn::Path,
        task: &Task,
        cell: RecurrentCell,
        (rows, width): (i64, i64),
        (hidden, depth): (i64, i64),
        dropout: f64,
    ) -> Self {
        TextRecurrent {
            vectors: WordVectors::new(&(path / "embedding"), task, rows, width, 0.1),
            recurrent: Recurrent::new(&(path / "rnn"), cell, width, hidden, depth, dropout),
        }
    }
}

impl Layer for TextRecurrent {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let (vectors, mask) = self.vectors.forward(x, train);
        // A text without tokens is one padding token.
        let (lengths, order) = lengths(&mask).clamp_min(1).sort(0, true);
        let sorted = vectors.index_select(0, &order);
        let (packed, sizes) =
            Tensor::internal_pack_padded_sequence(&sorted, &lengths.to_device(Device::Cpu), true);
        let outputs = self.recurrent.packed(&packed, &sizes, train);
        let (outputs, _) = Tensor::internal_pad_packed_sequence(&outputs, &sizes, true, 0., mask.size()[1]);
        masked_mean(&outputs.index_select(0, &order.argsort(0, false)), &mask)
    }

    fn script(&self) -> Script {
        let forward = format!(
            "  def forward(self: {{class}}, x: Tensor) -> Tensor:\n    vectors0, mask = (self.embedding).forward(x)\n    \
             lengths, order = torch.sort(torch.clamp_min(torch.sum(mask, [1]).to(4), 1), 0, True)\n    \
             packed, sizes = torch._pack_padded_sequence(torch.index_select(vectors0, 0, order), lengths.cpu(), True)\n    \
             outputs = (self.rnn).packed(packed, sizes, torch.size(mask, 0))\n    \
             padded, _0 = torch._pad_packed_sequence(outputs, sizes, True, 0.0, torch.size(mask, 1))\n    \
             vectors = torch.index_select(padded, 0, torch.argsort(order, 0, False))\n    return {MASKED_MEAN}\n"
        );
        let class = Class::new("TextRecurrent", forward).child("embedding", self.vectors.class());
        Script::Class(class.child("rnn", self.recurrent.packed_class()))
    }

    fn sparse_parameters(&self) -> Vec<String> {
        vec!["embedding.weight".to_string()]
    }

    fn describe(&self) -> String {
        format!("word vectors of {}, {}", self.vectors.width(), self.recurrent.describe())
    }

    fn multiply_adds(&self, input: &[i64], output: &[i64]) -> u64 {
        self.recurrent.multiply_adds(&[input[0], input[1], self.vectors.width()], output)
    }
}
