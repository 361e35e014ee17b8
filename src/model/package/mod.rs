//! torch.export packages (`.pt2`), checked before libtorch's interpreter loads them. Every untrusted package reaches libtorch through
//! this module.
//!
//! A package is a zip archive with the graph of a model as JSON (`program`) and the values of its tensors (`stored`). The
//! interpreter trusts both: it reads as many bytes of a file of values as the graph declares, and calls any operator that the graph
//! names. The following is therefore checked first: the checksums and sizes of the members, the version of the schema, the
//! operators, which must all be in an allowlist, and that each tensor lies within its file.

mod allowed;
mod compiled;
mod output_spec;
mod program;
mod runner;
mod stored;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use cresset_bridge::model_file::ModelFile;
use serde_json::Value;
use tch::Tensor;

pub use self::compiled::CheckedCompiledPackage;
pub(crate) use self::program::{KINDS, Program};
use self::runner::Runner;
use self::stored::{Role, Stored};
use super::executor::InferenceFile;
use super::loading::{check_archive, open_file, trusts_files};
use super::{Tensors, archive};
use crate::data::InputShape;
use crate::error::{Error, Result, quoted};

/// The major version of the schema that this program reads.
const SCHEMA: i64 = 8;

/// The version of the archive's layout that this program reads.
const ARCHIVE: &str = "0";

/// A torch.export package with valid members. No operator of its graph has run.
///
/// ```
/// use cresset::export::{ExportFormat, METADATA};
/// use cresset::model::package::CheckedPackage;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), model_options: "width=64".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let path = out.join("model.pt2");
/// (ExportFormat::of_file(&path).write)(&fitted.classifier()?.into_exported()?, &path)?;
/// let package = CheckedPackage::open(&path)?;
/// assert!(package.extra(METADATA)?.unwrap().contains("setosa"));
/// assert_eq!(package.operators()["aten.linear.default"], 2);
/// assert!(package.tensors().contains(&("fc1.bias".to_string(), "float32", vec![64])));
/// assert_eq!(package.values("fc1.bias")?.size(), [64]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct CheckedPackage {
    path: PathBuf,
    file: ModelFile,
    /// The name of the model in the archive, `model` unless its author chose another one.
    name: String,
    program: Program,
    /// Parameters, buffers and constants, by name.
    stored: BTreeMap<String, Stored>,
}

