//! Generation of TorchScript source from classes, in the dialect of the `code/` folder of a saved module.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use cresset_bridge::script::{Module, Values};
use tch::{Device, Tensor};

use super::Tensors;
use super::loading::CheckedModelFile;
use crate::error::Result;

/// The package of the classes, which avoids name clashes with imported modules.
pub(crate) const PACKAGE: &str = "__torch__.cresset";

/// The type of a quantized recurrent cell.
const CELL: &str = "__torch__.torch.classes.rnn.CellParamsBase";

/// The attribute that holds a wrapped module.
pub(crate) const INSIDE: &str = "network";

/// Wraps a module in an instance of a new class `name` with the additions of `extend` and a method for the logits, whose
/// expression accesses the module as `self.network`.
pub(crate) fn wrap(
    module: &Module,
    name: &'static str,
    (method, expression): (&str, &str),
    extend: &dyn Fn(Class) -> Class,
) -> Result<Module> {
    let logits = format!("  def {method}(self: {{class}}, x: Tensor) -> Tensor:\n    return {expression}\n");
    let class = Class::new(name, logits).existing(INSIDE, module.class_name()?);
    // The module may have a class of the same name.
    let mut package = PACKAGE.to_string();
    while module.knows_class(&format!("{package}.{name}"))? {
        package.push_str("_outer");
    }
    let (source, class_name, values) = extend(class).compile_in(&package)?;
    Ok(module.wrapped(&source, &class_name, &values, INSIDE)?)
}

/// Loads a TorchScript file onto a device. Also returns the text of the extra files `extra`, empty for a missing one.
///
/// ```
/// use cresset::export::METADATA;
/// use cresset::model::script;
/// use cresset::prelude::*;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let (module, texts) = script::load(&out.join("model.pt"), Device::Cpu, &[METADATA, "missing.txt"])?;
/// assert!(texts[0].contains("setosa") && texts[1].is_empty());
/// assert!(!module.parameters()?.is_empty());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// Those of [`CheckedModelFile`].
pub fn load(path: &Path, device: Device, extra: &[&str]) -> Result<(Module, Vec<String>)> {
    let file = CheckedModelFile::open(path)?;
    let texts = extra.iter().map(|name| Ok(file.extra(name)?.unwrap_or_default())).collect::<Result<_>>()?;
    Ok((file.module(device)?, texts))
}

