//! Vocabularies that are trained on the texts of the training set.

#[cfg(feature = "tokenizers")]
use std::borrow::Cow;
use std::path::Path;

use super::options::DataOptions;
use crate::Dataset;
#[cfg(feature = "tokenizers")]
use crate::Inputs;
use crate::error::{Error, Result};
#[cfg(feature = "tokenizers")]
use crate::tokenizer::{TrainedKind, train};
#[cfg(feature = "tokenizers")]
use crate::tokens::{MAX_LENGTH, Tokenization};

/// The default for the maximum number of tokens of a vocabulary.
const VOCABULARY: usize = 8000;

/// The bytes of texts in a file that a vocabulary is trained on.
#[cfg(feature = "tokenizers")]
const SAMPLED: u64 = 64 << 20;

/// The kinds by their names as values of `--tokenizer`. A file with such a name is `./NAME`.
const KINDS: [&str; 3] = ["wordpiece", "wordpiece-cased", "bpe"];

/// A vocabulary to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainedVocabulary {
    /// One of [`KINDS`].
    kind: &'static str,
    /// The maximum number of tokens.
    size: usize,
}

impl TrainedVocabulary {
    /// The vocabulary of the options, if they have one that is trained.
    ///
    /// # Errors
    /// `--vocab-size` for the tokenizer of a file.
    pub fn of(options: &DataOptions) -> Result<Option<Self>> {
        let kind = match &options.tokenizer {
            None => options.vocab_size.map(|_| KINDS[0]),
            Some(given) => KINDS.into_iter().find(|kind| Path::new(kind) == given),
        };
        match (kind, &options.tokenizer, options.vocab_size) {
            (Some(kind), _, size) => {
                Ok(Some(TrainedVocabulary { kind, size: size.map_or(VOCABULARY, |size| size as usize) }))
            }
            (None, Some(file), Some(_)) => Err(Error::Usage(format!(
                "--vocab-size is for a vocabulary that is trained on the texts, but --tokenizer {} has one; remove one of the two \
                 options, or use --tokenizer {}",
                file.display(),
                KINDS.join(", ")
            ))),
            (None, ..) => Ok(None),
        }
    }
}

impl Dataset {
    /// The data with the tokens of a vocabulary that is trained on the texts of the examples `rows`, those of the training set, or of
    /// an evenly spaced sample of 64 MiB if they are in a file. The result depends only on these texts and the options.
    ///
    /// # Errors
    /// Data without texts, and texts or a size that no vocabulary suits.
    #[cfg(feature = "tokenizers")]
    pub fn with_trained_vocabulary(
        self,
        vocabulary: TrainedVocabulary,
        rows: &[i64],
        options: &DataOptions,
    ) -> Result<Self> {
        let kind = match vocabulary.kind {
            "wordpiece" => TrainedKind::WordPiece,
            "wordpiece-cased" => TrainedKind::WordPieceCased,
            _ => TrainedKind::ByteLevelBpe,
        };
        let own: Vec<Cow<str>> = match (&self.inputs, &self.texts) {
            (Inputs::Stored(stored), _) if stored.has_texts() => {
                stored.sampled_texts(rows, SAMPLED)?.into_iter().map(Cow::from).collect()
            }
            (_, Some(texts)) => (texts.columns.iter())
                .flat_map(|column| rows.iter().map(|row| Cow::from(column.of(*row as usize))))
                .collect(),
            _ => {
                let problem = "--tokenizer and --vocab-size are for texts, and the examples are none; select a text column with --text";
                return Err(Error::data(self.path.as_path(), problem));
            }
        };
        let most = options.max_length.map_or(MAX_LENGTH, |length| length as usize);
        let tokenizer = train(kind, &own, vocabulary.size)
            .and_then(|tokenizer| tokenizer.with_max_length(most))
            .map_err(|error| Error::data(self.path.as_path(), format!("--vocab-size: {error}")))?;
        tracing::info!(tokens = tokenizer.vocabulary(), texts = own.len(), "trained a vocabulary");
        self.with_tokenization(&Tokenization::Vocabulary { tokenizer: Box::new(tokenizer) }, most)
    }

    /// Refuses a vocabulary.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "tokenizers"))]
    pub fn with_trained_vocabulary(
        self,
        vocabulary: TrainedVocabulary,
        _rows: &[i64],
        _options: &DataOptions,
    ) -> Result<Self> {
        let TrainedVocabulary { kind, size } = vocabulary;
        Err(Error::Usage(format!(
            "--tokenizer {kind} with --vocab-size {size}: this program was compiled without the feature `tokenizers`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokenizer: Option<&str>, vocab_size: Option<u32>) -> Result<Option<TrainedVocabulary>> {
        TrainedVocabulary::of(&DataOptions {
            tokenizer: tokenizer.map(Into::into),
            vocab_size,
            ..DataOptions::default()
        })
    }

    #[test]
    fn a_size_or_a_kind_selects_a_trained_vocabulary() {
        let kind_and_size =
            |tokenizer, size| of(tokenizer, size).unwrap().map(|found| (found.kind, found.size));
        assert_eq!(kind_and_size(None, None), None);
        assert_eq!(kind_and_size(None, Some(500)), Some(("wordpiece", 500)));
        assert_eq!(kind_and_size(Some("bpe"), None), Some(("bpe", VOCABULARY)));
        assert_eq!(kind_and_size(Some("tokenizer.json"), None), None);
        assert_eq!(kind_and_size(Some("./bpe"), None), None);
        let problem = of(Some("tokenizer.json"), Some(500)).unwrap_err().to_string();
        assert!(problem.contains("but --tokenizer tokenizer.json has one"), "{problem}");
    }
}
