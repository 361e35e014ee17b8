//! The facts about a graph that decide whether and how it runs, from `models/NAME.json` (`torch/_export/serde/schema.py`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tch::Kind;

use super::output_spec;
use crate::error::quoted;

/// The dtypes: name, number in libtorch (`c10::ScalarType`) and number in the schema.
pub(crate) const KINDS: [(Kind, &str, i64, i64); 10] = [
    (Kind::Uint8, "uint8", 0, 1),
    (Kind::Int8, "int8", 1, 2),
    (Kind::Int16, "int16", 2, 3),
    (Kind::Int, "int32", 3, 4),
    (Kind::Int64, "int64", 4, 5),
    (Kind::Half, "float16", 5, 6),
    (Kind::Float, "float32", 6, 7),
    (Kind::Double, "float64", 7, 8),
    (Kind::Bool, "bool", 11, 12),
    (Kind::BFloat16, "bfloat16", 15, 13),
];

/// A dtype by its number in the schema.
pub fn kind_of(number: i64) -> Option<Kind> {
    KINDS.iter().find(|(.., known)| *known == number).map(|(kind, ..)| *kind)
}

/// A size: fixed, or a symbol or an expression with the value that it had when the model was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    Fixed(i64),
    Free { expression: String, hint: Option<i64> },
}

impl Size {
    /// The size, if it is fixed.
    pub fn fixed(&self) -> Option<i64> {
        match self {
            Size::Fixed(size) => Some(*size),
            Size::Free { .. } => None,
        }
    }

    /// The size when the model was exported.
    fn at_export(&self) -> Option<i64> {
        match self {
            Size::Fixed(size) => Some(*size),
            Size::Free { hint, .. } => *hint,
        }
    }

    fn read(value: &Value) -> Option<Self> {
        if let Some(size) = value["as_int"].as_i64() {
            return Some(Size::Fixed(size));
        }
        let expression = value["as_expr"]["expr_str"].as_str()?.to_string();
        Some(Size::Free { expression, hint: value["as_expr"]["hint"]["as_int"].as_i64() })
    }
}

/// The description of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The number of the dtype in the schema.
    pub dtype: i64,
    pub sizes: Vec<Size>,
    pub strides: Vec<Size>,
    /// `None` if it is symbolic.
    pub offset: Option<i64>,
    /// The type of the device, such as `cpu`.
    pub device: String,
}

impl Meta {
    pub fn read(value: &Value) -> Option<Self> {
        let sizes = |name: &str| value[name].as_array()?.iter().map(Size::read).collect::<Option<Vec<_>>>();
        Some(Meta {
            dtype: value["dtype"].as_i64()?,
            sizes: sizes("sizes")?,
            strides: sizes("strides")?,
            offset: Size::read(&value["storage_offset"])?.fixed(),
            device: value["device"]["type"].as_str()?.to_string(),
        })
    }

    /// Whether the values had no gaps and were in row-major order when the model was exported; unknown without hints.
    fn is_contiguous(&self) -> Option<bool> {
        let mut expected = 1i64;
        for (size, stride) in self.sizes.iter().zip(&self.strides).rev() {
            let (size, stride) = (size.at_export()?, stride.at_export()?);
            if size != 1 && stride != expected {
                return Some(false);
            }
            expected = expected.checked_mul(size.max(1))?;
        }
        Some(true)
    }
}

/// The only input of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    pub meta: Meta,
    /// The limits of the batch size, if it is free.
    pub least: i64,
    pub most: Option<i64>,
}

