//! ONNX files: what they contain, and running them with ONNX Runtime (feature `onnx`).
//!
//! The runtime is a shared library that is loaded when the first file runs, so building needs nothing of it. It reads files of any
//! operator set, and its results are those that others compare with.

mod fields;
#[cfg(feature = "onnx")]
mod runner;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};

use self::fields::fields;
use super::Tensors;
use super::loading::open_file;
use super::weights::storage_tensor;
use crate::error::{Error, Result, quoted};

/// The dtypes by their number (`TensorProto.DataType`), with their names.
const DTYPES: [(i64, Kind, &str); 9] = [
    (1, Kind::Float, "float32"),
    (2, Kind::Uint8, "uint8"),
    (3, Kind::Int8, "int8"),
    (6, Kind::Int, "int32"),
    (7, Kind::Int64, "int64"),
    (9, Kind::Bool, "bool"),
    (10, Kind::Half, "float16"),
    (11, Kind::Double, "float64"),
    (16, Kind::BFloat16, "bfloat16"),
];

/// The prefix of extra files among the properties of an ONNX file: `cresset.metadata` is `metadata.json`.
const EXTRA: &str = "cresset.";

/// The largest file: the limit of Protocol Buffers.
const MAX_BYTES: u64 = i32::MAX as u64;

/// An ONNX file that was read. None of its operators has run.
///
/// ```
/// use cresset::export::{ExportFormat, METADATA};
/// use cresset::model::onnx::OnnxFile;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { recipe: "none".into(), epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let path = out.join("model.onnx");
/// (ExportFormat::of_file(&path).write)(&fitted.classifier()?.into_exported()?, &path)?;
/// let file = OnnxFile::open(&path)?;
/// assert!(file.extra(METADATA).unwrap().contains("setosa"));
/// assert_eq!(file.operators()["Gemm"], 2);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct OnnxFile {
    path: PathBuf,
    bytes: Vec<u8>,
    graph: Graph,
    /// The version of the default operator set.
    opset: i64,
    properties: BTreeMap<String, String>,
}

/// A value of the graph: its name, the number of its dtype, and its sizes, `None` where they are free.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only the runtime needs the types"))]
struct ValueInfo {
    name: String,
    dtype: i64,
    sizes: Vec<Option<i64>>,
}

/// A stored tensor, and the place of its values in the file.
#[derive(Debug, Clone, Default, PartialEq)]
struct Initializer {
    name: String,
    dtype: i64,
    sizes: Vec<i64>,
    /// `None` if the values are not stored as raw bytes.
    raw: Option<std::ops::Range<usize>>,
    is_external: bool,
}

#[derive(Debug, Default)]
struct Graph {
    operators: BTreeMap<String, usize>,
    initializers: Vec<Initializer>,
    /// Inputs that are not initializers.
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

impl OnnxFile {
    /// Whether a file is an ONNX file, by its extension and, because a file of PyTorch can have any name, its first bytes.
    pub fn recognizes(path: &Path) -> bool {
        use std::io::Read;
        let is_named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
        let is_archive = || {
            let mut start = [0; 4];
            let file = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
            file.is_ok() && start == *b"PK\x03\x04"
        };
        is_named && !is_archive()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that is missing, damaged or not an ONNX file.
    pub fn open(path: &Path) -> Result<Self> {
        use std::io::Read;
        let fault = |problem: String| Error::artifact(path, problem);
        let mut bytes = Vec::new();
        let file = open_file(path)?;
        let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|e| fault(format!("cannot read the model: {e}")))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fault("the file exceeds 2 GB, the limit of an ONNX file".to_string()));
        }
        OnnxFile::parse(path, bytes)
            .ok_or_else(|| fault("this is not an ONNX file, or it is damaged".to_string()))
    }

    /// Reads the bytes of a file.
    pub(crate) fn parse(path: &Path, bytes: Vec<u8>) -> Option<Self> {
        let (mut graph, mut opset, mut properties) = (None, 0, BTreeMap::new());
        for (field, value) in fields(&bytes)? {
            match field {
                7 => graph = Some(Graph::read(value.bytes(), bytes.as_ptr() as usize)?),
                8 => {
                    let (domain, version) = (text(value.bytes(), 1)?, number(value.bytes(), 2)?);
                    if domain.is_empty() || domain == "ai.onnx" {
                        opset = version;
                    }
                }
                14 => drop(properties.insert(text(value.bytes(), 1)?, text(value.bytes(), 2)?)),
                _ => {}
            }
        }
        let graph = graph?;
        Some(OnnxFile { path: path.to_path_buf(), graph, opset, properties, bytes })
    }

    /// The text of the extra file `name`, such as `metadata.json`, if the file has it.
    pub fn extra(&self, name: &str) -> Option<String> {
        self.properties.get(&format!("{EXTRA}{}", name.trim_end_matches(".json"))).cloned()
    }

    /// The version of the default operator set.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The number of nodes of each operator, such as `Gemm`.
    pub fn operators(&self) -> &BTreeMap<String, usize> {
        &self.graph.operators
    }

    /// The stored tensors: name, dtype and sizes.
    pub fn tensors(&self) -> Vec<(String, &'static str, Vec<i64>)> {
        let dtype = |number: i64| {
            DTYPES.iter().find(|(known, ..)| *known == number).map_or("unknown", |(.., name)| name)
        };
        self.graph
            .initializers
            .iter()
            .map(|of| (of.name.clone(), dtype(of.dtype), of.sizes.clone()))
            .collect()
    }

    /// The values of the stored tensors, in the order of their names.
    ///
    /// # Errors
    /// A tensor whose values are in another file or not stored as raw bytes, or whose size or dtype is invalid.
    pub fn values(&self) -> Result<Vec<(String, Tensor)>> {
        let read = |of: &Initializer| {
            let fault = |problem: &str| {
                Error::artifact(&self.path, format!("the tensor {} {problem}", quoted(&of.name)))
            };
            let values = of.raw.as_ref().and_then(|range| self.bytes.get(range.clone()));
            let values = values.filter(|_| !of.is_external);
            let values = values.ok_or_else(|| fault("is in another file, or not stored as raw bytes"))?;
            let kind = DTYPES.iter().find(|(known, ..)| *known == of.dtype).map(|(_, kind, _)| *kind);
            let kind = kind.ok_or_else(|| fault("has a dtype that is not supported"))?;
            let count = of.sizes.iter().try_fold(1i64, |n, size| n.checked_mul(*size).filter(|n| *n >= 0));
            let bytes = count.and_then(|count| count.checked_mul(kind.elt_size_in_bytes() as i64));
            if bytes != Some(values.len() as i64) {
                return Err(fault("has another number of values than its sizes say"));
            }
            Ok((of.name.clone(), storage_tensor(values.to_vec(), kind)?.f_view(&of.sizes[..])?))
        };
        let mut all = self.graph.initializers.iter().map(read).collect::<Result<Vec<_>>>()?;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// The values of the stored tensors, by name.
    ///
    /// # Errors
    /// Those of [`OnnxFile::values`], and a file without tensors.
    pub fn weights(&self) -> Result<Tensors> {
        let tensors: Tensors = self.values()?.into_iter().collect();
        if tensors.is_empty() {
            return Err(Error::artifact(&self.path, "it contains no tensors"));
        }
        Ok(tensors)
    }

    /// Loads the file into ONNX Runtime for inputs of this shape.
    ///
    /// # Errors
    /// A file that cannot run, and no runtime.
    #[cfg(feature = "onnx")]
    pub fn runner(self, input: &crate::data::InputShape) -> Result<Box<dyn super::executor::Executor>> {
        Ok(Box::new(runner::Runner::new(self, input)?))
    }

    /// Without the feature `onnx`, an error.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "onnx"))]
    pub fn runner(self, _: &crate::data::InputShape) -> Result<Box<dyn super::executor::Executor>> {
        let problem = "this is an ONNX file, and this program was built without ONNX Runtime; build it with `--features onnx`";
        Err(Error::artifact(&self.path, problem))
    }
}

