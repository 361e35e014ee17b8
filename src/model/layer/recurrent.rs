//! Recurrent layers.

use cresset_bridge::kernels::lstm::{self, Direction};
use tch::Tensor;
use tch::nn::{self, Init};

use super::{Layer, Parameters};
use crate::model::script::{Class, Script};

/// The kind of a recurrent cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecurrentCell {
    /// Long short-term memory (Hochreiter and Schmidhuber, 1997).
    Lstm,
    /// The gated recurrent unit (Cho et al., 2014).
    Gru,
}

impl RecurrentCell {
    /// The number of gates.
    fn gates(self) -> i64 {
        match self {
            RecurrentCell::Lstm => 4,
            RecurrentCell::Gru => 3,
        }
    }

    fn class(self) -> &'static str {
        match self {
            RecurrentCell::Lstm => "LSTM",
            RecurrentCell::Gru => "GRU",
        }
    }
}

/// Stacked bidirectional recurrent layers: (N, length, inputs) to (N, length, 2 · hidden). Names, shapes and initialization
/// are those of `torch.nn.LSTM` and `torch.nn.GRU`.
///
/// ```
/// use cresset::model::layer::{Layer, Recurrent, RecurrentCell};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let lstm = Recurrent::new(&variables.root(), RecurrentCell::Lstm, 8, 16, 2, 0.);
/// let sequences = Tensor::rand([3, 10, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(lstm.forward(&sequences, false).size(), [3, 10, 32]);
/// ```
#[derive(Debug)]
pub struct Recurrent {
    cell: RecurrentCell,
    hidden: i64,
    layers: i64,
    dropout: f64,
    /// Named weights, in libtorch's order.
    weights: Vec<(&'static str, Tensor)>,
}

/// Maximum number of layers.
pub const MOST_LAYERS: i64 = 4;

/// Weight names of each layer and direction: input weights, recurrent weights, and their biases.
const NAMES: [[[&str; 4]; 2]; MOST_LAYERS as usize] = [
    [
        ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"],
        ["weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse"],
    ],
    [
        ["weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"],
        ["weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse"],
    ],
    [
        ["weight_ih_l2", "weight_hh_l2", "bias_ih_l2", "bias_hh_l2"],
        ["weight_ih_l2_reverse", "weight_hh_l2_reverse", "bias_ih_l2_reverse", "bias_hh_l2_reverse"],
    ],
    [
        ["weight_ih_l3", "weight_hh_l3", "bias_ih_l3", "bias_hh_l3"],
        ["weight_ih_l3_reverse", "weight_hh_l3_reverse", "bias_ih_l3_reverse", "bias_hh_l3_reverse"],
    ],
];

impl Recurrent {
    /// `layers` layers, at most [`MOST_LAYERS`], with hidden states of size `hidden` and dropout between the layers.
    pub fn new(
        path: &nn::Path,
        cell: RecurrentCell,
        inputs: i64,
        hidden: i64,
        layers: i64,
        dropout: f64,
    ) -> Self {
        let bound = 1. / (hidden as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        let rows = cell.gates() * hidden;
        let mut weights = Vec::new();
        for (layer, directions) in NAMES.iter().take(layers as usize).enumerate() {
            let width = if layer == 0 { inputs } else { 2 * hidden };
            for names in directions {
                let sizes: [&[i64]; 4] = [&[rows, width], &[rows, hidden], &[rows], &[rows]];
                weights.extend(
                    names.iter().zip(sizes).map(|(name, size)| (*name, path.parameter(name, size, init))),
                );
            }
        }
        // Dropout applies between layers.
        let dropout = if layers > 1 { dropout } else { 0. };
        Recurrent { cell, hidden, layers, dropout, weights }
    }
}

impl Recurrent {
    /// The outputs of an LSTM in training, by kernels with explicit gradients. None where libtorch is faster.
    fn train_lstm(&self, x: &Tensor) -> Option<Tensor> {
        let layers = self.weights.chunks_exact(8);
        // On an error, libtorch's operation reports it.
        layers.enumerate().try_fold(x.transpose(0, 1), |x, (place, weights)| {
            let x = if place > 0 { x.dropout(self.dropout, true) } else { x };
            let [forwards, backwards] = [&weights[..4], &weights[4..]].map(|of| Direction {
                from_input: &of[0].1,
                from_state: &of[1].1,
                input_bias: &of[2].1,
                state_bias: &of[3].1,
            });
            lstm::layer(&x.contiguous(), &forwards, &backwards).ok().flatten()
        })
    }