/// A graph.
#[derive(Debug)]
pub struct Program {
    /// The version of PyTorch that wrote it.
    pub torch: String,
    /// Major and minor version of the schema.
    pub schema: (i64, i64),
    /// The operators in the order of their calls, such as `torch.ops.aten.linear.default`, also of graphs inside of calls.
    pub targets: Vec<String>,
    /// The names of the stored tensors and of the descriptions of each in the graph.
    pub stored: BTreeMap<String, Option<Meta>>,
    /// The names of the parameters.
    pub parameters: BTreeSet<String>,
    /// The input, or why there is not one.
    pub input: Result<Input, String>,
    /// Whether the first output is a tensor.
    pub returns_tensor: bool,
    /// Whether the outputs are in an object of a class that libtorch's interpreter does not know.
    pub has_foreign_output: bool,
    /// A call that libtorch's interpreter would compute incorrectly.
    product: Option<String>,
}

impl Program {
    /// Reads the members of the graph that are needed.
    ///
    /// # Errors
    /// A member that is missing or has another type.
    pub fn read(program: &Value) -> Result<Self, String> {
        let missing = |name: &str| format!("it has no valid {name}");
        let version = &program["schema_version"];
        let schema = version["major"].as_i64().zip(version["minor"].as_i64());
        let schema = schema.ok_or_else(|| missing("schema_version"))?;
        let module = &program["graph_module"];
        let graph = &module["graph"];
        let nodes = graph["nodes"].as_array().ok_or_else(|| missing("nodes"))?;
        let specs = module["signature"]["input_specs"].as_array().ok_or_else(|| missing("input_specs"))?;
        let outputs =
            module["signature"]["output_specs"].as_array().ok_or_else(|| missing("output_specs"))?;
        check_inputs(graph, specs)?;
        let first = outputs.iter().find_map(|output| output.get("user_output"));
        let mut targets = Vec::new();
        collect_targets(graph, &mut targets);
        let (mut stored, mut parameters) = (BTreeMap::new(), BTreeSet::new());
        for spec in specs {
            if let Some((name, input)) = stored_name(spec) {
                if spec.get("parameter").is_some() {
                    parameters.insert(name.clone());
                }
                stored.insert(name, Meta::read(&graph["tensor_values"][&input]));
            }
        }
        Ok(Program {
            torch: program["torch_version"].as_str().unwrap_or("?").to_string(),
            schema,
            targets,
            stored,
            parameters,
            input: input(graph, specs, &program["range_constraints"]),
            returns_tensor: first.is_some_and(|output| output["arg"].get("as_tensor").is_some()),
            has_foreign_output: output_spec::is_foreign(module),
            product: nodes.iter().find_map(|node| product_of_gaps(node, graph)),
        })
    }

    /// Refuses the product of a tensor with gaps in memory, such as a slice, and a number: `torch::nativert` of libtorch 2.11 writes
    /// outside of its result.
    ///
    /// # Errors
    /// The name of the product.
    pub fn check_products(&self) -> Result<(), String> {
        match &self.product {
            None => Ok(()),
            Some(name) => Err(format!(
                "it multiplies a slice by a number in {}, which libtorch {} computes incorrectly; export the model with \
                 `.contiguous()` before the product",
                quoted(name),
                cresset_bridge::LIBTORCH_VERSION
            )),
        }
    }
}

