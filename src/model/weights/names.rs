//! Finds the tensors in a pickle, and their names.

use super::pickle::{Id, Object, Pickle, Value};
use super::view::StorageView;
use crate::error::quoted;

/// Maximum depth of nested containers.
const DEEPEST: usize = 64;
/// Maximum number of visited values. Shared values count at each visit, because nested shared dictionaries grow exponentially.
const MOST_VISITS: usize = 8_000_000;
/// Maximum number of tensors.
const MOST_TENSORS: usize = 1 << 16;
const LONGEST_NAME: usize = 256;

/// The tensors in a pickle. The name of a tensor is the path of keys and attributes to it, joined by dots.
///
/// The names in a pickled module are those of its `state_dict()`. Values that do not contain tensors are ignored, whatever
/// they would do in Python.
///
/// # Errors
/// A pickle without tensors, an invalid tensor, and an exceeded limit.
pub fn views(pickle: &Pickle) -> Result<Vec<(String, StorageView)>, String> {
    let mut walk = Walk { pickle, path: Vec::new(), ancestors: Vec::new(), visits: 0, found: Vec::new() };
    walk.visit(pickle.root())?;
    if walk.found.is_empty() {
        return Err(format!("it contains no tensors: it is {}", described(pickle)));
    }
    Ok(walk.found)
}

struct Walk<'a> {
    pickle: &'a Pickle,
    path: Vec<String>,
    /// The containers of the current value.
    ancestors: Vec<Id>,
    visits: usize,
    found: Vec<(String, StorageView)>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, id: Id) -> Result<(), String> {
        if !matches!(
            self.pickle.get(id),
            Value::Dict(_) | Value::List(_) | Value::Tuple(_) | Value::Object(_)
        ) || self.ancestors.contains(&id)
        {
            return Ok(());
        }
        if self.ancestors.len() == DEEPEST {
            return Err(format!("its values are nested more than {DEEPEST} deep"));
        }
        self.ancestors.push(id);
        match self.pickle.get(id) {
            Value::Dict(entries) => self.entries(entries)?,
            Value::List(members) | Value::Tuple(members) => self.members(members)?,
            Value::Object(object) => self.object(object)?,
            _ => (),
        }
        self.ancestors.pop();
        Ok(())
    }

    /// Counts visited values.
    fn count(&mut self, values: usize) -> Result<(), String> {
        self.visits += values;
        if self.visits > MOST_VISITS {
            return Err("its values refer to each other too often".to_string());
        }
        Ok(())
    }

    fn object(&mut self, object: &'a Object) -> Result<(), String> {
        let tensor = StorageView::of_call(self.pickle, object)
            .map_err(|problem| format!("the tensor {}: {problem}", quoted(&self.path.join("."))))?;
        if let Some(tensor) = tensor {
            return self.keep(tensor);
        }
        let callable = self.pickle.global(object.callable).unwrap_or_default();
        let arguments = self.pickle.members(object.arguments).unwrap_or_default();
        if let ("collections.OrderedDict", [pairs]) = (callable, arguments) {
            self.pairs(*pairs)?;
        }
        // A list or dictionary with a type annotation of TorchScript.
        if let (true, [value, ..]) = (callable.starts_with("torch.jit._pickle."), arguments) {
            self.visit(*value)?;
        }
        if let Some(state) = object.state {
            self.state(state)?;
        }
        self.entries(&object.entries)?;
        self.members(&object.items)
    }

    /// The attributes of an object. A module has three dictionaries, whose names are not part of the tensor names.
    fn state(&mut self, state: Id) -> Result<(), String> {
        self.count(self.pickle.entries(state).unwrap_or_default().len())?;
        let of_module = ["_parameters", "_buffers", "_modules"].map(|name| self.pickle.entry(state, name));
        match of_module {
            [Some(_), Some(_), Some(_)] => {
                of_module.into_iter().flatten().try_for_each(|part| self.visit(part))
            }
            _ => self.visit(state),
        }
    }

    /// The entries of a dictionary in the format of Python 2.
    fn pairs(&mut self, pairs: Id) -> Result<(), String> {
        let pairs = self.pickle.members(pairs).unwrap_or_default();
        self.count(pairs.len())?;
        for pair in pairs {
            if let Some([key, value]) = self.pickle.members(*pair) {
                self.entries(&[(*key, *value)])?;
            }
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[(Id, Id)]) -> Result<(), String> {
        self.count(entries.len())?;
        for (key, value) in entries {
            let name = match self.pickle.get(*key) {
                Value::Text(text) if text.len() <= LONGEST_NAME => text.to_string(),
                Value::Int(number) => number.to_string(),
                _ => continue,
            };
            self.path.push(name);
            self.visit(*value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn members(&mut self, members: &[Id]) -> Result<(), String> {
        self.count(members.len())?;
        for (place, value) in members.iter().enumerate() {
            self.path.push(place.to_string());
            self.visit(*value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn keep(&mut self, tensor: StorageView) -> Result<(), String> {
        let name = self.path.join(".");
        if name.len() > LONGEST_NAME {
            return Err(format!("the name {} is longer than {LONGEST_NAME} bytes", quoted(&name)));
        }
        if self.found.len() == MOST_TENSORS {
            return Err(format!("it has more than {MOST_TENSORS} tensors"));
        }
        // The pickle is a single tensor.
        let name = if name.is_empty() { "tensor".to_string() } else { name };
        self.found.push((name, tensor));
        Ok(())
    }
}

/// A description of a pickle for error messages.
fn described(pickle: &Pickle) -> String {
    match pickle.get(pickle.root()) {
        Value::Dict(entries) => {
            let keys = entries.iter().filter_map(|(key, _)| pickle.text(*key));
            let keys: Vec<String> = keys.take(5).map(quoted).collect();
            match keys.as_slice() {
                [] => "a dictionary".to_string(),
                keys => format!("a dictionary with {}", keys.join(", ")),
            }
        }
        Value::Object(object) => match pickle.global(object.callable) {
            Some(name) => format!("the result of a call of {}, which is not executed", quoted(name)),
            None => "the result of a call, which is not executed".to_string(),
        },
        Value::Global(name) => format!("{}, which is not imported", quoted(name)),
        Value::List(_) | Value::Tuple(_) => "a list".to_string(),
        Value::Text(_) | Value::Bytes(_) => "a string".to_string(),
        Value::None => "None".to_string(),
        Value::Bool(_) | Value::Int(_) | Value::Long(_) | Value::Float(_) => "a number".to_string(),
        Value::Persistent(_) => "a storage without a tensor".to_string(),
    }
}
