//! TorchScript modules: compile, load, save, call.

use std::path::Path;

use cxx::UniquePtr;
use tch::{Device, Tensor};

use crate::ffi::{self, ExtraFile, lend, own};
use crate::{Error, Result};

/// Values for a module's attributes, by dotted name, such as `fc1.weight`.
pub struct Values(UniquePtr<ffi::Values>);

impl Values {
    /// Creates an empty set of values.
    pub fn new() -> Self {
        Values(ffi::new_values())
    }

    /// Sets the attribute `name` to a tensor; the module shares its memory.
    pub fn put_tensor(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        Ok(self.0.pin_mut().put_tensor(name, lend(tensor))?)
    }

    /// Sets the attribute `name`, of type `List[str]`.
    pub fn put_strings(&mut self, name: &str, strings: &[String]) -> Result<()> {
        Ok(self.0.pin_mut().put_strings(name, strings.to_vec())?)
    }

    /// Sets the attribute `name`, of type `int`.
    pub fn put_int(&mut self, name: &str, value: i64) -> Result<()> {
        Ok(self.0.pin_mut().put_int(name, value)?)
    }

    /// Sets the attribute `name`, of type `List[int]`.
    pub fn put_ints(&mut self, name: &str, values: &[i64]) -> Result<()> {
        Ok(self.0.pin_mut().put_ints(name, values)?)
    }

    /// Sets the attribute `name`, of type `List[Dict[str, int]]`: the index of each text in its list.
    pub fn put_indexes(&mut self, name: &str, lists: &[Vec<String>]) -> Result<()> {
        let (texts, lengths) = flattened(lists);
        Ok(self.0.pin_mut().put_indexes(name, texts, &lengths)?)
    }

    pub(crate) fn into_tensors(self) -> Result<Vec<(String, Tensor)>> {
        let names = self.0.names();
        self.take(names)
    }

    fn take(mut self, names: Vec<String>) -> Result<Vec<(String, Tensor)>> {
        let mut taken = Vec::new();
        for name in names {
            let tensor = own(self.0.pin_mut().take_tensor(&name)?);
            taken.push((name, tensor));
        }
        Ok(taken)
    }

    pub(crate) fn inner(&self) -> &ffi::Values {
        &self.0
    }

    pub(crate) fn inner_mut(&mut self) -> std::pin::Pin<&mut ffi::Values> {
        self.0.pin_mut()
    }
}

/// The texts of all lists, and the lengths of the lists.
fn flattened(lists: &[Vec<String>]) -> (Vec<String>, Vec<usize>) {
    (lists.concat(), lists.iter().map(Vec::len).collect())
}

impl Default for Values {
    fn default() -> Self {
        Self::new()
    }
}

/// A TorchScript module.
pub struct Module(pub(crate) UniquePtr<ffi::ScriptModule>);

impl Module {
    /// Compiles `source`, in the dialect of the `code/` folder of a saved module, and creates an instance of
    /// `class_name` (`__torch__.Name`) with the attributes in `values`. The module starts in training mode.
    ///
    /// # Errors
    /// The source does not compile, or an attribute has no value.
    pub fn from_source(source: &str, class_name: &str, values: &Values) -> Result<Self> {
        Ok(Module(ffi::module_from_source(source, class_name, &values.0)?))
    }

    /// Loads a TorchScript file onto `device`. Also returns the text of the extra files named in `extra`, an empty string
    /// for a missing one.
    ///
    /// # Errors
    /// The file is missing, damaged, or not a TorchScript file.
    pub fn load(path: &Path, device: Device, extra: &[&str]) -> Result<(Self, Vec<String>)> {
        let mut files: Vec<_> =
            extra.iter().map(|name| ExtraFile { name: name.to_string(), text: String::new() }).collect();
        let module = ffi::load_module(utf8(path)?, &device_name(device), &mut files)?;
        Ok((Module(module), files.into_iter().map(|file| file.text).collect()))
    }

    /// Saves the module to `path`, with extra files (name, text), which `torch::jit::load` returns.
    pub fn save(&self, path: &Path, extra: &[(&str, &str)]) -> Result<()> {
        let files: Vec<_> = extra
            .iter()
            .map(|(name, text)| ExtraFile { name: name.to_string(), text: text.to_string() })
            .collect();
        Ok(self.0.save(utf8(path)?, &files)?)
    }

