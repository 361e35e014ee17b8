//! The differences between two runs: options, data, metrics and predictions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use tch::Device;

use super::facts::{Facts, column_names, facts};
use super::predictions::{ModelComparison, ValidationPredictions};
use crate::error::{Error, Result};
use crate::evaluate::METRICS;
use crate::options::Config;
use crate::run::RunFolder;

/// The differences between two runs.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::difference;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// let train = |name: &str, lr: f64| {
///     let options = Config { epochs: 3, lr, ..Config::default() };
///     Trainer::new("iris").options(options).out(folder.path().join(name)).fit()
/// };
/// let (a, b) = (train("a", 0.001)?, train("b", 0.01)?);
/// let difference = difference(a.folder(), b.folder(), Device::Cpu)?;
/// assert_eq!(difference.options.len(), 1);
/// assert_eq!(difference.options[0].name, "lr");
/// assert_eq!(difference.compared.unwrap().rows, 150);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDifference {
    /// Folder of the first run.
    pub a: PathBuf,
    /// Folder of the second run.
    pub b: PathBuf,
    /// Options with different values; defaults count as values.
    pub options: Vec<Change>,
    /// Data and split.
    pub data: DataDifference,
    /// Metrics on the validation set, and on the test set if there is one.
    pub figures: Vec<FigurePair>,
    /// Both models on the examples in both validation sets.
    pub compared: Option<ModelComparison>,
    /// Why the models cannot be compared.
    pub not_compared: Option<String>,
}

/// An option with different values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Name of the option.
    pub name: String,
    /// Value in the first run; `None` if it has none.
    pub a: Option<Value>,
    /// Value in the second run.
    pub b: Option<Value>,
}

/// Data and split of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataDifference {
    /// Whether the SHA-256 hashes are equal.
    pub same_data: bool,
    /// SHA-256 of the data of the first run.
    pub a_sha256: Option<String>,
    /// SHA-256 of the data of the second run.
    pub b_sha256: Option<String>,
    /// Number of examples in each part of the split.
    pub parts: Vec<PartPair>,
}

/// A part of the split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartPair {
    /// `train`, `heldout` or `test`.
    pub part: String,
    /// Number of examples in the first run.
    pub a: usize,
    /// Number of examples in the second run.
    pub b: usize,
    /// Number of examples with the same name in both; with different data, they may be different examples.
    pub common: usize,
}

/// A metric of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigurePair {
    /// Name of the column.
    pub name: String,
    /// Value in the first run.
    pub a: Option<f64>,
    /// Value in the second run.
    pub b: Option<f64>,
    /// Second minus first value.
    pub difference: Option<f64>,
}

