//! Builds the graph of a package from a traced model.

use std::collections::{BTreeMap, HashMap, HashSet};

use cresset_bridge::graph::Argument as Traced;
use cresset_bridge::schema::Schema;
use tch::{Kind, Tensor};

use super::argument::convert;
use super::attention;
use super::schema::{
    Argument, Graph, GraphSignature, InputSpec, KEYWORD, NamedArgument, Node, OutputSpec, POSITIONAL, SymInt,
    SymIntArgument, TensorArgument, TensorMeta,
};
use super::tensor::{Role, Stored, contiguous, meta, sym_int};
use crate::error::{Error, Result};
use crate::export::recording::{self, Dim, Recording, Step, described};

/// A result, or why it is impossible.
pub type OrReason<T> = std::result::Result<T, String>;

/// The name of the input.
pub const INPUT: &str = "x";

/// A graph under construction.
pub struct Builder<'a> {
    recording: &'a Recording,
    /// The names of the recording's values in the graph.
    names: HashMap<usize, String>,
    used_names: HashSet<String>,
    stored: Vec<Stored>,
    nodes: Vec<Node>,
    tensor_values: BTreeMap<String, TensorMeta>,
    sym_int_values: BTreeMap<String, SymInt>,
    /// The names of the multiples of the batch size, by their factor.
    batches: HashMap<i64, String>,
    /// The values that are computed from parameters or buffers, by index.
    from_state: Vec<bool>,
    /// Why no operation computes a value.
    missing: HashMap<usize, String>,
}

impl<'a> Builder<'a> {
    /// A graph with the input and the state of a model. `parameters` are those of the module; its other named tensors are
    /// buffers.
    ///
    /// # Errors
    /// A parameter of a dtype that packages cannot store.
    pub fn new(recording: &'a Recording, parameters: &[(String, Tensor)]) -> Result<Self> {
        let mut builder = Builder {
            recording,
            names: HashMap::new(),
            used_names: HashSet::from([INPUT.to_string()]),
            stored: Vec::new(),
            nodes: Vec::new(),
            tensor_values: BTreeMap::new(),
            sym_int_values: BTreeMap::new(),
            batches: HashMap::new(),
            from_state: vec![false; recording.values.len()],
            missing: HashMap::new(),
        };
        builder.define(recording.input, INPUT.to_string())?;
        for (index, value) in recording.values.iter().enumerate().filter(|(_, value)| !value.name.is_empty())
        {
            let Some(tensor) = &value.constant else { continue };
            let parameter = parameters.iter().find(|(name, _)| *name == value.name);
            let role = if parameter.is_some() { Role::Parameter } else { Role::Buffer };
            let trainable = parameter.is_some_and(|(_, tensor)| tensor.requires_grad());
            let input = builder.store(&value.name, tensor, role, trainable)?;
            builder.names.insert(index, input);
            builder.from_state[index] = true;
        }
        Ok(builder)
    }

    /// Adds the operation of a step, unless its outputs are constants. An operation that packages cannot have is an error of
    /// [`Builder::finish`] if its output is used.
    pub fn add(&mut self, step: &'a Step) {
        let uses_state = tensors(step).any(|value| self.from_state[value]);
        step.outputs.iter().for_each(|value| self.from_state[*value] |= uses_state);
        let is_constant = |value: &usize| self.recording.values[*value].constant.is_some();
        if !uses_state && step.outputs.iter().all(is_constant) {
            return;
        }
        let inherited = tensors(step).find_map(|value| self.problem_of(value));
        let problem = inherited.or_else(|| {
            let problem = self.call(step).err()?;
            Some(format!("pt2: cannot export {}: {problem}", described(step)))
        });
        // An error only if the value is neither constant nor unused.
        if let Some(problem) = problem {
            step.outputs.iter().for_each(|value| _ = self.missing.insert(*value, problem.clone()));
        }
    }

    /// Why a value cannot be computed.
    fn problem_of(&self, value: usize) -> Option<String> {
        let info = &self.recording.values[value];
        let is_known = self.names.contains_key(&value) || info.constant.is_some() || info.example.is_some();
        if is_known { None } else { self.missing.get(&value).cloned() }
    }

