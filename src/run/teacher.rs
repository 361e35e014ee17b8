//! The teacher of a run: another model whose probabilities the training examples have as targets, too.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use crate::data::{Dataset, Split, TableLayout, parallel, sha256, unlabelled};
use crate::error::{Error, Result};
use crate::model::preprocessing::{Preprocessing, TensorDataset};
use crate::options::Config;
use crate::predict::Classifier;
use crate::train::{Distillation, Teacher};

/// A teacher, and what it says about texts.
pub(super) struct Teaching {
    lesson: Lesson,
    /// What the result depends on besides the options, by name.
    fingerprints: Vec<(String, String)>,
}

/// What a teacher is asked.
enum Lesson {
    /// The inputs of each batch.
    Inputs(Box<Classifier>),
    /// All texts, before training: it has tokens of its own, and texts are not augmented.
    Texts {
        /// Its logits for the training set and the texts without labels, float32 (N, classes).
        logits: Tensor,
        /// Token ids, of the student, of the texts without labels.
        more: Option<Tensor>,
    },
}

/// A teacher during training.
pub struct Taught {
    /// The loss.
    pub distillation: Distillation,
    /// What the result depends on besides the options, by name.
    pub(super) fingerprints: Vec<(String, String)>,
}

/// Refuses options that have no place for a teacher.
///
/// # Errors
/// The first of them.
pub(super) fn check(config: &Config) -> Result<()> {
    let refuse = |problem: &str| Err(Error::Usage(problem.to_string()));
    let trains_by_steps = !config.training.head_only || config.training.finetune;
    match (&config.teacher, &config.unlabelled) {
        (None, None) => Ok(()),
        (None, Some(_)) => refuse("--unlabelled requires --teacher, which tells the classes of these texts"),
        (Some(_), _) if !trains_by_steps => refuse(
            "--teacher has no effect with --head-only, which fits a classifier to the labels; use --head-only false",
        ),
        (Some(_), _) if config.bag > 0 => refuse("--teacher works for a single model; use --bag 0"),
        _ => Ok(()),
    }
}

/// The model file of a teacher.
fn file_of(teacher: &Path) -> Result<PathBuf> {
    let file = if teacher.is_dir() { teacher.join("model.pt") } else { teacher.to_path_buf() };
    if teacher.is_dir() && !file.is_file() {
        let problem =
            "the folder of the teacher has no model.pt; finish its run with `cresset train --resume`";
        return Err(Error::artifact(teacher, problem));
    }
    Ok(file)
}

impl Teaching {
    /// Loads the teacher of the options, if they have one, and asks it about texts.
    ///
    /// # Errors
    /// A teacher that cannot be read, or takes other inputs or has other classes than the data, and texts that cannot be read.
    pub fn of(config: &Config, dataset: &Dataset, split: &Split, device: Device) -> Result<Option<Self>> {
        let Some(teacher) = &config.teacher else { return Ok(None) };
        dataset.require_classes("a teacher")?;
        let file = file_of(teacher)?;
        let bytes = std::fs::read(&file).map_err(Error::io("read", &file))?;
        let mut fingerprints = vec![("the teacher's SHA-256".to_string(), sha256(&bytes))];
        drop(bytes);
        let classifier = Classifier::load_on(&file, device)?;
        require_classes(&classifier, &file, dataset)?;
        let lesson = match (&dataset.texts, &config.unlabelled) {
            (Some(_), _) => {
                let more = Unlabelled::of(config, dataset, split)?;
                fingerprints
                    .extend(more.iter().map(|more| {
                        ("the SHA-256 of the unlabelled texts".to_string(), more.sha256.clone())
                    }));
                texts_lesson(&classifier, &file, dataset, split, more, config)?
            }
            (None, Some(texts)) => {
                let problem = "--unlabelled is for texts, and the examples of the data are none";
                return Err(Error::data(texts.as_path(), problem));
            }
            (None, None) => {
                require_shape(&classifier, &file, dataset)?;
                Lesson::Inputs(Box::new(classifier))
            }
        };
        Ok(Some(Teaching { lesson, fingerprints }))
    }

