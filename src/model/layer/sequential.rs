//! The one container: layers one after the other, among them sums of two ways (residual connections).

use tch::Tensor;

use super::{Elementary, Layer};
use crate::distributed::World;
use crate::model::script::{Class, Script};

/// Named layers, one after the other.
#[derive(Default)]
pub struct Sequential(Vec<Step>);

enum Step {
    Layer(String, Box<dyn Layer>),
    /// The sum of two ways from the same input; an empty one passes it on as it is.
    Sum(Sequential, Sequential),
}

/// A step of a model, with all containers taken apart.
pub enum Part<'a> {
    /// A layer, and its path, as the names of its parameters begin.
    Layer(String, &'a dyn Layer),
    /// The sum of two ways from the same input; an empty one passes it on as it is.
    Sum(Vec<Part<'a>>, Vec<Part<'a>>),
}

/// A layer of a model, as a table shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// Its path, as the names of its parameters begin.
    pub name: String,
    /// What it is.
    pub what: String,
    /// The size of its output for one example, with a batch of 1 first.
    pub output: Vec<i64>,
    /// The number of its trainable values.
    pub parameters: usize,
    /// Multiplications, each with its addition, for one example.
    pub multiply_adds: u64,
}

impl Sequential {
    /// Appends a layer. Its name is that of its parameters' path.
    pub fn then(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.0.push(Step::Layer(name.into(), Box::new(layer)));
        self
    }

    /// Appends a residual connection (He et al., 2016): `body` of the input plus `shortcut` of it, where an empty
    /// `shortcut` is the input itself. The layers of both are named as if they stood here.
    pub fn then_sum(mut self, body: Sequential, shortcut: Sequential) -> Self {
        self.0.push(Step::Sum(body, shortcut));
        self
    }

    /// The steps in their order. `path` is the name of this container, empty at the top.
    pub fn walk(&self, path: &str) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        for step in &self.0 {
            match step {
                Step::Sum(body, shortcut) => parts.push(Part::Sum(body.walk(path), shortcut.walk(path))),
                Step::Layer(name, layer) => {
                    let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match layer.parts() {
                        Some(inside) => parts.extend(inside.walk(&name)),
                        None => parts.push(Part::Layer(name, &**layer)),
                    }
                }
            }
        }
        parts
    }

    /// Has every layer take the batches of all processes together for one.
    pub fn span(&self, world: &World) {
        for step in &self.0 {
            match step {
                Step::Sum(body, shortcut) => [body, shortcut].iter().for_each(|way| way.span(world)),
                Step::Layer(_, layer) => match layer.parts() {
                    Some(parts) => parts.span(world),
                    None => layer.span(world),
                },
            }
        }
    }

    /// The layers' rows, and the output for `x`. `path` is the name of this container, empty at the top.
    pub fn trace(&self, path: &str, x: &Tensor, rows: &mut Vec<LayerRow>) -> Tensor {
        self.0.iter().fold(x.shallow_clone(), |x, step| match step {
            Step::Sum(body, shortcut) => body.trace(path, &x, rows) + shortcut.trace(path, &x, rows),
            Step::Layer(name, layer) => {
                let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if let Some(parts) = layer.parts() {
                    return parts.trace(&name, &x, rows);
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

    /// The names of the layers that have parameters, in their order.
    pub fn names(&self) -> Vec<String> {
        let of_step = |step: &Step| match step {
            Step::Sum(body, shortcut) => [body.names(), shortcut.names()].concat(),
            Step::Layer(name, layer) => match (layer.parts(), layer.script().parameters()) {
                (Some(parts), _) => parts.names().iter().map(|part| format!("{name}.{part}")).collect(),
                (None, 0) => Vec::new(),
                (None, _) => vec![name.clone()],
            },
        };
        self.0.iter().flat_map(of_step).collect()
    }

    /// The TorchScript class of this name, with the layers that have parameters as submodules, and a method that runs them.
    pub fn class(&self, name: &'static str, method: &str) -> Class {
        let mut body = Body::default();
        let source = body.method(method, "x", &self.0);
        body.class(name, source)
    }

    /// The same with two methods: `features` runs all layers but the last one, and `method` that one too.
    pub fn class_with_features(&self, name: &'static str, features: &str, method: &str) -> Class {
        let (last, rest) = self.0.split_last().expect("a model has layers");
        let mut body = Body::default();
        let first = body.method(features, "x", rest);
        let second = body.method(method, &format!("(self).{features}(x)"), std::slice::from_ref(last));
        body.class(name, first + &second)
    }
}

impl Step {
    fn is_rectifier(&self) -> bool {
        matches!(self, Step::Layer(_, layer) if matches!(layer.elementary(), Some(Elementary::Relu)))
    }

    /// Writes the step, and gives the name of its result.
    fn write(&self, x: String, body: &mut Body) -> String {
        let expression = match self {
            Step::Sum(first, second) => {
                let (first, second) = (write(&first.0, x.clone(), body), write(&second.0, x, body));
                format!("torch.add({first}, {second})")
            }
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

/// Writes steps one after the other, and gives the name of their result.
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
    /// Keeps the value of an expression under a name of its own.
    fn variable(&mut self, expression: &str) -> String {
        self.variables += 1;
        let variable = format!("x{}", self.variables);
        self.lines += &format!("    {variable} = {expression}\n");
        variable
    }

    /// The source of a method that runs steps on the value of an expression.
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

/// How a submodule is reached. A name that is a number, as PyTorch's own containers give, is no attribute's.
fn attribute(name: &str) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("getattr(self, \"{name}\")")
    } else {
        format!("self.{name}")
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let mut x = x.shallow_clone();
        let mut steps = self.0.iter().peekable();
        while let Some(step) = steps.next() {
            x = match step {
                Step::Layer(_, layer) => {
                    let is_rectified = train && steps.peek().is_some_and(|next| next.is_rectifier());
                    let both = if is_rectified { layer.train_rectified(&x) } else { None };
                    if both.is_some() {
                        steps.next();
                    }
                    both.unwrap_or_else(|| layer.forward(&x, train))
                }
                Step::Sum(body, shortcut) => body.forward(&x, train) + shortcut.forward(&x, train),
            };
        }
        x
    }

    fn script(&self) -> Script {
        Script::Class(self.class("Sequential", "forward"))
    }

    fn describe(&self) -> String {
        format!("{} steps", self.0.len())
    }

    fn parts(&self) -> Option<&Sequential> {
        Some(self)
    }
}