impl Graph {
    /// Reads a `GraphProto`. `start` is the address of the file's first byte.
    fn read(bytes: &[u8], start: usize) -> Option<Self> {
        let (mut graph, mut inputs) = (Graph::default(), Vec::new());
        for (field, value) in fields(bytes)? {
            match field {
                1 => {
                    let (name, domain) = (text(value.bytes(), 4)?, text(value.bytes(), 7)?);
                    let name = if domain.is_empty() { name } else { format!("{domain}.{name}") };
                    *graph.operators.entry(name).or_default() += 1;
                }
                5 => graph.initializers.push(initializer(value.bytes(), start)?),
                11 => inputs.push(value_info(value.bytes())?),
                12 => graph.outputs.push(value_info(value.bytes())?),
                _ => {}
            }
        }
        let is_stored = |input: &ValueInfo| graph.initializers.iter().any(|stored| stored.name == input.name);
        inputs.retain(|input| !is_stored(input));
        graph.inputs = inputs;
        Some(graph)
    }
}

/// Reads a `TensorProto`.
fn initializer(bytes: &[u8], start: usize) -> Option<Initializer> {
    let mut found = Initializer::default();
    for (field, value) in fields(bytes)? {
        match field {
            1 => found.sizes.extend(value.ints()?),
            2 => found.dtype = value.int()?,
            8 => found.name = value.text(),
            9 => {
                let first = value.bytes().as_ptr() as usize - start;
                found.raw = Some(first..first + value.bytes().len());
            }
            14 => found.is_external = value.int()? != 0,
            _ => {}
        }
    }
    Some(found)
}

/// Reads a `ValueInfoProto`: a name, and a tensor type with a shape.
fn value_info(bytes: &[u8]) -> Option<ValueInfo> {
    let mut found = ValueInfo { name: text(bytes, 1)?, ..ValueInfo::default() };
    let tensor = message(message(bytes, 2)?, 1)?;
    found.dtype = number(tensor, 1)?;
    for (field, dimension) in fields(message(tensor, 2)?)? {
        if field == 1 {
            let size = fields(dimension.bytes())?.into_iter().find(|(field, _)| *field == 1);
            found.sizes.push(size.and_then(|(_, size)| size.int()));
        }
    }
    Some(found)
}

/// The message in a field, empty if there is none.
fn message(bytes: &[u8], field: u64) -> Option<&[u8]> {
    let found = fields(bytes)?.into_iter().rfind(|(number, _)| *number == field);
    Some(found.map_or(&[], |(_, value)| value.bytes()))
}

fn text(bytes: &[u8], field: u64) -> Option<String> {
    Some(String::from_utf8_lossy(message(bytes, field)?).into_owned())
}

fn number(bytes: &[u8], field: u64) -> Option<i64> {
    let found = fields(bytes)?.into_iter().rfind(|(number, _)| *number == field);
    found.map_or(Some(0), |(_, value)| value.int())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = OnnxFile::parse(Path::new("a.onnx"), bytes.clone());
            // The bytes as a graph, and as a tensor in it.
            for field in [0x3a, 0x2a] {
                let length = bytes.len();
                bytes.splice(0..0, [field, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
                if let Some(file) = OnnxFile::parse(Path::new("a.onnx"), bytes.clone()) {
                    let _ = (file.values(), file.tensors());
                }
            }
        }
    }
}
