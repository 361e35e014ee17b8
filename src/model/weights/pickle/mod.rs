//! Python pickles, read as data.
//!
//! A pickle is a program for a stack machine. Some of its instructions make Python import and call arbitrary globals
//! (<https://docs.python.org/3/library/pickletools.html>). Here nothing is imported or called: such an instruction produces a
//! [`Value`] that describes the import or call.
//!
//! The values are in one vector and refer to each other by index, so shared values are stored once, and cyclic or deeply nested
//! values are dropped without recursion.

mod machine;
mod opcode;
#[cfg(test)]
mod tests;

/// The index of a value in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(u32);

/// A Python value.
///
/// ```
/// use cresset::model::weights::pickle::{Pickle, Value};
///
/// // `pickle.dumps([1.5, None], protocol=2)` in Python.
/// let pickle = Pickle::read(b"\x80\x02]q\x00(G?\xf8\x00\x00\x00\x00\x00\x00Ne.")?;
/// let members = pickle.members(pickle.root()).unwrap();
/// assert_eq!((pickle.get(members[0]), pickle.get(members[1])), (&Value::Float(1.5), &Value::None));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits in little-endian two's complement.
    Long(Box<[u8]>),
    /// A float.
    Float(f64),
    /// A string of Python 3 or 2.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A list or a set.
    List(Vec<Id>),
    /// A tuple or a frozen set.
    Tuple(Vec<Id>),
    /// A dictionary: keys and values in order.
    Dict(Vec<(Id, Id)>),
    /// A global: module and name joined by a dot, as in `torch.FloatStorage`.
    Global(Box<str>),
    /// The result of a call.
    Object(Box<Object>),
    /// An object stored outside of the pickle, by its persistent id.
    Persistent(Id),
}

/// The result of a call or of the instantiation of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The callable, usually a [`Value::Global`].
    pub callable: Id,
    /// The arguments, usually a [`Value::Tuple`].
    pub arguments: Id,
    /// The argument of `__setstate__`, usually a dictionary of attributes.
    pub state: Option<Id>,
    /// Appended items.
    pub items: Vec<Id>,
    /// Dictionary entries.
    pub entries: Vec<(Id, Id)>,
}

/// A pickle's values.
///
/// ```
/// use cresset::model::weights::pickle::{Pickle, Value};
///
/// // `pickle.dumps({"epoch": 7}, protocol=2)` in Python.
/// let bytes = b"\x80\x02}q\x00X\x05\x00\x00\x00epochq\x01K\x07s.";
/// let pickle = Pickle::read(bytes)?;
/// let epoch = pickle.entry(pickle.root(), "epoch").unwrap();
/// assert_eq!(pickle.get(epoch), &Value::Int(7));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
    length: usize,
}

impl Pickle {
    /// Reads the pickle at the start of `bytes`. Takes at most about 100 bytes of memory for each byte of the pickle.
    ///
    /// # Errors
    /// An invalid pickle, an unsupported instruction, and more than four million instructions. The message has the offset.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        machine::run(bytes)
    }

    /// The index of the root value.
    pub fn root(&self) -> Id {
        self.root
    }

    /// A value of this pickle.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// All values, in the order of creation.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Size of the pickle in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The value as a string.
    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as an integer.
    pub fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of a tuple or list.
    pub fn members(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Tuple(members) | Value::List(members) => Some(members),
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            Value::Object(object) => Some(&object.entries),
            _ => None,
        }
    }

    /// The name of a global.
    pub fn global(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The value for a key of a dictionary.
    pub fn entry(&self, dictionary: Id, key: &str) -> Option<Id> {
        let entries = self.entries(dictionary)?;
        entries.iter().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }
}
