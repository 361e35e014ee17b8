//! The folder of a run, and what is in it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::writer::Writer;
use crate::data::{atomic, terminal};
use crate::error::{Error, Result};
use crate::options::{Config, ModelChoice, RECORD};
use crate::run::Prepared;
use crate::train::checkpoint::CheckpointFolder;

/// The note of a run about the corrections that it learned from.
const FEEDBACK_SHA256: &str = "feedback_sha256";

/// How the names of TensorBoard's event files begin.
pub(crate) const EVENT_FILE: &str = "events.out.tfevents.";

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
            terminal::argument(&run.config_file()),
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

    /// What the folder is called.
    pub fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The options of the run.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Which example is in which part.
    pub fn split(&self) -> PathBuf {
        self.path.join("split.csv")
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
        let _writer = path.is_dir().then(|| run.writer()).transpose()?;
        for folder in [path, &checkpoints].into_iter().filter(|folder| folder.is_dir()) {
            atomic::clear(folder)?;
        }
        for file in [run.config_file(), run.split(), run.metrics()] {
            unless_absent(fs::remove_file(&file)).map_err(Error::io("remove", &file))?;
        }
        for events in event_files(path)? {
            fs::remove_file(&events).map_err(Error::io("remove", &events))?;
        }
        unless_absent(fs::remove_dir(&checkpoints)).map_err(Error::io("remove the folder", &checkpoints))
    }

    /// Removes what a process that was killed left half-written.
    pub fn clear_partial(&self) -> Result<()> {
        atomic::clear(&self.path)?;
        Ok(atomic::clear(&self.path.join("checkpoints"))?)
    }

    /// Where training keeps its checkpoints.
    pub fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(self.path.join("checkpoints"))
    }

    /// The checkpoint that training resumes from.
    pub fn last_checkpoint(&self) -> PathBuf {
        self.checkpoints().last()
    }

    /// The weights of the epoch with the lowest validation loss.
    pub fn best_checkpoint(&self) -> PathBuf {
        self.checkpoints().best()
    }

    /// The page that shows the run.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The exported model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.pt")
    }

    /// Writes config.toml: the options, and what else it takes to repeat the run.
    pub fn write_config(&self, config: &Config, prepared: &Prepared) -> Result<()> {
        let Prepared { dataset, corrections, threads, .. } = prepared;
        let mut record = toml::Table::from_iter([
            ("cresset".to_string(), env!("CARGO_PKG_VERSION").into()),
            ("libtorch".to_string(), cresset_bridge::LIBTORCH_VERSION.into()),
            ("data_file".to_string(), dataset.path.display().to_string().into()),
            ("data_sha256".to_string(), dataset.sha256.clone().into()),
            ("threads".to_string(), i64::from(*threads).into()),
        ]);
        if let Some(corrections) = corrections {
            record.insert(FEEDBACK_SHA256.to_string(), corrections.sha256.clone().into());
        }
        let text = format!(
            "# Run it again: cresset train --config {}\n{}\n# Notes of the run, ignored when this file is read.\n[{RECORD}]\n{record}",
            terminal::argument(&self.config_file()),
            config.to_toml()
        );
        Ok(atomic::write(&self.config_file(), text.as_bytes())?)
    }

    /// The notes of the run about itself, which stand behind its options.
    pub fn record(&self) -> Result<toml::Table> {
        let path = self.config_file();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let record =
            text.parse::<toml::Table>().ok().and_then(|table| table.get(RECORD)?.as_table().cloned());
        Ok(record.unwrap_or_default())
    }

    /// The fingerprint of the data that the run was begun with.
    pub fn data_sha256(&self) -> Result<String> {
        let record = self.record()?;
        let sha256 = record.get("data_sha256").and_then(|sha256| sha256.as_str());
        sha256.map(str::to_string).ok_or_else(|| {
            Error::artifact(&self.config_file(), format!("the table [{RECORD}] has no data_sha256"))
        })
    }

    /// The fingerprint of the corrections that the run was begun with, if there were any.
    pub fn feedback_sha256(&self) -> Result<Option<String>> {
        let record = self.record()?;
        Ok(record.get(FEEDBACK_SHA256).and_then(|sha256| sha256.as_str()).map(str::to_string))
    }

    /// The right to write into the folder, for as long as what is returned lives.
    ///
    /// # Errors
    /// Another process that has it.
    pub fn writer(&self) -> Result<Writer> {
        Writer::of(&self.path)
    }

    /// Whether a process writes into the folder.
    pub fn is_in_use(&self) -> bool {
        Writer::is_taken(&self.path)
    }

    /// Whether there is a model that is no older than the last checkpoint: training has gone no step since it was exported.
    pub fn has_current_model(&self) -> bool {
        let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let model = changed(&self.model());
        model.is_some() && model >= changed(&self.last_checkpoint())
    }

    /// Writes split.csv: an example by its name (a row of a table by its number, from 0 and without the header) and its
    /// part, `train`, `heldout` or `test`; or `feedback`, for corrections that are kept to measure the model on.
    pub fn write_split(&self, prepared: &Prepared) -> Result<()> {
        let Prepared { dataset, split, corrections, .. } = prepared;
        let kept = corrections.as_ref().map(|corrections| ("feedback", &corrections.kept[..]));
        let parts = split.parts().into_iter().chain(kept);
        let mut rows: Vec<_> =
            parts.flat_map(|(part, rows)| rows.iter().map(move |row| (*row, part))).collect();
        rows.sort_unstable();
        // A correction stands among the examples of an epoch several times.
        rows.dedup();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |name: &str, part: &str| {
            writer.write_record([name, part]).expect("a record can be written to memory");
        };
        write("example", "part");
        rows.iter().for_each(|(row, part)| write(&dataset.names.name(*row as usize), part));
        let bytes = writer.into_inner().expect("a record can be written to memory");
        Ok(atomic::write(&self.split(), &bytes)?)
    }
}

