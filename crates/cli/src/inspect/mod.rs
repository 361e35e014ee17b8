//! `cresset inspect`

mod loading;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use cresset::data::sha256;
use cresset::data::terminal;
use cresset::error::{Error, catch_panics, excerpt};
use cresset::export::{
    FilePart, METADATA, Metadata, VERIFICATION, Verification, VerificationResult, file_parts,
};
use cresset::model::Outputs;
use cresset::model::executor::{self, Executor};
use cresset::model::loading::CheckedModelFile;
use cresset::model::onnx::OnnxFile;
use cresset::model::package::{CheckedCompiledPackage, CheckedPackage};
use cresset_bridge::model_file::{Operation, Refusal};
use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use super::model_file::model_file;
use super::{Ended, Trust, show, thousands};

/// Show the contents of a TorchScript file, a torch.export package or an ONNX file: metadata, methods, parameters, sizes, and code
/// that loads it; or verify it against its record
#[derive(Debug, Args)]
pub struct Inspect {
    /// TorchScript file, torch.export package, ONNX file, folder of a finished run, or `hf:USER/NAME` on the Hugging Face hub
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// Compute the recorded samples again, and compare the parameters with their recorded SHA-256
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    trust: Trust,
}

impl Inspect {
    pub fn run(mut self) -> anyhow::Result<Ended> {
        self.trust.apply();
        self.model = model_file(&self.model)?;
        if self.verify {
            return self.verify();
        }
        if CheckedPackage::recognizes(&self.model)? {
            return match CheckedCompiledPackage::of_file(&self.model)? {
                Some(compiled) => self.show_compiled(&compiled),
                None => self.show_package(&CheckedPackage::open(&self.model)?),
            };
        }
        if OnnxFile::recognizes(&self.model) {
            return self.show_onnx(&OnnxFile::open(&self.model)?);
        }
        let file = CheckedModelFile::open(&self.model)?;
        let invalid = |problem: String| Error::artifact(&self.model, problem);
        let bytes = std::fs::read(&self.model).map_err(|e| invalid(format!("cannot read the model: {e}")))?;
        let metadata: Option<Metadata> =
            file.extra(METADATA)?.and_then(|text| serde_json::from_str(&text).ok());
        let header = describe(&bytes, metadata.as_ref())?;
        let (mut module, operations) = match file.load(Device::Cpu) {
            Ok(loaded) => loaded,
            Err(Refusal::Operations(found)) => {
                show(&format!("{header}{}", operation_table(&found)))?;
                return Ok(Ended::Well);
            }
            Err(refusal) => return Err(file.error(&refusal).into()),
        };
        module.set_training(false).map_err(Error::from)?;
        let methods = module.methods().map_err(Error::from)?;
        let code = metadata.map_or(String::new(), |metadata| loading::code(&self.model, &metadata, &methods));
        show(&format!("{header}{}\n{}{code}", contents(&bytes, &module)?, operation_table(&operations)))?;
        Ok(Ended::Well)
    }

    /// Computes the recorded samples again, with the model of any format.
    fn verify(&self) -> anyhow::Result<Ended> {
        let file = executor::open(&self.model)?;
        let record = file.extra(VERIFICATION)?.and_then(|text| serde_json::from_str(&text).ok());
        let record: Verification = record.ok_or_else(|| {
            let problem = format!("the file has no {VERIFICATION}; files exported by cresset have one");
            Error::artifact(&self.model, problem)
        })?;
        let metadata = file.extra(METADATA)?.and_then(|text| Metadata::read(&text).ok());
        let input = metadata.map_or_else(|| record.input(), |metadata| Ok(metadata.input.shape))?;
        let model = catch_panics(|| file.executor(Device::Cpu, &input))?;
        verify(&*model, &record)
    }

    fn show_onnx(&self, file: &OnnxFile) -> anyhow::Result<Ended> {
        let bytes = std::fs::read(&self.model).map_err(Error::io("read", &self.model))?;
        let metadata = file.extra(METADATA).and_then(|text| serde_json::from_str(&text).ok());
        let mut text = describe(&bytes, metadata.as_ref())?;
        writeln!(text, "format      ONNX, operator set {}\n", file.opset())?;
        let tensors = file.tensors();
        text +=
            &tensor_table(tensors.iter().map(|(name, dtype, size)| (name.as_str(), *dtype, size.clone())))?;
        text.push('\n');
        for (operator, count) in file.operators() {
            writeln!(text, "{:<40} {:>6}", excerpt(operator), thousands(*count))?;
        }
        show(&text)?;
        Ok(Ended::Well)
    }