/// The TorchScript of a layer.
///
/// ```
/// use cresset::model::layer::{Layer, Relu};
/// use cresset::model::script::Script;
///
/// assert!(matches!(Relu.script(), Script::Expression(text) if text == "torch.relu({x})"));
/// ```
pub enum Script {
    /// An expression of the input `{x}`, which may occur several times; for layers without parameters.
    Expression(String),
    /// An expression with a parameter that belongs to the enclosing module.
    Own {
        /// The parameter's name. The expression accesses it as `self.name`.
        name: &'static str,
        /// Its value.
        tensor: Tensor,
        /// The expression of the input `{x}`.
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

/// A TorchScript class and the attribute values of one instance.
///
/// Methods are source code, indented by two spaces, with `{class}` for the type of the class. Code accesses attributes as
/// `self.name` and calls submodules as `(self.name).forward(x)`.
///
/// ```
/// use cresset::model::script::Class;
/// use tch::{Device, Kind, Tensor};
///
/// let scale = Tensor::ones([3], (Kind::Float, Device::Cpu));
/// let forward = "  def forward(self: {class}, x: Tensor) -> Tensor:\n    return torch.mul(x, self.scale)\n";
/// let class = Class::new("Scale", forward).parameter("scale", &scale);
/// assert_eq!(class.parameters(), 3);
/// let (source, name, _values) = class.compile()?;
/// assert!(source.contains("def forward") && name.ends_with("Scale"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Class {
    name: &'static str,
    methods: String,
    tensors: Vec<(String, Tensor, Role)>,
    strings: Vec<(&'static str, Vec<String>)>,
    ints: Vec<(&'static str, i64)>,
    collections: Vec<(&'static str, Collection)>,
    children: Vec<(String, Class)>,
    existing: Vec<(&'static str, String)>,
    cells: Vec<(String, [Tensor; 4])>,
    /// Its replacement in a quantized model.
    int8: Option<Box<Class>>,
}

/// The value of an attribute that is a list or a dictionary.
#[derive(Debug)]
pub(crate) enum Collection {
    /// `List[int]`.
    Ints(Vec<i64>),
    /// `Dict[int, int]`.
    ByInt(Vec<(i64, i64)>),
    /// `Dict[str, int]`.
    ByText(Vec<(String, i64)>),
    /// `List[Dict[str, int]]`: for each list, the index of each of its texts.
    Indexes(Vec<Vec<String>>),
}

impl Collection {
    fn type_name(&self) -> &'static str {
        match self {
            Collection::Ints(_) => "List[int]",
            Collection::ByInt(_) => "Dict[int, int]",
            Collection::ByText(_) => "Dict[str, int]",
            Collection::Indexes(_) => "List[Dict[str, int]]",
        }
    }

    fn put(&self, name: &str, values: &mut Values) -> cresset_bridge::Result<()> {
        match self {
            Collection::Ints(ints) => values.put_ints(name, ints),
            Collection::ByInt(entries) => values.put_int_dictionary(name, entries),
            Collection::ByText(entries) => values.put_text_dictionary(name, entries),
            Collection::Indexes(lists) => values.put_indexes(name, lists),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Parameter,
    Buffer,
    /// An attribute that is not in the state of the module.
    Constant,
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
            collections: Vec::new(),
            children: Vec::new(),
            existing: Vec::new(),
            cells: Vec::new(),
            int8: None,
        }
    }

    /// Adds a method, in the form of [`Class::new`].
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.methods += method;
        self
    }

    /// Adds a trainable tensor.
    pub fn parameter(self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensor(name, tensor, Role::Parameter)
    }

    /// Adds a tensor that is saved and moved with the module but not trained.
    pub fn buffer(self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensor(name, tensor, Role::Buffer)
    }

    /// Adds a tensor that is saved with the module but is not in its `state_dict()`. `Module.to` does not move it, so code must
    /// use it as `torch.type_as(self.name, x)`.
    pub(crate) fn constant(self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensor(name, tensor, Role::Constant)
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

    /// Adds an attribute that is a list or a dictionary.
    pub(crate) fn collection(mut self, name: &'static str, collection: Collection) -> Self {
        self.collections.push((name, collection));
        self
    }

    /// Adds a submodule.
    pub fn child(mut self, name: impl Into<String>, class: Class) -> Self {
        self.children.push((name.into(), class));
        self
    }

    /// Adds a submodule with a dotted name (`attention.output.dense`), and a submodule without methods for each component before the
    /// last one.
    pub(crate) fn descendant(mut self, path: &str, class: Class) -> Self {
        let (owners, own) = path.rsplit_once('.').unwrap_or(("", path));
        let mut at = &mut self;
        for part in owners.split('.').filter(|part| !part.is_empty()) {
            at = at.child_named(part);
        }
        at.children.push((own.to_string(), class));
        self
    }

    /// A class that holds tensors with dotted names (`layer1.0.weight`), with a submodule for each component of a name.
    /// `is_parameter` decides by the full name whether a tensor is a parameter or a buffer.
    pub(crate) fn of_tensors(
        name: &'static str,
        tensors: &Tensors,
        is_parameter: &dyn Fn(&str) -> bool,
    ) -> Self {
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

    /// Adds an existing submodule of this qualified type.
    pub fn existing(mut self, name: &'static str, class_name: String) -> Self {
        self.existing.push((name, class_name));
        self
    }

    /// Adds a recurrent cell for `torch.quantized_lstm` or `torch.quantized_gru`: input and recurrent weights, which are
    /// quantized, and their biases.
    pub(crate) fn quantized_cell(mut self, name: String, weights: [&Tensor; 4]) -> Self {
        self.cells.push((name, weights.map(Tensor::shallow_clone)));
        self
    }

    /// Sets the class that replaces this one in a quantized model.
    pub(crate) fn with_int8(self, class: Class) -> Self {
        Class { int8: Some(Box::new(class)), ..self }
    }

    /// Replaces all classes by their quantized versions, if they have one.
    pub(crate) fn into_int8(self) -> Self {
        if let Some(class) = self.int8 {
            return class.into_int8();
        }
        let children = self.children.into_iter().map(|(name, child)| (name, child.into_int8())).collect();
        Class { children, ..self }
    }

    /// The source of this class and its submodules, its qualified name, and the values of its attributes.
    pub fn compile(&self) -> cresset_bridge::Result<(String, String, Values)> {
        self.compile_in(PACKAGE)
    }

    /// Like [`Class::compile`], with another package, for modules that already have classes of the same names.
    pub(crate) fn compile_in(&self, package: &str) -> cresset_bridge::Result<(String, String, Values)> {
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
            // On the CPU, so that the file loads everywhere. CPU tensors share memory with the model.
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
        for (name, collection) in &self.collections {
            collection.put(&format!("{prefix}{name}"), values)?;
        }
        self.children.iter().try_for_each(|(name, child)| child.collect(&format!("{prefix}{name}."), values))
    }
}

/// The generated source. Equal layers share one class.
#[derive(Default)]
struct Source {
    package: String,
    text: String,
    /// Qualified names of the classes, by definition.
    defined: BTreeMap<String, String>,
}

impl Source {
    /// Writes the class after its dependencies. Returns its qualified name.
    fn define(&mut self, class: &Class) -> String {
        let children: Vec<_> =
            class.children.iter().map(|(name, child)| (name.as_str(), self.define(child))).collect();
        let body = body(class, &children);
        let key = format!("{}\n{body}", class.name);
        if let Some(name) = self.defined.get(&key) {
            return name.clone();
        }
        // Number different classes of the same name, such as stacks of two and of three layers.
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
    for (name, collection) in &class.collections {
        text += &format!("  {name} : {}\n", collection.type_name());
    }
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