    /// The graph, its signature and its tensors.
    ///
    /// # Errors
    /// An output that cannot be computed.
    pub fn finish(mut self) -> Result<(Graph, GraphSignature, Vec<Stored>)> {
        let output = self.name_of(self.recording.output).map_err(Error::Usage)?;
        let argument = |name: &str| Argument::AsTensor(TensorArgument { name: name.to_string() });
        let order = |stored: &Stored| match stored.role {
            Role::Parameter => 0,
            Role::Buffer => 1,
            Role::Constant => 2,
        };
        self.stored.sort_by_key(order);
        let inputs =
            self.stored.iter().map(|stored| argument(&stored.input)).chain([argument(INPUT)]).collect();
        let input_specs = self.stored.iter().map(Stored::spec);
        let input_specs = input_specs.chain([InputSpec::UserInput { arg: argument(INPUT) }]).collect();
        let output_specs = vec![OutputSpec::UserOutput { arg: argument(&output) }];
        let graph = Graph {
            inputs,
            outputs: vec![argument(&output)],
            nodes: self.nodes,
            tensor_values: self.tensor_values,
            sym_int_values: self.sym_int_values,
            sym_bool_values: BTreeMap::new(),
            is_single_tensor_return: false,
            custom_obj_values: BTreeMap::new(),
            sym_float_values: BTreeMap::new(),
        };
        Ok((graph, GraphSignature { input_specs, output_specs }, self.stored))
    }

    /// The name of a value of the recording. Stores constants.
    pub fn name_of(&mut self, value: usize) -> OrReason<String> {
        if let Some(name) = self.names.get(&value) {
            return Ok(name.clone());
        }
        let info = &self.recording.values[value];
        let name = match (&info.constant, &info.example) {
            (Some(tensor), _) => self.store_constant(tensor)?,
            (None, Some(example)) => {
                let example = self.store_constant(example)?;
                self.expand(value, &example)?
            }
            (None, None) => {
                let missing = self.problem_of(value);
                let unknown = || "pt2: cannot export an operation that creates a tensor outside of libtorch's operators";
                return Err(missing.unwrap_or_else(|| unknown().to_string()));
            }
        };
        self.names.insert(value, name.clone());
        Ok(name)
    }

    /// The name of a multiple of the batch size.
    pub fn batch(&mut self, factor: i64) -> String {
        if let Some(name) = self.batches.get(&factor) {
            return name.clone();
        }
        let (target, name, inputs) = if factor == 1 {
            let x = Argument::AsTensor(TensorArgument { name: INPUT.to_string() });
            ("torch.ops.aten.sym_size.int", "sym_size_int", [("self", x), ("dim", Argument::AsInt(0))])
        } else {
            let batch = Argument::AsSymInt(SymIntArgument::AsName(self.batch(1)));
            ("_operator.mul", "mul", [("a", batch), ("b", Argument::AsInt(factor))])
        };
        let name = self.free_name(name);
        let output = Argument::AsSymInt(SymIntArgument::AsName(name.clone()));
        let inputs = inputs.map(|(name, arg)| named(name, arg, POSITIONAL)).into();
        self.push(target.to_string(), inputs, vec![output], &name);
        self.sym_int_values.insert(name.clone(), sym_int(Dim::Batch(factor)));
        self.batches.insert(factor, name.clone());
        name
    }

    /// Adds a call of the operator of a step. The error says why there is none.
    fn call(&mut self, step: &'a Step) -> OrReason<()> {
        if step.kind == attention::NAME {
            return attention::add(self, step);
        }
        let factor = self.factor(step);
        let overload = if factor.is_some() { "Tensor" } else { self.overload(step) };
        let schema = Schema::of(&step.kind, overload).map_err(|e| e.to_string())?;
        let schema = schema.ok_or("it is an operation of TorchScript, not an operator of libtorch")?;
        if schema.is_mutable {
            return Err("it changes a tensor in place and has no other form".to_string());
        }
        let mut inputs = self.inputs(step, &schema)?;
        if let (Some(factor), [_, other]) = (factor, &mut inputs[..]) {
            other.arg = Argument::AsTensor(TensorArgument { name: self.store_constant(&factor)? });
        }
        let (namespace, operator) = step.kind.split_once("::").ok_or("it has no namespace")?;
        let target = format!(
            "torch.ops.{namespace}.{operator}.{}",
            if overload.is_empty() { "default" } else { overload }
        );
        let outputs = self.outputs(step, operator, &schema)?;
        let name = match &outputs[..] {
            [Argument::AsTensor(output)] => output.name.clone(),
            _ => self.free_name(operator),
        };
        self.push(target, inputs, outputs, &name);
        Ok(())
    }

