//! Safe loading of TorchScript files. Every untrusted file reaches libtorch through this module.
//!
//! libtorch trusts the files that it loads: it uses their sizes without checks, and runs code of the file while loading. The
//! following is therefore checked first: that it is a regular file, its checksums, the sizes of its members, the storages of
//! its tensors, and the operations of its code, which must all be in an allowlist.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use cresset_bridge::model_file::{ModelFile, Operation, Refusal};
use cresset_bridge::script::Module;
use tch::Device;

use super::{archive, members};
use crate::error::{Error, Result, quoted};
use crate::model::weights::pickle::Pickle;
use crate::model::weights::storages;

/// The allowlist of operations: those on tensors, numbers, strings, lists and dictionaries, control flow, and the libtorch
/// classes that hold quantized weights.
pub(crate) const ALLOWED: &str = include_str!("operations.txt");

static TRUSTS_FILES: AtomicBool = AtomicBool::new(false);

/// Disables the allowlist of operations for this process.
///
/// ```
/// // Only for files whose code you would run anyway.
/// cresset::model::loading::trust_files();
/// ```
pub fn trust_files() {
    TRUSTS_FILES.store(true, Ordering::Relaxed);
}

pub(crate) fn trusts_files() -> bool {
    TRUSTS_FILES.load(Ordering::Relaxed)
}

/// A TorchScript file with valid members and storages. None of its code has run.
///
/// ```
/// use cresset::export::METADATA;
/// use cresset::model::loading::CheckedModelFile;
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let file = CheckedModelFile::open(&out.join("model.pt"))?;
/// assert!(file.extra(METADATA)?.unwrap().contains("setosa"));
/// let mut module = file.module(Device::Cpu)?;
/// module.set_training(false)?;
/// let logits = module.call("forward", &Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)))?.remove(0);
/// assert_eq!(logits.size(), [2, 3]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct CheckedModelFile {
    path: PathBuf,
    file: ModelFile,
}

impl CheckedModelFile {
    /// Opens a file and checks it.
    ///
    /// # Errors
    /// A file that is missing, damaged or not TorchScript, and a path that is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let fault = |problem: String| Error::artifact(path, problem);
        let file = open_file(path)?;
        check_archive(&file).map_err(fault)?;
        let file = ModelFile::open(&file).map_err(|reason| damaged(path, &reason.to_string()))?;
        let unloaded = CheckedModelFile { path: path.to_path_buf(), file };
        if !unloaded.has("constants.pkl")? && !unloaded.has("model.json")? {
            let content = if unloaded.has("data.pkl")? {
                "values without code, as written by torch.save"
            } else {
                "no code"
            };
            return Err(damaged(path, &format!("it contains {content}")));
        }
        for folder in ["constants", "data"] {
            unloaded.check_storages(folder).map_err(|problem| {
                let problem = format!("the file is damaged and was not loaded: {problem}");
                fault(problem)
            })?;
        }
        Ok(unloaded)
    }

    /// The text of the extra file `name`, if it exists.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn extra(&self, name: &str) -> Result<Option<String>> {
        let record = format!("extra/{name}");
        Ok(match self.file.size(&record)? {
            Some(_) => Some(String::from_utf8_lossy(&self.file.read(&record)?).into_owned()),
            None => None,
        })
    }

    /// Loads the module onto a device. Also returns the operations of its code.
    ///
    /// # Errors
    /// Code that does not compile, and operations outside the allowlist, unless files are trusted.
    pub fn load(&self, device: Device) -> std::result::Result<(Module, Vec<Operation>), Refusal> {
        if trusts_files() {
            return self.file.load_trusted(device).map_err(Refusal::Damaged);
        }
        self.file.load(device, ALLOWED)
    }

    /// Like [`CheckedModelFile::load`], with the refusal as an [`Error`].
    ///
    /// # Errors
    /// Those of [`CheckedModelFile::load`].
    pub fn module(&self, device: Device) -> Result<Module> {
        self.load(device).map(|(module, _)| module).map_err(|refusal| self.error(&refusal))
    }

    /// The error message of a refusal.
    pub fn error(&self, refusal: &Refusal) -> Error {
        match refusal {
            Refusal::Damaged(reason) => damaged(&self.path, &reason.to_string()),
            Refusal::Operations(found) => Error::artifact(&self.path, refused(found)),
        }
    }

    fn has(&self, record: &str) -> Result<bool> {
        Ok(self.file.size(record)?.is_some())
    }

    fn check_storages(&self, folder: &str) -> std::result::Result<(), String> {
        let to_text = |error: cresset_bridge::Error| error.to_string();
        let record = format!("{folder}.pkl");
        if self.file.size(&record).map_err(to_text)?.is_none() {
            // libtorch reports the missing record.
            return Ok(());
        }
        let pickle = Pickle::read(&self.file.read(&record).map_err(to_text)?)?;
        storages::check(&pickle, folder, &|record| self.file.size(record).map_err(to_text))
    }
}

