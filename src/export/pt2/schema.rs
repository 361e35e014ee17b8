//! The parts of the schema of torch.export packages that exported models use (`torch/_export/serde/schema.py`), as serde types.
//! Every field that PyTorch 2.11 writes is written, because readers require most of them.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use tch::Kind;

use crate::model::package::KINDS;

/// The version of the schema. Readers refuse another major version.
pub const SCHEMA_VERSION: (i64, i64) = (8, 17);

/// The version of PyTorch's operators, `torch._C._get_max_operator_version()`.
pub const OPSET_VERSION: i64 = 10;

/// `models/model.json`.
#[derive(Debug, Serialize)]
pub struct ExportedProgram {
    pub graph_module: GraphModule,
    pub opset_version: BTreeMap<&'static str, i64>,
    pub range_constraints: BTreeMap<&'static str, RangeConstraint>,
    pub schema_version: SchemaVersion,
    /// The dialect: `TRAINING` allows operators that decompose into others, such as `aten.linear`.
    pub verifiers: Vec<&'static str>,
    pub torch_version: &'static str,
    pub guards_code: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct SchemaVersion {
    pub major: i64,
    pub minor: i64,
}

/// The range of a symbolic size; `None` is unlimited.
#[derive(Debug, Serialize)]
pub struct RangeConstraint {
    pub min_val: Option<i64>,
    pub max_val: Option<i64>,
}

#[derive(Debug, Serialize)]
pub struct GraphModule {
    pub graph: Graph,
    pub signature: GraphSignature,
    pub module_call_graph: Vec<ModuleCallEntry>,
    pub metadata: BTreeMap<String, String>,
    pub treespec_namedtuple_fields: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub struct Graph {
    pub inputs: Vec<Argument>,
    pub outputs: Vec<Argument>,
    pub nodes: Vec<Node>,
    pub tensor_values: BTreeMap<String, TensorMeta>,
    pub sym_int_values: BTreeMap<String, SymInt>,
    pub sym_bool_values: BTreeMap<String, SymInt>,
    pub is_single_tensor_return: bool,
    pub custom_obj_values: BTreeMap<String, String>,
    pub sym_float_values: BTreeMap<String, SymInt>,
}

#[derive(Debug, Serialize)]
pub struct Node {
    /// The operator, such as `torch.ops.aten.linear.default`.
    pub target: String,
    pub inputs: Vec<NamedArgument>,
    pub outputs: Vec<Argument>,
    pub metadata: BTreeMap<String, String>,
    pub is_hop_single_tensor_return: Option<bool>,
    pub name: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct NamedArgument {
    pub name: String,
    pub arg: Argument,
    /// [`POSITIONAL`] or [`KEYWORD`].
    pub kind: i64,
}

pub const POSITIONAL: i64 = 1;
pub const KEYWORD: i64 = 2;

/// A value of an argument; the name of the variant is its type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names of the schema")]
pub enum Argument {
    AsNone(bool),
    AsTensor(TensorArgument),
    AsTensors(Vec<TensorArgument>),
    AsInt(i64),
    AsInts(Vec<i64>),
    AsFloat(Float),
    AsFloats(Vec<Float>),
    AsString(String),
    AsSymInt(SymIntArgument),
    AsSymInts(Vec<SymIntArgument>),
    AsScalarType(i64),
    AsMemoryFormat(i64),
    AsLayout(i64),
    AsDevice(Device),
    AsBool(bool),
    AsOptionalTensors(Vec<OptionalTensor>),
}

/// A tensor by its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorArgument {
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names of the schema")]
pub enum OptionalTensor {
    AsTensor(TensorArgument),
    AsNone(bool),
}

/// An integer, or a symbolic one by its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names of the schema")]
pub enum SymIntArgument {
    AsName(String),
    AsInt(i64),
}

/// A size: an integer, or an expression of symbols.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "the names of the schema")]
pub enum SymInt {
    AsExpr(SymExpr),
    AsInt(i64),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SymExpr {
    pub expr_str: String,
    /// Its value for the example input.
    pub hint: Option<SymExprHint>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SymExprHint {
    AsInt(i64),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub index: Option<i64>,
}

impl Device {
    /// The CPU, where all tensors of a package are.
    pub const CPU: Device = Device { kind: "cpu", index: None };
}

/// Dtype, sizes and strides of a tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorMeta {
    pub dtype: i64,
    pub sizes: Vec<SymInt>,
    pub requires_grad: bool,
    pub device: Device,
    pub strides: Vec<SymInt>,
    pub storage_offset: SymInt,
    pub layout: i64,
}

/// The number of strided tensors in `Layout`.
pub const STRIDED: i64 = 7;

#[derive(Debug, Serialize)]
pub struct GraphSignature {
    pub input_specs: Vec<InputSpec>,
    pub output_specs: Vec<OutputSpec>,
}

/// What an input of the graph is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputSpec {
    UserInput { arg: Argument },
    Parameter { arg: TensorArgument, parameter_name: String },
    Buffer { arg: TensorArgument, buffer_name: String, persistent: bool },
    TensorConstant { arg: TensorArgument, tensor_constant_name: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputSpec {
    UserOutput { arg: Argument },
}

#[derive(Debug, Serialize)]
pub struct ModuleCallEntry {
    pub fqn: String,
    pub signature: Option<ModuleCallSignature>,
}

/// How the model is called.
#[derive(Debug, Serialize)]
pub struct ModuleCallSignature {
    pub inputs: Vec<Argument>,
    pub outputs: Vec<Argument>,
    pub in_spec: &'static str,
    pub out_spec: &'static str,
    pub forward_arg_names: Vec<String>,
}

/// `data/weights/model_weights_config.json` and `data/constants/model_constants_config.json`: the files of tensors by name.
#[derive(Debug, Default, Serialize)]
pub struct PayloadConfig {
    pub config: BTreeMap<String, PayloadMeta>,
}

#[derive(Debug, Serialize)]
pub struct PayloadMeta {
    pub path_name: String,
    pub is_param: bool,
    pub use_pickle: bool,
    pub tensor_meta: TensorMeta,
}

/// A number. JSON has no infinity and no NaN, which are written as strings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Float(pub f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            number if number.is_nan() => serializer.serialize_str("NaN"),
            number => serializer.serialize_f64(number),
        }
    }
}

/// The number of a dtype, if it is supported.
pub fn dtype(kind: Kind) -> Option<i64> {
    KINDS.iter().find(|(known, ..)| *known == kind).map(|(.., number)| *number)
}

/// The number of a dtype, given as a number of libtorch.
pub fn dtype_of_number(number: i64) -> Option<i64> {
    KINDS.iter().find(|(_, _, known, _)| *known == number).map(|(.., number)| *number)
}

/// The number of a memory format, given as a number of libtorch (`c10::MemoryFormat`).
pub fn memory_format(number: i64) -> Option<i64> {
    // Contiguous, preserve, channels last, channels last in three dimensions.
    [1, 4, 2, 3].get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).unwrap()
    }

