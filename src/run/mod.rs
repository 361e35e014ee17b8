//! A run is a folder.
//!
//! ```text
//! runs/digits-mlp-1/
//!   config.toml    every option, and under [record] the versions and the data's fingerprint
//!   split.csv      which example of the data is in which part
//!   metrics.csv    a row an epoch
//!   checkpoints/   last.safetensors, best.safetensors
//!   model.pt       the TorchScript export of the best checkpoint
//! ```

pub mod atomic;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::config::{Config, ModelChoice, RECORD};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run: `out`, which must not exist or be empty, or else the first free name
    /// `runs/<data>-<model>-<number>`.
    pub fn create(out: Option<&Path>, config: &Config) -> Result<Self> {
        let run = RunFolder { path: claim_new(out, config)? };
        let checkpoints = run.path.join("checkpoints");
        fs::create_dir(&checkpoints).map_err(Error::io("create the folder", &checkpoints))?;
        Ok(run)
    }

    /// Makes the folder of a cross-validation, in the same places, with its options and nothing else.
    pub fn create_parent(out: Option<&Path>, config: &Config) -> Result<Self> {
        let run = RunFolder { path: claim_new(out, config)? };
        let text = format!(
            "# Run it again: cresset train --config {}\n{}",
            run.config_file().display(),
            config.to_toml()
        );
        atomic::write(&run.config_file(), text.as_bytes())?;
        Ok(run)
    }

    /// The folder of a run that another process has made.
    pub(crate) fn at(path: &Path) -> Self {
        RunFolder { path: path.to_path_buf() }
    }

    /// Opens the folder of a run that was begun.
    ///
    /// # Errors
    /// A folder that is missing or holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        let run = RunFolder { path: path.to_path_buf() };
        if !path.is_dir() {
            return Err(Error::artifact(path, "there is no such run folder"));
        }
        if !run.config_file().is_file() {
            return Err(Error::artifact(path, "this folder holds no run (it has no config.toml)"));
        }
        Ok(run)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The options of the run.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The figures of every epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// Removes what a run wrote at `path` that was killed before its first checkpoint, so that it can begin there again.
    /// Anything else in the folder stays, and then keeps it from being used.
    pub fn clear_unbegun(path: &Path) -> Result<()> {
        let run = RunFolder { path: path.to_path_buf() };
        let checkpoints = path.join("checkpoints");
        for folder in [path, &checkpoints].into_iter().filter(|folder| folder.is_dir()) {
            atomic::clear(folder)?;
        }
        for file in [run.config_file(), path.join("split.csv"), run.metrics()] {
            unless_absent(fs::remove_file(&file)).map_err(Error::io("remove", &file))?;
        }
        unless_absent(fs::remove_dir(&checkpoints)).map_err(Error::io("remove the folder", &checkpoints))
    }

    /// Removes what a process that was killed left half-written.
    pub fn clear_partial(&self) -> Result<()> {
        atomic::clear(&self.path)?;
        atomic::clear(&self.path.join("checkpoints"))
    }

    /// Where training goes on from.
    pub fn last_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints/last.safetensors")
    }

    /// The weights of the epoch with the least held-out loss.
    pub fn best_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints/best.safetensors")
    }

    /// The exported model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.pt")
    }

    /// Writes config.toml: the options, and what else it takes to repeat the run.
    pub fn write_config(&self, config: &Config, dataset: &Dataset, threads: u16) -> Result<()> {
        let record = toml::Table::from_iter([
            ("cresset".to_string(), env!("CARGO_PKG_VERSION").into()),
            ("libtorch".to_string(), cresset_bridge::LIBTORCH_VERSION.into()),
            ("data_file".to_string(), dataset.path.display().to_string().into()),
            ("data_sha256".to_string(), dataset.sha256.clone().into()),
            ("threads".to_string(), i64::from(threads).into()),
        ]);
        let text = format!(
            "# Run it again: cresset train --config {}\n{}\n# Notes of the run, ignored when this file is read.\n[{RECORD}]\n{record}",
            self.config_file().display(),
            config.to_toml()
        );
        atomic::write(&self.config_file(), text.as_bytes())
    }

    /// The fingerprint of the data that the run was begun with.
    pub fn data_sha256(&self) -> Result<String> {
        let path = self.config_file();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let sha256 = text.parse::<toml::Table>().ok().and_then(|table| {
            let record = table.get(RECORD)?.get("data_sha256")?;
            record.as_str().map(str::to_string)
        });
        sha256.ok_or_else(|| Error::artifact(&path, format!("the table [{RECORD}] has no data_sha256")))
    }

    /// Writes split.csv: an example by its name (a row of a table by its number, from 0 and without the header) and its
    /// part, `train`, `heldout` or `test`.
    pub fn write_split(&self, dataset: &Dataset, split: &Split) -> Result<()> {
        let parts = split.parts().into_iter();
        let mut rows: Vec<_> =
            parts.flat_map(|(part, rows)| rows.iter().map(move |row| (*row, part))).collect();
        rows.sort_unstable();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |name: &str, part: &str| {
            writer.write_record([name, part]).expect("a record can be written to memory");
        };
        write("example", "part");
        rows.iter().for_each(|(row, part)| write(&dataset.names.name(*row as usize), part));
        let bytes = writer.into_inner().expect("a record can be written to memory");
        atomic::write(&self.path.join("split.csv"), &bytes)
    }
}

fn unless_absent(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn claim_new(out: Option<&Path>, config: &Config) -> Result<PathBuf> {
    match out {
        Some(path) if path.to_str().is_none() => {
            let problem = "the name of this folder is not UTF-8, which libtorch needs; name another one";
            Err(Error::artifact(path, problem))
        }
        Some(path) => {
            claim(path)?;
            Ok(path.to_path_buf())
        }
        None => claim_numbered(config),
    }
}

fn claim(path: &Path) -> Result<()> {
    match path.read_dir().map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(_) if path.join("config.toml").exists() => Err(Error::artifact(
            path,
            "this folder holds a run; go on with it by `--resume`, or name another folder. Nothing was changed",
        )),
        Ok(_) => {
            Err(Error::artifact(path, "this folder is not empty; name another one. Nothing was changed"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(|error| no_folder(path, error))
        }
        Err(error) => Err(no_folder(path, error)),
    }
}

fn no_folder(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Error::artifact(
            path,
            "no folder can be made here, because this path or a part of it is something else; name another folder with `--out`. Nothing was changed",
        ),
        _ => Error::io("create the run folder", path)(error),
    }
}

fn claim_numbered(config: &Config) -> Result<PathBuf> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(|error| no_folder(runs, error))?;
    let data = Path::new(&config.data).file_stem().unwrap_or_default().to_string_lossy();
    let model = ModelChoice::of(&config.model).short_name();
    for number in 1u64.. {
        let path = runs.join(format!("{data}-{model}-{number}"));
        // Creating it is what claims the name, so two runs that begin at once get two folders.
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(Error::io("create the run folder", &path)(error)),
        }
    }
    unreachable!("the numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let error = RunFolder::create(Some(folder.path()), &Config::default()).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_empty_folder_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        RunFolder::create(Some(folder.path()), &Config::default()).unwrap();
        assert!(RunFolder::create(Some(folder.path()), &Config::default()).is_err());
    }
}
