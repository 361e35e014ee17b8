//! An operation on its way into the graph: its arguments by name, and what the graph offers.

use cresset_bridge::graph;
use tch::{Kind, Tensor};

use super::graph::{Attribute, Graph};
use super::recording::{Argument, Dim, Recording, Step, Value};
use crate::error::{Error, Result};

/// An operation of the model that is to be said in ONNX.
pub struct Call<'a> {
    recording: &'a Recording,
    step: &'a Step,
    /// Where its nodes go.
    pub graph: &'a mut Graph,
}

impl<'a> Call<'a> {
    /// The operation of this step.
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

    /// The name of the tensor that an argument is.
    pub fn tensor(&mut self, name: &str) -> Result<String> {
        let value = self.value_of(name)?;
        self.graph.name_of(self.recording, value)
    }

    /// The same for an argument that may be left out; then the name is empty.
    pub fn tensor_or_none(&mut self, name: &str) -> Result<String> {
        if self.is_none(name) { Ok(String::new()) } else { self.tensor(name) }
    }

    /// The names of the tensors in a list.
    pub fn tensors(&mut self, name: &str) -> Result<Vec<String>> {
        let values = self.values_of(name)?;
        values.into_iter().map(|value| self.graph.name_of(self.recording, value)).collect()
    }

    /// What is known of the tensors in a list.
    pub fn infos(&self, name: &str) -> Result<Vec<&'a Value>> {
        Ok(self.values_of(name)?.into_iter().map(|value| &self.recording.values[value]).collect())
    }

    /// What is known of the tensor that an argument is.
    pub fn info(&self, name: &str) -> Result<&'a Value> {
        Ok(&self.recording.values[self.value_of(name)?])
    }

    /// The value of an argument that must be the same for every input.
    pub fn constant(&self, name: &str) -> Result<Tensor> {
        let constant = self.info(name)?.constant.as_ref().map(Tensor::shallow_clone);
        constant.ok_or_else(|| self.refused(&format!("its `{name}` is no constant")))
    }

    /// What is known of one of the tensors that the operation makes.
    pub fn output(&self, index: usize) -> &'a Value {
        &self.recording.values[self.step.outputs[index]]
    }

    /// How many tensors the operation makes.
    pub fn output_count(&self) -> usize {
        self.step.outputs.len()
    }

    /// The sizes of a tensor, which no batch may change.
    pub fn fixed_sizes(&self, shape: &[Dim]) -> Result<Vec<i64>> {
        let sizes = shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            Dim::Batch(_) => None,
        });
        let sizes: Option<_> = sizes.collect();
        sizes.ok_or_else(|| self.refused("it works along the examples of a batch"))
    }

    /// A dimension, counted from the first one.
    pub fn axis(&self, name: &str, rank: usize) -> Result<i64> {
        Ok(from_the_front(self.int(name)?, rank))
    }

    /// Dimensions, counted from the first one.
    pub fn axes(&self, name: &str, rank: usize) -> Result<Vec<i64>> {
        Ok(self.ints(name)?.into_iter().map(|axis| from_the_front(axis, rank)).collect())
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<i64> {
        match self.argument(name)? {
            graph::Argument::Int(value) => Ok(*value),
            _ => Err(self.refused(&format!("its `{name}` is no whole number"))),
        }
    }

    /// Whole numbers; a single one is a list of one.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>> {
        match self.argument(name)? {
            graph::Argument::Ints(values) => Ok(values.clone()),
            graph::Argument::Int(value) => Ok(vec![*value]),
            _ => Err(self.refused(&format!("its `{name}` is no list of whole numbers"))),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64> {
        match self.argument(name)? {
            graph::Argument::Float(value) => Ok(*value),
            graph::Argument::Int(value) => Ok(*value as f64),
            graph::Argument::Bool(value) => Ok(f64::from(*value)),
            _ => Err(self.refused(&format!("its `{name}` is no number"))),
        }
    }

    /// A number, or one that stands for its absence.
    pub fn number_or(&self, name: &str, absent: f64) -> Result<f64> {
        if self.is_none(name) { Ok(absent) } else { self.number(name) }
    }

    /// Yes or no; no if there is no such argument.
    pub fn flag(&self, name: &str) -> Result<bool> {
        if self.is_none(name) { Ok(false) } else { Ok(self.number(name)? != 0.) }
    }

    /// A text; none if there is no such argument.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.argument(name) {
            Ok(graph::Argument::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether an argument is left out.
    pub fn is_none(&self, name: &str) -> bool {
        matches!(self.find(name), None | Some(Argument::Same(graph::Argument::None)))
    }

    /// Whether an argument is a tensor.
    pub fn is_tensor(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Argument::Same(graph::Argument::Tensor(_))))
    }

    /// A tensor or a number as a value of the given dtype.
    pub fn operand(&mut self, name: &str, kind: Kind) -> Result<String> {
        if !self.is_tensor(name) {
            let value = self.number(name)?;
            return Ok(self.graph.number(value, kind));
        }
        let (tensor, own) = (self.tensor(name)?, self.info(name)?.kind);
        if own == kind { Ok(tensor) } else { self.cast(&tensor, kind) }
    }

    /// The values of `x` in another dtype.
    pub fn cast(&mut self, x: &str, kind: Kind) -> Result<String> {
        let to = super::graph::data_type(kind)
            .ok_or_else(|| self.refused(&format!("it makes numbers of kind {kind:?}")))?;
        Ok(self.node("Cast", &[x], &[("to", Attribute::Int(to))]))
    }

    /// An error that says which operation is at fault.
    pub fn refused(&self, problem: &str) -> Error {
        Error::Usage(format!("ONNX: {} cannot be said in ONNX: {problem}", described(self.step)))
    }

    fn value_of(&self, name: &str) -> Result<usize> {
        match self.argument(name)? {
            graph::Argument::Tensor(value) => Ok(*value),
            _ => Err(self.refused(&format!("its `{name}` is no tensor"))),
        }
    }

    fn values_of(&self, name: &str) -> Result<Vec<usize>> {
        match self.argument(name)? {
            graph::Argument::Tensors(values) => Ok(values.clone()),
            _ => Err(self.refused(&format!("its `{name}` is no list of tensors"))),
        }
    }

    fn argument(&self, name: &str) -> Result<&'a graph::Argument> {
        match self.find(name) {
            Some(Argument::Same(argument)) => Ok(argument),
            Some(Argument::Varying) => {
                Err(self.refused(&format!("its `{name}` depends on the size of the batch")))
            }
            None => Err(self.refused(&format!("it has no `{name}`"))),
        }
    }

    fn find(&self, name: &str) -> Option<&'a Argument> {
        self.step.arguments.iter().find(|(known, _)| known == name).map(|(_, argument)| argument)
    }
}

/// An operation and where it stands, for a message.
pub fn described(step: &Step) -> String {
    match step.layer.as_str() {
        "" => format!("`{}` in the model's forward", step.kind),
        layer => format!("`{}` in the layer `{layer}`", step.kind),
    }
}

fn from_the_front(axis: i64, rank: usize) -> i64 {
    if axis < 0 { axis + rank as i64 } else { axis }
}
