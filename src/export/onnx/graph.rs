//! Builds an ONNX graph.

use std::collections::{HashMap, HashSet};

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::export::proto::Message;
use crate::export::recording::{Dim, Recording};
use crate::model::weights::safetensors::bytes_of;

/// The names of the model's input, of that of a model of texts, and of the batch dimension.
pub const INPUT: &str = "input";
pub const IDS: &str = "ids";
pub const BATCH: &str = "batch";

/// The name of the dimension of the tokens of a text.
const TOKENS: &str = "tokens";

/// The number of a dtype in `TensorProto.DataType`.
pub(crate) fn data_type(kind: Kind) -> Option<i64> {
    Some(match kind {
        Kind::Float => 1,
        Kind::Uint8 => 2,
        Kind::Int8 => 3,
        Kind::Int16 => 5,
        Kind::Int => 6,
        Kind::Int64 => 7,
        Kind::Bool => 9,
        Kind::Half => 10,
        Kind::Double => 11,
        Kind::BFloat16 => 16,
        _ => return None,
    })
}

/// The value of a node's attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Text(String),
}

/// A node with its attributes by name.
#[derive(Debug)]
struct Node {
    operator: &'static str,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Vec<(&'static str, Attribute)>,
}

/// An ONNX graph under construction. Values are identified by name.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    initializers: Vec<(String, Tensor)>,
    /// The names of the recording's values in the graph.
    names: HashMap<usize, String>,
    /// The unknown operations that produce the remaining values.
    unknown: HashMap<usize, String>,
    used_names: HashSet<String>,
    batch: Option<String>,
    layer: String,
    /// The name of the graph's input.
    input: &'static str,
}

impl Graph {
    /// Creates a graph with the input of the recording. The names of the graph's outputs are kept free for [`Graph::finish`].
    pub fn new(recording: &Recording, outputs: &[&str]) -> Self {
        let names = HashMap::from([(recording.input, INPUT.to_string())]);
        let used_names = [INPUT, IDS].iter().chain(outputs).map(|name| name.to_string()).collect();
        Graph { names, used_names, input: INPUT, ..Graph::default() }
    }

    /// Makes the input token ids of texts, int64 (batch, tokens), of any number of tokens: they are cut or padded to the `length` of the
    /// recording.
    pub fn take_ids(&mut self, recording: &Recording, length: i64) {
        self.input = IDS;
        let [zero, one, end] = [0, 1, length].map(|number| self.ints(&[number]));
        let cut = self.node("Slice", &[IDS, &zero, &end, &one], &[]);
        let ends = [("start", Attribute::Int(1)), ("end", Attribute::Int(2))];
        let own = self.node("Shape", &[&cut], &ends);
        let missing = self.node("Sub", &[&end, &own], &[]);
        let before = self.ints(&[0, 0, 0]);
        let pads = self.node("Concat", &[&before, &missing], &[("axis", Attribute::Int(0))]);
        let padding = self.number(0., Kind::Int64);
        let padded = self.node("Pad", &[&cut, &pads, &padding], &[]);
        let to = data_type(Kind::Float).expect("ONNX has float32");
        let values = self.node("Cast", &[&padded], &[("to", Attribute::Int(to))]);
        self.define(recording.input, values);
    }

    /// Sets the layer of the following nodes, which prefixes their names.
    pub fn enter(&mut self, layer: &str) {
        self.layer = layer.to_string();
    }

    /// Sets the name of a value of the recording.
    pub fn define(&mut self, value: usize, name: String) {
        self.names.insert(value, name);
    }

    /// Records that an unknown operation produces a value.
    pub(crate) fn leave_unknown(&mut self, value: usize, operation: &str) {
        self.unknown.insert(value, operation.to_string());
    }

