//! Translations of PyTorch operations to ONNX, one file per group of operations.

mod activation;
mod arithmetic;
mod attention;
mod convolution;
mod linear;
mod norm;
mod pool;
mod recurrent;
mod reduction;
mod selection;
mod shape;

use super::call::Call;
use crate::error::Result;

/// How an operation is translated to ONNX. The functions return the names of the outputs.
pub(crate) enum Translation {
    /// One node without attributes, whose only input is the argument `self`.
    Unary(&'static str),
    /// Nodes with one output tensor.
    One(fn(&mut Call) -> Result<String>),
    /// Nodes with several output tensors.
    Many(fn(&mut Call) -> Result<Vec<String>>),
}

/// The PyTorch name of an operation and its translation.
pub(crate) type Operator = (&'static str, Translation);

/// All supported operations.
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
    selection::OPERATORS,
    shape::OPERATORS,
];

/// The translation of an operation, if it is supported.
pub fn translation(kind: &str) -> Option<&'static Translation> {
    let known = GROUPS.iter().copied().flatten().find(|(known, _)| *known == kind);
    known.map(|(_, translation)| translation)
}

impl Translation {
    /// Adds the nodes of an operation, and returns the names of its outputs.
    pub fn apply(&self, call: &mut Call) -> Result<Vec<String>> {
        match self {
            Translation::Unary(operator) => {
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
    fn operations_are_unique() {
        let mut names: Vec<_> = GROUPS.iter().copied().flatten().map(|(name, _)| *name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
