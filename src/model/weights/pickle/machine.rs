//! The stack machine.

use std::collections::HashMap;

use super::opcode as op;
use super::{Id, Object, Pickle, Value};

/// Maximum number of instructions. A tensor takes about thirty.
pub(crate) const MOST_INSTRUCTIONS: usize = 4_000_000;

/// Maximum length of a global name from the stack.
const LONGEST_NAME: usize = 256;

/// Runs the pickle at the start of `bytes`.
pub fn run(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MOST_INSTRUCTIONS {
        let start = machine.at;
        let opcode = machine.byte().map_err(|reason| format!("at byte {start} of its pickle: {reason}"))?;
        let done =
            if opcode == op::STOP { machine.pop().map(Some) } else { machine.step(opcode).map(|()| None) };
        let root = done.map_err(|reason| {
            format!("at byte {start} of its pickle, opcode {opcode:#04x} ({}): {reason}", op::name(opcode))
        })?;
        if let Some(root) = root {
            return Ok(Pickle { values: machine.values, root, length: machine.at });
        }
    }
    Err(format!("its pickle has more than {MOST_INSTRUCTIONS} instructions; save only the weights"))
}

type Step<T = ()> = Result<T, String>;

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// The stack height at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Step {
        if let Some(value) = self.plain(opcode)? {
            return self.push(value);
        }
        match opcode {
            op::PROTO => self.take(1).map(drop),
            // The frame size is only needed for streaming.
            op::FRAME => self.take(8).map(drop),
            op::MARK => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            op::POP => self.discard(),
            op::POP_MARK => self.above_mark().map(drop),
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.memoize(opcode),
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(opcode),
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS | op::BUILD => {
                self.fill(opcode)
            }
            _ => {
                let value = self.compound(opcode)?;
                self.push(value)
            }
        }
    }

    /// A value without operands from the stack.
    fn plain(&mut self, opcode: u8) -> Step<Option<Value>> {
        Ok(Some(match opcode {
            op::NONE => Value::None,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::INT => match self.line()?.as_str() {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                number => Value::Int(parsed(number)?),
            },
            op::LONG => Value::Int(parsed(self.line()?.trim_end_matches('L'))?),
            op::BININT => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            op::BININT1 => Value::Int(i64::from(self.byte()?)),
            op::BININT2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            op::LONG1 => {
                let length = self.length(1)?;
                long(self.take(length)?)
            }
            op::LONG4 => {
                let length = self.length(4)?;
                long(self.take(length)?)
            }
            op::FLOAT => Value::Float(parsed(&self.line()?)?),
            op::BINFLOAT => Value::Float(f64::from_be_bytes(self.array()?)),
            op::STRING => Value::Text(self.line()?.trim_matches(['\'', '"']).into()),
            op::UNICODE => Value::Text(self.line()?.into()),
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => self.text(1)?,
            op::BINSTRING | op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::SHORT_BINBYTES => self.raw(1)?,
            op::BINBYTES => self.raw(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.raw(8)?,
            op::EMPTY_LIST | op::EMPTY_SET => Value::List(Vec::new()),
            op::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            op::GLOBAL => Value::Global(format!("{}.{}", self.line()?, self.line()?).into()),
            _ => return Ok(None),
        }))
    }

    /// A value with operands from the stack.
    fn compound(&mut self, opcode: u8) -> Step<Value> {
        Ok(match opcode {
            op::LIST => Value::List(self.above_mark()?),
            op::TUPLE | op::FROZENSET => Value::Tuple(self.above_mark()?),
            op::DICT => Value::Dict(pairs(&self.above_mark()?)?),
            op::TUPLE1 => Value::Tuple(self.pop_many::<1>()?.into()),
            op::TUPLE2 => Value::Tuple(self.pop_many::<2>()?.into()),
            op::TUPLE3 => Value::Tuple(self.pop_many::<3>()?.into()),
            op::STACK_GLOBAL => self.global_of_stack()?,
            op::REDUCE | op::NEWOBJ => {
                let [callable, arguments] = self.pop_many()?;
                object(callable, arguments)
            }
            op::NEWOBJ_EX => {
                // The last one has keyword arguments, which no tensor uses.
                let [callable, arguments, _] = self.pop_many()?;
                object(callable, arguments)
            }
            op::BINPERSID => Value::Persistent(self.pop()?),
            _ => return Err("this instruction is not supported".to_string()),
        })
    }

    fn global_of_stack(&mut self) -> Step<Value> {
        let [module, name] = self.pop_many()?.map(|id| match &self.values[id.0 as usize] {
            Value::Text(text) => Ok(text),
            _ => Err("a name was expected"),
        });
        let (module, name) = (module?, name?);
        let length = module.len() + 1 + name.len();
        // Both may be shared strings. Without a limit, repeated concatenation would exhaust memory.
        if length > LONGEST_NAME {
            return Err(format!("the name of a global is {length} bytes long"));
        }
        Ok(Value::Global(format!("{module}.{name}").into()))
    }

    /// Adds values from the stack to the container below them.
    fn fill(&mut self, opcode: u8) -> Step {
        let added = match opcode {
            op::APPEND | op::BUILD => vec![self.pop()?],
            op::SETITEM => self.pop_many::<2>()?.into(),
            _ => self.above_mark()?,
        };
        let top = self.top()?;
        let is_entries = matches!(opcode, op::SETITEM | op::SETITEMS);
        match (&mut self.values[top.0 as usize], is_entries) {
            (Value::Object(object), _) if opcode == op::BUILD => object.state = added.first().copied(),
            (Value::Dict(entries), true) => entries.extend(pairs(&added)?),
            (Value::Object(object), true) => object.entries.extend(pairs(&added)?),
            (Value::List(items), false) if opcode != op::BUILD => items.extend(added),
            (Value::Object(object), false) => object.items.extend(added),
            _ => return Err("the value is not a container".to_string()),
        }
        Ok(())
    }

    fn memoize(&mut self, opcode: u8) -> Step {
        let place = match opcode {
            op::MEMOIZE => self.memo.len() as u32,
            op::PUT => parsed(&self.line()?)?,
            op::BINPUT => u32::from(self.byte()?),
            _ => u32::from_le_bytes(self.array()?),
        };
        // libtorch uses a vector for the memo.
        if place as usize > MOST_INSTRUCTIONS {
            return Err(format!("the memo index {place} is too large"));
        }
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Step {
        let place = match opcode {
            op::GET => parsed(&self.line()?)?,
            op::BINGET => u32::from(self.byte()?),
            _ => u32::from_le_bytes(self.array()?),
        };
        let id = self.memo.get(&place).ok_or_else(|| format!("nothing is stored at memo index {place}"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn push(&mut self, value: Value) -> Step {
        // There are no more values than instructions, so the number fits.
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
        Ok(())
    }

    fn top(&self) -> Step<Id> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack[bottom..].last().copied().ok_or_else(|| "the stack is empty".to_string())
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many<const N: usize>(&mut self) -> Step<[Id; N]> {
        let mut popped = [Id(0); N];
        for place in popped.iter_mut().rev() {
            *place = self.pop()?;
        }
        Ok(popped)
    }

    /// Pops the top value or mark.
    fn discard(&mut self) -> Step {
        match self.marks.last() {
            Some(height) if *height == self.stack.len() => {
                self.marks.pop();
                Ok(())
            }
            _ => self.pop().map(drop),
        }
    }

    fn above_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("there is no mark on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        let left = &self.bytes[self.at..];
        let taken = left.get(..length).ok_or_else(|| {
            format!("{length} more bytes are expected, but the pickle ends after {}", left.len())
        })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes were taken"))
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of `width` bytes.
    fn length(&mut self, width: usize) -> Step<usize> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        Ok(usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX))
    }

    fn text(&mut self, width: usize) -> Step<Value> {
        let length = self.length(width)?;
        Ok(Value::Text(String::from_utf8_lossy(self.take(length)?).into()))
    }

    fn raw(&mut self, width: usize) -> Step<Value> {
        let length = self.length(width)?;
        Ok(Value::Bytes(self.take(length)?.into()))
    }

    /// The text to the end of the line.
    fn line(&mut self) -> Step<String> {
        let end = memchr::memchr(b'\n', &self.bytes[self.at..]).ok_or("its line does not end")?;
        let line = self.take(end)?;
        self.at += 1;
        Ok(String::from_utf8_lossy(line).trim_end_matches('\r').to_string())
    }
}

fn object(callable: Id, arguments: Id) -> Value {
    Value::Object(Box::new(Object {
        callable,
        arguments,
        state: None,
        items: Vec::new(),
        entries: Vec::new(),
    }))
}

fn pairs(ids: &[Id]) -> Step<Vec<(Id, Id)>> {
    let (pairs, rest) = ids.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a key has no value".to_string());
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// An integer in little-endian two's complement.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes.into());
    }
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut number = [if is_negative { 0xff } else { 0 }; 8];
    number[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(number))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Step<T> {
    text.trim().parse().map_err(|_| format!("{} is not a number", crate::error::quoted(text)))
}