impl CheckedPackage {
    /// Whether a file is a torch.export package, by the names of its members.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn recognizes(path: &Path) -> Result<bool> {
        Ok(archive_names(path)?.is_some_and(|names| names.iter().any(|name| is_format_record(name))))
    }

    /// Opens a package and checks its members. [`CheckedPackage::runner`] checks whether it can run.
    ///
    /// # Errors
    /// A file that is missing, damaged, not a package, or of another version.
    pub fn open(path: &Path) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        let Archive { names, file: reader } = Archive::open(path)?;
        let json = |record: &str| -> Result<Value> {
            serde_json::from_str(&text(&reader, record).map_err(fault)?)
                .map_err(|e| fault(format!("its member {record} is damaged: {e}")))
        };
        let name = model_name(&names).map_err(fault)?;
        let program = Program::read(&json(&format!("models/{name}.json"))?)
            .map_err(|problem| fault(format!("its graph is damaged: {problem}")))?;
        if program.schema.0 != SCHEMA {
            let (major, minor) = program.schema;
            return Err(fault(format!(
                "its schema has the version {major}.{minor}, but this version of cresset reads {SCHEMA}; export it \
                 with the PyTorch version {}",
                cresset_bridge::LIBTORCH_VERSION
            )));
        }
        let mut stored = BTreeMap::new();
        for folder in ["weights", "constants"] {
            let config = json(&format!("data/{folder}/{name}_{folder}_config.json"))?;
            stored.extend(stored::read(&config, folder, &program).map_err(fault)?);
        }
        for (tensor, found) in &stored {
            let size = |record: &str| reader.size(record).ok().flatten();
            found.check(&size).map_err(|problem| {
                fault(format!("the package is damaged: the tensor {} {problem}", quoted(tensor)))
            })?;
        }
        Ok(CheckedPackage { path: path.to_path_buf(), file: reader, name, program, stored })
    }

    /// The text of the extra file `name`, if it exists.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn extra(&self, name: &str) -> Result<Option<String>> {
        extra(&self.file, name)
    }

    /// The version of PyTorch that wrote the package, or whose format it has.
    pub fn torch(&self) -> &str {
        &self.program.torch
    }

    /// The number of calls of each operator, such as `aten.linear.default`.
    pub fn operators(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for target in &self.program.targets {
            *counts.entry(target.trim_start_matches("torch.ops.").to_string()).or_default() += 1;
        }
        counts
    }

    /// The operators that are not in the allowlist, in order and without duplicates.
    pub fn refused_operators(&self) -> Vec<String> {
        allowed::refused(&self.program.targets)
    }

    /// Parameters and buffers: name, dtype and sizes, in the order of the names.
    pub fn tensors(&self) -> Vec<(String, &'static str, Vec<i64>)> {
        let state = self.stored.iter().filter(|(_, found)| found.role != Role::Constant);
        state.map(|(name, found)| (name.clone(), found.dtype_name(), found.sizes.clone())).collect()
    }

    /// The values of a parameter, a buffer or a constant.
    ///
    /// # Errors
    /// No such tensor, one that is stored as a Python object, and a dtype that is not supported.
    pub fn values(&self, name: &str) -> Result<Tensor> {
        let fault = |problem: String| Error::artifact(&self.path, problem);
        let named = quoted(name);
        let found = self.stored.get(name).ok_or_else(|| fault(format!("it has no tensor {named}")))?;
        let bytes = self.file.read(&found.record)?;
        found.tensor(bytes).map_err(|problem| fault(format!("the tensor {named} {problem}")))
    }

    /// The values of all parameters and buffers, by name.
    ///
    /// # Errors
    /// Those of [`CheckedPackage::values`], and a package without tensors.
    pub fn weights(&self) -> Result<Tensors> {
        let tensors: Tensors =
            self.names(false).map(|name| Ok((name.clone(), self.values(name)?))).collect::<Result<_>>()?;
        if tensors.is_empty() {
            return Err(Error::artifact(&self.path, "it contains no tensors"));
        }
        Ok(tensors)
    }

    /// Loads the package for inputs of this shape, onto the CPU.
    ///
    /// # Errors
    /// A package that cannot run: with operators outside the allowlist (unless files are trusted), several inputs, inputs of another
    /// shape, or tensors that libtorch's interpreter does not read.
    pub fn runner(self, input: &InputShape) -> Result<Runner> {
        let fault = |problem: String| Error::artifact(&self.path, problem);
        if !trusts_files() {
            allowed::check(&self.program.targets).map_err(fault)?;
        }
        self.stored.iter().try_for_each(|(name, found)| {
            found.check_runs().map_err(|problem| fault(format!("the tensor {} {problem}", quoted(name))))
        })?;
        self.program.check_products().map_err(fault)?;
        Runner::new(self, input)
    }

    /// The names of the tensors with one of these roles.
    fn names(&self, constants: bool) -> impl Iterator<Item = &String> {
        self.stored
            .iter()
            .filter(move |(_, found)| (found.role == Role::Constant) == constants)
            .map(|(name, _)| name)
    }
}

/// The archive of a package with valid members.
struct Archive {
    /// The names of the members.
    names: Vec<String>,
    file: ModelFile,
}

