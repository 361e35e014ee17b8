//! Adds corrections of predictions to the dataset.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::data::image::{self, ImageSource};
use crate::data::options::Missing;
use crate::data::{Dataset, Inputs, Names, Split, ValueRange, hexadecimal};
use crate::error::{Error, Result, quoted};
use crate::feedback::{self, CORRECTIONS, CorrectedInput, Correction};
use crate::options::Config;

use super::inputs::{CorrectionFolds, EvaluatedInputs, InputHash, bits, hash_of};
use super::review::{Decision, Review};

/// The corrections among the examples of a run.
///
/// ```
/// use cresset::feedback::{Answer, Correction, FeedbackWriter, NewInput};
/// use cresset::options::Config;
/// use cresset::run::Examples;
///
/// # let folder = tempfile::tempdir().unwrap();
/// let writer = FeedbackWriter::new(folder.path())?;
/// # for id in ["a1", "a2"] {
/// writer.add(
///     NewInput::Values(&[5.0, 3.5, 1.5, 0.2]),
///     |input| Correction {
/// #        id: id.to_string(),
/// #        time: "2026-07-31T12:34:56Z".to_string(),
/// #        answer: Answer { class: "virginica".to_string(), probability: 0.61 },
/// #        model_sha256: String::new(),
/// #        model_version: None,
///         input,
///         correction: "setosa".to_string(),
///         // …
///     },
///     id,
/// )?;
/// # }
/// let feedback = Some(folder.path().to_path_buf());
/// let examples = Examples::read(&Config { data: "iris".into(), feedback, ..Config::default() })?;
/// let corrections = examples.corrections.unwrap();
/// assert_eq!((corrections.read, corrections.first, corrections.trained.len()), (2, 150, 1));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Corrections {
    /// SHA-256 of the inputs and corrected classes.
    pub sha256: String,
    /// Number of corrections that were read; the set may have grown since.
    pub read: u32,
    /// Number of repetitions of each training correction per epoch.
    pub weight: u32,
    /// Row of the first correction; earlier rows are those of the dataset.
    pub first: i64,
    /// Rows of the corrections in the training set, each once.
    pub trained: Vec<i64>,
    /// Rows of the corrections in the validation set; in a bag, from the tenth on, those in the training set, each of which the member that
    /// is not trained on it validates.
    pub kept: Vec<i64>,
    /// Number of corrections that wait for a second opinion.
    pub waiting: usize,
    /// Reasons for skipped corrections.
    pub notes: Vec<String>,
}

/// Maximum number of waiting corrections that are listed.
const MAX_NAMED: usize = 10;

/// Advice about waiting corrections.
const CONFIRM: &str = "a correction that waits is used once the same input is corrected to the same class again; \
                       --accept-contradictions uses all";

/// Starting with the tenth, every fifth correction is used for validation. The choice depends on the number of the correction, so that
/// a correction never moves from training to validation when the set grows.
const FIRST_VALIDATION: usize = 10;
const VALIDATION_INTERVAL: usize = 5;

/// Default share of corrections in an epoch: enough for a few to have an effect, and few enough to avoid forgetting.
const SHARE: f64 = 0.2;

/// Maximum default number of repetitions of a correction, to avoid memorization.
const MAX_WEIGHT: u32 = 50;

impl Corrections {
    /// The options of a run with these corrections, so that a resumed run uses the same ones.
    pub(crate) fn settle(&self, config: &Config) -> Config {
        Config {
            feedback_rows: Some(self.read),
            feedback_weight: Some(self.weight),
            accept_contradictions: Some(config.accept_contradictions.unwrap_or(false)),
            ..config.clone()
        }
    }

    /// The corrections that help select the best epoch: those in the validation set, or all if it has none. They are
    /// repeated to have the same share next to the validation examples as in training.
    pub fn watched(&self, split: &Split) -> Vec<i64> {
        let rows = if self.kept.is_empty() { &self.trained } else { &self.kept };
        let own = split.train.iter().filter(|row| **row < self.first).count().max(1);
        let corrected = self.trained.len() as f64 * f64::from(self.weight);
        let times = corrected / own as f64 * split.validation.len() as f64 / rows.len().max(1) as f64;
        rows.repeat((times.round() as usize).max(1))
    }
}

