//! Packages that AOTInductor compiled: a shared library instead of a graph.
//!
//! Nothing about such a package can be checked before it runs, apart from the machine that it was compiled for. It is loaded only if
//! files are trusted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cresset_bridge::compiled_package::CompiledPackage;
use cresset_bridge::model_file::ModelFile;
use tch::{Device, Kind, Tensor};

use super::{Archive, text};
use crate::data::InputShape;
use crate::error::{Error, Result, quoted};
use crate::model::executor::{Batching, Executor};
use crate::model::loading::trusts_files;

/// The folder of the compiled models in an archive.
const FOLDER: &str = "data/aotinductor/";

/// A compiled package with valid members. None of its code has run.
///
/// ```
/// use cresset::model::package::CheckedCompiledPackage;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("compiled.pt2");
/// # std::fs::write(&path, "text").unwrap();
/// assert!(CheckedCompiledPackage::open(&path).is_err());
/// ```
pub struct CheckedCompiledPackage {
    path: PathBuf,
    file: ModelFile,
    /// The name of the model in the archive.
    name: String,
    /// What AOTInductor wrote about the machine.
    machine: BTreeMap<String, String>,
    library_bytes: u64,
}

impl CheckedCompiledPackage {
    /// Whether an archive with these members is a compiled package without a graph.
    fn recognizes(names: &[String]) -> bool {
        let path = |name: &String| name.split_once('/').map(|(_, path)| path.to_string()).unwrap_or_default();
        names.iter().any(|name| path(name).starts_with(FOLDER))
            && !names.iter().any(|name| path(name).starts_with("models/"))
    }

    /// Opens a package like [`CheckedCompiledPackage::open`]; `None` for a file that is not a compiled package.
    ///
    /// # Errors
    /// Those of [`CheckedCompiledPackage::open`].
    pub fn of_file(path: &Path) -> Result<Option<Self>> {
        let names = super::archive_names(path)?;
        names.filter(|names| Self::recognizes(names)).map(|_| Self::open(path)).transpose()
    }

    /// Opens a package and checks its members.
    ///
    /// # Errors
    /// A file that is missing, damaged or not a compiled package.
    pub fn open(path: &Path) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        let Archive { names, file } = Archive::open(path)?;
        let members: Vec<&str> = names
            .iter()
            .filter_map(|name| name.split_once('/').and_then(|(_, path)| path.strip_prefix(FOLDER)))
            .collect();
        let libraries: Vec<_> = members.iter().filter(|name| name.ends_with(".so")).collect();
        let [library] = libraries[..] else {
            let problem = format!("the package has {} shared libraries, but one is needed", libraries.len());
            return Err(fault(problem));
        };
        let name = library.split('/').next().unwrap_or_default().to_string();
        let described = library.replace(".so", "_metadata.json");
        let machine = text(&file, &format!("{FOLDER}{described}")).map_err(fault)?;
        let machine = serde_json::from_str(&machine)
            .map_err(|e| fault(format!("its member {} is damaged: {e}", quoted(&described))))?;
        let library_bytes = file.size(&format!("{FOLDER}{library}"))?.unwrap_or(0);
        Ok(CheckedCompiledPackage { path: path.to_path_buf(), file, name, machine, library_bytes })
    }

    /// The text of the extra file `name`, if it exists.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn extra(&self, name: &str) -> Result<Option<String>> {
        super::extra(&self.file, name)
    }

    /// What AOTInductor wrote about the machine that the package was compiled for, such as `AOTI_CPU_ISA`.
    pub fn machine(&self) -> &BTreeMap<String, String> {
        &self.machine
    }

    /// The size of the shared library in bytes.
    pub fn library_bytes(&self) -> u64 {
        self.library_bytes
    }

    /// Loads the package for inputs of this shape, onto the CPU. This runs its code.
    ///
    /// # Errors
    /// Files are not trusted, and a package for another machine.
    pub fn runner(self, input: &InputShape) -> Result<CompiledRunner> {
        let fault = |problem: String| Error::artifact(&self.path, problem);
        if !trusts_files() {
            let problem = "the package is compiled: it has a shared library, whose code cannot be checked before it runs. It was not \
                           loaded; use --trust if you trust the author of the file like that of a program";
            return Err(fault(problem.to_string()));
        }
        check_machine(&self.machine).map_err(fault)?;
        let package = CompiledPackage::load(&self.path, &self.name)
            .map_err(|reason| fault(format!("libtorch cannot run the package: {reason}")))?;
        let batching = Batching { shape: input.0.clone(), kind: Kind::Float, least: 1, most: None };
        Ok(CompiledRunner { path: self.path, package, batching, library_bytes: self.library_bytes })
    }
}

