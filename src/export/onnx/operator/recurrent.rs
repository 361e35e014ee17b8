//! Recurrent layers.

use tch::{Kind, Tensor};

use super::Operator;
use super::Translation::Many;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Text};
use crate::export::recording::Value;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::lstm", Many(lstm)),
    ("aten::gru", Many(gru)),
    ("aten::_pack_padded_sequence", Many(pack)),
    ("aten::_pad_packed_sequence", Many(unpack)),
];

/// Packed sequences stay as they are, (length, N, values), beside their lengths, which ONNX's operators take.
fn pack(call: &mut Call) -> Result<Vec<String>> {
    let (x, lengths) = (call.tensor("input")?, call.tensor("lengths")?);
    let x = if call.flag("batch_first")? { call.graph.transpose(&x, &[1, 0, 2]) } else { x };
    Ok(vec![x, call.cast(&lengths, Kind::Int)?])
}

/// ONNX's operators return zeros after the end of a sequence.
fn unpack(call: &mut Call) -> Result<Vec<String>> {
    if call.number("padding_value")? != 0. {
        return Err(call.unsupported("its padding is not zero"));
    }
    let (x, lengths) = (call.tensor("data")?, call.tensor("batch_sizes")?);
    let x = if call.flag("batch_first")? { call.graph.transpose(&x, &[1, 0, 2]) } else { x };
    Ok(vec![x, call.cast(&lengths, Kind::Int64)?])
}

/// The differences between LSTM and GRU cells.
struct RecurrentCell {
    operator: &'static str,
    /// The indices of ONNX's gates in PyTorch's order.
    gates: &'static [i64],
    /// The number of states passed from one time step to the next.
    states: usize,
    attributes: &'static [(&'static str, i64)],
}

/// Gate order: input, forget, cell, output in PyTorch; input, output, forget, cell in ONNX.
fn lstm(call: &mut Call) -> Result<Vec<String>> {
    let states = call.infos("hx")?;
    let names = call.tensors("hx")?;
    let cell = RecurrentCell { operator: "LSTM", gates: &[0, 3, 1, 2], states: 2, attributes: &[] };
    cell.stack(call, &states, &names)
}

/// Gate order: reset, update, new in PyTorch; update, reset, new in ONNX. PyTorch applies the reset gate after the matrix
/// product (`linear_before_reset`).
fn gru(call: &mut Call) -> Result<Vec<String>> {
    let states = vec![call.info("hx")?];
    let names = vec![call.tensor("hx")?];
    let attributes = &[("linear_before_reset", 1)];
    let cell = RecurrentCell { operator: "GRU", gates: &[1, 0, 2], states: 1, attributes };
    cell.stack(call, &states, &names)
}

impl RecurrentCell {
    /// Adds all layers. Returns the output sequence of the last layer and the final states of all layers.
    fn stack(&self, call: &mut Call, states: &[&Value], state_names: &[String]) -> Result<Vec<String>> {
        let (layers, is_packed) = (call.int("num_layers")?, call.is_tensor("batch_sizes"));
        let is_batch_first = !is_packed && call.flag("batch_first")?;
        let lengths = if is_packed { call.tensor("batch_sizes")? } else { String::new() };
        let directions = 1 + i64::from(call.flag("bidirectional")?);
        let weights = self.weights(call, layers * directions)?;
        let mut x = call.tensor(if is_packed { "data" } else { "input" })?;
        if is_batch_first {
            x = call.graph.transpose(&x, &[1, 0, 2]);
        }
        let is_zero = states.iter().all(|state| is_zero(state));
        let mut final_states = vec![Vec::new(); self.states];
        for layer in 0..layers {
            let range = (layer * directions) as usize..((layer + 1) * directions) as usize;
            let initial = if is_zero {
                vec![String::new(); self.states]
            } else {
                state_names.iter().map(|state| rows(call, state, layer * directions, directions)).collect()
            };
            let (output, ends) = self.layer(call, (&x, &lengths), &weights[range], &initial)?;
            final_states.iter_mut().zip(ends).for_each(|(all, end)| all.push(end));
            x = output;
        }
        if is_batch_first {
            x = call.graph.transpose(&x, &[1, 0, 2]);
        }
        let mut outputs = vec![x];
        for ends in &final_states {
            let ends: Vec<_> = ends.iter().map(String::as_str).collect();
            outputs.push(call.node("Concat", &ends, &[("axis", Int(0))]));
        }
        Ok(outputs)
    }