    fn show_compiled(&self, package: &CheckedCompiledPackage) -> anyhow::Result<Ended> {
        let bytes = std::fs::read(&self.model).map_err(Error::io("read", &self.model))?;
        let metadata = package.extra(METADATA)?.and_then(|text| serde_json::from_str(&text).ok());
        let mut text = describe(&bytes, metadata.as_ref())?;
        writeln!(text, "format      package compiled by AOTInductor; it runs only with --trust")?;
        writeln!(
            text,
            "library     {} bytes of machine code and weights",
            thousands(package.library_bytes() as usize)
        )?;
        for (name, value) in package.machine().iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "{:<24} {}", terminal::line(name), terminal::line(value))?;
        }
        show(&text)?;
        Ok(Ended::Well)
    }

    fn show_package(&self, package: &CheckedPackage) -> anyhow::Result<Ended> {
        let bytes = std::fs::read(&self.model).map_err(Error::io("read", &self.model))?;
        let metadata = package.extra(METADATA)?.and_then(|text| serde_json::from_str(&text).ok());
        let mut text = describe(&bytes, metadata.as_ref())?;
        let torch = terminal::line(package.torch());
        writeln!(text, "format      torch.export package of PyTorch {torch}\n")?;
        let tensors = package.tensors();
        text +=
            &tensor_table(tensors.iter().map(|(name, dtype, size)| (name.as_str(), *dtype, size.clone())))?;
        text.push('\n');
        let refused = package.refused_operators();
        if !refused.is_empty() {
            text += "REFUSED     the model does not run without --trust: it has operators that no classifier needs\n";
        }
        for (operator, count) in &package.operators() {
            let is_refused =
                refused.iter().any(|refused| refused.trim_start_matches("torch.ops.") == operator);
            let place = if is_refused { "  REFUSED" } else { "" };
            writeln!(text, "{:<40} {:>6}{place}", excerpt(operator), thousands(*count))?;
        }
        show(&text)?;
        Ok(Ended::Well)
    }
}

fn verify(model: &dyn Executor, record: &Verification) -> anyhow::Result<Ended> {
    let VerificationResult { has_same_state, has_state, samples, largest_difference, computes_the_same } =
        catch_panics(|| record.check(model, Device::Cpu))?;
    let result = |good: bool, bad: &str| if good { "as recorded".to_string() } else { bad.to_string() };
    show(&format!(
        "parameters  {} (SHA-256 {})\nsamples     {}: {samples} computed again, largest difference {largest_difference:.1e}\n",
        match has_state {
            true => result(has_same_state, "CHANGED since the file was written"),
            false => "not readable in a compiled package".to_string(),
        },
        terminal::line(&record.state_sha256),
        result(computes_the_same, "DIFFERENT RESULTS than when the file was written"),
    ))?;
    Ok(if has_same_state && computes_the_same { Ended::Well } else { Ended::Badly })
}

fn describe(bytes: &[u8], metadata: Option<&Metadata>) -> anyhow::Result<String> {
    let mut text = format!("file        {} bytes, SHA-256 {}\n", thousands(bytes.len()), sha256(bytes));
    match metadata {
        Some(metadata) => text += &describe_metadata(metadata)?,
        None => {
            text += "origin      not exported by cresset; a model file is code, so run it only if you trust its source\n"
        }
    }
    Ok(text)
}

/// The operations in the code and their counts; refused operations first.
fn operation_table(operations: &[Operation]) -> String {
    let mut kinds: BTreeMap<(bool, &str), (u64, BTreeSet<&str>)> = BTreeMap::new();
    for Operation { method, kind, count, is_allowed } in operations {
        let (sum, methods) = kinds.entry((*is_allowed, kind)).or_default();
        *sum += count;
        methods.insert(method);
    }
    let mut text = String::new();
    if kinds.keys().any(|(is_allowed, _)| !is_allowed) {
        text += "REFUSED     the model was not run: it has operations that no classifier needs\n";
    }
    for ((is_allowed, kind), (count, methods)) in kinds {
        let place =
            if is_allowed { String::new() } else { format!("  REFUSED, in {}", first_methods(&methods)) };
        text += &format!("{:<40} {:>6}{place}\n", excerpt(kind), thousands(count as usize));
    }
    text
}

/// The names of the first three methods.
fn first_methods(methods: &BTreeSet<&str>) -> String {
    let names: Vec<_> = methods.iter().filter(|method| !method.is_empty()).take(3).collect();
    match names.as_slice() {
        [] => "its constants".to_string(),
        names => names.iter().map(|name| excerpt(name)).collect::<Vec<_>>().join(", "),
    }
}

