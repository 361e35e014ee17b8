//! TorchScript source, composed from classes: the dialect of the `code/` folder of a saved module.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use cresset_bridge::script::{Module, Values};
use tch::{Device, Tensor};

use super::Tensors;
use super::loading::Unloaded;
use crate::error::Result;

/// Where the classes are, so that none has the name of one in a module of somebody else.
pub const PACKAGE: &str = "__torch__.cresset";

/// The type of a recurrent cell of 8-bit integers.
const CELL: &str = "__torch__.torch.classes.rnn.CellParamsBase";

/// The attribute that a wrapped module is.
pub const INSIDE: &str = "network";

/// A module around another one: an instance of a class of this name, with what `dress` adds to it and a method for the
/// logits, whose expression calls the module `self.network`.
pub fn wrap(
    module: &Module,
    name: &'static str,
    (method, expression): (&str, &str),
    dress: &dyn Fn(Class) -> Class,
) -> Result<Module> {
    let logits = format!("  def {method}(self: {{class}}, x: Tensor) -> Tensor:\n    return {expression}\n");
    let class = Class::new(name, logits).existing(INSIDE, module.class_name()?);
    // The module may have classes of the same names.
    let mut package = PACKAGE.to_string();
    while module.knows_class(&format!("{package}.{name}"))? {
        package.push_str("_outer");
    }
    let (source, class_name, values) = dress(class).compile_in(&package)?;
    Ok(module.wrapped(&source, &class_name, &values, INSIDE)?)
}

/// Loads a TorchScript file onto a device, with the text of the extra files that `extra` names; an absent one is empty.
///
/// # Errors
/// Those of [`Unloaded`].
pub fn load(path: &Path, device: Device, extra: &[&str]) -> Result<(Module, Vec<String>)> {
    let file = Unloaded::open(path)?;
    let texts = extra.iter().map(|name| Ok(file.extra(name)?.unwrap_or_default())).collect::<Result<_>>()?;
    Ok((file.module(device)?, texts))
}

/// What a layer is in TorchScript.
pub enum Script {
    /// An expression with `{x}` for its input, which may stand in it several times; for layers without parameters.
    Expression(String),
    /// An expression with a parameter that belongs to the enclosing module.
    Own {
        /// The parameter's name, by which the expression calls it `self.name`.
        name: &'static str,
        /// Its value.
        tensor: Tensor,
        /// The expression, with `{x}` for its input.
        expression: String,
    },
    /// A submodule.
    Class(Class),
}

impl Script {
    /// An expression without parameters.
    pub fn expression(template: impl Into<String>) -> Self {
        Script::Expression(template.into())
    }

    /// An expression with a parameter that belongs to the enclosing module.
    pub fn own(name: &'static str, tensor: &Tensor, expression: &str) -> Self {
        Script::Own { name, tensor: tensor.shallow_clone(), expression: expression.to_string() }
    }

    /// The number of trainable values.
    pub fn parameters(&self) -> usize {
        match self {
            Script::Expression(_) => 0,
            Script::Own { tensor, .. } => tensor.numel(),
            Script::Class(class) => class.parameters(),
        }
    }
}