    /// Adds one layer with all its directions: (length, N, inputs) to (length, N, directions · hidden), and the final states. The
    /// name of the lengths of the sequences is empty if all have the same.
    fn layer(
        &self,
        call: &mut Call,
        (x, lengths): (&str, &str),
        weights: &[[Tensor; 3]],
        initial: &[String],
    ) -> Result<(String, Vec<String>)> {
        let stacked = |part: usize| {
            let parts: Vec<_> = weights.iter().map(|direction| &direction[part]).collect();
            Tensor::f_stack(&parts, 0)
        };
        let hidden = weights[0][1].size()[1];
        let [input, state, bias] = [("W", 0), ("R", 1), ("B", 2)].map(|(name, part)| {
            let name = format!("{}/{name}", self.operator);
            stacked(part).map(|tensor| call.graph.initializer(&name, &tensor))
        });
        let direction = if weights.len() == 2 { "bidirectional" } else { "forward" };
        let mut attributes = vec![("hidden_size", Int(hidden)), ("direction", Text(direction.to_string()))];
        attributes.extend(self.attributes.iter().map(|(name, value)| (*name, Int(*value))));
        let (input, state, bias) = (input?, state?, bias?);
        let mut inputs = vec![x, &input, &state, &bias, lengths];
        inputs.extend(initial.iter().map(String::as_str));
        let mut outputs = call.graph.nodes(self.operator, &inputs, &attributes, 1 + self.states);
        // (length, directions, N, hidden)
        let transposed = call.graph.transpose(&outputs.remove(0), &[0, 2, 1, 3]);
        let sizes = call.graph.ints(&[0, 0, weights.len() as i64 * hidden]);
        Ok((call.node("Reshape", &[&transposed, &sizes], &[]), outputs))
    }

    /// For each layer and direction: the input weights, the recurrent weights, and both biases concatenated, with the gates in
    /// ONNX's order.
    fn weights(&self, call: &Call, count: i64) -> Result<Vec<[Tensor; 3]>> {
        let parameters = call.infos("params")?;
        let constants = parameters.iter().map(|parameter| parameter.constant.as_ref());
        let constants: Option<Vec<_>> = constants.collect();
        let constants = constants.ok_or_else(|| call.unsupported("its weights are not constant"))?;
        let per_layer = if call.flag("has_biases")? { 4 } else { 2 };
        if constants.len() as i64 != count * per_layer {
            return Err(call.unsupported("it uses projections (`proj_size`)"));
        }
        constants
            .chunks_exact(per_layer as usize)
            .map(|tensors| {
                let reordered: Vec<_> =
                    tensors.iter().map(|tensor| self.reorder(tensor)).collect::<Result<_>>()?;
                let bias = match &reordered[2..] {
                    [input_bias, state_bias] => Tensor::f_cat(&[input_bias, state_bias], 0)?,
                    _ => {
                        Tensor::f_zeros([2 * tensors[0].size()[0]], (tensors[0].kind(), tensors[0].device()))?
                    }
                };
                Ok([reordered[0].shallow_clone(), reordered[1].shallow_clone(), bias])
            })
            .collect()
    }

    fn reorder(&self, tensor: &Tensor) -> Result<Tensor> {
        let gates = tensor.f_chunk(self.gates.len() as i64, 0)?;
        let reordered: Vec<_> = self.gates.iter().map(|gate| &gates[*gate as usize]).collect();
        Ok(Tensor::f_cat(&reordered, 0)?)
    }
}

/// Whether an initial state is always zero, which is ONNX's default.
fn is_zero(state: &Value) -> bool {
    let known = state.constant.as_ref().or(state.example.as_ref());
    known.is_some_and(|value| value.count_nonzero(None).int64_value(&[]) == 0)
}

/// Slices `count` rows of a state, from `start`.
fn rows(call: &mut Call, state: &str, start: i64, count: i64) -> String {
    let [from, to, axis] = [start, start + count, 0].map(|number| call.graph.ints(&[number]));
    call.node("Slice", &[state, &from, &to, &axis], &[])
}