/// TensorBoard's files of events in a folder.
fn event_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read the folder", folder)(error)),
    };
    let is_events =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(EVENT_FILE));
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_events).collect())
}

fn unless_absent(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn claim_new(out: Option<&Path>, config: &Config) -> Result<PathBuf> {
    let data = Path::new(&config.data).file_stem().unwrap_or_default().to_string_lossy();
    let model = ModelChoice::of(&config.model).short_name();
    claim_named(out, &format!("{data}-{model}"))
}

/// Makes a new folder: `out`, which must not exist or be empty, or else the first free name `runs/<stem>-<number>`.
pub(crate) fn claim_named(out: Option<&Path>, stem: &str) -> Result<PathBuf> {
    match out {
        Some(path) if path.to_str().is_none() => {
            let problem = "the name of this folder is not UTF-8, which libtorch needs; name another one";
            Err(Error::artifact(path, problem))
        }
        Some(path) => {
            claim(path)?;
            Ok(path.to_path_buf())
        }
        None => claim_numbered(stem),
    }
}

fn claim(path: &Path) -> Result<()> {
    match path.read_dir().map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        // Which is said first, because going on is no remedy then.
        Ok(false) if Writer::is_taken(path) => {
            // Whoever it was may have ended just now.
            drop(Writer::of(path)?);
            claim(path)
        }
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

fn claim_numbered(stem: &str) -> Result<PathBuf> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(|error| no_folder(runs, error))?;
    for number in 1u64.. {
        let path = runs.join(format!("{stem}-{number}"));
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
    use proptest::prelude::*;

    #[test]
    fn a_folder_with_something_in_it_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
        let error = RunFolder::create(Some(folder.path()), &Config::default()).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn options_of_any_name_are_read_back(
            name in "([ -.0-~]|[\n\t\r\u{1}\u{1b}\u{202e}ß猫]){1,12}",
            data in "(\\PC|[\n\t\r\"'\\\\#\u{1b}\u{7f}\u{202e}]){1,20}",
        ) {
            let folder = tempfile::tempdir().unwrap();
            let config = Config { data: data.clone(), train_list: Some(data.into()), ..Config::default() };
            // A name that is not that of a folder would be one of a folder above it.
            let run = RunFolder::create_parent(Some(&folder.path().join(format!("run{name}"))), &config).unwrap();
            prop_assert_eq!(Config::read(&run.config_file()).unwrap(), config);
        }
    }

    #[test]
    fn an_empty_folder_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        RunFolder::create(Some(folder.path()), &Config::default()).unwrap();
        assert!(RunFolder::create(Some(folder.path()), &Config::default()).is_err());
    }
}