    /// Sets training mode (`true`) or evaluation mode.
    pub fn set_training(&mut self, training: bool) -> Result<()> {
        Ok(self.0.pin_mut().set_training(training)?)
    }

    /// Parameters and buffers by dotted name, in the order of Python's `state_dict()`. They share the module's memory and
    /// do not require gradients.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let mut tensors = Values::new();
        let names = self.0.state(tensors.0.pin_mut())?;
        names
            .into_iter()
            .map(|name| Ok((name.clone(), own(tensors.0.pin_mut().take_tensor(&name)?))))
            .collect()
    }

    /// Calls `method` with one tensor. Returns the resulting tensor, or the elements of the resulting tuple in order.
    pub fn call(&self, method: &str, input: &Tensor) -> Result<Vec<Tensor>> {
        let mut results = Values::new();
        self.0.call(method, lend(input), results.0.pin_mut())?;
        Ok(results.into_tensors()?.into_iter().map(|(_, tensor)| tensor).collect())
    }

    /// Calls `method`, which takes the rows of a table, `List[List[str]]`, after the tensor `input`, if there is one. Returns the
    /// same as [`Module::call`].
    pub fn call_with_cells(
        &self,
        method: &str,
        input: Option<&Tensor>,
        rows: &[Vec<String>],
    ) -> Result<Vec<Tensor>> {
        let mut results = Values::new();
        let (cells, lengths) = flattened(rows);
        let undefined = Tensor::new();
        let input = lend(input.unwrap_or(&undefined));
        self.0.call_with_cells(method, input, cells, &lengths, results.0.pin_mut())?;
        Ok(results.into_tensors()?.into_iter().map(|(_, tensor)| tensor).collect())
    }

    /// Calls `method`, which returns one tensor, and returns all tensors that its operations created, in order; the last
    /// one is the result.
    pub fn call_with_intermediates(&self, method: &str, input: &Tensor) -> Result<Vec<Tensor>> {
        let mut results = Values::new();
        self.0.call_with_intermediates(method, lend(input), results.0.pin_mut())?;
        Ok(results.into_tensors()?.into_iter().map(|(_, tensor)| tensor).collect())
    }

    /// Adds methods, given as TorchScript source (`def predict(self, x: Tensor) -> Tensor: …`).
    ///
    /// # Errors
    /// The source does not compile.
    pub fn define(&mut self, source: &str) -> Result<()> {
        Ok(self.0.pin_mut().define(source)?)
    }

    /// The return type of `method` in TorchScript notation: `Tensor`, `Tuple[Tensor, Tensor]`.
    ///
    /// # Errors
    /// The module has no such method.
    pub fn result_type(&self, method: &str) -> Result<String> {
        Ok(self.0.result_type(method)?)
    }

    /// The names of the methods.
    pub fn methods(&self) -> Result<Vec<String>> {
        Ok(self.0.methods()?)
    }

    /// The qualified name of the module's class, such as `__torch__.Name`.
    pub fn class_name(&self) -> Result<String> {
        Ok(self.0.class_name()?)
    }

    /// Whether the module's code defines a class of this qualified name.
    pub fn knows_class(&self, name: &str) -> Result<bool> {
        Ok(self.0.knows_class(name)?)
    }

    /// The parameters by name, in the order of their definition. The tensors share the module's memory.
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        self.tensors(true)
    }

    /// The buffers, likewise.
    pub fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        self.tensors(false)
    }

    fn tensors(&self, parameters: bool) -> Result<Vec<(String, Tensor)>> {
        let mut values = Values::new();
        let names = self.0.tensors(parameters, values.0.pin_mut())?;
        values.take(names)
    }

    /// Replaces the parameter `name`.
    ///
    /// # Errors
    /// The module has no such parameter.
    pub fn set_parameter(&mut self, name: &str, value: &Tensor) -> Result<()> {
        Ok(self.0.pin_mut().set_parameter(name, lend(value))?)
    }

    /// Sets the attribute `name`, of type `int`.
    ///
    /// # Errors
    /// The module has no such attribute.
    pub fn set_int(&mut self, name: &str, value: i64) -> Result<()> {
        Ok(self.0.pin_mut().set_int(name, value)?)
    }

    /// The submodule `name`, or `None`. It is the same object, not a copy.
    pub fn child(&self, name: &str) -> Result<Option<Module>> {
        let child = self.0.child(name)?;
        Ok((!child.is_null()).then_some(Module(child)))
    }

    /// A deep copy on the CPU.
    pub fn copy(&self) -> Result<Module> {
        Ok(Module(self.0.copy()?))
    }

    /// Creates an instance of a class from `source`, like [`Module::from_source`], that contains this module as the
    /// attribute `attribute`. Its type in the source is [`Module::class_name`].
    pub fn wrapped(&self, source: &str, class_name: &str, values: &Values, attribute: &str) -> Result<Self> {
        Ok(Module(self.0.wrapped(source, class_name, &values.0, attribute)?))
    }

    pub(crate) fn inner(&self) -> &ffi::ScriptModule {
        &self.0
    }

    pub(crate) fn inner_mut(&mut self) -> std::pin::Pin<&mut ffi::ScriptModule> {
        self.0.pin_mut()
    }
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| Error(format!("{} is not valid UTF-8, which libtorch requires", path.display())))
}