/// Adds the corrections in `config`, if there are any, to the dataset and the training set.
///
/// # Errors
/// If the set cannot be read, has no usable correction, or has lost lines.
pub fn add(dataset: Dataset, split: &mut Split, config: &Config) -> Result<(Dataset, Option<Corrections>)> {
    let Some(folder) = &config.feedback else { return Ok((dataset, None)) };
    dataset.require_classes("--feedback")?;
    let file = folder.join(CORRECTIONS);
    let feedback::FeedbackSet { mut corrections, mut notes } = feedback::read(folder)?;
    if let Some(wanted) = config.feedback_rows.map(|rows| rows as usize) {
        if corrections.len() < wanted {
            let problem =
                format!("expected at least {wanted} corrections, but there are {}", corrections.len());
            return Err(Error::data(file.as_path(), problem));
        }
        corrections.truncate(wanted);
    }
    if corrections.is_empty() {
        return Err(Error::data(file.as_path(), "there are no corrections in this file"));
    }
    let mut examples = CorrectionExamples::new(&dataset, split, config);
    if !config.accept_contradictions.unwrap_or(false) {
        let digests = corrections.iter().map(|correction| (correction, digest_of(correction, folder)));
        examples.review = Some(Review::new(&dataset, split, digests));
    }
    let is_bag = examples.folds.is_some();
    let mut waiting = Vec::new();
    let mut hash = Sha256::new();
    let (mut trained, mut kept) = (Vec::new(), Vec::new());
    let first = dataset.rows() as i64;
    for (number, correction) in (1..).zip(&corrections) {
        hash.update(serde_json::to_vec(correction).expect("a correction serializes"));
        if let Some(image) = correction.input.image_path(folder) {
            hash.update(std::fs::read(image).unwrap_or_default());
        }
        match examples.take(correction, folder, config) {
            Ok(Decision::Repeated) => (),
            Ok(Decision::Waits(reason)) => waiting.push(format!(
                "correction {} to {} waits for a second opinion: {reason}",
                quoted(&correction.id),
                quoted(&correction.correction)
            )),
            Ok(Decision::Accepted) => {
                let is_kept = !is_bag && number >= FIRST_VALIDATION && number % VALIDATION_INTERVAL == 0;
                let row = first + examples.accepted.labels.len() as i64 - 1;
                if is_kept { kept.push(row) } else { trained.push(row) }
            }
            Err(problem) => notes.push(format!("skipped correction {}: {problem}", quoted(&correction.id))),
        }
    }
    notes.extend(waiting.iter().take(MAX_NAMED).cloned());
    if waiting.len() > MAX_NAMED {
        notes.push(format!("{} more corrections wait for a second opinion", waiting.len() - MAX_NAMED));
    }
    if !waiting.is_empty() {
        notes.push(CONFIRM.to_string());
    }
    let waiting = waiting.len();
    if trained.is_empty() {
        let confirm = if waiting > 0 {
            format!(" ({waiting} wait for a second opinion: {CONFIRM})")
        } else {
            String::new()
        };
        let reasons = notes.first().map(|note| format!(": {note}")).unwrap_or_default();
        return Err(Error::data(
            file.as_path(),
            format!("there are no usable corrections in this file{reasons}{confirm}"),
        ));
    }
    let weight = config.feedback_weight.unwrap_or_else(|| default_weight(split.train.len(), trained.len()));
    split.train.extend(trained.iter().flat_map(|row| std::iter::repeat_n(*row, weight as usize)));
    let sha256 = hexadecimal(&hash.finalize());
    let read = corrections.len() as u32;
    let accepted = examples.accepted;
    if let Some(folds) = &mut split.folds {
        folds.extend(&accepted.folds);
        // Each is validated by the member that is not trained on it. The set only grows, so these never become fewer.
        if trained.len() >= FIRST_VALIDATION {
            kept.clone_from(&trained);
        }
    }
    let dataset = accepted.append_to(dataset, folder);
    Ok((dataset, Some(Corrections { sha256, read, weight, first, trained, kept, waiting, notes })))
}

/// Default number of repetitions, for corrections to be a fifth of an epoch.
fn default_weight(rows: usize, corrections: usize) -> u32 {
    let times = rows as f64 * SHARE / (1. - SHARE) / corrections as f64;
    (times.round() as u32).clamp(1, MAX_WEIGHT)
}

