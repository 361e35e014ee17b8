//! Packages whose model returns an object of a Python class, such as the outputs of the library transformers.
//!
//! libtorch's interpreter runs a graph with flat outputs, but refuses to load a package that names a class that it does not know. A
//! copy of the package that returns the same tensors as a tuple runs.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempPath;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::error::{Error, Result};
use crate::model::archive;

/// The containers that the interpreter knows.
const KNOWN: [&str; 5] = [
    "builtins.tuple",
    "builtins.list",
    "builtins.dict",
    "torch.fx.immutable_collections.immutable_list",
    "torch.fx.immutable_collections.immutable_dict",
];

/// Whether a graph returns an object of another class.
pub fn is_foreign(module: &Value) -> bool {
    signatures(module).any(|signature| replacement(signature).is_some())
}

/// A copy of the package in `path` that returns a tuple; `name` is that of the model in the archive.
///
/// # Errors
/// If the copy cannot be written.
pub fn flattened(path: &Path, name: &str) -> Result<TempPath> {
    let fault = |problem: String| Error::artifact(path, problem);
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut archive = archive::open(file).map_err(|e| fault(format!("the package is damaged: {e}")))?;
    let mut copy = tempfile::Builder::new().suffix(".pt2").tempfile().map_err(Error::io("create", path))?;
    let mut write = || -> std::io::Result<()> {
        let mut writer = ZipWriter::new(copy.as_file_mut());
        for index in 0..archive.len() {
            let member = archive.by_index(index)?;
            let member_name = member.name()?.into_owned();
            if !member_name.ends_with(&format!("/models/{name}.json")) {
                writer.raw_copy_file(member)?;
                continue;
            }
            let mut program: Value = serde_json::from_reader(member)?;
            flatten(&mut program["graph_module"]);
            // The interpreter reads members as they are stored.
            let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
            writer.start_file(member_name, stored)?;
            writer.write_all(&serde_json::to_vec(&program)?)?;
        }
        writer.finish()?;
        Ok(())
    };
    write().map_err(|e| Error::Usage(format!("cannot write a copy of {}: {e}", path.display())))?;
    Ok(copy.into_temp_path())
}

fn signatures(module: &Value) -> impl Iterator<Item = &Value> {
    let calls = module["module_call_graph"].as_array().into_iter().flatten();
    calls.map(|call| &call["signature"]).filter(|signature| signature.is_object())
}

/// Replaces the objects that are returned by tuples.
fn flatten(module: &mut Value) {
    let calls = module["module_call_graph"].as_array_mut().into_iter().flatten();
    for signature in calls.map(|call| &mut call["signature"]).filter(|signature| signature.is_object()) {
        if let Some(spec) = replacement(signature) {
            signature["out_spec"] = Value::String(spec);
        }
    }
}

/// The description of a tuple of the same outputs, if they are in an object of an unknown class.
fn replacement(signature: &Value) -> Option<String> {
    let spec: Value = serde_json::from_str(signature["out_spec"].as_str()?).ok()?;
    let [version, tree] = spec.as_array()?.as_slice() else { return None };
    let (mut outputs, mut is_known) = (0, true);
    walk(tree, &mut |kind| match kind {
        None => outputs += 1,
        Some(kind) => is_known &= KNOWN.contains(&kind),
    });
    let output = json!({ "type": null, "context": null, "children_spec": [] });
    let tuple =
        json!({ "type": "builtins.tuple", "context": "null", "children_spec": vec![output; outputs] });
    (!is_known).then(|| json!([version, tuple]).to_string())
}

/// Visits the class of each node of a tree; none of an output.
fn walk<'a>(tree: &'a Value, visit: &mut impl FnMut(Option<&'a str>)) {
    visit(tree["type"].as_str());
    tree["children_spec"].as_array().into_iter().flatten().for_each(|child| walk(child, visit));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(tree: &str) -> Value {
        json!({ "module_call_graph": [{ "fqn": "", "signature": { "out_spec": format!("[1, {tree}]") } }] })
    }

    const LEAF: &str = r#"{"type": null, "context": null, "children_spec": []}"#;

    #[test]
    fn an_object_of_an_unknown_class_becomes_a_tuple_of_its_tensors() {
        let inner =
            format!(r#"{{"type": "builtins.tuple", "context": "null", "children_spec": [{LEAF}, {LEAF}]}}"#);
        let tree =
            format!(r#"{{"type": "some.Output", "context": "[]", "children_spec": [{LEAF}, {inner}]}}"#);
        let mut module = module(&tree);
        assert!(is_foreign(&module));
        flatten(&mut module);
        assert!(!is_foreign(&module));
        let spec = module["module_call_graph"][0]["signature"]["out_spec"].as_str().unwrap();
        let spec: Value = serde_json::from_str(spec).unwrap();
        assert_eq!((&spec[0], &spec[1]["type"]), (&json!(1), &json!("builtins.tuple")));
        assert_eq!(spec[1]["children_spec"], json!(vec![serde_json::from_str::<Value>(LEAF).unwrap(); 3]));
    }

    #[test]
    fn tensors_and_known_containers_stay() {
        for tree in [
            LEAF.to_string(),
            format!(r#"{{"type": "builtins.list", "context": "null", "children_spec": [{LEAF}]}}"#),
        ] {
            assert!(!is_foreign(&module(&tree)), "{tree}");
        }
        assert!(!is_foreign(
            &json!({ "module_call_graph": [{ "signature": null }, { "signature": { "out_spec": "?" } }] })
        ));
    }
}