/// Refuses a package for another device, system or processor.
fn check_machine(machine: &BTreeMap<String, String>) -> std::result::Result<(), String> {
    let this =
        [("AOTI_DEVICE_KEY", "cpu"), ("AOTI_PLATFORM", "linux"), ("AOTI_MACHINE", std::env::consts::ARCH)];
    for (key, here) in this {
        match machine.get(key) {
            Some(of) if of != here => {
                return Err(format!(
                    "the package was compiled for {}, but this program runs it on {here}; compile it for this machine",
                    quoted(of)
                ));
            }
            _ => {}
        }
    }
    let needs = machine.get("AOTI_CPU_ISA").map(String::as_str).unwrap_or_default();
    match needs.split_whitespace().find(|set| !has_instructions(set)) {
        Some(set) => Err(format!(
            "the package was compiled for a processor with {}, which this one does not have; compile it on this machine",
            quoted(set)
        )),
        None => Ok(()),
    }
}

/// Whether the processor has an instruction set, by AOTInductor's name.
#[cfg(target_arch = "x86_64")]
fn has_instructions(set: &str) -> bool {
    match set.to_ascii_uppercase().as_str() {
        "INVALID_VEC_ISA" | "DEFAULT" => true,
        "AVX2" => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        "AVX512" => {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
        }
        "AVX512_VNNI" => is_x86_feature_detected!("avx512vnni"),
        _ => false,
    }
}

/// Whether the processor has an instruction set, by AOTInductor's name.
#[cfg(not(target_arch = "x86_64"))]
fn has_instructions(set: &str) -> bool {
    matches!(set.to_ascii_uppercase().as_str(), "INVALID_VEC_ISA" | "DEFAULT" | "ASIMD" | "NEON")
}

/// A compiled package, on the CPU. Its weights are inside of the library, so it has no named tensors.
pub struct CompiledRunner {
    path: PathBuf,
    package: CompiledPackage,
    batching: Batching,
    library_bytes: u64,
}

impl Executor for CompiledRunner {
    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        self.batching.run(inputs, |inputs| {
            self.package.run(inputs).map_err(|reason| {
                let size = inputs.size();
                let problem = format!(
                    "the compiled package does not run on inputs of shape {size:?}; compile it with a free batch size ({reason})"
                );
                Error::artifact(&self.path, problem)
            })
        })
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    fn constants(&self) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }

    /// An estimate: the library holds the weights, mostly float32.
    fn counts(&self) -> Result<(usize, usize)> {
        Ok((self.library_bytes as usize / 4, self.library_bytes as usize / 4))
    }

    fn device(&self) -> Option<Device> {
        Some(Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, &str)]) -> std::result::Result<(), String> {
        check_machine(&entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn a_package_for_another_machine_is_refused() {
        assert_eq!(of(&[]), Ok(()));
        assert_eq!(of(&[("AOTI_DEVICE_KEY", "cpu"), ("AOTI_MACHINE", std::env::consts::ARCH)]), Ok(()));
        for (key, value) in [
            ("AOTI_DEVICE_KEY", "cuda"),
            ("AOTI_PLATFORM", "win32"),
            ("AOTI_MACHINE", "riscv64"),
            ("AOTI_CPU_ISA", "AVX4096"),
        ] {
            let problem = of(&[(key, value)]).unwrap_err();
            assert!(problem.contains(value) && problem.contains("compile it"), "{problem}");
        }
    }
}
