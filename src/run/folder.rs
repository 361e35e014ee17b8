//! The run folder and its files.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::lock::RunLock;
use crate::data::{Dataset, Inputs, Split, TableLayout, atomic, terminal};
use crate::error::{Error, Result};
use crate::options::{Config, ModelChoice, RECORD};
use crate::run::Prepared;
use crate::train::checkpoint::CheckpointFolder;

/// The entry of the run record with the SHA-256 of the corrections.
const FEEDBACK_SHA256: &str = "feedback_sha256";

/// The entry of the record with the choices of the recipe.
const RECIPE: &str = "recipe";

/// The name of the file of a tokenizer, in a run folder and beside an exported model.
pub const TOKENIZER: &str = "tokenizer.json";

/// Prefix of the names of TensorBoard event files.
pub(crate) const EVENT_FILE: &str = "events.out.tfevents.";

/// A run folder.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::RunFolder;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = RunFolder::open(fitted.folder())?;
/// assert!(run.model().is_file() && run.last_checkpoint().is_file());
/// assert_eq!(run.data_sha256()?.len(), 64);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates the folder of a new run: `out`, which must not exist or be empty, or by default the first free
    /// `runs/<data>-<model>-<number>`.
    pub fn create(out: Option<&Path>, config: &Config) -> Result<Self> {
        let run = RunFolder { path: create_for(out, config)? };
        let checkpoints = run.path.join("checkpoints");
        fs::create_dir(&checkpoints).map_err(Error::io("create the folder", &checkpoints))?;
        Ok(run)
    }

    /// Creates the folder of a cross-validation in the same way, with only its options.
    pub(crate) fn create_parent(out: Option<&Path>, config: &Config) -> Result<Self> {
        let run = RunFolder { path: create_for(out, config)? };
        let text = format!(
            "# To reproduce: cresset train --config {}\n{}",
            terminal::argument(&run.config_file()),
            config.to_toml()
        );
        atomic::write(&run.config_file(), text.as_bytes())?;
        Ok(run)
    }

    /// The run folder that another process has created.
    pub(crate) fn at(path: &Path) -> Self {
        RunFolder { path: path.to_path_buf() }
    }

    /// Opens an existing run folder.
    ///
    /// # Errors
    /// If the folder does not exist or holds no run.
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

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the folder.
    pub fn name(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Path of the options file.
    pub fn config_file(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Path of the split file.
    pub fn split(&self) -> PathBuf {
        self.path.join("split.csv")
    }

    /// Path of the tokenizer with a vocabulary, of a run on texts that has one.
    pub fn tokenizer(&self) -> PathBuf {
        self.path.join(TOKENIZER)
    }

    /// Path of the metrics of each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// Removes the files of a run that was killed before its first checkpoint, so that it can start again at `path`.
    /// Other files stay, and make the folder unusable for a new run.
    pub fn remove_unstarted(path: &Path) -> Result<()> {
        let run = RunFolder { path: path.to_path_buf() };
        let checkpoints = path.join("checkpoints");
        let _writer = path.is_dir().then(|| run.lock()).transpose()?;
        for folder in [path, &checkpoints].into_iter().filter(|folder| folder.is_dir()) {
            atomic::clear(folder)?;
        }
        for file in [run.config_file(), run.split(), run.metrics()] {
            ignore_missing(fs::remove_file(&file)).map_err(Error::io("remove", &file))?;
        }
        #[cfg(feature = "mlflow")]
        for file in [cresset_mlflow::JOURNAL, cresset_mlflow::STATE].map(|name| path.join(name)) {
            ignore_missing(fs::remove_file(&file)).map_err(Error::io("remove", &file))?;
        }
        for events in event_files(path)? {
            fs::remove_file(&events).map_err(Error::io("remove", &events))?;
        }
        ignore_missing(fs::remove_dir(&checkpoints)).map_err(Error::io("remove the folder", &checkpoints))
    }

    /// Removes the temporary files of a killed process.
    pub(crate) fn clear_partial(&self) -> Result<()> {
        atomic::clear(&self.path)?;
        Ok(atomic::clear(&self.path.join("checkpoints"))?)
    }

    /// The checkpoint folder.
    pub fn checkpoints(&self) -> CheckpointFolder {
        CheckpointFolder::new(self.path.join("checkpoints"))
    }

    /// Path of the checkpoint to resume from.
    pub fn last_checkpoint(&self) -> PathBuf {
        self.checkpoints().last()
    }

    /// Path of the weights of the best epoch.
    pub fn best_checkpoint(&self) -> PathBuf {
        self.checkpoints().best()
    }

    /// Path of the HTML report.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Path of the exported model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.pt")
    }

    /// Writes config.toml: the options, and the run record.
    pub(crate) fn write_config(&self, config: &Config, prepared: &Prepared) -> Result<()> {
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
        let choices = config.provenance.recipe.as_ref().map(|recipe| toml::Value::from(recipe.lines()));
        if let Some(choices) = choices.or_else(|| self.record().ok()?.remove(RECIPE)) {
            record.insert(RECIPE.to_string(), choices);
        }
        let text = format!(
            "# To reproduce: cresset train --config {}\n{}\n# Record of the run, ignored when this file is read.\n[{RECORD}]\n{record}",
            terminal::argument(&self.config_file()),
            config.to_toml()
        );
        Ok(atomic::write(&self.config_file(), text.as_bytes())?)
    }

    /// The run record: the table after the options.
    pub fn record(&self) -> Result<toml::Table> {
        let path = self.config_file();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let record =
            text.parse::<toml::Table>().ok().and_then(|table| table.get(RECORD)?.as_table().cloned());
        Ok(record.unwrap_or_default())
    }

    /// SHA-256 of the data at the start of the run.
    pub fn data_sha256(&self) -> Result<String> {
        let record = self.record()?;
        let sha256 = record.get("data_sha256").and_then(|sha256| sha256.as_str());
        sha256.map(str::to_string).ok_or_else(|| {
            Error::artifact(&self.config_file(), format!("the table [{RECORD}] has no data_sha256"))
        })
    }

    /// SHA-256 of the corrections at the start of the run, if there were any.
    pub(crate) fn feedback_sha256(&self) -> Result<Option<String>> {
        let record = self.record()?;
        Ok(record.get(FEEDBACK_SHA256).and_then(|sha256| sha256.as_str()).map(str::to_string))
    }

    /// Locks the folder for writing until the returned value is dropped.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use cresset::run::RunFolder;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let run = RunFolder::open(fitted.folder())?;
    /// let lock = run.lock()?;
    /// assert!(run.lock().is_err());
    /// drop(lock);
    /// assert!(run.lock().is_ok());
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// If another process holds the lock.
    pub fn lock(&self) -> Result<RunLock> {
        RunLock::of(&self.path)
    }

    /// Whether a process holds the lock of the folder.
    pub(crate) fn is_in_use(&self) -> bool {
        RunLock::is_taken(&self.path)
    }

    /// Whether the model is at least as new as the last checkpoint, so that no training step followed its export.
    pub(crate) fn is_model_current(&self) -> bool {
        let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let model = changed(&self.model());
        model.is_some() && model >= changed(&self.last_checkpoint())
    }

    /// Writes tokenizer.json if the texts have a tokenizer with a vocabulary.
    pub(crate) fn write_tokenizer(&self, prepared: &Prepared) -> Result<()> {
        match prepared.dataset.table.as_ref().and_then(TableLayout::tokenizer_json) {
            Some(json) => Ok(atomic::write(&self.tokenizer(), json?.as_bytes())?),
            None => Ok(()),
        }
    }

    /// Writes split.csv: the name of each example (for tables the row number, from 0 without the header) and its
    /// part, `train`, `heldout` or `test`; `fold-1`, … in a bag; or `feedback` for corrections used for validation.
    pub(crate) fn write_split(&self, prepared: &Prepared) -> Result<()> {
        let Prepared { dataset, split, corrections, .. } = prepared;
        if matches!(dataset.inputs, Inputs::Stored(_)) {
            return self.write_many_parts(dataset, split);
        }
        let kept = corrections.as_ref().map(|corrections| ("feedback", &corrections.kept[..]));
        let parts = split.parts().into_iter().chain(kept);
        let part_of = |row: i64, part: &str| match split.folds_of(&[row]).as_deref() {
            Some([fold]) => format!("fold-{}", fold + 1),
            _ => part.to_string(),
        };
        let mut rows: Vec<_> =
            parts.flat_map(|(part, rows)| rows.iter().map(move |row| (*row, part_of(*row, part)))).collect();
        rows.sort_unstable();
        // Corrections are repeated in the training set, and the examples of a bag are in two sets.
        rows.dedup();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |name: &str, part: &str| {
            writer.write_record([name, part]).expect("writing to memory does not fail");
        };
        write("example", "part");
        rows.iter().for_each(|(row, part)| write(&dataset.names.name(*row as usize), part));
        let bytes = writer.into_inner().expect("writing to memory does not fail");
        Ok(atomic::write(&self.split(), &bytes)?)
    }

    /// Writes the split of the rows of a table that does not fit in memory, row by row.
    fn write_many_parts(&self, dataset: &Dataset, split: &Split) -> Result<()> {
        let mut part_of: Vec<Option<u8>> = vec![None; dataset.rows()];
        let parts = split.parts();
        for (index, (_, rows)) in (0..).zip(&parts) {
            rows.iter().for_each(|row| part_of[*row as usize] = Some(index));
        }
        let path = self.split();
        atomic::replace(&path, |temporary| {
            let file = std::fs::File::create(temporary).map_err(Error::io("write", &path))?;
            let mut file = std::io::BufWriter::new(file);
            let mut write = || {
                writeln!(file, "example,part")?;
                for (row, part) in part_of.iter().enumerate() {
                    if let Some(part) = part {
                        writeln!(file, "{},{}", dataset.names.name(row), parts[usize::from(*part)].0)?;
                    }
                }
                file.flush()
            };
            write().map_err(Error::io("write", &path))
        })
    }
}