fn contents(bytes: &[u8], module: &Module) -> anyhow::Result<String> {
    let mut text = format!("methods     {}\n\n", terminal::list(&module.methods()?));
    let mut parts = file_parts(bytes, module)?;
    parts.iter_mut().for_each(|part| part.name = terminal::line(&part.name).into_owned());
    let width = parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
    for FilePart { name, bytes } in &parts {
        writeln!(text, "{name:<width$}  {:>12} bytes", thousands(*bytes as usize))?;
    }
    text.push('\n');
    let state = module.state()?;
    let kinds: Vec<_> =
        state.iter().map(|(_, tensor)| format!("{:?}", tensor.kind()).to_lowercase()).collect();
    let tensors = state.iter().zip(&kinds);
    text +=
        &tensor_table(tensors.map(|((name, tensor), kind)| (name.as_str(), kind.as_str(), tensor.size())))?;
    if state.is_empty() {
        let constants: usize = module.constants()?.iter().map(Tensor::numel).sum();
        writeln!(text, "frozen: the weights are constants in the code, {} values", thousands(constants))?;
    }
    Ok(text)
}

/// Names, dtypes, sizes and numbers of values, and their total.
fn tensor_table<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a str, Vec<i64>)>,
) -> Result<String, std::fmt::Error> {
    let tensors: Vec<_> = tensors.map(|(name, kind, size)| (terminal::line(name), kind, size)).collect();
    let width = tensors.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0).max(6);
    let (mut text, mut total) = (String::new(), 0);
    for (name, kind, size) in &tensors {
        let values = size.iter().fold(1, |values: i64, size| values.saturating_mul(*size)) as usize;
        let size = size.iter().map(i64::to_string).collect::<Vec<_>>().join("×");
        writeln!(text, "{name:<width$}  {kind:<8}  {size:>14}  {:>12}", thousands(values))?;
        total = values.saturating_add(total);
    }
    writeln!(text, "{:<width$}  {:<8}  {:>14}  {:>12}", "total", "", "", thousands(total))?;
    Ok(text)
}

fn describe_metadata(metadata: &Metadata) -> anyhow::Result<String> {
    let mut text = String::new();
    let [cresset, libtorch] = [&metadata.cresset, &metadata.libtorch].map(|version| terminal::line(version));
    writeln!(text, "origin      cresset {cresset} on libtorch {libtorch}")?;
    let model = metadata.config.get("model").and_then(|model| model.as_str()).unwrap_or("?");
    writeln!(text, "model       {}", terminal::line(model))?;
    let range = metadata.input.value_range.map(|range| format!(", values {}–{}", range.min, range.max));
    match metadata.names() {
        Some([users, items]) => {
            writeln!(text, "input       {} users, {} items", thousands(users.len()), thousands(items.len()))?;
        }
        None => writeln!(text, "input       {}{}", metadata.input.shape, range.unwrap_or_default())?,
    }
    if !metadata.variant.is_plain() {
        writeln!(text, "variant     {}", terminal::line(&metadata.variant.describe()))?;
    }
    text += &describe_outputs(metadata);
    let [file, sha256] = [&metadata.data_file, &metadata.data_sha256].map(|text| terminal::line(text));
    writeln!(text, "data        {file} (SHA-256 {sha256})")?;
    text += &describe_score(metadata);
    Ok(text)
}

/// The classes; the labels with their thresholds; or the target with its prediction interval.
fn describe_outputs(metadata: &Metadata) -> String {
    let names = terminal::list(&metadata.classes);
    match &metadata.outputs {
        Outputs::Classification => format!("classes     {names}\n"),
        Outputs::Ranking => "output      the score of a user and an item\n".to_string(),
        Outputs::Multilabel { thresholds } => {
            let thresholds: Vec<_> = thresholds.iter().map(|threshold| format!("{threshold:.3}")).collect();
            format!("labels      {names}\nthresholds  {}\n", thresholds.join(", "))
        }
        Outputs::Regression { interval, .. } => {
            let interval = interval.map_or("none".to_string(), |interval| {
                format!("± {:.4} in {} % of cases", interval.half_width, 100. * interval.coverage)
            });
            format!("target      {names}\ninterval    {interval}\n")
        }
    }
}

/// The validation score, if it was recorded.
fn describe_score(metadata: &Metadata) -> String {
    let (rows, epoch) = (metadata.metrics.validation_rows, metadata.metrics.epoch);
    metadata.validation_score().map_or_else(String::new, |score| {
        let (name, score) = (metadata.outputs.score_name(), metadata.outputs.show_score(score));
        format!("{name:<11} {score} of {rows} validation rows, epoch {epoch}\n")
    })
}