pub(crate) fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: &str = r#"
class Scale(Module):
  __parameters__ = ["factor", ]
  __buffers__ = []
  factor : Tensor
  training : bool
  names : List[str]
  def forward(self: __torch__.Scale, x: Tensor) -> Tensor:
    return torch.mul(x, self.factor)
  def both(self: __torch__.Scale, x: Tensor) -> Tuple[Tensor, Tensor]:
    return (x, torch.mul(x, self.factor))
"#;

    fn scale() -> Module {
        let mut values = Values::new();
        values.put_tensor("factor", &Tensor::from_slice(&[3f32])).unwrap();
        values.put_strings("names", &["a".to_string()]).unwrap();
        Module::from_source(SCALE, "__torch__.Scale", &values).unwrap()
    }

    #[test]
    fn a_module_from_source_survives_the_file_with_its_extra_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scale.pt");
        scale().save(&path, &[("metadata.json", "{}")]).unwrap();
        let (module, extra) = Module::load(&path, Device::Cpu, &["metadata.json", "absent"]).unwrap();
        assert_eq!(extra, ["{}", ""]);
        let x = Tensor::from_slice(&[1f32, 2.]);
        assert_eq!(Vec::<f32>::try_from(&module.call("forward", &x).unwrap()[0]).unwrap(), [3., 6.]);
        assert_eq!(module.call("both", &x).unwrap().len(), 2);
    }

    #[test]
    fn cells_are_looked_up_in_dictionaries() {
        const LOOKUP: &str = r#"
class Lookup(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  indexes : List[Dict[str, int]]
  factors : List[int]
  def of(self: __torch__.Lookup, x: Tensor, rows: List[List[str]]) -> Tensor:
    found = annotate(List[int], [])
    for row in rows:
      for column in range(len(row)):
        found.append(self.indexes[column][row[column]] * self.factors[column])
    return torch.add(x, torch.tensor(found))
  def count(self: __torch__.Lookup, rows: List[List[str]]) -> Tensor:
    return torch.tensor(len(rows))
"#;
        let lists = [&["a", "b"][..], &["c", "é", "a"]]
            .map(|list| list.iter().map(|text| text.to_string()).collect());
        let mut values = Values::new();
        values.put_indexes("indexes", &lists).unwrap();
        values.put_ints("factors", &[1, 10]).unwrap();
        let lookup = Module::from_source(LOOKUP, "__torch__.Lookup", &values).unwrap();
        let rows = [["b", "a"], ["a", "é"]].map(|row| row.map(String::from).to_vec());
        let found = lookup.call_with_cells("of", Some(&Tensor::from(1i64)), &rows).unwrap();
        assert_eq!(Vec::<i64>::try_from(&found[0]).unwrap(), [2, 21, 1, 11]);
        assert_eq!(lookup.call_with_cells("count", None, &rows).unwrap()[0].int64_value(&[]), 2);
        let unknown = lookup.call_with_cells("of", Some(&Tensor::from(1i64)), &[vec!["z".into()]]);
        assert!(unknown.unwrap_err().0.contains('z'));
    }

    #[test]
    fn the_state_is_that_of_parameters_and_buffers() {
        let state = scale().state().unwrap();
        assert_eq!(state, [("factor".to_string(), Tensor::from_slice(&[3f32]))]);
    }

    #[test]
    fn faulty_source_is_an_error_of_one_line() {
        let source = SCALE.replace("torch.mul", "torch.no_such_operation");
        let error = Module::from_source(&source, "__torch__.Scale", &Values::new()).err().unwrap();
        assert!(error.0.contains("no_such_operation"), "{error}");
        assert!(!error.0.contains('\n') && !error.0.contains("frame #"), "{error}");
    }

    #[test]
    fn an_attribute_without_a_value_is_named() {
        let error = Module::from_source(SCALE, "__torch__.Scale", &Values::new()).err().unwrap();
        assert_eq!(error.0, "the attribute factor of the TorchScript source has no value");
    }

    #[test]
    fn a_file_that_is_no_torchscript_is_an_error_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foreign.pt");
        std::fs::write(&path, b"not a model").unwrap();
        let error = Module::load(&path, Device::Cpu, &[]).err().unwrap();
        assert!(!error.0.contains('\n') && !error.0.contains("frame #"), "{error}");
    }

    #[test]
    fn what_is_computed_on_the_way_is_kept_and_gradients_flow_through_it() {
        let mut scale = scale();
        scale
            .define("def far(self, x: Tensor) -> Tensor:\n    return torch.exp(self.forward(x)) + 1\n")
            .unwrap();
        let x = Tensor::from_slice(&[2f32]).set_requires_grad(true);
        let made = scale.call_with_intermediates("far", &x).unwrap();
        let values: Vec<_> = made.iter().map(|tensor| tensor.double_value(&[0])).collect();
        let exp = f64::from(6f32.exp());
        assert!((values[0] - 6.).abs() < 1e-6 && (values[1] - exp).abs() < 1e-3, "{values:?}");
        assert_eq!(values.last(), Some(&(f64::from(6f32.exp() + 1.))));
        let gradient = Tensor::run_backward(&[made.last().unwrap()], &[&made[0]], false, false);
        assert!((gradient[0].double_value(&[0]) - exp).abs() < 1e-3);
    }

    #[test]
    fn a_module_can_be_wrapped_copied_and_given_other_parameters() {
        const AROUND: &str = r#"
class Around(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  inside : __torch__.Scale
  def twice(self: __torch__.other.Around, x: Tensor) -> Tensor:
    return torch.mul((self.inside).forward(x), 2)
"#;
        let mut scale = scale();
        scale
            .define(
                "def forward_again(self, x: Tensor) -> Tensor:\n    return self.forward(self.forward(x))\n",
            )
            .unwrap();
        assert_eq!(scale.result_type("both").unwrap(), "Tuple[Tensor, Tensor]");
        let x = Tensor::from(1f32);
        let value = |module: &Module, method: &str| module.call(method, &x).unwrap()[0].double_value(&[]);
        assert_eq!(value(&scale, "forward_again"), 9.);

        let copy = scale.copy().unwrap();
        scale.set_parameter("factor", &Tensor::from(5f32)).unwrap();
        assert_eq!((value(&scale, "forward"), value(&copy, "forward")), (5., 3.));
        let around = copy.wrapped(AROUND, "__torch__.other.Around", &Values::new(), "inside").unwrap();
        assert_eq!(value(&around, "twice"), 6.);
        assert_eq!(around.parameters().unwrap()[0].0, "inside.factor");
        assert!(around.child("inside").unwrap().is_some() && around.child("outside").unwrap().is_none());
        assert!(scale.set_parameter("absent", &x).is_err());
    }

    #[test]
    fn a_method_that_fails_is_an_error_of_one_line() {
        let error = scale().call("absent", &Tensor::from(1f32)).err().unwrap();
        assert!(error.0.contains("absent") && !error.0.contains('\n'), "{error}");
    }
}
