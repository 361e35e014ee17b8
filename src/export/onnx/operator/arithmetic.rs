//! Arithmetic, comparisons and changes of dtype.

use tch::Kind;

use super::Operator;
use super::Translation::{One, Unary};
use crate::error::Result;
use crate::export::onnx::call::Call;

/// The operations of this group.
pub(crate) const OPERATORS: &[Operator] = &[
    ("aten::add", One(add)),
    ("aten::sub", One(sub)),
    ("aten::rsub", One(rsub)),
    ("aten::mul", One(mul)),
    ("aten::div", One(div)),
    ("aten::remainder", One(remainder)),
    ("aten::pow", One(pow)),
    ("aten::maximum", One(|call| binary(call, "Max"))),
    ("aten::minimum", One(|call| binary(call, "Min"))),
    ("aten::gt", One(|call| binary(call, "Greater"))),
    ("aten::ge", One(|call| binary(call, "GreaterOrEqual"))),
    ("aten::lt", One(|call| binary(call, "Less"))),
    ("aten::le", One(|call| binary(call, "LessOrEqual"))),
    ("aten::eq", One(|call| binary(call, "Equal"))),
    ("aten::neg", Unary("Neg")),
    ("aten::abs", Unary("Abs")),
    ("aten::exp", Unary("Exp")),
    ("aten::cos", Unary("Cos")),
    ("aten::sin", Unary("Sin")),
    ("aten::log", Unary("Log")),
    ("aten::sqrt", Unary("Sqrt")),
    ("aten::rsqrt", One(rsqrt)),
    ("aten::reciprocal", Unary("Reciprocal")),
    ("aten::erf", Unary("Erf")),
    ("aten::floor", Unary("Floor")),
    ("aten::ceil", Unary("Ceil")),
    ("aten::isnan", Unary("IsNaN")),
    ("aten::logical_not", Unary("Not")),
    ("aten::where", One(select)),
    ("aten::masked_fill", One(masked_fill)),
    ("aten::full_like", One(full_like)),
    ("aten::to", One(convert)),
    ("aten::type_as", One(convert)),
    ("aten::float", One(convert)),
    ("aten::clone", One(convert)),
    ("aten::detach", One(convert)),
    ("aten::alias", One(convert)),
    ("aten::contiguous", One(convert)),
];

/// A binary operation; the second operand may be a number. Comparisons use the dtype of the first operand.
fn binary(call: &mut Call, operator: &'static str) -> Result<String> {
    let (a, b) = operands(call)?;
    Ok(call.node(operator, &[&a, &b], &[]))
}

fn operands(call: &mut Call) -> Result<(String, String)> {
    let kind = match call.output(0).kind {
        Kind::Bool => call.info("self")?.kind,
        kind => kind,
    };
    Ok((call.operand("self", kind)?, call.operand("other", kind)?))
}

/// The product; of booleans, their conjunction.
fn mul(call: &mut Call) -> Result<String> {
    let operator = if call.output(0).kind == Kind::Bool { "And" } else { "Mul" };
    binary(call, operator)
}

fn add(call: &mut Call) -> Result<String> {
    let (a, b) = operands(call)?;
    let b = scaled(call, b)?;
    Ok(call.node("Add", &[&a, &b], &[]))
}

fn sub(call: &mut Call) -> Result<String> {
    let (a, b) = operands(call)?;
    let b = scaled(call, b)?;
    Ok(call.node("Sub", &[&a, &b], &[]))
}

/// other − alpha · self.
fn rsub(call: &mut Call) -> Result<String> {
    let (a, b) = operands(call)?;
    let a = scaled(call, a)?;
    Ok(call.node("Sub", &[&b, &a], &[]))
}

/// Multiplies a value by `alpha`.
fn scaled(call: &mut Call, value: String) -> Result<String> {
    let alpha = call.number_or("alpha", 1.)?;
    if alpha == 1. {
        return Ok(value);
    }
    let kind = call.output(0).kind;
    let alpha = call.graph.number(alpha, kind);
    Ok(call.node("Mul", &[&value, &alpha], &[]))
}

fn div(call: &mut Call) -> Result<String> {
    match call.text("rounding_mode") {
        None => binary(call, "Div"),
        Some("floor") if call.output(0).kind == Kind::Float => {
            let quotient = binary(call, "Div")?;
            Ok(call.node("Floor", &[&quotient], &[]))
        }
        Some(mode) => Err(call.unsupported(&format!("its rounding mode is `{mode}`"))),
    }
}

/// The remainder with the sign of the divisor, as in Python.
fn remainder(call: &mut Call) -> Result<String> {
    let (a, b) = operands(call)?;
    if !matches!(call.output(0).kind, Kind::Float | Kind::Double | Kind::Half) {
        return Ok(call.node("Mod", &[&a, &b], &[]));
    }
    let quotient = call.node("Div", &[&a, &b], &[]);
    let quotient = call.node("Floor", &[&quotient], &[]);
    let multiple = call.node("Mul", &[&quotient, &b], &[]);
    Ok(call.node("Sub", &[&a, &multiple], &[]))
}

fn pow(call: &mut Call) -> Result<String> {
    let kind = call.output(0).kind;
    let (base, exponent) = (call.operand("self", kind)?, call.operand("exponent", kind)?);
    Ok(call.node("Pow", &[&base, &exponent], &[]))
}

fn rsqrt(call: &mut Call) -> Result<String> {
    let x = call.tensor("self")?;
    let root = call.node("Sqrt", &[&x], &[]);
    Ok(call.node("Reciprocal", &[&root], &[]))
}

fn select(call: &mut Call) -> Result<String> {
    let kind = call.output(0).kind;
    let condition = call.operand("condition", Kind::Bool)?;
    let (x, other) = (call.operand("self", kind)?, call.operand("other", kind)?);
    Ok(call.node("Where", &[&condition, &x, &other], &[]))
}

fn masked_fill(call: &mut Call) -> Result<String> {
    let kind = call.output(0).kind;
    let (x, mask, value) =
        (call.operand("self", kind)?, call.operand("mask", Kind::Bool)?, call.operand("value", kind)?);
    Ok(call.node("Where", &[&mask, &value, &x], &[]))
}

fn full_like(call: &mut Call) -> Result<String> {
    let (value, kind) = (call.number("fill_value")?, call.output(0).kind);
    let value = call.graph.number(value, kind);
    Ok(call.graph.expand(&value, &call.output(0).shape))
}

/// Casts to the dtype of the output. Memory formats do not exist in ONNX.
fn convert(call: &mut Call) -> Result<String> {
    let kind = call.output(0).kind;
    call.operand("self", kind)
}
