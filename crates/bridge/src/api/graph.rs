//! Traces a TorchScript module into a list of operations.
//!
//! The module runs on one input, and each tensor operation is recorded as it executes. A trace therefore contains no
//! branches, loops or calls, and all sizes are known; comparing two traces shows what depends on the batch size.

use cxx::UniquePtr;
use tch::Tensor;

use crate::Result;
use crate::ffi::{self, ArgumentKind, lend, own};
use crate::script::Module;

/// The operations of one call of `forward`.
pub struct Trace {
    /// The operations that created a tensor, in order. Operations that returned their argument are omitted.
    pub nodes: Vec<Node>,
    /// The tensors that were used or created.
    pub values: Vec<Value>,
    /// The index of the input in [`Trace::values`].
    pub input: usize,
    /// The index of the result in [`Trace::values`].
    pub output: usize,
    held: UniquePtr<ffi::Trace>,
}

/// An operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name of the operation, such as `aten::conv2d`.
    pub kind: String,
    /// Name of the overload, such as `Tensor` in `aten::add.Tensor`; empty for the default overload.
    pub overload: String,
    /// The dotted name of the module that it belongs to; empty for the root module.
    pub layer: String,
    /// The arguments with their names, in the order of the operation's schema.
    pub arguments: Vec<(String, Argument)>,
    /// The indexes of the tensors that it created.
    pub outputs: Vec<usize>,
}

/// An argument of an operation; tensors are given by their index in [`Trace::values`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each says what it is")]
pub enum Argument {
    None,
    Tensor(usize),
    Tensors(Vec<usize>),
    OptionalTensors(Vec<Option<usize>>),
    Bool(bool),
    Int(i64),
    Ints(Vec<i64>),
    Float(f64),
    Floats(Vec<f64>),
    Text(String),
    /// Any other type, such as a device or a generator.
    Other,
}

/// A tensor that was used or created.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The dotted name of a parameter or a buffer; empty for other tensors.
    pub name: String,
    /// Whether its values depend on the values of the input, rather than only on parameters and sizes.
    pub depends_on_input: bool,
    /// Its shape.
    pub sizes: Vec<i64>,
}

impl Trace {
    /// Traces the module's `forward` on `input`.
    ///
    /// # Errors
    /// The module does not accept the input, does not return a single tensor, or has control flow that depends on the
    /// values of its input.
    pub fn of(module: &Module, input: &Tensor) -> Result<Self> {
        let mut held = ffi::trace_forward(&module.0, lend(input))?;
        let nodes = held.pin_mut().take_nodes().into_iter().map(node).collect();
        let value = |value: ffi::TraceValue| Value {
            name: value.name,
            depends_on_input: value.depends_on_input,
            sizes: value.sizes,
        };
        let values = held.values().into_iter().map(value).collect();
        Ok(Trace { nodes, values, input: held.input(), output: held.output(), held })
    }

    /// Returns the tensor with this index, with its values at the end of the call.
    pub fn tensor(&self, value: usize) -> Result<Tensor> {
        Ok(own(self.held.tensor(value)?))
    }
}

/// The index of an absent tensor in a list; `kAbsent` in graph.cc.
const ABSENT: usize = usize::MAX;

fn node(node: ffi::TraceNode) -> Node {
    let arguments = node.arguments.into_iter().map(argument).collect();
    Node { kind: node.kind, overload: node.overload, layer: node.layer, arguments, outputs: node.outputs }
}

