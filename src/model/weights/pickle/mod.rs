//! Pickles of Python, read as data.
//!
//! A pickle is a program for a stack machine, some of whose instructions make Python import and call whatever the file
//! names (<https://docs.python.org/3/library/pickletools.html>). Here nothing is imported or called: such an instruction
//! leaves a [`Value`] that says what it named and with what.
//!
//! The values stand in one vector and refer to one another by number. A value that the pickle uses twice is there once, and
//! one that holds itself, or is nested ten thousand deep, is as easily dropped as any other.

mod machine;
mod opcode;
#[cfg(test)]
mod tests;

/// The number of a value in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

/// A value of Python.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that needs more than 64 bits: its two's complement, the least byte first.
    Long(Box<[u8]>),
    /// A float.
    Float(f64),
    /// A text, of Python 3 or 2.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A list or a set.
    List(Vec<Id>),
    /// A tuple or a frozen set.
    Tuple(Vec<Id>),
    /// A dictionary: keys and values in their order.
    Dict(Vec<(Id, Id)>),
    /// What Python would import: module and name with a dot between, as in `torch.FloatStorage`.
    Global(Box<str>),
    /// What Python would get from a call.
    Object(Box<Object>),
    /// What whoever wrote the pickle keeps elsewhere, under this key.
    Persistent(Id),
}

/// What Python would get from calling something, or from making an instance of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What would be called: nearly always a [`Value::Global`].
    pub callable: Id,
    /// With what: nearly always a [`Value::Tuple`].
    pub arguments: Id,
    /// What the object would then be told to be: mostly the dictionary of its attributes.
    pub state: Option<Id>,
    /// What would be appended to it.
    pub items: Vec<Id>,
    /// What would be set in it, if it is a kind of dictionary.
    pub entries: Vec<(Id, Id)>,
}

/// A pickle's values.
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
    length: usize,
}

impl Pickle {
    /// Reads the pickle that `bytes` begin with. Memory is bounded by some 100 bytes for each one of the pickle.
    ///
    /// # Errors
    /// What is no pickle, uses instructions that weights have no need of, or has more than four million of them: a
    /// sentence with the place.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        machine::run(bytes)
    }

    /// The number of the value that the pickle is of.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value of this pickle.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// All values, in the order in which they were begun.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The bytes that the pickle takes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The text that a value is.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number that a value is.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The members of the tuple or list that a value is.
    pub fn members(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(members) | Value::List(members) => Some(members),
            _ => None,
        }
    }

    /// The entries of the dictionary that a value is.
    pub fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            Value::Object(object) => Some(&object.entries),
            _ => None,
        }
    }

    /// What Python would import for a value.
    pub fn global(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The value of a dictionary under this key.
    pub fn entry(&self, dictionary: Id, key: &str) -> Option<Id> {
        let entries = self.entries(dictionary)?;
        entries.iter().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}
