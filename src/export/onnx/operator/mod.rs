//! What each operation of PyTorch is in ONNX, one file a group of operations.

mod activation;
mod arithmetic;
mod attention;
mod convolution;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod reduction;
mod shape;

use super::call::Call;
use crate::error::Result;

/// How an operation is said in ONNX. A function gives the names of what its nodes make.
pub enum Translation {
    /// By one node without attributes, whose only input is the operation's first argument, `self`.
    Same(&'static str),
    /// By nodes that make one tensor.
    One(fn(&mut Call) -> Result<String>),
    /// By nodes that make several tensors.
    Many(fn(&mut Call) -> Result<Vec<String>>),
}

/// An operation by PyTorch's name, and its translation.
pub type Operator = (&'static str, Translation);

/// All operations that are known.
const GROUPS: &[&[Operator]] = &[
    activation::OPERATORS,
    arithmetic::OPERATORS,
    attention::OPERATORS,
    convolution::OPERATORS,
    linear::OPERATORS,
    norm::OPERATORS,
    pool::OPERATORS,
    recurrent::OPERATORS,
    reduction::OPERATORS,
    shape::OPERATORS,
];

/// The translation of an operation, if it is known.
pub fn translation(kind: &str) -> Option<&'static Translation> {
    let known = GROUPS.iter().copied().flatten().find(|(known, _)| *known == kind);
    known.map(|(_, translation)| translation)
}

impl Translation {
    /// Adds the nodes of an operation, and gives the names of what they make.
    pub fn apply(&self, call: &mut Call) -> Result<Vec<String>> {
        match self {
            Translation::Same(operator) => {
                let x = call.tensor("self")?;
                Ok(vec![call.node(operator, &[&x], &[])])
            }
            Translation::One(translate) => Ok(vec![translate(call)?]),
            Translation::Many(translate) => translate(call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_is_there_twice() {
        let mut names: Vec<_> = GROUPS.iter().copied().flatten().map(|(name, _)| *name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