/// Corrections as examples of the dataset.
struct CorrectionExamples<'a> {
    dataset: &'a Dataset,
    /// `None` if all corrections are accepted.
    review: Option<Review<'a>>,
    /// The evaluated examples, which must not be in the training set.
    measured: EvaluatedInputs,
    /// The folds of a bag.
    folds: Option<CorrectionFolds>,
    accepted: AcceptedInputs,
}

/// The accepted corrections, one entry each.
#[derive(Default)]
struct AcceptedInputs {
    floats: Vec<f32>,
    sources: Vec<ImageSource>,
    labels: Vec<i64>,
    ids: Vec<String>,
    /// The fold of each in a bag.
    folds: Vec<i64>,
}

impl<'a> CorrectionExamples<'a> {
    fn new(dataset: &'a Dataset, split: &Split, config: &Config) -> Self {
        CorrectionExamples {
            dataset,
            review: None,
            measured: EvaluatedInputs::of(dataset, split),
            folds: CorrectionFolds::of(dataset, split, config.bag, config.seed),
            accepted: AcceptedInputs::default(),
        }
    }

    /// Accepts a correction unless it must wait, or returns why it cannot be used.
    fn take(
        &mut self,
        correction: &'a Correction,
        folder: &Path,
        config: &Config,
    ) -> std::result::Result<Decision, String> {
        let classes = &self.dataset.classes;
        let label = classes.iter().position(|class| *class == correction.correction);
        let label =
            label.ok_or_else(|| format!("{} is not a class of the model", quoted(&correction.correction)))?;
        let image = correction.input.image_path(folder);
        let hash = match (&self.dataset.inputs, &correction.input, image) {
            (Inputs::Images(_), CorrectedInput::Values(_), _) | (Inputs::Images(_), _, None) => {
                return Err("the input is a table row, but the model expects images".to_string());
            }
            (Inputs::Images(_), CorrectedInput::Image(_), Some(path)) => {
                let bytes = std::fs::read(&path).map_err(|e| format!("cannot read the image: {e}"))?;
                image::Header::read(&bytes)?;
                let hash = hash_of(&bytes);
                self.measured.refuse(&hash)?;
                let verdict = self.decide(correction, hash, None);
                if verdict != Decision::Accepted {
                    return Ok(verdict);
                }
                self.accepted.sources.push(ImageSource::File(path));
                hash
            }
            (Inputs::Floats(_) | Inputs::Bytes(_) | Inputs::Stored(_), input, path) => {
                let values = self.values(input, path.as_deref(), config)?;
                let hash = hash_of(&bits(&values));
                self.measured.refuse(&hash)?;
                let verdict = self.decide(correction, digest_of(correction, folder), Some(&values));
                if verdict != Decision::Accepted {
                    return Ok(verdict);
                }
                self.accepted.floats.extend(values);
                hash
            }
        };
        self.accepted.folds.extend(self.folds.as_ref().map(|folds| folds.fold(&hash)));
        self.accepted.labels.push(label as i64);
        self.accepted.ids.push(correction.id.clone());
        Ok(Decision::Accepted)
    }

    fn decide(&mut self, correction: &'a Correction, digest: InputHash, values: Option<&[f32]>) -> Decision {
        self.review.as_mut().map_or(Decision::Accepted, |review| review.decide(correction, digest, values))
    }

    /// An input as raw values of the dataset.
    fn values(
        &self,
        input: &CorrectedInput,
        image: Option<&Path>,
        config: &Config,
    ) -> std::result::Result<Vec<f32>, String> {
        let Dataset { shape, range, inputs, .. } = self.dataset;
        let range = match inputs {
            Inputs::Bytes(_) => ValueRange { min: 0., max: 255. },
            _ => range.unwrap_or(ValueRange { min: 0., max: 255. }),
        };
        let values = match (input, image) {
            (CorrectedInput::Values(values), _) => values.clone(),
            (CorrectedInput::Image(_), Some(path)) => {
                let reader = image::InputReader::new(shape, range)?.with_decoding(self.dataset.decoding);
                image::read_by(reader, path).map_err(|error| error.to_string())?
            }
            (CorrectedInput::Image(name), None) => return Err(format!("there is no image {}", quoted(name))),
        };
        let features = shape.features();
        if values.len() as i64 != features {
            return Err(format!("it has {} values, but the model expects {features}", values.len()));
        }
        let may_lack = matches!(config.reading.missing, Missing::Mean | Missing::Median | Missing::Value);
        if values.iter().any(|value| value.is_infinite() || value.is_nan() && !may_lack) {
            return Err("a value is missing".to_string());
        }
        let is_known = self.dataset.range.is_some() || matches!(inputs, Inputs::Bytes(_));
        if is_known && values.iter().any(|value| !(range.min..=range.max).contains(value)) {
            return Err(format!("a value is outside the range {} to {}", range.min, range.max));
        }
        Ok(match inputs {
            Inputs::Bytes(_) => values.iter().map(|value| value.round()).collect(),
            _ => values,
        })
    }
}

