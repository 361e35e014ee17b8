//! Traces a model with two batch sizes, and compares the traces to find the sizes that depend on the batch.

use std::collections::HashSet;

use cresset_bridge::graph::{self, Trace};
use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use crate::data::InputShape;
use crate::error::{Error, Result};

/// The two batch sizes. Both are greater than 1, because dimensions of size 1 are broadcast, and their halves differ.
const BATCHES: [i64; 2] = [2, 5];

/// The batch size of an example input.
pub const EXAMPLE_BATCH: i64 = BATCHES[0];

/// The size of a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// A fixed size.
    Fixed(i64),
    /// A multiple of the batch size.
    Batch(i64),
}

/// An argument of an operation. Tensors are indices into [`Recording::values`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Argument {
    /// Independent of the batch size.
    Fixed(graph::Argument),
    /// An integer that depends on the batch size.
    BatchInt(Dim),
    /// Integers, of which some depend on the batch size.
    BatchInts(Vec<Dim>),
    /// Other values that depend on the batch size.
    BatchDependent,
}

/// An operation.
#[derive(Debug)]
pub struct Step {
    /// The name of the operation, such as `aten::conv2d`. In-place operations have the name of the out-of-place operation.
    pub kind: String,
    /// The name of the overload; empty for the default one.
    pub overload: String,
    /// The dotted name of the layer; empty for the outermost module.
    pub layer: String,
    /// The arguments by name.
    pub arguments: Vec<(String, Argument)>,
    /// The output tensors.
    pub outputs: Vec<usize>,
}

/// A tensor.
#[derive(Debug)]
pub struct Value {
    /// The name of a parameter or buffer; empty for other tensors.
    pub name: String,
    /// The shape.
    pub shape: Vec<Dim>,
    /// The strides, if they are multiples of the batch size.
    pub strides: Option<Vec<Dim>>,
    /// The dtype.
    pub kind: Kind,
    /// The value, if it does not depend on the input or the batch size.
    pub constant: Option<Tensor>,
    /// The value for one example, if it is the same for every input and every example: size 1 in each dimension that depends
    /// on the batch size.
    pub example: Option<Tensor>,
    /// The step of 0, step, 2 · step, …, if these are the values for any input and batch size.
    pub step: Option<i64>,
}

/// The traced operations of a model, in order.
pub struct Recording {
    /// The operations.
    pub steps: Vec<Step>,
    /// The tensors.
    pub values: Vec<Value>,
    /// The input.
    pub input: usize,
    /// The output.
    pub output: usize,
}

impl Recording {
    /// Traces the module with examples of this shape.
    ///
    /// # Errors
    /// A module that fails, or whose operations depend on the batch size.
    pub fn of(module: &Module, input: &InputShape) -> Result<Self> {
        let run = |batch: i64| {
            let size: Vec<i64> = std::iter::once(batch).chain(input.0.iter().copied()).collect();
            Trace::of(module, &Tensor::f_zeros(&size[..], (Kind::Float, Device::Cpu))?).map_err(Error::from)
        };
        let (a, b) = (run(BATCHES[0])?, run(BATCHES[1])?);
        let structure = |trace: &Trace| -> Vec<_> {
            trace.nodes.iter().map(|node| (node.kind.clone(), node.outputs.clone())).collect()
        };
        if structure(&a) != structure(&b) || a.output != b.output || a.values.len() != b.values.len() {
            let problem =
                "the operations of the model depend on the batch size, so it cannot be exported as one graph";
            return Err(Error::Usage(problem.to_string()));
        }
        let mut steps: Vec<_> = a.nodes.iter().zip(&b.nodes).map(|(a, b)| step(a, b)).collect();
        keep_needed(&mut steps, a.output);
        let values = (0..a.values.len()).map(|index| value(&a, &b, index)).collect::<Result<_>>()?;
        Ok(Recording { steps, values, input: a.input, output: a.output })
    }
}

/// Removes steps that the output does not depend on, such as assertions.
fn keep_needed(steps: &mut Vec<Step>, output: usize) {
    let mut needed = HashSet::from([output]);
    steps.reverse();
    steps.retain(|step| {
        let is_needed = step.outputs.iter().any(|value| needed.contains(value));
        for (_, argument) in step.arguments.iter().filter(|_| is_needed) {
            match argument {
                Argument::Fixed(graph::Argument::Tensor(value)) => _ = needed.insert(*value),
                Argument::Fixed(graph::Argument::Tensors(values)) => needed.extend(values),
                Argument::Fixed(graph::Argument::OptionalTensors(values)) => {
                    needed.extend(values.iter().flatten());
                }
                _ => {}
            }
        }
        is_needed
    });
    steps.reverse();
}