    /// The name of a value of the recording. Adds constants to the graph.
    ///
    /// # Errors
    /// A value produced by an unknown operation.
    pub fn name_of(&mut self, recording: &Recording, value: usize) -> Result<String> {
        if let Some(name) = self.names.get(&value) {
            return Ok(name.clone());
        }
        let info = &recording.values[value];
        let name = match (&info.constant, &info.example) {
            (Some(tensor), _) => {
                let name = if info.name.is_empty() { "constant" } else { &info.name };
                self.initializer(name, tensor)
            }
            (None, Some(example)) => {
                let example = self.initializer("constant", example);
                self.expand(&example, &info.shape)
            }
            (None, None) if info.step.is_some() => {
                let (size, step) = (self.shape(&info.shape), info.step.unwrap_or(1));
                let count = self.node("Squeeze", &[&size], &[]);
                let [start, delta] = [0, step].map(|number| self.number(number as f64, Kind::Int64));
                let limit = self.node("Mul", &[&count, &delta], &[]);
                self.node("Range", &[&start, &limit, &delta], &[])
            }
            (None, None) => {
                let operation = self.unknown.get(&value).map_or("an operation", String::as_str);
                let problem = format!(
                    "ONNX: {operation} is not supported. Export to another format, or add the operator as described in \
                     CONTRIBUTING.md"
                );
                return Err(Error::Usage(problem));
            }
        };
        self.names.insert(value, name.clone());
        Ok(name)
    }

    /// Adds a constant named `name`, with a numeric suffix if the name is taken.
    pub fn initializer(&mut self, name: &str, tensor: &Tensor) -> String {
        let name = self.free_name(name);
        self.initializers.push((name.clone(), tensor.shallow_clone()));
        name
    }

    /// Adds an int64 vector as a constant.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        self.initializer("constant", &Tensor::from_slice(values))
    }

    /// Adds a scalar constant of this dtype.
    pub fn number(&mut self, value: f64, kind: Kind) -> String {
        self.initializer("constant", &Tensor::from(value).to_kind(kind))
    }

    /// Adds a node with one output, and returns the name of the output.
    pub fn node(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, Attribute)],
    ) -> String {
        self.nodes(operator, inputs, attributes, 1).remove(0)
    }

    /// Adds a node with several outputs, and returns their names. The name of an absent input is empty.
    pub fn nodes(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: &[(&'static str, Attribute)],
        count: usize,
    ) -> Vec<String> {
        let name = format!("{}/{operator}", self.layer);
        let outputs: Vec<_> = (0..count).map(|_| self.free_name(&name)).collect();
        let mut inputs: Vec<_> = inputs.iter().map(|input| input.to_string()).collect();
        while inputs.last().is_some_and(String::is_empty) {
            inputs.pop();
        }
        self.nodes.push(Node { operator, inputs, outputs: outputs.clone(), attributes: attributes.to_vec() });
        outputs
    }

    /// Reshapes `x`.
    ///
    /// # Errors
    /// A shape in which two sizes depend on the batch size.
    pub fn reshape(&mut self, x: &str, shape: &[Dim]) -> Result<String> {
        if shape.iter().filter(|dim| matches!(dim, Dim::Batch(_))).count() > 1 {
            let problem = format!(
                "ONNX: in the layer `{}`, two dimensions of a tensor depend on the batch size",
                self.layer
            );
            return Err(Error::Usage(problem));
        }
        let sizes: Vec<_> = shape
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => *size,
                Dim::Batch(_) => -1,
            })
            .collect();
        let shape = self.ints(&sizes);
        Ok(self.node("Reshape", &[x, &shape], &[]))
    }

    /// Broadcasts `x` to this shape.
    pub fn expand(&mut self, x: &str, shape: &[Dim]) -> String {
        let shape = self.shape(shape);
        self.node("Expand", &[x, &shape], &[])
    }

    /// Permutes the dimensions of `x`.
    pub fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.node("Transpose", &[x], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// Adds a size as an int64 vector of length 1.
    pub fn size(&mut self, dim: Dim) -> String {
        self.shape(&[dim])
    }

    /// Adds a shape as an int64 vector.
    fn shape(&mut self, shape: &[Dim]) -> String {
        let parts: Vec<_> = shape
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => self.ints(&[*size]),
                Dim::Batch(1) => self.batch(),
                Dim::Batch(factor) => {
                    let (batch, factor) = (self.batch(), self.ints(&[*factor]));
                    self.node("Mul", &[&batch, &factor], &[])
                }
            })
            .collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        self.node("Concat", &parts, &[("axis", Attribute::Int(0))])
    }

    /// The batch size, int64 (1).
    fn batch(&mut self) -> String {
        if let Some(batch) = &self.batch {
            return batch.clone();
        }
        let ends = [("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
        let batch = self.node("Shape", &[self.input], &ends);
        self.batch = Some(batch.clone());
        batch
    }

    fn free_name(&mut self, name: &str) -> String {
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_string()).chain(numbered);
        let free = names.find(|name| !self.used_names.contains(name)).expect("the numbers are unbounded");
        self.used_names.insert(free.clone());
        free
    }

    /// Encodes the graph with these outputs, each with the name of its value and its description, without unused nodes and constants.
    ///
    /// # Errors
    /// A constant of a dtype that ONNX does not support.
    pub fn finish(mut self, input: &Message, outputs: &[(&str, String, Message)]) -> Result<Message> {
        self.layer.clear();
        for (name, value, _) in outputs {
            self.nodes.push(Node {
                operator: "Identity",
                inputs: vec![value.clone()],
                outputs: vec![name.to_string()],
                attributes: Vec::new(),
            });
        }
        let mut needed: HashSet<String> = outputs.iter().map(|(name, ..)| name.to_string()).collect();
        let mut nodes = Vec::new();
        for node in self.nodes.into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(node.inputs.iter().cloned());
                nodes.push(node.message());
            }
        }
        nodes.reverse();
        let used = self.initializers.iter().filter(|(name, _)| needed.contains(name));
        let initializers = used.map(|(name, value)| tensor(name, value)).collect::<Result<Vec<_>>>()?;
        let graph = Message::new().messages(1, nodes).text(2, "cresset").messages(5, initializers);
        Ok(outputs.iter().fold(graph.message(11, input), |graph, (.., result)| graph.message(12, result)))
    }
}