impl AcceptedInputs {
    /// The dataset followed by the corrections.
    fn append_to(self, dataset: Dataset, folder: &Path) -> Dataset {
        let AcceptedInputs { floats, sources, labels, ids, folds: _ } = self;
        let inputs = match dataset.inputs {
            Inputs::Floats(own) => Inputs::Floats([own, floats].concat()),
            Inputs::Bytes(own) => {
                let bytes = floats.iter().map(|value| *value as u8).collect();
                Inputs::Bytes([own, bytes].concat())
            }
            Inputs::Images(own) => Inputs::Images([own, sources].concat()),
            Inputs::Stored(_) => unreachable!("--feedback is refused for a table that is streamed"),
        };
        let more = labels.len();
        let names = ids.iter().map(|id| format!("feedback/{id}")).collect();
        Dataset {
            inputs,
            labels: [dataset.labels, labels].concat(),
            names: Names::Joined { own: Box::new(dataset.names), folder: folder.to_path_buf(), more: names },
            portions: dataset.portions.map(|own| [own, vec![crate::data::Subset::Train; more]].concat()),
            groups: dataset.groups.map(|own| [own, ids].concat()),
            ..dataset
        }
    }
}

/// Hash of the input; arbitrary for an unreadable image.
fn digest_of(correction: &Correction, folder: &Path) -> InputHash {
    match (&correction.input, correction.input.image_path(folder)) {
        (CorrectedInput::Values(values), _) => hash_of(&bits(values)),
        (CorrectedInput::Image(_), path) => {
            hash_of(&path.and_then(|path| std::fs::read(path).ok()).unwrap_or_default())
        }
    }
}

