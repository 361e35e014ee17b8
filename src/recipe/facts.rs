//! What the automatic recipe decides by.

use crate::data::{InputShape, TaskKind};
use crate::evaluate::numbers::thousands;

use super::Mirror;
use super::kind::{PREFERRED_ON_CPU, PREFERRED_ON_GPU};

/// What is known before training.
///
/// ```
/// use cresset::data::InputShape;
/// use cresset::recipe::Facts;
///
/// let facts = Facts { examples: 1_438, counts: vec![180; 10], ..Facts::of_shape(InputShape(vec![1, 8, 8])) };
/// assert_eq!((facts.longest_side(), facts.imbalance()), (Some(8), 1.));
/// assert_eq!(facts.summary(), "1,438 of 8×8, grayscale, 10 classes");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Number of training examples.
    pub examples: usize,
    /// Number of validation examples.
    pub validation: usize,
    /// Shape of an example, after resizing.
    pub shape: InputShape,
    /// Whether the examples are token ids of texts.
    pub is_text: bool,
    /// The share of the words of a training text, from 0 to 1, that are in no other text, on average; 0 for texts that have a tokenizer with a
    /// vocabulary, and for other data.
    pub rare_words: f64,
    /// Whether the examples can be augmented: images with a known range of values.
    pub can_augment: bool,
    /// What is predicted.
    pub task: TaskKind,
    /// Number of examples of each class or label; empty for numbers.
    pub counts: Vec<usize>,
    /// The mirrored examples, of small images.
    pub mirror: Option<Mirror>,
    /// Whether training runs on a GPU.
    pub is_on_gpu: bool,
    /// Whether the device computes in bfloat16 several times as fast as in float32: a GPU, or a CPU with instructions for it.
    pub has_fast_bf16: bool,
    /// CPU threads for training.
    pub cores: usize,
    /// What training starts from.
    pub start: Start,
    /// The architecture, if it was given.
    pub model: Option<String>,
    /// The pretrained backbone for photographs.
    pub backbone: Backbone,
    /// Whether adapters are trained in place of the weights (`--lora`).
    pub has_adapters: bool,
    /// Whether a bag (`--bag`) is possible: no option or property of the data excludes it.
    pub can_bag: bool,
    /// Whether the last layer is fitted to features of the other layers, which are computed once.
    pub head: Head,
}

/// Whether the last layer is fitted to features of the other layers (`--head-only`), by the options that are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// It cannot be: another option excludes it.
    Excluded,
    /// The recipe decides.
    Open,
    /// Nothing else is trained.
    Only,
    /// Fine-tuning follows.
    First,
}

/// What training starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Random weights.
    Scratch,
    /// Weights of `--pretrained`, with a last layer for other classes.
    Pretrained,
    /// Weights of `--init` or of a TorchScript file.
    Weights,
    /// A custom model of a program, of unknown structure.
    Custom,
}

/// The pretrained backbone for photographs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backbone {
    /// This model of the hub, in its cache or on the server.
    Available(&'static str),
    /// None, for this reason.
    Unavailable(&'static str),
}

impl Backbone {
    /// Models of the hub for photographs, the preferred one first.
    pub fn preferred(is_on_gpu: bool) -> &'static [&'static str] {
        if is_on_gpu { PREFERRED_ON_GPU } else { PREFERRED_ON_CPU }
    }
}

impl Facts {
    /// Facts about no examples of this shape, on one core of a CPU.
    pub fn of_shape(shape: InputShape) -> Self {
        Facts {
            examples: 0,
            validation: 0,
            is_text: false,
            rare_words: 0.,
            can_augment: shape.image().is_some(),
            shape,
            task: TaskKind::Classification,
            counts: Vec::new(),
            mirror: None,
            is_on_gpu: false,
            has_fast_bf16: false,
            cores: 1,
            start: Start::Scratch,
            model: None,
            backbone: Backbone::Unavailable("no pretrained weights were looked for"),
            has_adapters: false,
            can_bag: false,
            head: Head::Excluded,
        }
    }

    /// The same facts for a bag, which all examples outside the test set train and validate.
    pub(super) fn in_bag(&self) -> Self {
        let all = self.examples + self.validation;
        Facts { examples: all, validation: all, ..self.clone() }
    }

    /// The longer side of an image in pixels; none for rows of a table.
    pub fn longest_side(&self) -> Option<i64> {
        self.shape.image().map(|(_, height, width)| height.max(width))
    }

    /// Size of the largest class over that of the smallest one that has examples.
    pub fn imbalance(&self) -> f64 {
        let counts = || self.counts.iter().copied().filter(|count| *count > 0);
        match (counts().max(), counts().min()) {
            (Some(most), Some(least)) => most as f64 / least as f64,
            _ => 1.,
        }
    }

    /// Number of steps of an epoch.
    pub fn steps(&self, batch_size: u32) -> usize {
        self.examples.div_ceil(batch_size as usize)
    }

    /// The batch size, halved to at least 8 until an epoch has ten steps.
    pub fn batch_size(&self, most: u32) -> u32 {
        let halves = (0..).map(|halvings| most >> halvings);
        let mut enough = halves.take_while(|size| *size >= 8).filter(|size| self.steps(*size) >= 10);
        enough.next().unwrap_or(most.min(8))
    }

    /// Number of training examples, shape and classes in words.
    pub fn summary(&self) -> String {
        let examples = thousands(self.examples);
        let targets = match self.task {
            TaskKind::Classification => format!("{} classes", self.counts.len()),
            TaskKind::Multilabel => format!("{} labels", self.counts.len()),
            TaskKind::Regression => "regression".to_string(),
            TaskKind::Ranking => "choices of items by users".to_string(),
        };
        match self.shape.image() {
            Some((channels, height, width)) => {
                let color = match channels {
                    1 => "grayscale".to_string(),
                    3 => "color".to_string(),
                    channels => format!("{channels} channels"),
                };
                format!("{examples} of {height}×{width}, {color}, {targets}")
            }
            None if self.is_text => {
                format!(
                    "{examples} texts of up to {} tokens, {targets}",
                    thousands(self.shape.features() as usize)
                )
            }
            None => {
                format!("{examples} rows of {} columns, {targets}", self.shape.features())
            }
        }
    }
}