fn argument(argument: ffi::TraceArgument) -> (String, Argument) {
    let ffi::TraceArgument { name, kind, values, ints, floats, text } = argument;
    let value = match kind {
        ArgumentKind::None => Argument::None,
        ArgumentKind::Tensor => Argument::Tensor(values[0]),
        ArgumentKind::Tensors => Argument::Tensors(values),
        ArgumentKind::OptionalTensors => Argument::OptionalTensors(
            values.into_iter().map(|value| Some(value).filter(|v| *v != ABSENT)).collect(),
        ),
        ArgumentKind::Bool => Argument::Bool(ints[0] != 0),
        ArgumentKind::Int => Argument::Int(ints[0]),
        ArgumentKind::Ints => Argument::Ints(ints),
        ArgumentKind::Float => Argument::Float(floats[0]),
        ArgumentKind::Floats => Argument::Floats(floats),
        ArgumentKind::Text => Argument::Text(text),
        _ => Argument::Other,
    };
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Values;
    use tch::{Device, Kind};

    fn module(forward: &str) -> Module {
        let head = "class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  training : bool\n";
        let source = format!("{head}  def forward(self: __torch__.M, x: Tensor) -> Tensor:\n{forward}");
        let mut values = Values::new();
        values.put_tensor("w", &Tensor::from_slice(&[2f32, 3.])).unwrap();
        let mut module = Module::from_source(&source, "__torch__.M", &values).unwrap();
        module.set_training(false).unwrap();
        module
    }

    fn trace(forward: &str) -> Result<Trace> {
        Trace::of(&module(forward), &Tensor::ones([4, 2], (Kind::Float, Device::Cpu)))
    }

    fn kinds(trace: &Trace) -> Vec<&str> {
        trace.nodes.iter().map(|node| node.kind.as_str()).collect()
    }

    #[test]
    fn operations_are_noted_with_arguments_sizes_and_names() {
        let trace = trace("    return torch.add(torch.mul(x, self.w), x, alpha=2)\n").unwrap();
        assert_eq!(kinds(&trace), ["aten::mul", "aten::add"]);
        let Node { arguments, outputs, overload, .. } = &trace.nodes[1];
        assert_eq!(overload, "Tensor");
        assert_eq!(
            *arguments,
            [
                ("self".to_string(), Argument::Tensor(trace.nodes[0].outputs[0])),
                ("other".to_string(), Argument::Tensor(trace.input)),
                ("alpha".to_string(), Argument::Int(2)),
            ]
        );
        assert_eq!(
            (outputs.as_slice(), &trace.values[trace.output].sizes),
            ([trace.output].as_slice(), &vec![4, 2])
        );
        let parameter = trace.values.iter().position(|value| value.name == "w").unwrap();
        assert_eq!(trace.tensor(parameter).unwrap(), Tensor::from_slice(&[2f32, 3.]));
        assert!(!trace.values[parameter].depends_on_input && trace.values[trace.output].depends_on_input);
    }

    #[test]
    fn absent_tensors_of_a_list_are_told_from_present_ones() {
        let body = "    at = annotate(List[Optional[Tensor]], [None, torch.tensor([1, 0])])\n    return torch.index(x, at)\n";
        let trace = trace(body).unwrap();
        let index = trace.nodes.iter().find(|node| node.kind == "aten::index").unwrap();
        let Argument::OptionalTensors(indices) = &index.arguments[1].1 else { panic!("{index:?}") };
        assert!(indices[0].is_none() && indices[1].is_some());
    }

    #[test]
    fn branches_loops_and_what_does_nothing_leave_no_trace() {
        let trace = trace(
            "    if torch.gt(torch.dim(x), 1):\n      y = torch.dropout(x, 0.5, self.training)\n    else:\n      y = torch.neg(x)\n    \
             for i in range(torch.size(x, 1)):\n      y = torch.add(y, i)\n    return y\n",
        )
        .unwrap();
        assert_eq!(kinds(&trace), ["aten::add", "aten::add"]);
        assert_eq!(trace.nodes[0].arguments[0].1, Argument::Tensor(trace.input));
        assert_eq!(trace.nodes[1].arguments[1].1, Argument::Int(1));
    }

    #[test]
    fn a_change_in_place_is_a_new_value_and_the_callers_tensor_stays() {
        let module = module("    y = torch.relu_(torch.neg_(x))\n    return torch.add(x, y)\n");
        let input = Tensor::ones([4, 2], (Kind::Float, Device::Cpu));
        let trace = Trace::of(&module, &input).unwrap();
        let relu = trace.nodes[1].outputs[0];
        assert_ne!(relu, trace.input);
        assert_eq!(trace.nodes[2].arguments[0].1, Argument::Tensor(relu));
        assert_eq!(input, input.ones_like());
    }

    #[test]
    fn a_view_that_was_changed_behind_its_back_is_refused() {
        let error =
            trace("    y = torch.view(x, [-1])\n    z = torch.relu_(y)\n    return x\n").err().unwrap();
        assert!(error.0.contains("changed in place through another view"), "{error}");
    }

    #[test]
    fn a_constant_that_is_written_in_parts_keeps_the_value_of_each_time() {
        let body = "    mask = torch.zeros([2])\n    y = torch.add(x, mask)\n    part = torch.select(mask, 0, 1)\n    \
                    _0 = torch.fill_(part, 7)\n    return torch.add(y, mask)\n";
        let run = trace(body).unwrap();
        let added: Vec<_> = run.nodes.iter().filter(|node| node.kind == "aten::add").collect();
        let other = |node: &Node| match node.arguments[1].1 {
            Argument::Tensor(value) => run.tensor(value).unwrap(),
            _ => unreachable!("the operation adds a tensor"),
        };
        assert_eq!(other(added[0]), Tensor::from_slice(&[0f32, 0.]));
        assert_eq!(other(added[1]), Tensor::from_slice(&[0f32, 7.]));
        let of_input = body.replace("torch.fill_(part, 7)", "torch.copy_(part, torch.sum(x))");
        let error = trace(&of_input).err().unwrap();
        assert!(error.0.contains("changed in place through another view"), "{error}");
    }

    #[test]
    fn a_decision_by_the_values_is_refused_and_one_by_the_sizes_is_not() {
        let by_value = "    if bool(torch.gt(torch.sum(x), 0)):\n      y = x\n    else:\n      y = torch.neg(x)\n    return y\n";
        let error = trace(by_value).err().unwrap();
        assert!(error.0.contains("depend on the values of its input"), "{error}");
        assert!(trace("    return torch.view(x, [torch.numel(x)])\n").is_ok());
    }

    #[test]
    fn what_the_model_says_of_a_wrong_input_is_the_error() {
        let error = trace("    assert x.dim() > 2, \"an image is required\"\n    return x\n").err().unwrap();
        assert!(error.0.contains("an image is required"), "{error}");
    }

    #[test]
    fn a_model_without_end_is_refused() {
        let error = trace("    while True:\n      x = torch.neg_(x)\n    return x\n").err().unwrap();
        assert!(error.0.contains("more than 1000000 steps"), "{error}");
    }
}
