//! The container: a sequence of layers, residual connections and gates.

use tch::Tensor;

use super::{Bag, Layer, LayerFormula};
use crate::distributed::World;
use crate::model::script::{Class, Script};

/// A sequence of named layers.
///
/// ```
/// use cresset::model::layer::{Flatten, Layer, Linear, Relu, Sequential};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let path = variables.root();
/// let layers = Sequential::default()
///     .then("flatten", Flatten)
///     .then("fc1", Linear::new(&(&path / "fc1"), 64, 16))
///     .then("relu1", Relu)
///     .then("fc2", Linear::new(&(&path / "fc2"), 16, 10));
/// assert_eq!(layers.names(), ["fc1", "fc2"]);
/// let images = Tensor::zeros([2, 1, 8, 8], (Kind::Float, Device::Cpu));
/// assert_eq!(layers.forward(&images, false).size(), [2, 10]);
/// ```
#[derive(Default)]
pub struct Sequential(Vec<Step>);

enum Step {
    Layer(String, Box<dyn Layer>),
    /// The sum of two branches with the same input. An empty branch is the identity.
    Sum(Sequential, Sequential),
    /// The product of the input and of a branch.
    Gate(Sequential),
}

/// A step of a model, with all containers flattened.
pub(crate) enum FlatStep<'a> {
    /// A layer, and its path, which prefixes the names of its parameters.
    Layer(String, &'a dyn Layer),
    /// The sum of two branches with the same input. An empty branch is the identity.
    Sum(Vec<FlatStep<'a>>, Vec<FlatStep<'a>>),
    /// The product of the input and of a branch with as many channels.
    Gate(Vec<FlatStep<'a>>),
}

/// A row of the table of layers.
///
/// ```
/// use cresset::model::layer::{Flatten, Linear, Sequential};
/// use tch::{Device, Kind, Tensor, nn};
///
/// let variables = nn::VarStore::new(Device::Cpu);
/// let linear = Linear::new(&(variables.root() / "fc1"), 64, 10);
/// let layers = Sequential::default().then("flatten", Flatten).then("fc1", linear);
/// let mut rows = Vec::new();
/// layers.trace("", &Tensor::zeros([1, 1, 8, 8], (Kind::Float, Device::Cpu)), &mut rows);
/// assert_eq!((rows[1].parameters, rows[1].multiply_adds), (650, 640));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// Path, which prefixes the names of its parameters.
    pub name: String,
    /// Description.
    pub what: String,
    /// Output size for a batch of one example.
    pub output: Vec<i64>,
    /// Number of trainable values.
    pub parameters: usize,
    /// Multiply-adds for one example.
    pub multiply_adds: u64,
}

impl Sequential {
    /// Appends a layer. The name must be that of the path of its parameters.
    pub fn then(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.0.push(Step::Layer(name.into(), Box::new(layer)));
        self
    }

    /// Appends a residual connection (He et al., 2016): the sum of `body` and `shortcut` of the input. An empty `shortcut` is
    /// the identity. The names of the layers in both get no prefix.
    pub(crate) fn then_sum(mut self, body: Sequential, shortcut: Sequential) -> Self {
        self.0.push(Step::Sum(body, shortcut));
        self
    }

    /// Appends a gate, such as squeeze-and-excitation (Hu et al., 2018): the product of the input and of `gate` of the input,
    /// (N, channels, 1, 1). The names of the layers in it get no prefix.
    pub(crate) fn then_gate(mut self, gate: Sequential) -> Self {
        self.0.push(Step::Gate(gate));
        self
    }

    /// Appends the steps of another sequence.
    pub(crate) fn then_all(mut self, other: Sequential) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The names of the parameters that have sparse gradients in training, after `prefix`.
    pub(crate) fn sparse_parameters(&self, prefix: &str) -> Vec<String> {
        let mut names = Vec::new();
        for step in self.walk("") {
            if let FlatStep::Layer(name, layer) = step {
                let own = layer.sparse_parameters().into_iter();
                names.extend(own.map(|own| format!("{prefix}{name}.{own}")));
            }
        }
        names
    }