/// A TorchScript class and the values of one instance of it.
///
/// Methods are given as source, indented by two spaces, in which `{class}` stands for the class's own type. Attributes
/// are used as `self.name`, submodules called as `(self.name).forward(x)`.
#[derive(Debug)]
pub struct Class {
    name: &'static str,
    methods: String,
    tensors: Vec<(String, Tensor, Role)>,
    strings: Vec<(&'static str, Vec<String>)>,
    ints: Vec<(&'static str, i64)>,
    children: Vec<(String, Class)>,
    existing: Vec<(&'static str, String)>,
    cells: Vec<(String, [Tensor; 4])>,
    /// What takes its place in a model of 8-bit integers.
    int8: Option<Box<Class>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Parameter,
    Buffer,
}

impl Class {
    /// A class with methods and no attributes.
    pub fn new(name: &'static str, methods: impl Into<String>) -> Self {
        Class {
            name,
            methods: methods.into(),
            tensors: Vec::new(),
            strings: Vec::new(),
            ints: Vec::new(),
            children: Vec::new(),
            existing: Vec::new(),
            cells: Vec::new(),
            int8: None,
        }
    }

    /// Adds a trainable tensor.
    pub fn parameter(self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensor(name, tensor, Role::Parameter)
    }

    /// Adds a tensor that is saved and moved with the module but not trained.
    pub fn buffer(self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensor(name, tensor, Role::Buffer)
    }

    /// Adds an attribute of type `List[str]`.
    pub fn strings(mut self, name: &'static str, strings: &[String]) -> Self {
        self.strings.push((name, strings.to_vec()));
        self
    }

    /// Adds an attribute of type `int`.
    pub fn int(mut self, name: &'static str, value: i64) -> Self {
        self.ints.push((name, value));
        self
    }

    /// Adds a submodule.
    pub fn child(mut self, name: impl Into<String>, class: Class) -> Self {
        self.children.push((name.into(), class));
        self
    }

    /// A class of nothing but tensors under dotted names (`layer1.0.weight`), with a submodule for each part of a name; a
    /// tensor is a parameter if `is_parameter` says so of its whole name.
    pub fn of_tensors(name: &'static str, tensors: &Tensors, is_parameter: &dyn Fn(&str) -> bool) -> Self {
        let mut class = Class::new(name, "");
        for (path, tensor) in tensors {
            let mut at = &mut class;
            let (owners, own) = path.rsplit_once('.').unwrap_or(("", path));
            for part in owners.split('.').filter(|part| !part.is_empty()) {
                at = at.child_named(part);
            }
            let role = if is_parameter(path) { Role::Parameter } else { Role::Buffer };
            at.tensors.push((own.to_string(), tensor.shallow_clone(), role));
        }
        class
    }

    fn child_named(&mut self, name: &str) -> &mut Class {
        let place = self.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.children.push((name.to_string(), Class::new("Part", "")));
            self.children.len() - 1
        });
        &mut self.children[place].1
    }

    /// Adds a submodule that exists already and takes part as it is, of this qualified type.
    pub fn existing(mut self, name: &'static str, class_name: String) -> Self {
        self.existing.push((name, class_name));
        self
    }

    /// Adds a recurrent cell for `torch.quantized_lstm` and its like: weights from the input and from the state before, which
    /// become 8-bit integers, and their biases.
    pub fn quantized_cell(mut self, name: String, weights: [&Tensor; 4]) -> Self {
        self.cells.push((name, weights.map(Tensor::shallow_clone)));
        self
    }

    /// Names the class that computes the same with 8-bit integers.
    pub fn with_int8(self, class: Class) -> Self {
        Class { int8: Some(Box::new(class)), ..self }
    }

    /// The class with all such classes in the place of their originals.
    pub fn into_int8(self) -> Self {
        if let Some(class) = self.int8 {
            return *class;
        }
        let children = self.children.into_iter().map(|(name, child)| (name, child.into_int8())).collect();
        Class { children, ..self }
    }

    /// The source of this class and all that it is made of, its qualified name, and the values of its attributes.
    pub fn compile(&self) -> cresset_bridge::Result<(String, String, Values)> {
        self.compile_in(PACKAGE)
    }

    /// The same with the classes in another package, for a module that knows classes of that name already.
    pub fn compile_in(&self, package: &str) -> cresset_bridge::Result<(String, String, Values)> {
        let mut source = Source { package: package.to_string(), ..Source::default() };
        let name = source.define(self);
        let mut values = Values::new();
        self.collect("", &mut values)?;
        Ok((source.text, name, values))
    }

    /// The number of trainable values.
    pub fn parameters(&self) -> usize {
        let own = self.tensors.iter().filter(|(.., role)| *role == Role::Parameter);
        own.map(|(_, tensor, _)| tensor.numel()).sum::<usize>()
            + self.children.iter().map(|(_, child)| child.parameters()).sum::<usize>()
    }

    fn tensor(mut self, name: impl Into<String>, tensor: &Tensor, role: Role) -> Self {
        self.tensors.push((name.into(), tensor.shallow_clone(), role));
        self
    }

    fn collect(&self, prefix: &str, values: &mut Values) -> cresset_bridge::Result<()> {
        for (name, tensor, role) in &self.tensors {
            // On the CPU, so that the file loads everywhere; there, the memory is shared with the model.
            let tensor = tensor.detach().to_device(Device::Cpu).set_requires_grad(*role == Role::Parameter);
            values.put_tensor(&format!("{prefix}{name}"), &tensor)?;
        }
        for (name, strings) in &self.strings {
            values.put_strings(&format!("{prefix}{name}"), strings)?;
        }
        for (name, weights) in &self.cells {
            let weights = weights.each_ref().map(|weight| weight.detach().to_device(Device::Cpu));
            values.put_quantized_cell(&format!("{prefix}{name}"), weights.each_ref())?;
        }
        for (name, value) in &self.ints {
            values.put_int(&format!("{prefix}{name}"), *value)?;
        }
        self.children.iter().try_for_each(|(name, child)| child.collect(&format!("{prefix}{name}."), values))
    }
}

/// The text so far. Two instances of the same layer share one class.
#[derive(Default)]
struct Source {
    package: String,
    text: String,
    /// The qualified name of each class, by its definition without the name.
    defined: BTreeMap<String, String>,
}

impl Source {
    /// Writes the class, after those that it needs, and gives its qualified name.
    fn define(&mut self, class: &Class) -> String {
        let children: Vec<_> =
            class.children.iter().map(|(name, child)| (name.as_str(), self.define(child))).collect();
        let body = body(class, &children);
        let key = format!("{}\n{body}", class.name);
        if let Some(name) = self.defined.get(&key) {
            return name.clone();
        }
        // Classes of one name that differ (a stack of two layers, a stack of three) are numbered.
        let alike = self.defined.keys().filter(|key| key.lines().next() == Some(class.name)).count();
        let short = if alike == 0 { class.name.to_string() } else { format!("{}{alike}", class.name) };
        let name = format!("{}.{short}", self.package);
        let definition = body.replace("{class}", &name);
        write!(self.text, "class {short}(Module):\n{definition}").expect("writing to a string does not fail");
        self.defined.insert(key, name.clone());
        name
    }
}

fn body(class: &Class, children: &[(&str, String)]) -> String {
    let names = |role| {
        let named = class.tensors.iter().filter(move |(_, _, of)| *of == role);
        named.map(|(name, ..)| format!("\"{name}\", ")).collect::<String>()
    };
    let mut text = format!("  __parameters__ = [{}]\n", names(Role::Parameter));
    text += &format!("  __buffers__ = [{}]\n", names(Role::Buffer));
    class.tensors.iter().for_each(|(name, ..)| text += &format!("  {name} : Tensor\n"));
    text += "  training : bool\n";
    class.strings.iter().for_each(|(name, _)| text += &format!("  {name} : List[str]\n"));
    class.ints.iter().for_each(|(name, _)| text += &format!("  {name} : int\n"));
    for (name, of) in children {
        text += &match name.starts_with(|first: char| first.is_ascii_digit()) {
            true => format!("  __annotations__[\"{name}\"] = {of}\n"),
            false => format!("  {name} : {of}\n"),
        };
    }
    class.cells.iter().for_each(|(name, _)| text += &format!("  {name} : {CELL}\n"));
    class.existing.iter().for_each(|(name, of)| text += &format!("  {name} : {of}\n"));
    text + &class.methods
}
