//! Runs ONNX files with ONNX Runtime, on the CPU.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::{DynValue, Tensor as OrtTensor};
use tch::{Device, Kind, Tensor};

use super::{DTYPES, OnnxFile, ValueInfo};
use crate::data::InputShape;
use crate::error::{Error, Result, quoted};
use crate::model::executor::{Batching, Executor};

/// The environment variable with the path of the runtime's library.
const LIBRARY: &str = "ORT_DYLIB_PATH";

/// The library that is loaded without it, by the search of the system.
const DEFAULT_LIBRARY: &str = "libonnxruntime.so";

/// The outputs of files of cresset; of other files, the first output is taken.
const OUTPUTS: [&str; 2] = ["logits", "values"];

/// A file in a session of ONNX Runtime.
pub struct Runner {
    path: PathBuf,
    session: RefCell<Session>,
    input: String,
    output: String,
    batching: Batching,
    values: usize,
}

impl Runner {
    /// Loads a file for inputs of this shape, with as many threads as libtorch has now.
    pub fn new(file: OnnxFile, shape: &InputShape) -> Result<Self> {
        let fault = |problem: String| Error::artifact(&file.path, problem);
        let inputs = &file.graph.inputs;
        let [input] = &inputs[..] else {
            let names: Vec<_> = inputs.iter().map(|input| quoted(&input.name)).collect();
            return Err(fault(format!(
                "the model has {} inputs ({}), and only one tensor can be given",
                names.len(),
                names.join(", ")
            )));
        };
        if let Some(external) = file.graph.initializers.iter().find(|stored| stored.is_external) {
            let name = quoted(&external.name);
            return Err(fault(format!(
                "the values of {name} are in another file; save the model as one file"
            )));
        }
        let batching = batching(input, shape).map_err(fault)?;
        let outputs = &file.graph.outputs;
        let output =
            outputs.iter().find(|output| OUTPUTS.contains(&output.name.as_str())).or(outputs.first());
        let output = output.ok_or_else(|| fault("the model has no output".to_string()))?.name.clone();
        let environment = environment().map_err(fault)?;
        let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1);
        let session = Session::builder(environment)
            .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
            .and_then(|mut builder| builder.commit_from_memory(&file.bytes))
            .map_err(|reason| fault(format!("ONNX Runtime cannot run the model: {}", one_line(&reason))))?;
        let counts =
            file.graph.initializers.iter().map(|of| of.sizes.iter().product::<i64>().max(0) as usize);
        Ok(Runner {
            session: RefCell::new(session),
            input: input.name.clone(),
            output,
            batching,
            values: counts.sum(),
            path: file.path.clone(),
        })
    }

    fn run(&self, inputs: &Tensor) -> Result<Tensor> {
        let fault = |reason: ort::Error| Error::artifact(&self.path, one_line(&reason));
        let value = to_ort(inputs)?.map_err(fault)?;
        let mut session = self.session.borrow_mut();
        let outputs = session.run(ort::inputs![self.input.as_str() => value]).map_err(fault)?;
        let (shape, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>().map_err(fault)?;
        Ok(Tensor::from_slice(values).f_view(&shape[..])?)
    }
}

/// The values of a tensor for ONNX Runtime.
fn to_ort(inputs: &Tensor) -> Result<std::result::Result<DynValue, ort::Error>> {
    let (shape, flat) = (inputs.size(), inputs.f_view(-1)?);
    Ok(match inputs.kind() {
        Kind::Uint8 => OrtTensor::from_array((shape, Vec::<u8>::try_from(flat)?)).map(OrtTensor::into_dyn),
        Kind::Double => OrtTensor::from_array((shape, Vec::<f64>::try_from(flat)?)).map(OrtTensor::into_dyn),
        Kind::Int64 => OrtTensor::from_array((shape, Vec::<i64>::try_from(flat)?)).map(OrtTensor::into_dyn),
        _ => OrtTensor::from_array((shape, Vec::<f32>::try_from(flat)?)).map(OrtTensor::into_dyn),
    })
}

impl Executor for Runner {
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        self.batching.run(inputs, |inputs| self.run(inputs))
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        OnnxFile::open(&self.path)?.values()
    }

    fn constants(&self) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }

    fn counts(&self) -> Result<(usize, usize)> {
        Ok((self.values, self.values))
    }

    fn device(&self) -> Option<Device> {
        Some(Device::Cpu)
    }
}

/// How a graph with this input takes batches of examples of this shape.
fn batching(input: &ValueInfo, shape: &InputShape) -> std::result::Result<Batching, String> {
    let name = quoted(&input.name);
    let kind = DTYPES.iter().find(|(known, ..)| *known == input.dtype).map(|(_, kind, _)| *kind);
    let kind = kind.filter(|kind| matches!(kind, Kind::Float | Kind::Double | Kind::Uint8 | Kind::Int64));
    let kind =
        kind.ok_or_else(|| format!("the input {name} of the model has a dtype that is not supported"))?;
    let Some((batch, takes)) = input.sizes.split_first() else {
        return Err(format!("the input {name} of the model has no dimension for the batch"));
    };
    let fits = takes.len() == shape.0.len()
        && takes.iter().zip(&shape.0).all(|(takes, size)| takes.is_none_or(|takes| takes == *size));
    if !fits {
        let sizes: Vec<_> =
            takes.iter().map(|size| size.map_or("any".to_string(), |size| size.to_string())).collect();
        return Err(format!(
            "the input {name} of the model takes examples of {}, but its metadata describes examples of {shape}",
            sizes.join("×")
        ));
    }
    let batch = batch.filter(|batch| *batch > 0);
    Ok(Batching { shape: shape.0.clone(), kind, least: batch.unwrap_or(1), most: batch })
}

/// The environment of ONNX Runtime, whose library is loaded once in a process.
fn environment() -> std::result::Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<std::result::Result<Environment, String>> = OnceLock::new();
    let load = || {
        let library = std::env::var_os(LIBRARY).unwrap_or_else(|| DEFAULT_LIBRARY.into());
        let failed = |reason: String| {
            format!(
                "cannot load ONNX Runtime ({}: {reason}); set {LIBRARY} to the path of {DEFAULT_LIBRARY}, which the Python package \
                 onnxruntime has in its folder capi",
                Path::new(&library).display()
            )
        };
        let builder = ort::init_from(&library).map_err(|error| failed(one_line(&error)))?;
        builder.with_telemetry(false).build().map_err(|error| failed(one_line(&error)))
    };
    ENVIRONMENT.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// An error in one line.
fn one_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim().to_string()
}