    /// The quantized layer, for evaluation.
    fn int8(&self) -> Class {
        let Recurrent { cell, hidden, layers, .. } = self;
        let cells = self.weights.len() / 4;
        let names: Vec<_> = (0..cells).map(|index| format!("self.cell{index}")).collect();
        let (name, call, state, rest) = match cell {
            RecurrentCell::Lstm => (
                "QuantizedLSTM",
                "_0, _1, _2 = torch.quantized_lstm",
                "[state, state]",
                // 12 is int8, which selects libtorch's kernels.
                ", dtype=12, use_dynamic=True",
            ),
            RecurrentCell::Gru => ("QuantizedGRU", "_0, _1 = torch.quantized_gru", "state", ""),
        };
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    state = torch.zeros([{cells}, torch.size(x, 0), {hidden}], dtype=ops.prim.dtype(x), device=ops.prim.device(x))
    {call}(x, {state}, [{names}], True, {layers}, 0.0, False, True, True{rest})
    return _0
"#,
            names = names.join(", "),
        );
        let quads = self.weights.chunks_exact(4).map(|of| [&of[0].1, &of[1].1, &of[2].1, &of[3].1]);
        quads.enumerate().fold(Class::new(name, forward), |class, (index, weights)| {
            class.quantized_cell(format!("cell{index}"), weights)
        })
    }
}

impl Recurrent {
    /// The outputs of packed sequences: values (tokens, inputs) and the number of sequences at each step, int64, on the CPU, to
    /// (tokens, 2 · hidden).
    pub(super) fn packed(&self, values: &Tensor, sizes: &Tensor, train: bool) -> Tensor {
        let sequences = sizes.int64_value(&[0]);
        let state =
            Tensor::zeros([2 * self.layers, sequences, self.hidden], (values.kind(), values.device()));
        let weights: Vec<&Tensor> = self.weights.iter().map(|(_, weight)| weight).collect();
        let (layers, dropout) = (self.layers, self.dropout);
        match self.cell {
            RecurrentCell::Lstm => {
                let states = [&state, &state];
                Tensor::lstm_data(values, sizes, &states, &weights, true, layers, dropout, train, true).0
            }
            RecurrentCell::Gru => {
                Tensor::gru_data(values, sizes, &state, &weights, true, layers, dropout, train, true).0
            }
        }
    }

    /// The class with the method `packed`, the equivalent of [`Recurrent::packed`], which is also given the number of sequences.
    pub(super) fn packed_class(&self) -> Class {
        let Recurrent { cell, hidden, layers, dropout, .. } = self;
        let weights: Vec<_> = self.weights.iter().map(|(name, _)| format!("self.{name}")).collect();
        let (call, state) = match cell {
            RecurrentCell::Lstm => ("_0, _1, _2 = torch.lstm", "[state, state]"),
            RecurrentCell::Gru => ("_0, _1 = torch.gru", "state"),
        };
        let method = format!(
            r#"  def packed(self: {{class}}, x: Tensor, sizes: Tensor, sequences: int) -> Tensor:
    state = torch.zeros([{states}, sequences, {hidden}], dtype=ops.prim.dtype(x), device=ops.prim.device(x))
    {call}(x, sizes, {state}, [{weights}], True, {layers}, {dropout:?}, self.training, True)
    return _0
"#,
            states = 2 * layers,
            weights = weights.join(", "),
        );
        let class = Class::new("PackedRecurrent", method);
        self.weights.iter().fold(class, |class, (name, weight)| class.parameter(*name, weight))
    }
}

impl Layer for Recurrent {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        if train
            && self.cell == RecurrentCell::Lstm
            && let Some(outputs) = self.train_lstm(x)
        {
            return outputs.transpose(0, 1);
        }
        let state = Tensor::zeros([2 * self.layers, x.size()[0], self.hidden], (x.kind(), x.device()));
        let weights: Vec<&Tensor> = self.weights.iter().map(|(_, weight)| weight).collect();
        match self.cell {
            RecurrentCell::Lstm => {
                let states = [&state, &state];
                x.lstm(&states, &weights, true, self.layers, self.dropout, train, true, true).0
            }
            RecurrentCell::Gru => {
                x.gru(&state, &weights, true, self.layers, self.dropout, train, true, true).0
            }
        }
    }

    fn script(&self) -> Script {
        let Recurrent { cell, hidden, layers, dropout, .. } = self;
        let weights: Vec<_> = self.weights.iter().map(|(name, _)| format!("self.{name}")).collect();
        let (call, state) = match cell {
            RecurrentCell::Lstm => ("_0, _1, _2 = torch.lstm", "[state, state]"),
            RecurrentCell::Gru => ("_0, _1 = torch.gru", "state"),
        };
        let forward = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    state = torch.zeros([{states}, torch.size(x, 0), {hidden}], dtype=ops.prim.dtype(x), device=ops.prim.device(x))
    {call}(x, {state}, [{weights}], True, {layers}, {dropout:?}, self.training, True, True)
    return _0
"#,
            states = 2 * layers,
            weights = weights.join(", "),
        );
        let class = Class::new(cell.class(), forward);
        let class = self.weights.iter().fold(class, |class, (name, weight)| class.parameter(*name, weight));
        Script::Class(class.with_int8(self.int8()))
    }

    fn describe(&self) -> String {
        let Recurrent { cell, hidden, layers, .. } = self;
        format!("{} {hidden}, {layers} layer(s), bidirectional", cell.class())
    }

    fn multiply_adds(&self, input: &[i64], _output: &[i64]) -> u64 {
        let weights = self.weights.iter().filter(|(_, weight)| weight.dim() == 2);
        let values: u64 = weights.map(|(_, weight)| weight.numel() as u64).sum();
        values * (input[0] * input[1]) as u64
    }
}