    /// The steps in order. `path` is the name of this container, empty for the outermost one.
    pub(crate) fn walk(&self, path: &str) -> Vec<FlatStep<'_>> {
        let mut parts = Vec::new();
        for step in &self.0 {
            match step {
                Step::Sum(body, shortcut) => parts.push(FlatStep::Sum(body.walk(path), shortcut.walk(path))),
                Step::Gate(gate) => parts.push(FlatStep::Gate(gate.walk(path))),
                Step::Layer(name, layer) => {
                    let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match layer.children() {
                        Some(inside) => parts.extend(inside.walk(&name)),
                        None => parts.push(FlatStep::Layer(name, &**layer)),
                    }
                }
            }
        }
        parts
    }

    /// Synchronizes the batch statistics of all layers over the ranks of `world`.
    pub fn synchronize(&self, world: &World) {
        for step in &self.0 {
            match step {
                Step::Sum(body, shortcut) => {
                    [body, shortcut].iter().for_each(|branch| branch.synchronize(world))
                }
                Step::Gate(gate) => gate.synchronize(world),
                Step::Layer(_, layer) => match layer.children() {
                    Some(layers) => layers.synchronize(world),
                    None => layer.synchronize(world),
                },
            }
        }
    }

    /// Runs the layers on `x` and appends their table rows. `path` is the name of this container, empty for the outermost one.
    pub fn trace(&self, path: &str, x: &Tensor, rows: &mut Vec<LayerRow>) -> Tensor {
        self.0.iter().fold(x.shallow_clone(), |x, step| match step {
            Step::Sum(body, shortcut) => body.trace(path, &x, rows) + shortcut.trace(path, &x, rows),
            Step::Gate(gate) => gate.trace(path, &x, rows) * x,
            Step::Layer(name, layer) => {
                let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if let Some(parts) = layer.children() {
                    return parts.trace(&name, &x, rows);
                }
                if !layer.members().is_empty() {
                    for (number, member) in (1..).zip(layer.members()) {
                        let _ = member.trace(&format!("{name}.{}", Bag::name(number)), &x, rows);
                    }
                    return layer.forward(&x, false);
                }
                let output = layer.forward(&x, false);
                rows.push(LayerRow {
                    name,
                    what: layer.describe(),
                    output: output.size(),
                    parameters: layer.script().parameters(),
                    multiply_adds: layer.multiply_adds(&x.size(), &output.size()),
                });
                output
            }
        })
    }

    /// The input of the last layer in evaluation mode. If the last step is a container, the last layer is that of the container.
    pub(crate) fn features(&self, x: &Tensor) -> Tensor {
        let (last, rest) = self.0.split_last().expect("a model has layers");
        let x = run(rest, x, false);
        last.container().map_or_else(|| x.shallow_clone(), |(_, layers)| layers.features(&x))
    }

    /// The vectors of the tokens of texts, of the layer that has them.
    pub(crate) fn token_vectors(&self, x: &Tensor) -> Option<Tensor> {
        self.0.iter().find_map(|step| match step {
            Step::Layer(_, layer) => layer.token_vectors(x),
            Step::Sum(..) | Step::Gate(_) => None,
        })
    }

    /// Whether a layer is an encoder of texts.
    pub(crate) fn has_token_vectors(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Layer(_, layer) if layer.encodes_texts()))
    }

    /// Whether the time of a batch of texts depends on its padding.
    pub(crate) fn computes_padding(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Layer(_, layer) if layer.computes_padding()))
    }

    /// Calls `visit` with all layers in order, those of containers and of the members of a bag, too.
    pub(crate) fn for_each_layer(&self, visit: &mut dyn FnMut(&dyn Layer)) {
        for step in &self.0 {
            match step {
                Step::Sum(body, shortcut) => {
                    [body, shortcut].iter().for_each(|branch| branch.for_each_layer(visit));
                }
                Step::Gate(gate) => gate.for_each_layer(visit),
                Step::Layer(_, layer) => match layer.children() {
                    Some(inside) => inside.for_each_layer(visit),
                    None => {
                        visit(&**layer);
                        layer.members().iter().for_each(|member| member.for_each_layer(visit));
                    }
                },
            }
        }
    }

    /// The last layer, also if it is in a container.
    pub(crate) fn last(&self) -> Option<&dyn Layer> {
        match self.0.last()? {
            Step::Layer(_, layer) => layer.children().map_or(Some(&**layer), Sequential::last),
            Step::Sum(..) | Step::Gate(_) => None,
        }
    }

    /// Replaces the last step, also if it is in a container, by a layer with the name `name` in this container.
    pub(crate) fn replace_last(&mut self, name: &str, layer: Box<dyn Layer>) {
        if let Some(Step::Layer(_, last)) = self.0.last_mut()
            && let Some(inside) = last.children_mut()
        {
            return inside.replace_last(name, layer);
        }
        self.0.pop();
        self.0.push(Step::Layer(name.to_string(), layer));
    }

    /// The names of the layers with parameters, in order.
    pub fn names(&self) -> Vec<String> {
        let of_step = |step: &Step| match step {
            Step::Sum(body, shortcut) => [body.names(), shortcut.names()].concat(),
            Step::Gate(gate) => gate.names(),
            Step::Layer(name, layer) if !layer.members().is_empty() => {
                let of_member = |(number, member): (usize, &Sequential)| {
                    let member_name = Bag::name(number);
                    let within = move |part: String| format!("{name}.{member_name}.{part}");
                    member.names().into_iter().map(within).collect::<Vec<_>>()
                };
                (1..).zip(layer.members()).flat_map(of_member).collect()
            }
            Step::Layer(name, layer) => match (layer.children(), layer.script().parameters()) {
                (Some(parts), _) => parts.names().iter().map(|part| format!("{name}.{part}")).collect(),
                (None, 0) => Vec::new(),
                (None, _) => match layer.parts() {
                    parts if parts.is_empty() => vec![name.clone()],
                    parts => parts.into_iter().map(|part| format!("{name}.{part}")).collect(),
                },
            },
        };
        self.0.iter().flat_map(of_step).collect()
    }

    /// The TorchScript class `name`, with the layers with parameters as submodules, and a method that runs all layers.
    ///
    /// ```
    /// use cresset::model::layer::{Linear, Relu, Sequential};
    /// use tch::{Device, nn};
    ///
    /// let variables = nn::VarStore::new(Device::Cpu);
    /// let linear = Linear::new(&(variables.root() / "fc1"), 4, 3);
    /// let class = Sequential::default().then("fc1", linear).then("relu1", Relu).class("Net", "logits");
    /// assert_eq!(class.parameters(), 15);
    /// ```
    pub fn class(&self, name: &'static str, method: &str) -> Class {
        let mut body = Body::default();
        let source = body.method(method, "x", &self.0);
        body.class(name, source)
    }

    /// Like [`Sequential::class`], with two methods: `features` runs all layers except the last one, `method` all layers. If the
    /// last step is a container, the last layer is that of the container.
    pub(crate) fn class_with_features(&self, name: &'static str, features: &str, method: &str) -> Class {
        let (last, rest) = self.0.split_last().expect("a model has layers");
        let mut body = Body::default();
        if let Some((head, layers)) = last.container() {
            let trunk = body.method("trunk", "x", rest);
            body.children.push((head.to_string(), layers.class_with_features("Head", features, method)));
            let call = |method: &str| {
                let head = attribute(head);
                format!(
                    "  def {method}(self: {{class}}, x: Tensor) -> Tensor:\n    return ({head}).{method}((self).trunk(x))\n"
                )
            };
            return body.class(name, trunk + &call(features) + &call(method));
        }
        let first = body.method(features, "x", rest);
        let second = body.method(method, &format!("(self).{features}(x)"), std::slice::from_ref(last));
        body.class(name, first + &second)
    }
}

