//! Variants of the TorchScript file for inference: frozen, in reduced precision, for a GPU.

use std::path::Path;

use cresset_bridge::script::Module;
use cresset_options::choices;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::torchscript::{self, DTYPE};
use super::{ExportFormat, ExportedModel, VERIFICATION, Verification, ranking, table, texts};
use crate::error::{Error, Result};
use crate::model::script;
use crate::options::device;

choices! {
    /// Data type of a network's weights and computation; logits and preprocessing are always float32.
    ///
    /// ```
    /// use cresset::export::Dtype;
    ///
    /// assert_eq!("bf16".parse(), Ok(Dtype::Bf16));
    /// assert_eq!(Dtype::default().name(), "f32");
    /// ```
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

    /// The number of the dtype in libtorch.
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

/// How a file differs from the default export.
///
/// ```
/// use cresset::export::{Dtype, ExportFormat, Variant};
/// use cresset::prelude::*;
/// use tch::Device;
///
/// let variant = Variant { frozen: true, dtype: Dtype::Bf16, ..Variant::default() };
/// assert_eq!(variant.describe(), "frozen, bfloat16, cpu");
/// assert!(variant.check(ExportFormat::named("torchscript")?).is_ok());
/// assert!(variant.check(ExportFormat::named("onnx")?).is_err());
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let exported = fitted.classifier()?.into_exported()?;
/// let frozen = variant.apply(exported, Device::Cpu, &out.join("frozen.pt"))?;
/// assert_eq!(frozen.metadata.unwrap().variant, variant);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Whether parameters and submodules are inlined as constants.
    pub frozen: bool,
    /// Whether normalization is folded into the preceding layers.
    pub optimized: bool,
    /// The dtype of the network.
    pub dtype: Dtype,
    /// The device of the tensors: `cpu`, `cuda:0`.
    pub device: String,
}

/// The variants that a format supports.
///
/// ```
/// use cresset::export::{ExportFormat, Variants};
///
/// assert_eq!(ExportFormat::named("torchscript")?.variants, Variants::All);
/// assert_eq!(ExportFormat::named("safetensors")?.variants, Variants::Dtype);
/// assert_eq!(ExportFormat::named("onnx")?.variants, Variants::None);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variants {
    /// All variants.
    All,
    /// Weights of any dtype, without code.
    Dtype,
    /// The default export only.
    None,
}

impl Default for Variant {
    fn default() -> Self {
        Variant { frozen: false, optimized: false, dtype: Dtype::F32, device: device::name(Device::Cpu) }
    }
}

impl Variant {
    /// Whether this is the default export.
    pub fn is_plain(&self) -> bool {
        *self == Variant::default()
    }

    /// A short description: `frozen, bfloat16, cuda:0`.
    pub fn describe(&self) -> String {
        let frozen = match (self.frozen, self.optimized) {
            (_, true) => Some("optimized"),
            (true, false) => Some("frozen"),
            (false, false) => None,
        };
        let words = [frozen, Some(self.dtype.torch_name()), Some(self.device.as_str())];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Checks that a format supports this variant.
    ///
    /// # Errors
    /// Freezing or a device in a format that stores weights only; anything but the default export in ONNX and pt2.
    pub fn check(&self, format: &ExportFormat) -> Result<()> {
        let needs_code = Variant { dtype: Dtype::F32, ..self.clone() } != Variant::default();
        let problem = match format.variants {
            Variants::None if !self.is_plain() => {
                "is always float32 on the CPU, and programs optimize it when they load it"
            }
            Variants::Dtype if needs_code => "stores weights only, without code or a device",
            _ => return Ok(()),
        };
        Err(Error::Usage(format!(
            "--format {}: it {problem}; --freeze, --optimize, --dtype and --device are for torchscript",
            format.name
        )))
    }

    /// Converts an exported model to this variant, with its tensors on `device`, and writes it to `path`.
    ///
    /// # Errors
    /// A model that was not exported by cresset or is a variant already, and one that cannot run in the dtype.
    pub fn apply(&self, exported: ExportedModel, device: Device, path: &Path) -> Result<ExportedModel> {
        let Some(mut metadata) = exported.metadata else {
            let problem = "--freeze, --optimize, --dtype and --device need a model exported by cresset";
            return Err(Error::Usage(problem.to_string()));
        };
        let fault = |problem: String| Error::artifact(&exported.path, problem);
        if !metadata.variant.is_plain() {
            let problem = format!(
                "it is already {}; export the run or the original model",
                metadata.variant.describe()
            );
            return Err(fault(problem));
        }
        let (mut module, extra) = script::load(&exported.path, device, &[VERIFICATION])?;
        let recorded: Verification = serde_json::from_str(&extra[0])
            .map_err(|_| fault(format!("it has no valid {VERIFICATION}; export it again")))?;
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
                        Error::Usage(format!("the model does not run as {}: {problem}", self.describe()))
                    }
                    other => other,
                },
            )?;
        metadata.variant = self.clone();
        torchscript::write(&module, &metadata, &verification, path)?;
        Ok(ExportedModel {
            path: path.to_path_buf(),
            module,
            metadata: Some(metadata),
            record: Some(verification),
            ..exported
        })
    }
}

/// Casts the tensors of the network. Preprocessing stays in float32, since raw values may need the precision.
fn cast(module: &mut Module, dtype: Dtype) -> Result<()> {
    let tensors = module.parameters()?.into_iter().chain(module.buffers()?);
    for (_, mut tensor) in tensors.filter(|(name, _)| !name.starts_with("preprocess.")) {
        if tensor.is_floating_point() {
            tensor.set_data(&tensor.detach().f_to_kind(dtype.kind())?);
        }
    }
    Ok(module.set_int(DTYPE, dtype.number())?)
}

/// The methods and attributes of the default export that must survive freezing.
fn kept(module: &Module) -> Result<Vec<&'static str>> {
    const METHODS: [&str; 9] = [
        "predict",
        "predict_set",
        "energy",
        "ood_score",
        "is_ood",
        "members",
        "features",
        "class_names",
        "pixels",
    ];
    let known = module.methods()?;
    let methods = METHODS
        .into_iter()
        .chain(table::METHOD_NAMES)
        .chain(texts::METHOD_NAMES)
        .chain(ranking::METHOD_NAMES)
        .filter(|name| known.iter().any(|method| method == name));
    Ok(methods.chain(["classes"]).collect())
}