impl Node {
    /// Encodes a `NodeProto`.
    fn message(&self) -> Message {
        let node = self.inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
        let node = self.outputs.iter().fold(node, |node, output| node.text(2, output));
        let node = node.text(3, &self.outputs[0]).text(4, self.operator);
        node.messages(5, self.attributes.iter().map(|(name, value)| attribute(name, value)))
    }
}

/// Encodes an `AttributeProto`.
fn attribute(name: &str, value: &Attribute) -> Message {
    const TYPE: u64 = 20;
    let named = Message::new().text(1, name);
    match value {
        Attribute::Float(value) => named.float(2, *value as f32).int(TYPE, 1),
        Attribute::Int(value) => named.int(3, *value).int(TYPE, 2),
        Attribute::Text(value) => named.text(4, value).int(TYPE, 3),
        Attribute::Ints(values) => named.ints(8, values).int(TYPE, 7),
    }
}

/// Encodes a `TensorProto`.
fn tensor(name: &str, value: &Tensor) -> Result<Message> {
    let data_type = data_type(value.kind()).ok_or_else(|| {
        Error::Usage(format!("ONNX: the tensor `{name}` has the unsupported dtype {:?}", value.kind()))
    })?;
    let tensor = Message::new().ints(1, &value.size()).int(2, data_type).text(8, name);
    Ok(tensor.bytes(9, &bytes_of(value)?))
}

/// Encodes the `ValueInfoProto` of token ids.
pub(crate) fn ids_info() -> Message {
    let sizes = [BATCH, TOKENS].map(|name| Message::new().text(2, name));
    let data_type = data_type(Kind::Int64).expect("ONNX has int64");
    let tensor = Message::new().int(1, data_type).message(2, &Message::new().messages(1, sizes));
    Message::new().text(1, IDS).message(2, &Message::new().message(1, &tensor))
}

/// Encodes a `ValueInfoProto`: the name, dtype and shape of a value.
pub(crate) fn value_info(name: &str, kind: Kind, shape: &[Dim]) -> Result<Message> {
    let sizes = shape.iter().map(|dim| match dim {
        Dim::Fixed(size) => Message::new().int(1, *size),
        Dim::Batch(1) => Message::new().text(2, BATCH),
        Dim::Batch(factor) => Message::new().text(2, &format!("{factor} * {BATCH}")),
    });
    let data_type = data_type(kind).ok_or_else(|| {
        Error::Usage(format!("ONNX: the model's `{name}` has the unsupported dtype {kind:?}"))
    })?;
    let tensor = Message::new().int(1, data_type).message(2, &Message::new().messages(1, sizes));
    Ok(Message::new().text(1, name).message(2, &Message::new().message(1, &tensor)))
}