/// The TensorBoard event files in a folder.
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

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn create_for(out: Option<&Path>, config: &Config) -> Result<PathBuf> {
    let data = Path::new(&config.data).file_stem().unwrap_or_default().to_string_lossy();
    let model = ModelChoice::of(&config.model).short_name();
    create_unique(out, &format!("{data}-{model}"))
}

/// Creates a new folder: `out`, which must not exist or be empty, or by default the first free `runs/<stem>-<number>`.
pub(crate) fn create_unique(out: Option<&Path>, stem: &str) -> Result<PathBuf> {
    match out {
        Some(path) if path.to_str().is_none() => {
            let problem = "the path is not UTF-8, which libtorch requires; use another folder";
            Err(Error::artifact(path, problem))
        }
        Some(path) => {
            create_empty(path)?;
            Ok(path.to_path_buf())
        }
        None => create_numbered(stem),
    }
}

fn create_empty(path: &Path) -> Result<()> {
    match path.read_dir().map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        // Check this first, because resuming is not possible then.
        Ok(false) if RunLock::is_taken(path) => {
            // The other process may just have ended.
            drop(RunLock::of(path)?);
            create_empty(path)
        }
        Ok(_) if path.join("config.toml").exists() => Err(Error::artifact(
            path,
            "this folder holds a run; continue it with `--resume`, or use another folder. Nothing was changed",
        )),
        Ok(_) => Err(Error::artifact(path, "this folder is not empty; use another one. Nothing was changed")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(|error| folder_error(path, error))
        }
        Err(error) => Err(folder_error(path, error)),
    }
}

fn folder_error(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Error::artifact(
            path,
            "cannot create a folder: this path or one of its parents is not a folder; use another one with `--out`. Nothing was changed",
        ),
        _ => Error::io("create the run folder", path)(error),
    }
}

fn create_numbered(stem: &str) -> Result<PathBuf> {
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(|error| folder_error(runs, error))?;
    for number in 1u64.. {
        let path = runs.join(format!("{stem}-{number}"));
        // Creating the folder claims the name, so concurrent runs get different folders.
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
    fn a_folder_that_is_not_empty_is_never_used() {
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
            // A name with a separator would be a path.
            let run = RunFolder::create_parent(Some(&folder.path().join(format!("run{name}"))), &config).unwrap();
            prop_assert_eq!(Config::read(&run.config_file()).unwrap(), config);
        }
    }

    #[test]
    fn an_empty_folder_is_used_once() {
        let folder = tempfile::tempdir().unwrap();
        RunFolder::create(Some(folder.path()), &Config::default()).unwrap();
        assert!(RunFolder::create(Some(folder.path()), &Config::default()).is_err());
    }
}