impl Step {
    fn is_relu(&self) -> bool {
        matches!(self, Step::Layer(_, layer) if matches!(layer.formula(), Some(LayerFormula::Relu)))
    }

    /// The name and the layers of a container with several steps.
    fn container(&self) -> Option<(&str, &Sequential)> {
        match self {
            Step::Layer(name, layer) => {
                layer.children().filter(|layers| layers.0.len() > 1).map(|layers| (name.as_str(), layers))
            }
            Step::Sum(..) | Step::Gate(_) => None,
        }
    }

    /// Writes the step. Returns the name of its result.
    fn write(&self, x: String, body: &mut Body) -> String {
        let expression = match self {
            Step::Sum(first, second) => {
                let (first, second) = (write(&first.0, x.clone(), body), write(&second.0, x, body));
                format!("torch.add({first}, {second})")
            }
            Step::Gate(gate) => format!("torch.mul({x}, {})", write(&gate.0, x.clone(), body)),
            Step::Layer(name, layer) => match layer.script() {
                Script::Expression(template) => template.replace("{x}", &x),
                Script::Own { name, tensor, expression } => {
                    body.tensors.push((name, tensor));
                    expression.replace("{x}", &x)
                }
                Script::Class(class) => {
                    body.children.push((name.clone(), class));
                    format!("({}).forward({x})", attribute(name))
                }
            },
        };
        body.variable(&expression)
    }
}

