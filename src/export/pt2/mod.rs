//! torch.export packages (`.pt2`), for `torch.export.load` in Python and `torch::nativert` in C++.
//!
//! The module is traced twice, with two batch sizes ([`Recording`]). Each traced operation becomes a call of the same operator of
//! libtorch ([`graph`]), with the batch size as a symbol. An archive holds the graph as JSON ([`schema`]) and the tensors
//! ([`archive`]).

mod archive;
mod argument;
mod attention;
mod graph;
mod schema;
mod tensor;

use std::collections::BTreeMap;
use std::path::Path;

use cresset_bridge::LIBTORCH_VERSION;

use self::archive::Archive;
use self::graph::Builder;
use self::schema::{
    ExportedProgram, GraphModule, ModuleCallEntry, ModuleCallSignature, OPSET_VERSION, RangeConstraint,
    SCHEMA_VERSION, SchemaVersion,
};
use self::tensor::{Role, SYMBOL, Stored};
use super::{ExportFormat, ExportedModel, METADATA, VERIFICATION, Variants, Verification};
use crate::data::atomic;
use crate::error::{Error, Result, catch_panics};
use crate::export::recording::Recording;

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "pt2",
    summary: "a torch.export package with preprocessing, for torch.export.load, torch.compile and libtorch",
    extension: "pt2",
    variants: Variants::None,
    write,
};

/// The call `forward(x)` with one tensor as its only argument, as a serialized tree of Python containers.
const IN_SPEC: &str = r#"[1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple", "context": "null", "children_spec": [{"type": null, "context": null, "children_spec": []}]}, {"type": "builtins.dict", "context": "[]", "children_spec": []}]}]"#;

/// One tensor as the result.
const OUT_SPEC: &str = r#"[1, {"type": null, "context": null, "children_spec": []}]"#;

/// The name of the extra file with the class names, one per line.
const CLASSES: &str = "classes.txt";

fn write(exported: &ExportedModel, path: &Path) -> Result<()> {
    let bytes = catch_panics(|| package(exported)?.finish().map_err(Error::io("write", path)))?;
    Ok(atomic::write(path, &bytes)?)
}

/// The package of a model.
fn package(exported: &ExportedModel) -> Result<Archive> {
    let recording = Recording::of(&exported.module, &exported.input)?;
    let parameters = exported.module.parameters()?;
    let mut builder = Builder::new(&recording, &parameters)?;
    recording.steps.iter().for_each(|step| builder.add(step));
    let (graph, signature, tensors) = builder.finish()?;
    let call = ModuleCallSignature {
        inputs: Vec::new(),
        outputs: Vec::new(),
        in_spec: IN_SPEC,
        out_spec: OUT_SPEC,
        forward_arg_names: vec![graph::INPUT.to_string()],
    };
    let program = ExportedProgram {
        graph_module: GraphModule {
            graph,
            signature,
            module_call_graph: vec![ModuleCallEntry { fqn: String::new(), signature: Some(call) }],
            metadata: BTreeMap::new(),
            treespec_namedtuple_fields: BTreeMap::new(),
        },
        opset_version: BTreeMap::from([("aten", OPSET_VERSION)]),
        // A batch has at least one example.
        range_constraints: BTreeMap::from([(SYMBOL, RangeConstraint { min_val: Some(1), max_val: None })]),
        schema_version: SchemaVersion { major: SCHEMA_VERSION.0, minor: SCHEMA_VERSION.1 },
        verifiers: vec!["TRAINING"],
        torch_version: LIBTORCH_VERSION,
        guards_code: Vec::new(),
    };
    let mut archive = Archive::new(&program, &tensors, &exported.input)?;
    if let Some(metadata) = &exported.metadata {
        let json = serde_json::to_string_pretty(metadata).expect("metadata serializes to JSON");
        archive.add_extra(METADATA, &json);
        let lines: String =
            metadata.classes.iter().map(|name| name.replace(['\r', '\n'], " ") + "\n").collect();
        archive.add_extra(CLASSES, &lines);
    }
    if let Some(record) = &exported.record {
        let record = record.of_other_tensors(state_sha256(&tensors)?);
        archive.add_extra(VERIFICATION, &serde_json::to_string(&record).expect("samples serialize to JSON"));
    }
    Ok(archive)
}

/// SHA-256 of the tensors of a package, as a reader of the package computes it.
fn state_sha256(tensors: &[Stored]) -> Result<String> {
    let (constants, mut state): (Vec<_>, Vec<_>) =
        tensors.iter().partition(|stored| stored.role == Role::Constant);
    state.sort_by(|a, b| a.name.cmp(&b.name));
    let state = state.iter().map(|stored| (stored.name.clone(), stored.tensor.shallow_clone())).collect();
    let constants = constants.iter().map(|stored| stored.tensor.shallow_clone()).collect();
    Verification::state_sha256(state, constants)
}
