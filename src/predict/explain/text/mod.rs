//! Explanations of texts, by their words.

pub(super) mod gradients;

use serde::Serialize;
use tch::Tensor;

use super::{Explainer, Subject};
use crate::data::tokens::{Tokenization, words};
use crate::error::{Error, Result};

/// A word of a text, and its attribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordValue {
    /// The word as it is in the text.
    pub word: String,
    /// Its first byte in the text, in UTF-8.
    pub start: usize,
    /// The byte after its last one.
    pub end: usize,
    /// Positive values support the class or label, or raise the number.
    pub value: f64,
}

/// The attribution of a prediction to the words of a text.
///
/// ```
/// use cresset::predict::explain::text::TextAttribution;
/// use cresset::predict::explain::Subject;
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let table = folder.path().join("mails.csv");
/// # let rows = (0..80).map(|row| ["buy a prize now,spam\n", "see you at lunch,ham\n"][row % 2]);
/// # std::fs::write(&table, "body,kind\n".to_string() + &rows.collect::<String>()).unwrap();
/// let mut options = Config { epochs: 8, model: "bow".into(), lr: 0.02, ..Config::default() };
/// options.reading.text = Some("body".into());
/// # let out = folder.path().join("run");
/// let fitted = Trainer::new(table.to_str().unwrap()).options(options).out(&out).fit()?;
/// let classifier = fitted.classifier()?;
/// let found = TextAttribution::of(&Subject::new(&classifier, 1), "A prize!")?;
/// assert_eq!((found.words[1].word.as_str(), found.words[1].start, found.words[1].end), ("prize", 2, 7));
/// // The class with the index 1 is spam.
/// assert!(found.words[1].value > 0.);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TextAttribution {
    /// The method.
    pub method: &'static str,
    /// The words that the model reads, in order.
    pub words: Vec<WordValue>,
    /// The attribution to tokens that are not in the text, such as `[CLS]`.
    pub other: f64,
    /// The explained logit or number.
    pub score: f64,
    /// Of integrated gradients, the score if the vectors of all words are zero. The values add up to the difference from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<f64>,
    /// The values of the tokens, in their order.
    #[serde(skip)]
    pub tokens: Vec<f32>,
}

impl TextAttribution {
    /// Explains a text by integrated gradients, or by occlusion if the model has no gradients or reads pairs of texts.
    ///
    /// # Errors
    /// A model that does not take one text, a text that its tokenizer cannot encode, and a model that fails.
    pub fn of(subject: &Subject, text: &str) -> Result<Self> {
        TextAttribution::by(&Explainer::for_texts(subject)?, subject, text)
    }

    /// Explains a text by a method.
    ///
    /// # Errors
    /// Those of [`TextAttribution::of`], and a method that does not explain texts.
    pub fn by(explainer: &Explainer, subject: &Subject, text: &str) -> Result<Self> {
        let problem = || Error::Usage("the model does not take a text alone".to_string());
        let table = subject.metadata().input.table.as_ref();
        let (tokenization, length) = table.and_then(|table| table.only_text()).ok_or_else(problem)?;
        let ids = tokenization.features(text, length).map_err(Error::Usage)?;
        let raw = subject.shaped(&Tensor::from_slice(&ids).unsqueeze(0));
        let score = subject.scores(&raw)?.double_value(&[0]);
        let values = Vec::<f32>::try_from(explainer.attribute(subject, &raw)?)?;
        let base = if explainer.name() == super::integrated_gradients::INTEGRATED_GRADIENTS.name {
            Some(gradients::base(subject, &raw)?)
        } else {
            None
        };
        let (words, other) = by_word(text, tokenization, length, &values)?;
        Ok(TextAttribution { method: explainer.name(), words, other, score, base, tokens: values })
    }
}

/// The sums of the values of the tokens of each word, and of the tokens that are not in the text.
fn by_word(
    text: &str,
    tokenization: &Tokenization,
    length: usize,
    values: &[f32],
) -> Result<(Vec<WordValue>, f64)> {
    let spans = tokenization.spans(text, length).map_err(Error::Usage)?;
    let whole: Vec<(usize, usize)> = words(text.as_bytes()).map(|word| (word.start, word.end)).collect();
    let (mut found, mut other): (Vec<WordValue>, f64) = (Vec::new(), 0.);
    for (span, value) in spans.into_iter().zip(values) {
        let value = f64::from(*value);
        let Some((start, end)) = span else {
            other += value;
            continue;
        };
        // Punctuation is in no word.
        let after = whole.partition_point(|(first, _)| *first <= start);
        let word = after.checked_sub(1).map(|at| whole[at]).filter(|(_, end)| start < *end);
        let (start, end) = word.unwrap_or((start, end));
        match found.last_mut().filter(|last| last.start == start) {
            Some(last) => last.value += value,
            None => found.push(WordValue {
                word: text.get(start..end).unwrap_or_default().to_string(),
                start,
                end,
                value,
            }),
        }
    }
    Ok((found, other))
}