/// Writes a sequence of steps. Returns the name of their result.
fn write(steps: &[Step], x: String, body: &mut Body) -> String {
    steps.iter().fold(x, |x, step| step.write(x, body))
}

/// Methods under construction.
#[derive(Default)]
struct Body {
    lines: String,
    variables: usize,
    children: Vec<(String, Class)>,
    tensors: Vec<(&'static str, Tensor)>,
}

impl Body {
    /// Assigns an expression to a new variable. Returns its name.
    fn variable(&mut self, expression: &str) -> String {
        self.variables += 1;
        let variable = format!("x{}", self.variables);
        self.lines += &format!("    {variable} = {expression}\n");
        variable
    }

    /// The source of a method that runs the steps on the expression `input`.
    fn method(&mut self, name: &str, input: &str, steps: &[Step]) -> String {
        self.lines.clear();
        let input = self.variable(input);
        let result = write(steps, input, self);
        format!("  def {name}(self: {{class}}, x: Tensor) -> Tensor:\n{}    return {result}\n", self.lines)
    }

    fn class(self, name: &'static str, methods: String) -> Class {
        let class =
            self.children.into_iter().fold(Class::new(name, methods), |c, (name, of)| c.child(name, of));
        self.tensors.into_iter().fold(class, |class, (name, tensor)| class.parameter(name, &tensor))
    }
}

/// The expression for a submodule. Names of digits, as in PyTorch's `Sequential`, are not valid attribute names.
fn attribute(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("getattr(self, \"{name}\")")
    } else {
        format!("self.{name}")
    }
}

/// Runs steps in order.
fn run(steps: &[Step], x: &Tensor, train: bool) -> Tensor {
    let mut x = x.shallow_clone();
    let mut steps = steps.iter().peekable();
    while let Some(step) = steps.next() {
        x = match step {
            Step::Layer(_, layer) => {
                let with_relu = train && steps.peek().is_some_and(|next| next.is_relu());
                let fused = if with_relu { layer.train_with_relu(&x) } else { None };
                if fused.is_some() {
                    steps.next();
                }
                fused.unwrap_or_else(|| layer.forward(&x, train))
            }
            Step::Sum(body, shortcut) => body.forward(&x, train) + shortcut.forward(&x, train),
            Step::Gate(gate) => &x * gate.forward(&x, train),
        };
    }
    x
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        run(&self.0, x, train)
    }

    fn script(&self) -> Script {
        Script::Class(self.class("Sequential", "forward"))
    }

    fn describe(&self) -> String {
        format!("{} steps", self.0.len())
    }

    fn children(&self) -> Option<&Sequential> {
        Some(self)
    }

    fn children_mut(&mut self) -> Option<&mut Sequential> {
        Some(self)
    }
}