    #[test]
    fn values_are_written_under_the_name_of_their_type() {
        let x = TensorArgument { name: "x".to_string() };
        assert_eq!(json(Argument::AsTensor(x.clone())), r#"{"as_tensor":{"name":"x"}}"#);
        assert_eq!(json(Argument::AsNone(true)), r#"{"as_none":true}"#);
        assert_eq!(
            json(Argument::AsSymInts(vec![SymIntArgument::AsInt(-1)])),
            r#"{"as_sym_ints":[{"as_int":-1}]}"#
        );
        assert_eq!(
            json(InputSpec::UserInput { arg: Argument::AsTensor(x) }),
            r#"{"user_input":{"arg":{"as_tensor":{"name":"x"}}}}"#
        );
        let hint = Some(SymExprHint::AsInt(2));
        let size = SymInt::AsExpr(SymExpr { expr_str: "s0".to_string(), hint });
        assert_eq!(json(size), r#"{"as_expr":{"expr_str":"s0","hint":{"as_int":2}}}"#);
    }

    #[test]
    fn floats_stay_floats_and_infinity_is_a_string() {
        assert_eq!(json([Float(1.), Float(0.1), Float(f64::NEG_INFINITY)]), r#"[1.0,0.1,"-Infinity"]"#);
        assert_eq!(json([Float(f64::INFINITY), Float(f64::NAN)]), r#"["Infinity","NaN"]"#);
    }
}