impl Archive {
    /// Opens an archive and checks the sizes, checksums and names of its members, and its version.
    fn open(path: &Path) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        let damaged = |problem: String| {
            fault(format!("this is not a torch.export package, or it is damaged ({problem})"))
        };
        let file = open_file(path)?;
        check_archive(&file).map_err(fault)?;
        let names = archive_names(path)?.ok_or_else(|| damaged("it is not a zip archive".to_string()))?;
        check_names(&names).map_err(fault)?;
        let file = ModelFile::open(&file).map_err(|reason| damaged(reason.to_string()))?;
        for (record, known) in [("archive_format", "pt2"), ("archive_version", ARCHIVE)] {
            check_version(record, text(&file, record).map_err(damaged)?.trim(), known).map_err(fault)?;
        }
        if file.size("byteorder").ok().flatten().is_some() {
            let order = text(&file, "byteorder").map_err(damaged)?;
            check_version("byteorder", order.trim(), "little").map_err(fault)?;
        }
        Ok(Archive { names, file })
    }
}

/// Opens a package with a graph, or one that AOTInductor compiled.
///
/// # Errors
/// Those of [`CheckedPackage::open`].
pub(crate) fn open(path: &Path) -> Result<Box<dyn InferenceFile>> {
    match CheckedCompiledPackage::of_file(path)? {
        Some(compiled) => Ok(Box::new(compiled)),
        None => Ok(Box::new(CheckedPackage::open(path)?)),
    }
}

/// The text of an extra file, if it exists.
fn extra(file: &ModelFile, name: &str) -> Result<Option<String>> {
    let record = format!("extra/{name}");
    Ok(match file.size(&record)? {
        Some(_) => Some(String::from_utf8_lossy(&file.read(&record)?).into_owned()),
        None => None,
    })
}

/// The names of the members of an archive; `None` for another file.
fn archive_names(path: &Path) -> Result<Option<Vec<String>>> {
    let Ok(archive) = archive::open(BufReader::new(open_file(path)?)) else { return Ok(None) };
    Ok(Some(archive.file_names().flatten().map(|name| name.into_owned()).collect()))
}

/// Whether a member is the one that all packages have.
fn is_format_record(name: &str) -> bool {
    name.strip_suffix("/archive_format").is_some_and(|folder| !folder.contains('/'))
}

/// Refuses members outside of the archive's folder, which programs that unpack it could write anywhere.
fn check_names(names: &[String]) -> std::result::Result<(), String> {
    let is_outside = |name: &&String| {
        name.starts_with('/') || name.contains('\\') || name.split('/').any(|part| part == "..")
    };
    match names.iter().find(is_outside) {
        Some(name) => {
            Err(format!("its member {} is outside of the archive's folder, so it was not read", quoted(name)))
        }
        None => Ok(()),
    }
}

/// The name of the only model.
fn model_name(names: &[String]) -> std::result::Result<String, String> {
    let name = |member: &String| {
        let (_, path) = member.split_once('/')?;
        path.strip_prefix("models/")?.strip_suffix(".json").map(str::to_string)
    };
    let found: Vec<_> = names.iter().filter_map(name).collect();
    match &found[..] {
        [name] => Ok(name.clone()),
        [] => Err("the package has no graph (models/model.json)".to_string()),
        several => Err(format!(
            "the package has {} models ({}); save one of them in a package of its own",
            several.len(),
            several.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
        )),
    }
}

fn check_version(record: &str, found: &str, known: &str) -> std::result::Result<(), String> {
    if found == known {
        return Ok(());
    }
    Err(format!("its {record} is {}, but this version of cresset reads {}", quoted(found), quoted(known)))
}

/// The text of a record.
fn text(reader: &ModelFile, record: &str) -> std::result::Result<String, String> {
    match reader.size(record) {
        Ok(Some(size)) if size <= archive::MOST_TEXT => {
            let bytes =
                reader.read(record).map_err(|e| format!("its member {record} cannot be read: {e}"))?;
            String::from_utf8(bytes).map_err(|_| format!("its member {record} is not UTF-8"))
        }
        Ok(Some(size)) => {
            Err(format!("its member {record} has {size} bytes, more than {}", archive::MOST_TEXT))
        }
        Ok(None) => Err(format!("its member {record} is missing")),
        Err(error) => Err(error.to_string()),
    }
}