/// Checks the sizes and the checksums of the members of an archive. Another file passes: libtorch reports it.
///
/// # Errors
/// The first member that is damaged.
pub(crate) fn check_archive(file: &File) -> std::result::Result<(), String> {
    let reader = || BufReader::new(file);
    archive::check_sizes(reader())?;
    match members::damaged_member(reader()) {
        Some(member) => {
            Err(format!("the file is damaged ({} has changed since it was written)", quoted(&member)))
        }
        None => Ok(()),
    }
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::artifact(path, format!("this is not a TorchScript model, or it is damaged ({reason})"))
}

/// The message for refused operations. It lists those of the first method.
fn refused(found: &[Operation]) -> String {
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for operation in found.iter().filter(|operation| !operation.is_allowed) {
        methods.entry(&operation.method).or_default().push(&operation.kind);
    }
    let (method, kinds) = methods.pop_first().unwrap_or_default();
    let kinds = kinds.iter().take(8).map(|kind| quoted(kind)).collect::<Vec<_>>().join(", ");
    let does = match method.rsplit_once('.') {
        Some((class, name)) => {
            let class = class.rsplit('.').next().unwrap_or_default();
            format!("method {} (class {}) calls {kinds}", quoted(name), quoted(class))
        }
        None => format!("values are of the class {kinds}"),
    };
    let others = match methods.len() {
        0 => String::new(),
        1 => ", and 1 other method has refused operations".to_string(),
        count => format!(", and {count} other methods have refused operations"),
    };
    format!(
        "the model's {does}, which no classifier needs{others}. No code of the file was run. `cresset inspect` lists its \
         operations; use --trust if you trust the author of the file"
    )
}

/// Opens a model file. It must be a regular file, because reading a FIFO or a device may never end.
///
/// ```
/// use cresset::model::loading::open_file;
/// use std::path::Path;
///
/// let error = open_file(Path::new("missing.pt")).unwrap_err();
/// assert!(error.to_string().contains("missing.pt"));
/// ```
///
/// # Errors
/// A missing file, and a path that is not a regular file.
pub fn open_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::FileTypeExt;
    let cannot = |e: std::io::Error| Error::artifact(path, format!("cannot read the model: {e}"));
    let kind = std::fs::metadata(path).map_err(cannot)?.file_type();
    let problem = match () {
        () if kind.is_file() => return File::open(path).map_err(cannot),
        () if kind.is_dir() => "this is a folder; give a model file, such as the model.pt in it",
        () if kind.is_fifo() => "this is a FIFO, not a regular file; copy it to a regular file",
        () if kind.is_socket() => "this is a socket, not a regular file",
        () => "this is a device, not a regular file",
    };
    Err(Error::artifact(path, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowlist_is_sorted_and_libtorch_knows_every_entry() {
        // Operations without an implementation of their own, and classes.
        const BUILT_IN: [&str; 20] = [
            "prim::CallFunction",
            "prim::CallMethod",
            "prim::Constant",
            "prim::CreateObject",
            "prim::DictConstruct",
            "prim::Enter",
            "prim::Exit",
            "prim::GetAttr",
            "prim::If",
            "prim::ListConstruct",
            "prim::ListUnpack",
            "prim::Loop",
            "prim::SetAttr",
            "prim::TupleConstruct",
            "prim::TupleSlice",
            "prim::isinstance",
            "__torch__.torch.classes.quantized.Conv2dPackedParamsBase",
            "__torch__.torch.classes.quantized.Conv3dPackedParamsBase",
            "__torch__.torch.classes.quantized.LinearPackedParamsBase",
            "__torch__.torch.classes.rnn.CellParamsBase",
        ];
        let known = cresset_bridge::model_file::operation_names().unwrap();
        let listed: Vec<&str> = ALLOWED.lines().collect();
        assert!(listed.is_sorted());
        for name in listed {
            assert!(BUILT_IN.contains(&name) || known.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn operations_with_side_effects_are_not_allowed() {
        for name in
            ["aten::from_file", "aten::save", "aten::_print", "prim::Print", "prim::fork", "c10d::send"]
        {
            assert!(!ALLOWED.lines().any(|line| line == name), "{name}");
        }
    }

    #[test]
    fn a_refusal_names_method_and_operations() {
        let operation = |method: &str, kind: &str, is_allowed| Operation {
            method: method.to_string(),
            kind: kind.to_string(),
            count: 1,
            is_allowed,
        };
        let found = [
            operation("__torch__.a.Net.forward", "aten::from_file", false),
            operation("__torch__.a.Net.forward", "aten::mul", true),
            operation("__torch__.a.Net.forward", "prim::Print", false),
        ];
        let said = refused(&found);
        assert!(
            said.starts_with(
                "the model's method `forward` (class `Net`) calls `aten::from_file`, `prim::Print`, which"
            ),
            "{said}"
        );
        let of_value = [operation("", "__torch__.torch.classes.dist_rpc.WorkerInfo", false)];
        assert!(refused(&of_value).contains("values are of the class `__torch__.torch.classes.dist_rpc"));
    }
}
