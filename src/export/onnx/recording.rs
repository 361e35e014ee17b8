//! What a model computes, with the size of the batch left free: two runs with batches of two sizes, compared.

use std::collections::HashSet;

use cresset_bridge::graph::{self, Trace};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::data::InputShape;
use crate::error::{Error, Result};

/// The sizes of the two batches. Both are more than 1, for which tensors are spread, and their halves differ.
const BATCHES: [i64; 2] = [2, 5];

/// One size of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// The same for every batch.
    Fixed(i64),
    /// So many times the size of the batch.
    Batch(i64),
}

/// An argument of an operation; tensors are given by their index in [`Recording::values`].
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// The same for every batch.
    Same(graph::Argument),
    /// Numbers that depend on the size of the batch.
    Varying,
}

/// An operation.
#[derive(Debug)]
pub struct Step {
    /// What it does, such as `aten::conv2d`; what works in place is told by the name of what does not.
    pub kind: String,
    /// The dotted name of the layer; empty for the outermost module.
    pub layer: String,
    /// The arguments by name.
    pub arguments: Vec<(String, Argument)>,
    /// The tensors that it makes.
    pub outputs: Vec<usize>,
}

/// A tensor.
#[derive(Debug)]
pub struct Value {
    /// The name of a parameter or a buffer; empty for anything else.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<Dim>,
    /// Its dtype.
    pub kind: Kind,
    /// Its value, if it is the same for every input and every batch.
    pub constant: Option<Tensor>,
    /// Its value for one example, if it is the same for every input and every example of a batch: with a 1 for each size
    /// that depends on the batch.
    pub example: Option<Tensor>,
}

/// The operations of a model in order.
pub struct Recording {
    /// The operations.
    pub steps: Vec<Step>,
    /// The tensors.
    pub values: Vec<Value>,
    /// The input.
    pub input: usize,
    /// The result.
    pub output: usize,
}

impl Recording {
    /// Runs the module for examples of this shape.
    ///
    /// # Errors
    /// A module that cannot be run, or that does something else for another size of the batch.
    pub fn of(module: &Module, input: &InputShape) -> Result<Self> {
        let run = |batch: i64| {
            let size: Vec<i64> = std::iter::once(batch).chain(input.0.iter().copied()).collect();
            Trace::of(module, &Tensor::f_zeros(&size[..], (Kind::Float, Device::Cpu))?).map_err(Error::from)
        };
        let (a, b) = (run(BATCHES[0])?, run(BATCHES[1])?);
        let skeleton = |trace: &Trace| -> Vec<_> {
            trace.nodes.iter().map(|node| (node.kind.clone(), node.outputs.clone())).collect()
        };
        if skeleton(&a) != skeleton(&b) || a.output != b.output || a.values.len() != b.values.len() {
            let problem =
                "ONNX: what the model does depends on the size of the batch, so one graph cannot say it";
            return Err(Error::Usage(problem.to_string()));
        }
        let mut steps: Vec<_> = a.nodes.iter().zip(&b.nodes).map(|(a, b)| step(a, b)).collect();
        keep_needed(&mut steps, a.output);
        let values = (0..a.values.len()).map(|index| value(&a, &b, index)).collect::<Result<_>>()?;
        Ok(Recording { steps, values, input: a.input, output: a.output })
    }
}

/// Leaves out the steps that the result does not need, such as those that an assertion is made of.
fn keep_needed(steps: &mut Vec<Step>, output: usize) {
    let mut needed = HashSet::from([output]);
    steps.reverse();
    steps.retain(|step| {
        let is_needed = step.outputs.iter().any(|value| needed.contains(value));
        for (_, argument) in step.arguments.iter().filter(|_| is_needed) {
            match argument {
                Argument::Same(graph::Argument::Tensor(value)) => _ = needed.insert(*value),
                Argument::Same(graph::Argument::Tensors(values)) => needed.extend(values),
                _ => {}
            }
        }
        is_needed
    });
    steps.reverse();
}

fn step(a: &graph::Node, b: &graph::Node) -> Step {
    let arguments = a.arguments.iter().zip(&b.arguments).map(|((name, a), (_, b))| {
        let argument = if a == b { Argument::Same(a.clone()) } else { Argument::Varying };
        (name.clone(), argument)
    });
    // `relu_` works in place; `__and__` does not.
    let kind = match a.kind.strip_suffix('_') {
        Some(shorter) if !shorter.ends_with('_') => shorter.to_string(),
        _ => a.kind.clone(),
    };
    Step { kind, layer: a.layer.clone(), arguments: arguments.collect(), outputs: a.outputs.clone() }
}

fn value(a: &Trace, b: &Trace, index: usize) -> Result<Value> {
    let (of_a, of_b) = (&a.values[index], &b.values[index]);
    let tensor = a.tensor(index)?;
    let shape = of_a.sizes.iter().zip(&of_b.sizes).map(|sizes| dim(*sizes.0, *sizes.1));
    let shape = shape.collect::<Option<Vec<_>>>().filter(|_| of_a.sizes.len() == of_b.sizes.len());
    let shape = shape.ok_or_else(|| {
        let problem = format!(
            "ONNX: a tensor of sizes {:?} in a batch of {} has sizes {:?} in a batch of {}, which are no multiples of it",
            of_a.sizes, BATCHES[0], of_b.sizes, BATCHES[1],
        );
        Error::Usage(problem)
    })?;
    let (mut constant, mut example) = (None, None);
    if !of_a.depends_on_input {
        let other = b.tensor(index)?;
        if tensor.size() == other.size() && same(&tensor, &other) {
            constant = Some(tensor.shallow_clone());
        } else {
            let first = shape.iter().enumerate().filter(|(_, dim)| matches!(dim, Dim::Batch(_)));
            let first = first.fold(tensor.shallow_clone(), |t, (axis, _)| t.narrow(axis as i64, 0, 1));
            let spreads = |t: &Tensor| same(&first.expand_as(t), t);
            example = Some(first.shallow_clone()).filter(|_| spreads(&tensor) && spreads(&other));
        }
    }
    Ok(Value { name: of_a.name.clone(), shape, kind: tensor.kind(), constant, example })
}

/// Whether all values are the same; a NaN is the same as another.
fn same(a: &Tensor, b: &Tensor) -> bool {
    a.eq_tensor(b).logical_or(&a.isnan().logical_and(&b.isnan())).all().int64_value(&[]) != 0
}

fn dim(a: i64, b: i64) -> Option<Dim> {
    if a == b {
        return Some(Dim::Fixed(a));
    }
    let factor = a / BATCHES[0];
    (factor * BATCHES[0] == a && factor * BATCHES[1] == b).then_some(Dim::Batch(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_fixed_or_multiples_of_the_batch() {
        let [a, b] = BATCHES;
        assert_eq!(dim(7, 7), Some(Dim::Fixed(7)));
        assert_eq!(dim(3 * a, 3 * b), Some(Dim::Batch(3)));
        assert_eq!(dim(a + 1, b + 1), None);
    }
}