    /// The training set followed by the texts without labels, whose label is -1, and the logits of the teacher if it was asked before.
    pub fn extend(&self, train: TensorDataset) -> (TensorDataset, Option<Tensor>) {
        let Lesson::Texts { logits, more } = &self.lesson else { return (train, None) };
        let device = train.labels.device();
        let train = match more {
            None => train,
            Some(more) => TensorDataset {
                inputs: Tensor::cat(&[&train.inputs, &more.to_device(train.inputs.device())], 0),
                labels: Tensor::cat(
                    &[&train.labels, &Tensor::full([more.size()[0]], -1, (Kind::Int64, device))],
                    0,
                ),
            },
        };
        (train, Some(logits.to_device(device)))
    }

    /// The loss with this teacher, of inputs with this preprocessing. The teacher has its own preprocessing, so it takes raw values.
    pub fn taught(self, config: &Config, preprocessing: &Preprocessing) -> Taught {
        let teacher = match self.lesson {
            Lesson::Texts { .. } => Teacher::Batches,
            Lesson::Inputs(classifier) => {
                let preprocessing = preprocessing.clone();
                Teacher::Model(Rc::new(move |inputs| classifier.logits(&preprocessing.undo(inputs))))
            }
        };
        let Config { temperature, teacher_share: share, .. } = *config;
        Taught { distillation: Distillation { teacher, temperature, share }, fingerprints: self.fingerprints }
    }
}

fn require_classes(classifier: &Classifier, file: &Path, dataset: &Dataset) -> Result<()> {
    let teacher = classifier.metadata();
    teacher.require_classes(file, "a teacher")?;
    if teacher.classes == dataset.classes {
        return Ok(());
    }
    let problem = format!(
        "it cannot teach this model: it has the classes {}, and the data has {}",
        teacher.classes.join(", "),
        dataset.classes.join(", ")
    );
    Err(Error::artifact(file, problem))
}

fn require_shape(classifier: &Classifier, file: &Path, dataset: &Dataset) -> Result<()> {
    let input = &classifier.metadata().input;
    let takes_texts = input.table.as_ref().is_some_and(TableLayout::is_text);
    let problem = match takes_texts {
        false if input.shape == dataset.shape => return Ok(()),
        false => format!(
            "it cannot teach this model: it takes {}, and the data has {}",
            input.shape, dataset.shape
        ),
        true => {
            "it cannot teach this model: it takes texts, and the examples of the data are none".to_string()
        }
    };
    Err(Error::artifact(file, problem))
}

/// The layout of a teacher of texts, which has the same columns as the data.
fn text_layout<'a>(classifier: &'a Classifier, file: &Path, dataset: &Dataset) -> Result<&'a TableLayout> {
    let names = |layout: &TableLayout| {
        layout.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
    };
    let own = dataset.table.as_ref().map(names).unwrap_or_default();
    let input = &classifier.metadata().input;
    let problem = match &input.table {
        Some(layout) if layout.is_text() && names(layout) == own => return Ok(layout),
        Some(layout) if layout.is_text() => format!(
            "it cannot teach this model: its texts are the columns {}, and those of the data are {own}",
            names(layout)
        ),
        Some(_) => {
            "it cannot teach this model: it takes rows of a table, and the examples of the data are texts"
                .to_string()
        }
        None => format!(
            "it cannot teach this model: it takes {}, and the examples of the data are texts",
            input.shape
        ),
    };
    Err(Error::artifact(file, problem))
}

/// Texts without labels.
struct Unlabelled {
    examples: Vec<Vec<String>>,
    sha256: String,
}

