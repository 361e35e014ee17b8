//! ONNX: the model as a graph of standard operators, for onnxruntime and many other runtimes and devices.
//!
//! The module is traced twice, with two batch sizes ([`Recording`]). Each traced operation is translated to ONNX operators
//! ([`operator`]), with a dynamic batch size. Opset 17 is the oldest with layer normalization, so it is the most widely supported
//! choice.

mod call;
mod graph;
mod operator;

use std::path::Path;

use tch::Kind;

use self::call::Call;
use self::graph::{Graph, INPUT, ids_info, value_info};
use super::{ExportFormat, ExportedModel, Variants, Verification};
use crate::data::{TableLayout, atomic};
use crate::error::{Error, Result, catch_panics};
use crate::export::proto::Message;
use crate::export::recording::{Dim, Recording, Step, Value, described};
use crate::model::Outputs;
use crate::model::onnx::OnnxFile;

/// The format.
pub const FORMAT: ExportFormat = ExportFormat {
    name: "onnx",
    summary: "a graph with preprocessing, for onnxruntime: float32 `input` (batch, …), or int64 `ids` of texts, to `logits`, or to `values` of a number",
    extension: "onnx",
    variants: Variants::None,
    write,
};

/// The key of `verification.json`.
const VERIFICATION_KEY: &str = "cresset.verification";

const OPSET: i64 = 17;

/// The IR version that belongs to the opset.
const IR_VERSION: i64 = 8;

/// The maximum size of a Protocol Buffers message.
const MAX_BYTES: usize = i32::MAX as usize;

fn write(exported: &ExportedModel, path: &Path) -> Result<()> {
    let bytes = catch_panics(|| model(exported))?;
    if bytes.len() > MAX_BYTES {
        let problem = "the model exceeds 2 GB, the limit of an ONNX file; export to safetensors or pth";
        return Err(Error::artifact(&exported.path, problem));
    }
    Ok(atomic::write(path, &bytes)?)
}

/// Encodes a `ModelProto`.
fn model(exported: &ExportedModel) -> Result<Vec<u8>> {
    let recording = Recording::of(&exported.module, &exported.input)?;
    let outputs = exported.metadata.as_ref().map(|metadata| metadata.outputs.clone()).unwrap_or_default();
    let names = output_names(&outputs);
    let mut graph = Graph::new(&recording, names);
    let layout = exported.metadata.as_ref().and_then(|metadata| metadata.input.table.as_ref());
    let is_text = layout.is_some_and(TableLayout::is_text);
    if is_text {
        graph.take_ids(&recording, exported.input.features());
    }
    for step in &recording.steps {
        translate(&recording, step, &mut graph)?;
    }
    let result = &recording.values[recording.output];
    let mut values = vec![graph.name_of(&recording, recording.output)?];
    if let Outputs::Multilabel { .. } = outputs {
        graph.enter("");
        values.push(graph.node("Sigmoid", &[&values[0]], &[]));
    }
    let described = |(name, value): (&&'static str, String)| {
        Ok((*name, value, value_info(name, result.kind, &result.shape)?))
    };
    let outputs: Vec<_> = names.iter().zip(values).map(described).collect::<Result<_>>()?;
    let shape: Vec<_> =
        std::iter::once(Dim::Batch(1)).chain(exported.input.0.iter().map(|size| Dim::Fixed(*size))).collect();
    let input = if is_text { ids_info() } else { value_info(INPUT, Kind::Float, &shape)? };
    let graph = graph.finish(&input, &outputs)?;
    let model = Message::new().int(1, IR_VERSION).text(2, "cresset").text(3, env!("CARGO_PKG_VERSION"));
    let model = model.message(7, &graph).message(8, &Message::new().text(1, "").int(2, OPSET));
    let notes = exported.notes();
    let notes = notes.iter().map(|(name, text)| Message::new().text(1, name).text(2, text));
    let bytes = model.messages(14, notes).into_bytes();
    match &exported.record {
        Some(record) => with_record(bytes, record),
        None => Ok(bytes),
    }
}

/// Adds the recorded samples to the properties of a model, with the SHA-256 of its tensors as a reader computes it.
fn with_record(mut bytes: Vec<u8>, record: &Verification) -> Result<Vec<u8>> {
    let file =
        OnnxFile::parse(Path::new("model.onnx"), bytes.clone()).expect("a model that was just written");
    let record = record.of_other_tensors(Verification::state_sha256(file.values()?, Vec::new())?);
    let text = serde_json::to_string(&record).expect("samples serialize to JSON");
    let note = Message::new().text(1, VERIFICATION_KEY).text(2, &text);
    bytes.extend(Message::new().message(14, &note).into_bytes());
    Ok(bytes)
}

/// The names of the graph's outputs: logits (batch, classes); of labels also their probabilities; or numbers (batch, 1) in units of
/// the target.
fn output_names(outputs: &Outputs) -> &'static [&'static str] {
    match outputs {
        Outputs::Classification => &["logits"],
        Outputs::Multilabel { .. } => &["logits", "probabilities"],
        Outputs::Regression { .. } => &["values"],
        Outputs::Ranking => &["scores"],
    }
}

/// Adds the nodes of a step, unless all its outputs are known. An unknown operation is an error only if its output is used.
fn translate(recording: &Recording, step: &Step, graph: &mut Graph) -> Result<()> {
    let is_known = |value: &Value| value.constant.is_some() || value.step.is_some();
    if step.outputs.iter().all(|value| is_known(&recording.values[*value])) {
        return Ok(());
    }
    match operator::translation(&step.kind) {
        Some(translation) => {
            let names = translation.apply(&mut Call::new(recording, step, graph))?;
            step.outputs.iter().zip(names).for_each(|(value, name)| graph.define(*value, name));
        }
        None => step.outputs.iter().for_each(|value| graph.leave_unknown(*value, &described(step))),
    }
    Ok(())
}
