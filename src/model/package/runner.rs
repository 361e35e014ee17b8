//! Runs a package with libtorch's interpreter.

use cresset_bridge::package::Package;
use tch::{Device, Kind, Tensor};
use tempfile::TempPath;

use super::CheckedPackage;
use super::output_spec;
use super::program::{Input, kind_of};
use super::stored::Role;
use crate::data::InputShape;
use crate::error::{Error, Result, quoted};
use crate::model::executor::{Batching, Executor};

/// A package that libtorch's interpreter runs, on the CPU.
pub struct Runner {
    checked: CheckedPackage,
    package: Package,
    /// The file that the interpreter loaded, if it is a copy.
    _copy: Option<TempPath>,
    batching: Batching,
}

impl Runner {
    /// Loads a checked package for inputs of this shape.
    pub fn new(checked: CheckedPackage, shape: &InputShape) -> Result<Self> {
        let fault = |problem: String| Error::artifact(&checked.path, problem);
        let input = checked
            .program
            .input
            .as_ref()
            .map_err(|problem| fault(format!("the package cannot run: {problem}")))?;
        let batching = batching(input, shape).map_err(fault)?;
        if !checked.program.returns_tensor {
            return Err(fault("the package cannot run: its first output is not a tensor".to_string()));
        }
        let copy = match checked.program.has_foreign_output {
            true => Some(output_spec::flattened(&checked.path, &checked.name)?),
            false => None,
        };
        let path = copy.as_deref().unwrap_or(&checked.path);
        let package = Package::load(path, &checked.name)
            .map_err(|reason| fault(format!("libtorch cannot run the package: {reason}")))?;
        Ok(Runner { batching, package, checked, _copy: copy })
    }
}

impl Executor for Runner {
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        self.batching.run(inputs, |inputs| Ok(self.package.run(inputs)?))
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        self.checked.names(false).map(|name| Ok((name.clone(), self.checked.values(name)?))).collect()
    }

    fn constants(&self) -> Result<Vec<Tensor>> {
        self.checked.names(true).map(|name| self.checked.values(name)).collect()
    }

    fn counts(&self) -> Result<(usize, usize)> {
        let mut counts = (0usize, 0usize);
        for stored in self.checked.stored.values() {
            match stored.role {
                Role::Parameter => counts.0 = counts.0.saturating_add(stored.count()),
                Role::Buffer => counts.1 = counts.1.saturating_add(stored.count()),
                Role::Constant => {}
            }
        }
        Ok((counts.0, counts.0.saturating_add(counts.1)))
    }

    fn device(&self) -> Option<Device> {
        Some(Device::Cpu)
    }
}

/// How a graph with this input takes batches of examples of this shape.
fn batching(input: &Input, shape: &InputShape) -> std::result::Result<Batching, String> {
    let meta = &input.meta;
    if meta.device != "cpu" {
        return Err(format!(
            "the package runs on a device of the type {}; export it on the CPU",
            meta.device
        ));
    }
    let kind = kind_of(meta.dtype).filter(|kind| *kind != Kind::Bool);
    let kind = kind.ok_or("the input of the package has a dtype that is not supported")?;
    let takes = &meta.sizes[1..];
    let fits = takes.len() == shape.0.len()
        && takes.iter().zip(&shape.0).all(|(takes, size)| takes.fixed().is_none_or(|takes| takes == *size));
    if !fits {
        let sizes: Vec<_> = takes
            .iter()
            .map(|size| size.fixed().map_or("any".to_string(), |size| size.to_string()))
            .collect();
        return Err(format!(
            "the input {} of the package takes examples of {}, but its metadata describes examples of {shape}",
            quoted(&input.name),
            sizes.join("×")
        ));
    }
    Ok(Batching { shape: shape.0.clone(), kind, least: input.least, most: input.most })
}