fn step(a: &graph::Node, b: &graph::Node) -> Step {
    let arguments =
        a.arguments.iter().zip(&b.arguments).map(|((name, a), (_, b))| (name.clone(), argument(a, b)));
    // `relu_` is in-place; `__and__` is not.
    let kind = match a.kind.strip_suffix('_') {
        Some(name) if !name.ends_with('_') => name.to_string(),
        _ => a.kind.clone(),
    };
    Step {
        kind,
        overload: a.overload.clone(),
        layer: a.layer.clone(),
        arguments: arguments.collect(),
        outputs: a.outputs.clone(),
    }
}

/// An argument from its values for the two batch sizes.
fn argument(a: &graph::Argument, b: &graph::Argument) -> Argument {
    match (a, b) {
        _ if a == b => Argument::Fixed(a.clone()),
        (graph::Argument::Int(a), graph::Argument::Int(b)) => {
            dim(*a, *b).map_or(Argument::BatchDependent, Argument::BatchInt)
        }
        (graph::Argument::Ints(a), graph::Argument::Ints(b)) => {
            dims(a, b).map_or(Argument::BatchDependent, Argument::BatchInts)
        }
        _ => Argument::BatchDependent,
    }
}

fn value(a: &Trace, b: &Trace, index: usize) -> Result<Value> {
    let (of_a, of_b) = (&a.values[index], &b.values[index]);
    let tensor = a.tensor(index)?;
    let shape = dims(&of_a.sizes, &of_b.sizes).ok_or_else(|| {
        let problem = format!(
            "the model cannot be exported as a graph: a tensor has the shape {:?} for batch size {} and {:?} for batch size {}, which are \
             not multiples of the batch size",
            of_a.sizes, BATCHES[0], of_b.sizes, BATCHES[1],
        );
        Error::Usage(problem)
    })?;
    let other = b.tensor(index)?;
    let (mut constant, mut example, mut step) = (None, None, None);
    if !of_a.depends_on_input {
        step = step_of(&tensor).filter(|step| step_of(&other) == Some(*step));
        if tensor.size() == other.size() && same(&tensor, &other) {
            constant = Some(tensor.shallow_clone());
        } else {
            let first = shape.iter().enumerate().filter(|(_, dim)| matches!(dim, Dim::Batch(_)));
            let first = first.fold(tensor.shallow_clone(), |t, (axis, _)| t.narrow(axis as i64, 0, 1));
            let is_repeated = |t: &Tensor| same(&first.expand_as(t), t);
            example = Some(first.shallow_clone()).filter(|_| is_repeated(&tensor) && is_repeated(&other));
        }
    }
    let strides = dims(&tensor.stride(), &other.stride());
    Ok(Value { name: of_a.name.clone(), shape, strides, kind: tensor.kind(), constant, example, step })
}

/// The step of a vector of whole numbers 0, step, 2 · step, …
fn step_of(tensor: &Tensor) -> Option<i64> {
    if tensor.dim() != 1 || tensor.kind() != Kind::Int64 || tensor.size()[0] < 2 {
        return None;
    }
    let step = tensor.int64_value(&[1]);
    let expected = Tensor::arange(tensor.size()[0], (Kind::Int64, tensor.device())) * step;
    same(tensor, &expected).then_some(step)
}

/// Whether all values are equal; NaN equals NaN.
fn same(a: &Tensor, b: &Tensor) -> bool {
    a.eq_tensor(b).logical_or(&a.isnan().logical_and(&b.isnan())).all().int64_value(&[]) != 0
}

fn dims(a: &[i64], b: &[i64]) -> Option<Vec<Dim>> {
    let sizes = a.iter().zip(b).map(|(a, b)| dim(*a, *b));
    sizes.collect::<Option<_>>().filter(|_| a.len() == b.len())
}

fn dim(a: i64, b: i64) -> Option<Dim> {
    if a == b {
        return Some(Dim::Fixed(a));
    }
    let factor = a / BATCHES[0];
    (factor * BATCHES[0] == a && factor * BATCHES[1] == b).then_some(Dim::Batch(factor))
}

/// The name and location of an operation, for messages.
pub fn described(step: &Step) -> String {
    match step.layer.as_str() {
        "" => format!("`{}` in the model's forward", step.kind),
        layer => format!("`{}` in the layer `{layer}`", step.kind),
    }
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