/// Compares two runs. The models run on their validation sets on `device`.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::report::runs::difference;
/// use tch::Device;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let difference = difference(fitted.folder(), fitted.folder(), Device::Cpu)?;
/// assert!(difference.options.is_empty() && difference.data.same_data);
/// assert!(difference.to_text().contains("accuracy"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If a folder holds no run. Models that cannot be compared are not an error: the result states the reason.
pub fn difference(a: &Path, b: &Path, device: Device) -> Result<RunDifference> {
    let (facts_a, facts_b) = (facts(a, "a")?, facts(b, "b")?);
    let compared = ValidationPredictions::of(a, device)
        .and_then(|of_a| Ok((of_a, ValidationPredictions::of(b, device)?)));
    let compared = match compared {
        Ok((of_a, of_b)) => of_a.compare(&of_b),
        Err(error @ (Error::Data { .. } | Error::Artifact { .. })) => Err(error.to_string()),
        Err(error) => return Err(error),
    };
    let (compared, not_compared) = match compared {
        Ok(compared) => (Some(compared), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(RunDifference {
        a: a.to_path_buf(),
        b: b.to_path_buf(),
        options: changes(&options(a)?, &options(b)?),
        data: data(a, b, &facts_a, &facts_b)?,
        figures: figures(&facts_a, &facts_b),
        compared,
        not_compared,
    })
}

fn options(path: &Path) -> Result<Vec<(String, Value)>> {
    let config = Config::read(&RunFolder::open(path)?.config_file())?;
    let entries = config.entries().into_iter().map(|(name, value)| {
        (name.to_string(), serde_json::to_value(value).expect("an option is a number or a string"))
    });
    Ok(entries.collect())
}

fn changes(a: &[(String, Value)], b: &[(String, Value)]) -> Vec<Change> {
    let of = |entries: &[(String, Value)], name: &str| {
        entries.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let change = |name: &'static str| {
        let (a, b) = (of(a, name), of(b, name));
        (a != b).then(|| Change { name: name.to_string(), a, b })
    };
    crate::options::names().filter_map(change).collect()
}

fn data(a: &Path, b: &Path, facts_a: &Facts, facts_b: &Facts) -> Result<DataDifference> {
    let sha256 = |facts: &Facts| facts.get("data_sha256").and_then(Value::as_str).map(str::to_string);
    let (a_sha256, b_sha256) = (sha256(facts_a), sha256(facts_b));
    let (split_a, split_b) = (split(a)?, split(b)?);
    let part = |part: &str| {
        let of = |split: &BTreeMap<String, String>| split.values().filter(|own| is_in(own, part)).count();
        let in_both = |(name, own): &(&String, &String)| {
            is_in(own, part) && split_b.get(*name).is_some_and(|other| is_in(other, part))
        };
        PartPair {
            part: part.to_string(),
            a: of(&split_a),
            b: of(&split_b),
            common: split_a.iter().filter(in_both).count(),
        }
    };
    let parts = ["train", "heldout", "test"].map(part).into_iter();
    Ok(DataDifference {
        same_data: a_sha256.is_some() && a_sha256 == b_sha256,
        a_sha256,
        b_sha256,
        parts: parts.filter(|part| part.a + part.b > 0).collect(),
    })
}

/// Whether an example of the part `own` in split.csv is in `part`. Those in the folds of a bag are in the training and the validation set.
fn is_in(own: &str, part: &str) -> bool {
    own == part || part != "test" && own.starts_with("fold-")
}

/// The part of each example by name; empty for a cross-validation, where each fold has its split.
fn split(path: &Path) -> Result<BTreeMap<String, String>> {
    let file = RunFolder::open(path)?.split();
    if !file.is_file() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read(&file).map_err(Error::io("read", &file))?;
    let rows = csv::Reader::from_reader(&text[..]).into_deserialize::<(String, String)>();
    rows.collect::<std::result::Result<_, _>>()
        .map_err(|problem| Error::artifact(&file, format!("not a valid split file: {problem}")))
}

/// The metrics that at least one run has.
fn figures(a: &Facts, b: &Facts) -> Vec<FigurePair> {
    let metrics: Vec<String> = METRICS.iter().map(|metric| metric.column()).collect();
    let is_figure = |name: &String| {
        let plain = name.strip_prefix("test_").unwrap_or(name);
        plain == "loss" || plain == "duration" || metrics.iter().any(|metric| metric == plain)
    };
    let pair = |name: String| {
        let value = |facts: &Facts| facts.get(&name).and_then(Value::as_f64);
        let (a, b) = (value(a), value(b));
        let difference = a.zip(b).map(|(a, b)| b - a);
        (a.is_some() || b.is_some()).then_some(FigurePair { name, a, b, difference })
    };
    column_names().into_iter().filter(is_figure).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_options_that_differ_are_changes() {
        let options = |epochs: i64, patience: Option<i64>| {
            let mut entries = vec![("epochs".to_string(), json!(epochs)), ("lr".to_string(), json!(0.1))];
            entries.extend(patience.map(|patience| ("patience".to_string(), json!(patience))));
            entries
        };
        let found = changes(&options(3, None), &options(4, Some(2)));
        assert_eq!(
            found,
            [
                Change { name: "epochs".into(), a: Some(json!(3)), b: Some(json!(4)) },
                Change { name: "patience".into(), a: None, b: Some(json!(2)) },
            ]
        );
        assert!(changes(&options(3, None), &options(3, None)).is_empty());
    }
}
