//! The translation context of an operation: its arguments by name, and the graph.

use cresset_bridge::graph;
use tch::{Kind, Tensor};

use super::graph::{Attribute, Graph};
use crate::error::{Error, Result};
use crate::export::recording::{Argument, Dim, Recording, Step, Value, described};

/// An operation to translate to ONNX.
pub struct Call<'a> {
    recording: &'a Recording,
    step: &'a Step,
    /// The graph to which nodes are added.
    pub graph: &'a mut Graph,
}

impl<'a> Call<'a> {
    /// Starts the translation of a step.
    pub fn new(recording: &'a Recording, step: &'a Step, graph: &'a mut Graph) -> Self {
        graph.enter(&step.layer);
        Call { recording, step, graph }
    }

    /// Adds a node with one output.
    pub fn node(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, Attribute)],
    ) -> String {
        self.graph.node(operator, inputs, attributes)
    }

    /// The name of a tensor argument.
    pub fn tensor(&mut self, name: &str) -> Result<String> {
        let value = self.value_of(name)?;
        self.graph.name_of(self.recording, value)
    }

    /// The name of an optional tensor argument; empty if it is absent.
    pub(crate) fn tensor_or_none(&mut self, name: &str) -> Result<String> {
        if self.is_none(name) { Ok(String::new()) } else { self.tensor(name) }
    }

    /// The names of a tensor list argument.
    pub fn tensors(&mut self, name: &str) -> Result<Vec<String>> {
        let values = self.values_of(name)?;
        values.into_iter().map(|value| self.graph.name_of(self.recording, value)).collect()
    }

    /// The values of a tensor list argument.
    pub(crate) fn infos(&self, name: &str) -> Result<Vec<&'a Value>> {
        Ok(self.values_of(name)?.into_iter().map(|value| &self.recording.values[value]).collect())
    }

    /// The value of a tensor argument.
    pub fn info(&self, name: &str) -> Result<&'a Value> {
        Ok(&self.recording.values[self.value_of(name)?])
    }

    /// The tensor of an argument that must be constant.
    pub fn constant(&self, name: &str) -> Result<Tensor> {
        let constant = self.info(name)?.constant.as_ref().map(Tensor::shallow_clone);
        constant.ok_or_else(|| self.unsupported(&format!("its `{name}` is not constant")))
    }

    /// The value of an output.
    pub fn output(&self, index: usize) -> &'a Value {
        &self.recording.values[self.step.outputs[index]]
    }

    /// The number of outputs.
    pub(crate) fn output_count(&self) -> usize {
        self.step.outputs.len()
    }

    /// The sizes of dimensions that must not depend on the batch size.
    pub(crate) fn fixed_sizes(&self, shape: &[Dim]) -> Result<Vec<i64>> {
        let sizes = shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            Dim::Batch(_) => None,
        });
        let sizes: Option<_> = sizes.collect();
        sizes.ok_or_else(|| self.unsupported("it operates along the batch dimension"))
    }

    /// A dimension argument as a non-negative index.
    pub fn axis(&self, name: &str, rank: usize) -> Result<i64> {
        Ok(non_negative_axis(self.int(name)?, rank))
    }

    /// A dimension list argument as non-negative indices.
    pub fn axes(&self, name: &str, rank: usize) -> Result<Vec<i64>> {
        Ok(self.ints(name)?.into_iter().map(|axis| non_negative_axis(axis, rank)).collect())
    }

    /// An integer argument.
    pub fn int(&self, name: &str) -> Result<i64> {
        match self.argument(name)? {
            graph::Argument::Int(value) => Ok(*value),
            _ => Err(self.unsupported(&format!("its `{name}` is not an integer"))),
        }
    }

    /// An integer list argument; a single integer is a list of length one.
    pub(crate) fn ints(&self, name: &str) -> Result<Vec<i64>> {
        match self.argument(name)? {
            graph::Argument::Ints(values) => Ok(values.clone()),
            graph::Argument::Int(value) => Ok(vec![*value]),
            _ => Err(self.unsupported(&format!("its `{name}` is not a list of integers"))),
        }
    }

    /// A number argument.
    pub fn number(&self, name: &str) -> Result<f64> {
        match self.argument(name)? {
            graph::Argument::Float(value) => Ok(*value),
            graph::Argument::Int(value) => Ok(*value as f64),
            graph::Argument::Bool(value) => Ok(f64::from(*value)),
            _ => Err(self.unsupported(&format!("its `{name}` is not a number"))),
        }
    }

    /// A number argument, or `default` if it is absent.
    pub(crate) fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        if self.is_none(name) { Ok(default) } else { self.number(name) }
    }

    /// A boolean argument; false if it is absent.
    pub fn flag(&self, name: &str) -> Result<bool> {
        if self.is_none(name) { Ok(false) } else { Ok(self.number(name)? != 0.) }
    }

    /// A string argument; `None` if it is absent.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.argument(name) {
            Ok(graph::Argument::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether an argument is absent or `None`.
    pub fn is_none(&self, name: &str) -> bool {
        matches!(self.find(name), None | Some(Argument::Fixed(graph::Argument::None)))
    }

    /// Whether an argument is a tensor.
    pub(crate) fn is_tensor(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Argument::Fixed(graph::Argument::Tensor(_))))
    }

    /// The name of a tensor or number argument, cast to a dtype.
    pub fn operand(&mut self, name: &str, kind: Kind) -> Result<String> {
        if !self.is_tensor(name) {
            let value = self.number(name)?;
            return Ok(self.graph.number(value, kind));
        }
        let (tensor, current) = (self.tensor(name)?, self.info(name)?.kind);
        if current == kind { Ok(tensor) } else { self.cast(&tensor, kind) }
    }

    /// Casts `x` to a dtype.
    pub fn cast(&mut self, x: &str, kind: Kind) -> Result<String> {
        let to = super::graph::data_type(kind)
            .ok_or_else(|| self.unsupported(&format!("it uses the dtype {kind:?}")))?;
        Ok(self.node("Cast", &[x], &[("to", Attribute::Int(to))]))
    }

    /// An error for an operation that cannot be translated.
    pub fn unsupported(&self, problem: &str) -> Error {
        Error::Usage(format!("ONNX: cannot export {}: {problem}", described(self.step)))
    }

    fn value_of(&self, name: &str) -> Result<usize> {
        match self.argument(name)? {
            graph::Argument::Tensor(value) => Ok(*value),
            _ => Err(self.unsupported(&format!("its `{name}` is not a tensor"))),
        }
    }

    fn values_of(&self, name: &str) -> Result<Vec<usize>> {
        match self.argument(name)? {
            graph::Argument::Tensors(values) => Ok(values.clone()),
            _ => Err(self.unsupported(&format!("its `{name}` is not a list of tensors"))),
        }
    }

    fn argument(&self, name: &str) -> Result<&'a graph::Argument> {
        match self.find(name) {
            Some(Argument::Fixed(argument)) => Ok(argument),
            Some(_) => Err(self.unsupported(&format!("its `{name}` depends on the batch size"))),
            None => Err(self.unsupported(&format!("it has no `{name}`"))),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Argument> {
        self.step.arguments.iter().find(|(known, _)| known == name).map(|(_, argument)| argument)
    }
}

fn non_negative_axis(axis: i64, rank: usize) -> i64 {
    if axis < 0 { axis + rank as i64 } else { axis }
}
