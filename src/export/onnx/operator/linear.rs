//! Matrix products.

use super::Operator;
use super::Translation::One;
use crate::error::Result;
use crate::export::onnx::call::Call;
use crate::export::onnx::graph::Attribute::{Float, Int, Text};

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::linear", One(linear)),
    ("aten::addmm", One(addmm)),
    ("aten::matmul", One(|call| product(call, "other"))),
    ("aten::mm", One(|call| product(call, "mat2"))),
    ("aten::bmm", One(|call| product(call, "mat2"))),
    ("aten::einsum", One(einsum)),
];

/// x · weightᵀ + bias. `Gemm` takes matrices only.
fn linear(call: &mut Call) -> Result<String> {
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.tensor_or_none("bias")?);
    if call.output(0).shape.len() == 2 {
        return Ok(call.node("Gemm", &[&x, &weight, &bias], &[("transB", Int(1))]));
    }
    let transposed = call.graph.transpose(&weight, &[1, 0]);
    let product = call.node("MatMul", &[&x, &transposed], &[]);
    if bias.is_empty() { Ok(product) } else { Ok(call.node("Add", &[&product, &bias], &[])) }
}

/// beta · self + alpha · mat1 · mat2.
fn addmm(call: &mut Call) -> Result<String> {
    let factors = [("alpha", Float(call.number("alpha")?)), ("beta", Float(call.number("beta")?))];
    let (a, b, c) = (call.tensor("mat1")?, call.tensor("mat2")?, call.tensor("self")?);
    Ok(call.node("Gemm", &[&a, &b, &c], &factors))
}

fn product(call: &mut Call, other: &str) -> Result<String> {
    let (a, b) = (call.tensor("self")?, call.tensor(other)?);
    Ok(call.node("MatMul", &[&a, &b], &[]))
}

/// The equation has the same syntax; ONNX allows no spaces.
fn einsum(call: &mut Call) -> Result<String> {
    let equation: String = call.text("equation").unwrap_or_default().split_whitespace().collect();
    let factors = call.tensors("tensors")?;
    let factors: Vec<_> = factors.iter().map(String::as_str).collect();
    Ok(call.node("Einsum", &factors, &[("equation", Text(equation))]))
}