/// The rows of a part without corrections. Preprocessing is fitted to these, so that it stays the one of the old model.
pub(crate) fn own_rows(rows: &[i64], corrections: Option<&Corrections>) -> Vec<i64> {
    let first = corrections.map_or(i64::MAX, |corrections| corrections.first);
    rows.iter().copied().filter(|row| *row < first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::data::image::Decoding;
    use crate::feedback::{Answer, FeedbackWriter, NewInput};

    fn dataset() -> (Dataset, Split) {
        let dataset = Dataset {
            path: "data".into(),
            sha256: "00".to_string(),
            classes: vec!["a".into(), "b".into()],
            labels: vec![0, 1, 0, 1],
            targets: crate::data::Targets::Classes,
            shape: InputShape(vec![2]),
            range: None,
            inputs: Inputs::Floats(vec![0., 0., 1., 1., 2., 2., 3., 3.]),
            names: Names::Rows(vec![0, 1, 2, 3]),
            table: None,
            portions: None,
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        };
        (dataset, Split { train: vec![0, 1, 2], validation: vec![3], test: vec![], folds: None })
    }

    fn correct(folder: &Path, id: &str, values: &[f32], class: &str) {
        let fill = |input| Correction {
            id: id.to_string(),
            time: "2026-07-31T12:34:56Z".to_string(),
            input,
            answer: Answer { class: "a".to_string(), probability: 0.5 },
            correction: class.to_string(),
            model_sha256: "00".to_string(),
            model_version: None,
        };
        FeedbackWriter::new(folder).unwrap().add(NewInput::Values(values), fill, id).unwrap();
    }

    fn config(folder: &Path, rows: Option<u32>) -> Config {
        let feedback = Some(folder.to_path_buf());
        Config { feedback, feedback_rows: rows, feedback_weight: Some(3), ..Config::default() }
    }

    #[test]
    fn corrections_follow_the_data_and_are_repeated_by_their_weight() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=20 {
            correct(folder.path(), &format!("c{number}"), &[0.5, number as f32], "b");
        }
        let (data, mut split) = dataset();
        let (data, corrections) = add(data, &mut split, &config(folder.path(), None)).unwrap();
        let corrections = corrections.unwrap();
        assert_eq!((corrections.first, corrections.trained.len(), corrections.read), (4, 17, 20));
        // The tenth, the fifteenth and the twentieth.
        assert_eq!(corrections.kept, [13, 18, 23]);
        assert_eq!(split.train.len(), 3 + 3 * 17);
        assert!(!split.train.contains(&13) && split.validation == [3]);
        assert_eq!((data.names.name(13), data.labels[13], data.rows()), ("feedback/c10".into(), 1, 24));
        assert_eq!(own_rows(&split.train, Some(&corrections)), [0, 1, 2]);

        // The set grows, and an older run still uses its corrections.
        let (first, mut split) = (dataset().0, dataset().1);
        correct(folder.path(), "late", &[9., 9.], "a");
        let again = add(first, &mut split, &config(folder.path(), Some(20))).unwrap().1.unwrap();
        assert_eq!(again, corrections);
        let more =
            add(dataset().0, &mut dataset().1, &config(folder.path(), Some(22))).unwrap_err().to_string();
        assert!(more.contains("expected at least 22 corrections, but there are 21"), "{more}");
    }

    #[test]
    fn corrections_of_a_bag_are_in_its_folds() {
        let folder = tempfile::tempdir().unwrap();
        // The second row of the data, and a new input twice.
        correct(folder.path(), "known", &[1., 1.], "a");
        correct(folder.path(), "new", &[0.5, 1.], "b");
        correct(folder.path(), "again", &[0.5, 1.], "b");
        let (data, _) = dataset();
        let rows: Vec<i64> = vec![0, 1, 2];
        let split = || Split {
            train: rows.clone(),
            validation: rows.clone(),
            test: vec![3],
            folds: Some(vec![0, 2, 1, -1]),
        };
        let all = Config { bag: 3, accept_contradictions: Some(true), ..config(folder.path(), None) };
        let mut few = split();
        let corrections = add(data, &mut few, &all).unwrap().1.unwrap();
        assert_eq!((corrections.trained, corrections.kept.len()), (vec![4, 5, 6], 0));
        let folds = few.folds.clone().unwrap();
        assert_eq!((folds.len(), folds[4], folds[5]), (7, 2, folds[6]));
        assert_eq!(few.folds_of(&few.train).unwrap().len(), 3 + 3 * 3);
        assert_eq!(few.validation, rows);

        // From the tenth on, they validate, too.
        (3..10).for_each(|number| correct(folder.path(), &format!("c{number}"), &[0.5, number as f32], "b"));
        let mut many = split();
        let corrections = add(dataset().0, &mut many, &all).unwrap().1.unwrap();
        assert_eq!(corrections.kept, (4..14).collect::<Vec<_>>());
        assert_eq!(many.folds_of(&corrections.kept).unwrap()[..3], folds[4..]);
    }

    #[test]
    fn unusable_corrections_are_skipped_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        correct(folder.path(), "good", &[0.5, 1.], "b");
        correct(folder.path(), "class", &[0.5, 1.], "c");
        correct(folder.path(), "short", &[0.5], "b");
        correct(folder.path(), "lacking", &[0.5, f32::NAN], "b");
        correct(folder.path(), "measured", &[3., 3.], "a");
        let (data, mut split) = dataset();
        let mut strict = config(folder.path(), None);
        strict.reading.missing = Missing::Error;
        let corrections = add(data, &mut split, &strict).unwrap().1.unwrap();
        assert_eq!(corrections.trained, [4]);
        for (note, says) in corrections.notes.iter().zip([
            "`c` is not a class of the model",
            "it has 1 values, but the model expects 2",
            "a value is missing",
            "it is an example of the validation or test set",
        ]) {
            assert!(note.contains(says), "{note}");
        }
        assert_eq!(corrections.notes.len(), 4);
        let empty = tempfile::tempdir().unwrap();
        let problem =
            add(dataset().0, &mut dataset().1, &config(empty.path(), None)).unwrap_err().to_string();
        assert!(problem.contains("there are no corrections"), "{problem}");
    }

    #[test]
    fn a_few_corrections_have_a_larger_weight() {
        assert_eq!(
            [default_weight(1438, 8), default_weight(1438, 40), default_weight(1438, 1000)],
            [45, 9, 1]
        );
        assert_eq!(default_weight(1_000_000, 1), 50);
    }
}