/// Checks that the signature describes the inputs of the graph in order: the interpreter takes that for granted.
fn check_inputs(graph: &Value, specs: &[Value]) -> Result<(), String> {
    let inputs = graph["inputs"].as_array().ok_or("it has no valid inputs")?;
    let of_spec = |spec: &Value| {
        let argument = &spec.as_object()?.values().next()?["arg"];
        argument["name"].as_str().or_else(|| argument["as_tensor"]["name"].as_str()).map(str::to_string)
    };
    let is_same = |(input, spec): (&Value, &Value)| match input["as_tensor"]["name"].as_str() {
        Some(name) => of_spec(spec).as_deref() == Some(name),
        // A number, or nothing; such packages do not run.
        None => spec.get("user_input").is_some() || spec.get("custom_obj").is_some(),
    };
    let mut names: Vec<_> = inputs.iter().filter_map(|input| input["as_tensor"]["name"].as_str()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    if inputs.len() != specs.len() || names.len() != count || !inputs.iter().zip(specs).all(is_same) {
        return Err("its signature does not describe its inputs".to_string());
    }
    Ok(())
}

/// Adds the targets of a graph, and of the graphs that are arguments of its calls.
fn collect_targets(graph: &Value, targets: &mut Vec<String>) {
    for node in graph["nodes"].as_array().into_iter().flatten() {
        targets.push(node["target"].as_str().unwrap_or_default().to_string());
        for input in node["inputs"].as_array().into_iter().flatten() {
            if let Some(inner) = input["arg"].get("as_graph") {
                collect_targets(&inner["graph"], targets);
            }
        }
    }
}

/// The name of a stored tensor and of the input of the graph that holds it; `None` for other inputs.
fn stored_name(spec: &Value) -> Option<(String, String)> {
    let names = [
        ("parameter", "parameter_name"),
        ("buffer", "buffer_name"),
        ("tensor_constant", "tensor_constant_name"),
    ];
    names.iter().find_map(|(role, name)| {
        let spec = spec.get(role)?;
        Some((spec[name].as_str()?.to_string(), spec["arg"]["name"].as_str()?.to_string()))
    })
}

/// The only input, a tensor whose first dimension is the batch.
fn input(graph: &Value, specs: &[Value], ranges: &Value) -> Result<Input, String> {
    if specs.iter().any(|spec| spec.get("custom_obj").is_some() || spec.get("token").is_some()) {
        return Err(
            "it needs a Python object or a C++ class, which packages of classifiers do not".to_string()
        );
    }
    let users: Vec<_> = specs.iter().filter_map(|spec| spec.get("user_input")).map(|of| &of["arg"]).collect();
    let name = |arg: &&Value| arg["as_tensor"]["name"].as_str().map(str::to_string);
    let names: Option<Vec<String>> = users.iter().map(name).collect();
    let Some(names) = names else {
        return Err("it has an input that is not a tensor, and only one tensor can be given".to_string());
    };
    let [name] = &names[..] else {
        let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        return Err(format!(
            "it has {} inputs ({}), and only one tensor can be given",
            names.len(),
            names.join(", ")
        ));
    };
    let meta = Meta::read(&graph["tensor_values"][name])
        .ok_or_else(|| format!("its input {} has no valid description", quoted(name)))?;
    let Some(batch) = meta.sizes.first() else {
        return Err(format!("its input {} has no dimension for the batch", quoted(name)));
    };
    let (least, most) = match batch {
        Size::Fixed(size) => (*size, Some(*size)),
        Size::Free { expression, .. } => {
            let range = symbol(expression).map(|symbol| &ranges[symbol]);
            let limit = |name: &str| range.and_then(|range| range[name].as_i64());
            (limit("min_val").unwrap_or(1).max(1), limit("max_val"))
        }
    };
    if most.is_some_and(|most| most < least) {
        return Err(format!("its input {} accepts no batch size", quoted(name)));
    }
    Ok(Input { name: name.clone(), meta, least, most })
}

/// The name of the symbol in an expression such as `Symbol('s0', positive=True, integer=True)`.
fn symbol(expression: &str) -> Option<&str> {
    expression.strip_prefix("Symbol('")?.split('\'').next()
}

/// The name of a call that multiplies a tensor that is not contiguous by a number.
fn product_of_gaps(node: &Value, graph: &Value) -> Option<String> {
    let target = node["target"].as_str()?;
    if !target.starts_with("torch.ops.aten.mul.") {
        return None;
    }
    let argument = |index: usize| &node["inputs"][index]["arg"];
    let tensor = argument(0)["as_tensor"]["name"].as_str()?;
    // The factor is a tensor.
    if argument(1).get("as_tensor").is_some() {
        return None;
    }
    let is_contiguous = Meta::read(&graph["tensor_values"][tensor]).and_then(|meta| meta.is_contiguous());
    (is_contiguous != Some(true)).then(|| node["name"].as_str().unwrap_or(target).to_string())
}

#[cfg(test)]
mod tests;
