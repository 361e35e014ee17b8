//! The tensors of a package: those that it stores, and the descriptions of all.

use tch::{Kind, Tensor};

use super::schema::{
    Device, InputSpec, STRIDED, SymExpr, SymExprHint, SymInt, TensorArgument, TensorMeta, dtype,
};
use crate::error::{Error, Result};
use crate::export::recording::{Dim, EXAMPLE_BATCH};

/// The symbol of the batch size.
pub const SYMBOL: &str = "s0";

/// The role of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Parameter,
    Buffer,
    Constant,
}

/// A tensor that the package stores.
pub struct Stored {
    /// The name in the state of the module, such as `fc1.weight`.
    pub name: String,
    pub tensor: Tensor,
    pub role: Role,
    pub meta: TensorMeta,
    /// The name of the graph's input.
    pub input: String,
}

impl Stored {
    /// The entry of the input in the signature of the graph.
    pub fn spec(&self) -> InputSpec {
        let (arg, name) = (TensorArgument { name: self.input.clone() }, self.name.clone());
        match self.role {
            Role::Parameter => InputSpec::Parameter { arg, parameter_name: name },
            Role::Buffer => InputSpec::Buffer { arg, buffer_name: name, persistent: true },
            Role::Constant => InputSpec::TensorConstant { arg, tensor_constant_name: name },
        }
    }
}

/// The description of a tensor in a package.
///
/// # Errors
/// A dtype that packages cannot store.
pub fn meta(kind: Kind, sizes: &[Dim], strides: &[Dim], requires_grad: bool) -> Result<TensorMeta> {
    let dtype = dtype(kind).ok_or_else(|| {
        Error::Usage(format!(
            "pt2: the model has a tensor of the dtype {kind:?}, which packages of cresset cannot store"
        ))
    })?;
    let numbers = |of: &[Dim]| of.iter().copied().map(sym_int).collect();
    Ok(TensorMeta {
        dtype,
        sizes: numbers(sizes),
        requires_grad,
        device: Device::CPU,
        strides: numbers(strides),
        storage_offset: SymInt::AsInt(0),
        layout: STRIDED,
    })
}

/// A size as an expression in the notation of SymPy's `srepr`.
pub fn sym_int(dim: Dim) -> SymInt {
    let factor = match dim {
        Dim::Fixed(size) => return SymInt::AsInt(size),
        Dim::Batch(factor) => factor,
    };
    let symbol = format!("Symbol('{SYMBOL}', positive=True, integer=True)");
    let expr_str = if factor == 1 { symbol } else { format!("Mul(Integer({factor}), {symbol})") };
    SymInt::AsExpr(SymExpr { expr_str, hint: Some(SymExprHint::AsInt(factor * EXAMPLE_BATCH)) })
}

/// The strides of a contiguous tensor.
///
/// # Errors
/// Two sizes that depend on the batch size.
pub fn contiguous(shape: &[Dim]) -> Result<Vec<Dim>> {
    let mut strides = vec![Dim::Fixed(1); shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = match (strides[axis], shape[axis]) {
            (Dim::Fixed(stride), Dim::Fixed(size)) => Dim::Fixed(stride * size.max(1)),
            (Dim::Fixed(a), Dim::Batch(b)) | (Dim::Batch(a), Dim::Fixed(b)) => Dim::Batch(a * b.max(1)),
            (Dim::Batch(_), Dim::Batch(_)) => {
                let problem = "pt2: the model has a tensor with two dimensions that depend on the batch size";
                return Err(Error::Usage(problem.to_string()));
            }
        };
    }
    Ok(strides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_contiguous_and_multiples_of_the_batch_size() {
        let strides = contiguous(&[Dim::Fixed(3), Dim::Batch(2), Dim::Fixed(4)]).unwrap();
        assert_eq!(strides, [Dim::Batch(8), Dim::Fixed(4), Dim::Fixed(1)]);
        assert!(contiguous(&[Dim::Fixed(1), Dim::Batch(1), Dim::Batch(1)]).is_err());
    }

    #[test]
    fn a_size_is_an_expression_of_the_batch_size() {
        let SymInt::AsExpr(size) = sym_int(Dim::Batch(3)) else { panic!("it is symbolic") };
        assert_eq!(size.expr_str, "Mul(Integer(3), Symbol('s0', positive=True, integer=True))");
        assert_eq!(size.hint, Some(SymExprHint::AsInt(3 * EXAMPLE_BATCH)));
        assert_eq!(sym_int(Dim::Fixed(5)), SymInt::AsInt(5));
    }

    #[test]
    fn a_dtype_that_cannot_be_stored_is_named() {
        let problem = meta(Kind::ComplexFloat, &[], &[], false).unwrap_err().to_string();
        assert!(problem.contains("ComplexFloat"), "{problem}");
    }
}
