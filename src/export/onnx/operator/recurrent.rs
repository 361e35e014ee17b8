//! Recurrent layers.

use tch::Tensor;

use super::Operator;
use super::Translation::Many;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Int, Text};
use crate::export::onnx::recording::Value;

/// The operations of this group.
pub const OPERATORS: &[Operator] = &[("aten::lstm", Many(lstm)), ("aten::gru", Many(gru))];

/// What the two kinds of cell differ in.
struct Cell {
    operator: &'static str,
    /// The places of ONNX's gates among PyTorch's.
    gates: &'static [i64],
    /// The states that go from one member of the sequence to the next.
    states: usize,
    attributes: &'static [(&'static str, i64)],
}

/// PyTorch's gates are input, forget, cell, output; ONNX's are input, output, forget, cell.
fn lstm(call: &mut Call) -> Result<Vec<String>> {
    let states = call.infos("hx")?;
    let names = call.tensors("hx")?;
    let cell = Cell { operator: "LSTM", gates: &[0, 3, 1, 2], states: 2, attributes: &[] };
    cell.stack(call, &states, &names)
}

/// PyTorch's gates are reset, update, new; ONNX's are update, reset, new. PyTorch resets after the product.
fn gru(call: &mut Call) -> Result<Vec<String>> {
    let states = vec![call.info("hx")?];
    let names = vec![call.tensor("hx")?];
    let attributes = &[("linear_before_reset", 1)];
    let cell = Cell { operator: "GRU", gates: &[1, 0, 2], states: 1, attributes };
    cell.stack(call, &states, &names)
}

impl Cell {
    /// The layers on top of each other: the sequence of the last one's outputs, and the last states of all.
    fn stack(&self, call: &mut Call, states: &[&Value], state_names: &[String]) -> Result<Vec<String>> {
        let (layers, is_batch_first) = (call.int("num_layers")?, call.flag("batch_first")?);
        let directions = 1 + i64::from(call.flag("bidirectional")?);
        let weights = self.weights(call, layers * directions)?;
        let mut x = call.tensor("input")?;
        if is_batch_first {
            x = call.graph.transpose(&x, &[1, 0, 2]);
        }
        let is_zero = states.iter().all(|state| is_zero(state));
        let mut last = vec![Vec::new(); self.states];
        for layer in 0..layers {
            let range = (layer * directions) as usize..((layer + 1) * directions) as usize;
            let starts = if is_zero {
                vec![String::new(); self.states]
            } else {
                state_names.iter().map(|state| rows(call, state, layer * directions, directions)).collect()
            };
            let (output, ends) = self.layer(call, &x, &weights[range], &starts)?;
            last.iter_mut().zip(ends).for_each(|(all, end)| all.push(end));
            x = output;
        }
        if is_batch_first {
            x = call.graph.transpose(&x, &[1, 0, 2]);
        }
        let mut outputs = vec![x];
        for ends in &last {
            let ends: Vec<_> = ends.iter().map(String::as_str).collect();
            outputs.push(call.node("Concat", &ends, &[("axis", Int(0))]));
        }
        Ok(outputs)
    }

    /// One layer in all its directions: (length, N, inputs) to (length, N, directions · hidden), and the last states.
    fn layer(
        &self,
        call: &mut Call,
        x: &str,
        weights: &[[Tensor; 3]],
        starts: &[String],
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
        let mut inputs = vec![x, &input, &state, &bias, ""];
        inputs.extend(starts.iter().map(String::as_str));
        let mut outputs = call.graph.nodes(self.operator, &inputs, &attributes, 1 + self.states);
        // (length, directions, N, hidden)
        let turned = call.graph.transpose(&outputs.remove(0), &[0, 2, 1, 3]);
        let sizes = call.graph.ints(&[0, 0, weights.len() as i64 * hidden]);
        Ok((call.node("Reshape", &[&turned, &sizes], &[]), outputs))
    }

    /// For each layer and direction: the weights of the input, those of the state, and both biases one behind the other,
    /// with the gates in ONNX's order.
    fn weights(&self, call: &Call, count: i64) -> Result<Vec<[Tensor; 3]>> {
        let parameters = call.infos("params")?;
        let constants = parameters.iter().map(|parameter| parameter.constant.as_ref());
        let constants: Option<Vec<_>> = constants.collect();
        let constants = constants.ok_or_else(|| call.refused("its weights depend on the input"))?;
        let each = if call.flag("has_biases")? { 4 } else { 2 };
        if constants.len() as i64 != count * each {
            return Err(call.refused("its states are projected"));
        }
        constants
            .chunks_exact(each as usize)
            .map(|of| {
                let reordered: Vec<_> =
                    of.iter().map(|tensor| self.reorder(tensor)).collect::<Result<_>>()?;
                let bias = match &reordered[2..] {
                    [of_input, of_state] => Tensor::f_cat(&[of_input, of_state], 0)?,
                    _ => Tensor::f_zeros([2 * of[0].size()[0]], (of[0].kind(), of[0].device()))?,
                };
                Ok([reordered[0].shallow_clone(), reordered[1].shallow_clone(), bias])
            })
            .collect()
    }

    fn reorder(&self, tensor: &Tensor) -> Result<Tensor> {
        let gates = tensor.f_chunk(self.gates.len() as i64, 0)?;
        let reordered: Vec<_> = self.gates.iter().map(|place| &gates[*place as usize]).collect();
        Ok(Tensor::f_cat(&reordered, 0)?)
    }
}

/// Whether a state is zero for every input, which is what ONNX takes for granted.
fn is_zero(state: &Value) -> bool {
    let known = state.constant.as_ref().or(state.example.as_ref());
    known.is_some_and(|value| value.count_nonzero(None).int64_value(&[]) == 0)
}

/// Some rows of a state, from `start` on.
fn rows(call: &mut Call, state: &str, start: i64, count: i64) -> String {
    let [from, to, axis] = [start, start + count, 0].map(|number| call.graph.ints(&[number]));
    call.node("Slice", &[state, &from, &to, &axis], &[])
}
