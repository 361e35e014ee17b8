//! Forms of the TorchScript file for inference: frozen, in fewer bits, for a GPU.

use std::path::Path;

use cresset_bridge::script::Module;
use cresset_options::choices;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::torchscript::{self, DTYPE};
use super::{ExportFormat, Exported, VERIFICATION, Verification};
use crate::error::{Error, Result};
use crate::model::script;
use crate::options::device;

choices! {
    /// Data type of a network's weights and computation; logits and preprocessing are always float32.
    #[derive(Default, Serialize, Deserialize)]
    pub enum Dtype {
        /// float32
        #[default]
        #[serde(rename = "float32")]
        F32 = "f32",
        /// bfloat16: half the size, the range of float32, three digits
        #[serde(rename = "bfloat16")]
        Bf16 = "bf16",
        /// float16: half the size, values up to 65,504, four digits; for GPUs, as CPUs are slow at it
        #[serde(rename = "float16")]
        Fp16 = "fp16",
    }
}

impl Dtype {
    fn kind(self) -> Kind {
        match self {
            Dtype::F32 => Kind::Float,
            Dtype::Bf16 => Kind::BFloat16,
            Dtype::Fp16 => Kind::Half,
        }
    }

    /// As libtorch numbers dtypes.
    fn number(self) -> i64 {
        match self {
            Dtype::F32 => 6,
            Dtype::Bf16 => 15,
            Dtype::Fp16 => 5,
        }
    }

    /// The name of libtorch.
    fn torch_name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::Bf16 => "bfloat16",
            Dtype::Fp16 => "float16",
        }
    }
}

/// How a file differs from the plain export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Whether parameters and submodules have become constants of the code.
    pub frozen: bool,
    /// Whether normalisation is folded into the layers before it.
    pub optimized: bool,
    /// What the network computes in.
    pub dtype: Dtype,
    /// Where the tensors of the file are: `cpu`, `cuda:0`.
    pub device: String,
}

/// Which forms of a model a format can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variants {
    /// All.
    All,
    /// Weights of any dtype, and no code.
    Dtype,
    /// The plain export alone.
    None,
}

impl Default for Variant {
    fn default() -> Self {
        Variant { frozen: false, optimized: false, dtype: Dtype::F32, device: device::name(Device::Cpu) }
    }
}

impl Variant {
    /// Whether it is the plain export.
    pub fn is_plain(&self) -> bool {
        *self == Variant::default()
    }

    /// In a few words: `frozen, bfloat16, cuda:0`.
    pub fn describe(&self) -> String {
        let frozen = match (self.frozen, self.optimized) {
            (_, true) => Some("optimized"),
            (true, false) => Some("frozen"),
            (false, false) => None,
        };
        let words = [frozen, Some(self.dtype.torch_name()), Some(self.device.as_str())];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Refuses what a format cannot hold.
    ///
    /// # Errors
    /// Code to freeze, or a device, in a format of weights alone; anything but the plain export in ONNX.
    pub fn check(&self, format: &ExportFormat) -> Result<()> {
        let is_for_code = Variant { dtype: Dtype::F32, ..self.clone() } != Variant::default();
        let problem = match format.variants {
            Variants::None if !self.is_plain() => {
                "is float32 on the CPU, and what reads it optimizes by itself"
            }
            Variants::Dtype if is_for_code => {
                "holds weights alone, which have a dtype but no code and no device"
            }
            _ => return Ok(()),
        };
        Err(Error::Usage(format!(
            "--format {}: it {problem}; --freeze, --optimize, --dtype and --device are for torchscript",
            format.name
        )))
    }

    /// Makes this variant of an exported model, whose tensors go to `device`, and writes it to `path`.
    ///
    /// # Errors
    /// A model that is none of cresset's or a variant already, and one that cannot compute in the dtype.
    pub fn apply(&self, exported: Exported, device: Device, path: &Path) -> Result<Exported> {
        let Some(mut metadata) = exported.metadata else {
            let problem = "--freeze, --optimize, --dtype and --device are for models that cresset exported";
            return Err(Error::Usage(problem.to_string()));
        };
        let fault = |problem: String| Error::artifact(&exported.path, problem);
        if !metadata.variant.is_plain() {
            let problem =
                format!("it is {} already; export the run, or the plain model", metadata.variant.describe());
            return Err(fault(problem));
        }
        let (mut module, extra) = script::load(&exported.path, device, &[VERIFICATION])?;
        let recorded: Verification = serde_json::from_str(&extra[0])
            .map_err(|_| fault(format!("it holds no {VERIFICATION}; export it again")))?;
        module.set_training(false)?;
        if self.dtype != Dtype::F32 {
            cast(&mut module, self.dtype)?;
        }
        if self.frozen {
            module = module.frozen(&kept(&module)?)?;
        }
        if self.optimized {
            module.fold_constants()?;
        }
        let verification =
            tch::no_grad(|| Verification::of(&module, &recorded.inputs()?, device, self.dtype)).map_err(
                |error| match error {
                    Error::Libtorch(problem) => {
                        Error::Usage(format!("the model does not run as {} ({problem})", self.describe()))
                    }
                    other => other,
                },
            )?;
        metadata.variant = self.clone();
        torchscript::write(&module, &metadata, &verification, path)?;
        Ok(Exported { path: path.to_path_buf(), module, metadata: Some(metadata), ..exported })
    }
}

/// Brings the network's tensors to a dtype. Those of preprocessing stay float32: raw values may need it.
fn cast(module: &mut Module, dtype: Dtype) -> Result<()> {
    let tensors = module.parameters()?.into_iter().chain(module.buffers()?);
    for (_, mut tensor) in tensors.filter(|(name, _)| !name.starts_with("preprocess.")) {
        if tensor.is_floating_point() {
            tensor.set_data(&tensor.detach().f_to_kind(dtype.kind())?);
        }
    }
    Ok(module.set_int(DTYPE, dtype.number())?)
}

/// The methods and attributes of a plain export that other programs use, as far as this one has them.
fn kept(module: &Module) -> Result<Vec<&'static str>> {
    const METHODS: [&str; 4] = ["predict", "features", "class_names", "pixels"];
    let known = module.methods()?;
    let methods = METHODS.into_iter().filter(|name| known.iter().any(|method| method == name));
    Ok(methods.chain(["classes"]).collect())
}