impl Unlabelled {
    /// Those of the options, without the ones that are in the validation or test set.
    fn of(config: &Config, dataset: &Dataset, split: &Split) -> Result<Option<Self>> {
        let (Some(path), Some(layout), Some(texts)) = (&config.unlabelled, &dataset.table, &dataset.texts)
        else {
            return Ok(None);
        };
        if config.sampling == crate::loader::Sampling::Balanced {
            let problem = "--unlabelled does not work with --sampling balanced, because the classes of these texts are unknown";
            return Err(Error::Usage(problem.to_string()));
        }
        let unlabelled::UnlabelledTexts { mut examples, sha256 } = unlabelled::read(path, layout)?;
        let kept_apart: HashSet<Vec<&str>> =
            split.validation.iter().chain(&split.test).map(|row| texts.of(*row as usize)).collect();
        let read = examples.len();
        examples.retain(|texts| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            !kept_apart.contains(&texts)
        });
        if examples.len() < read {
            tracing::warn!(
                "{}: {} of {read} texts are also in the validation or test set, and are not used",
                path.display(),
                read - examples.len()
            );
        }
        Ok(Some(Unlabelled { examples, sha256 }))
    }
}

/// Asks the teacher about the training set and the texts without labels.
fn texts_lesson(
    classifier: &Classifier,
    file: &Path,
    dataset: &Dataset,
    split: &Split,
    more: Option<Unlabelled>,
    config: &Config,
) -> Result<Lesson> {
    if config.feedback.is_some() {
        let problem = "--teacher does not work with --feedback for texts";
        return Err(Error::Usage(problem.to_string()));
    }
    let (Some(texts), Some(student)) = (&dataset.texts, &dataset.table) else {
        unreachable!("the data has texts");
    };
    let layout = text_layout(classifier, file, dataset)?;
    let more = more.map_or(Vec::new(), |more| more.examples);
    let own = split.train.iter().map(|row| texts.of(*row as usize));
    let unlabelled = more.iter().map(|texts| texts.iter().map(String::as_str).collect());
    let all: Vec<Vec<&str>> = own.chain(unlabelled).collect();
    tracing::info!(file = %file.display(), texts = all.len(), unlabelled = more.len(), "asking the teacher");
    let logits = text_logits(classifier, layout, &all)?;
    let more = match more.is_empty() {
        true => None,
        false => Some(features(student, &all[split.train.len()..])?),
    };
    Ok(Lesson::Texts { logits, more })
}

/// The features of texts, float32 (N, features).
fn features<T: AsRef<[S]> + Sync, S: AsRef<str>>(layout: &TableLayout, texts: &[T]) -> Result<Tensor> {
    let rows = parallel::map(texts, |texts| layout.text_features(texts.as_ref()));
    let rows: Vec<Vec<f32>> = rows.into_iter().collect::<crate::data::error::Result<_>>()?;
    Ok(Tensor::from_slice(&rows.concat()).view([rows.len() as i64, layout.features() as i64]))
}

/// Tokens of a batch: a transformer has vectors of all of them at once, in several copies.
const BATCH_TOKENS: usize = 1 << 15;

/// The logits of a classifier for texts, float32 (N, classes). Texts of similar length are in a batch, which has little padding then.
fn text_logits(classifier: &Classifier, layout: &TableLayout, texts: &[Vec<&str>]) -> Result<Tensor> {
    let length = |place: usize| texts[place].iter().map(|text| text.len()).sum::<usize>();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|place| length(*place));
    let mut logits = Vec::new();
    let mut rest = &order[..];
    while !rest.is_empty() {
        // A token has at least one byte; special tokens are few.
        let tokens = |rows: usize| (length(rest[rows - 1]) + 4).min(layout.features());
        let rows =
            (1..=rest.len()).take_while(|rows| *rows == 1 || rows * tokens(*rows) <= BATCH_TOKENS).count();
        let (batch, others) = rest.split_at(rows);
        let batch: Vec<&Vec<&str>> = batch.iter().map(|place| &texts[*place]).collect();
        logits.push(classifier.logits(&features(layout, &batch)?)?.to_kind(Kind::Float));
        rest = others;
    }
    let mut place_of = vec![0i64; order.len()];
    for (place, original) in order.iter().enumerate() {
        place_of[*original] = place as i64;
    }
    let logits = Tensor::cat(&logits, 0);
    Ok(logits.index_select(0, &Tensor::from_slice(&place_of).to_device(logits.device())))
}