    /// The arguments of a step in the order of the schema.
    fn inputs(&mut self, step: &Step, schema: &Schema) -> OrReason<Vec<NamedArgument>> {
        let mut inputs = Vec::new();
        let mut kind = POSITIONAL;
        for argument in &schema.arguments {
            if argument.is_keyword_only {
                kind = KEYWORD;
            }
            match step.arguments.iter().find(|(name, _)| *name == argument.name) {
                Some((name, value)) => inputs.push(named(name, convert(self, argument, value)?, kind)),
                // It has its default, and arguments after it are given by name.
                None => kind = KEYWORD,
            }
        }
        Ok(inputs)
    }

    /// The overload that torch.export would call, if TorchScript calls another one.
    fn overload(&self, step: &'a Step) -> &'a str {
        let kind_of = |value: usize| self.recording.values[value].kind;
        // Promotion to another dtype can differ between a number and a tensor.
        let keeps_dtype = tensors(step).zip(&step.outputs).all(|(from, to)| kind_of(from) == kind_of(*to));
        match (step.kind.as_str(), step.overload.as_str()) {
            // TorchScript's own overloads of `Tensor.to`, with optional arguments.
            ("aten::to", overload) if overload.starts_with("prim_") => "dtype",
            // Python passes numbers as tensors.
            ("aten::add" | "aten::sub" | "aten::mul" | "aten::div", "Scalar") if keeps_dtype => "Tensor",
            ("aten::div", "Scalar_mode") if keeps_dtype => "Tensor_mode",
            (_, overload) => overload,
        }
    }

    /// The number that a step multiplies a tensor by, if it must be stored as a tensor: `torch::nativert` of libtorch 2.11 writes
    /// outside of the result when it multiplies a tensor with gaps in memory, such as a slice, by a number.
    fn factor(&self, step: &Step) -> Option<Tensor> {
        if step.kind != "aten::mul" || step.overload != "Scalar" {
            return None;
        }
        let info = &self.recording.values[tensors(step).next()?];
        if info.strides == contiguous(&info.shape).ok() {
            return None;
        }
        let number = step.arguments.iter().find(|(name, _)| name == "other")?;
        // A tensor without dimensions promotes others as a number does.
        match number.1 {
            recording::Argument::Fixed(Traced::Int(number)) => Some(Tensor::from(number)),
            recording::Argument::Fixed(Traced::Float(number)) if info.kind == Kind::Double => {
                Some(Tensor::from(number))
            }
            recording::Argument::Fixed(Traced::Float(number)) => Some(Tensor::from(number as f32)),
            _ => None,
        }
    }

    /// The outputs of a step: tensors, or one list of tensors.
    fn outputs(&mut self, step: &Step, operator: &str, schema: &Schema) -> OrReason<Vec<Argument>> {
        let is_list = schema.returns == ["Tensor[]"];
        let are_tensors = schema.returns.iter().all(|of| of == "Tensor");
        if !is_list && (!are_tensors || schema.returns.len() != step.outputs.len()) {
            return Err(format!("its results are {}", schema.returns.join(", ")));
        }
        let stem = if step.outputs.len() == 1 { operator } else { "getitem" };
        let mut names = Vec::new();
        for value in &step.outputs {
            let name = self.free_name(stem);
            self.define(*value, name.clone()).map_err(|e| e.to_string())?;
            names.push(TensorArgument { name });
        }
        Ok(if is_list {
            vec![Argument::AsTensors(names)]
        } else {
            names.into_iter().map(Argument::AsTensor).collect()
        })
    }

    /// Adds a call that repeats `example`, which has size 1 in the dimensions that depend on the batch size.
    fn expand(&mut self, value: usize, example: &str) -> OrReason<String> {
        let (shape, kind) = self.shape_of(value);
        let sizes = shape.iter().map(|dim| match dim {
            Dim::Fixed(size) => SymIntArgument::AsInt(*size),
            Dim::Batch(factor) => SymIntArgument::AsName(self.batch(*factor)),
        });
        let sizes = Argument::AsSymInts(sizes.collect());
        let example = Argument::AsTensor(TensorArgument { name: example.to_string() });
        let inputs = vec![named("self", example, POSITIONAL), named("size", sizes, POSITIONAL)];
        let strides = contiguous(&shape).map_err(|e| e.to_string())?;
        self.add_call("expand.default", inputs, kind, &shape, &strides)
    }

    /// Adds a call of an ATen operator that returns a tensor, and gives its name.
    pub fn add_call(
        &mut self,
        operator: &str,
        inputs: Vec<NamedArgument>,
        kind: Kind,
        shape: &[Dim],
        strides: &[Dim],
    ) -> OrReason<String> {
        let name = self.free_name(operator.split('.').next().unwrap_or(operator));
        let described = meta(kind, shape, strides, false).map_err(|e| e.to_string())?;
        self.tensor_values.insert(name.clone(), described);
        let output = Argument::AsTensor(TensorArgument { name: name.clone() });
        self.push(format!("torch.ops.aten.{operator}"), inputs, vec![output], &name);
        Ok(name)
    }

    /// The shape and the dtype of a value.
    pub fn shape_of(&self, value: usize) -> (Vec<Dim>, Kind) {
        let info = &self.recording.values[value];
        (info.shape.clone(), info.kind)
    }

    /// Names a value that a call of [`Builder::add_call`] computes.
    pub fn alias(&mut self, value: usize, name: String) {
        self.names.insert(value, name);
    }

    fn push(&mut self, target: String, inputs: Vec<NamedArgument>, outputs: Vec<Argument>, name: &str) {
        let name = Some(name.to_string());
        let node = Node {
            target,
            inputs,
            outputs,
            metadata: BTreeMap::new(),
            is_hop_single_tensor_return: None,
            name,
        };
        self.nodes.push(node);
    }

    /// Names a value, and describes its tensor.
    fn define(&mut self, value: usize, name: String) -> Result<()> {
        let info = &self.recording.values[value];
        let strides = info.strides.clone().map_or_else(|| contiguous(&info.shape), Ok)?;
        self.tensor_values.insert(name.clone(), meta(info.kind, &info.shape, &strides, false)?);
        self.names.entry(value).or_insert(name);
        Ok(())
    }

    fn store_constant(&mut self, tensor: &Tensor) -> OrReason<String> {
        let count = self.stored.iter().filter(|stored| stored.role == Role::Constant).count();
        let name = format!("lifted_tensor_{count}");
        self.store(&name, tensor, Role::Constant, false).map_err(|e| e.to_string())
    }

    /// Stores a tensor, and returns the name of its input.
    fn store(&mut self, name: &str, tensor: &Tensor, role: Role, requires_grad: bool) -> Result<String> {
        let prefix = match role {
            Role::Parameter => "p",
            Role::Buffer => "b",
            Role::Constant => "c",
        };
        let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let input = self.free_name(&format!("{prefix}_{}", name.chars().map(legal).collect::<String>()));
        let shape: Vec<_> = tensor.size().into_iter().map(Dim::Fixed).collect();
        let meta = meta(tensor.kind(), &shape, &contiguous(&shape)?, requires_grad)?;
        self.tensor_values.insert(input.clone(), meta.clone());
        let tensor = tensor.shallow_clone();
        self.stored.push(Stored { name: name.to_string(), tensor, role, meta, input: input.clone() });
        Ok(input)
    }

    /// `name`, with a numeric suffix if it is taken.
    fn free_name(&mut self, name: &str) -> String {
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let mut names = std::iter::once(name.to_string()).chain(numbered);
        names.find(|name| self.used_names.insert(name.clone())).expect("there are infinitely many names")
    }
}

/// The tensors that a step uses.
fn tensors(step: &Step) -> impl Iterator<Item = usize> {
    step.arguments.iter().flat_map(|(_, argument)| match argument {
        recording::Argument::Fixed(Traced::Tensor(value)) => vec![*value],
        recording::Argument::Fixed(Traced::Tensors(values)) => values.clone(),
        recording::Argument::Fixed(Traced::OptionalTensors(values)) => {
            values.iter().flatten().copied().collect()
        }
        _ => Vec::new(),
    })
}

/// An argument of a call.
pub fn named(name: &str, arg: Argument, kind: i64) -> NamedArgument {
    NamedArgument { name: name.to_string(), arg, kind }
}
