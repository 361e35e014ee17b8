//! Columns of token ids of texts.

use std::path::Path;

use super::options::DataOptions;
use crate::column::ColumnKind;
use crate::error::{Error, Result};
#[cfg(feature = "tokenizers")]
use crate::tokenizer::Tokenizer;
use crate::tokens::{MAX_LENGTH, Tokenization};

/// A column of token ids of these texts, and the number of texts that have more tokens than the maximum, which is [`MAX_LENGTH`] unless
/// it is given, or that of the tokenizer.
///
/// # Errors
/// A tokenizer that cannot be read, or cannot encode one of the texts.
pub fn column_kind(texts: &[String], options: &DataOptions) -> Result<(ColumnKind, usize)> {
    let given = options.max_length.map(|length| length as usize);
    let (tokenization, most) = match &options.tokenizer {
        Some(file) => of_file(file, given)?,
        None => (Tokenization::default(), given.unwrap_or(MAX_LENGTH)),
    };
    let (mut longest, mut longer) = (1, 0);
    for text in texts {
        // A tokenizer with a vocabulary has a maximum of its own, so a text that reaches it counts as longer.
        let limit = if options.tokenizer.is_some() { most } else { most + 1 };
        let count = tokenization.ids(text, limit).map_err(Error::Usage)?.len();
        longest = longest.max(count.min(most));
        longer += usize::from(count == limit);
    }
    let (tokenization, length) = shortened(tokenization, longest)?;
    Ok((ColumnKind::Tokens { tokenization, length }, longer))
}

/// The tokenization for texts of at most so many tokens, and the maximum that it has then. A tokenizer with a vocabulary leaves out the
/// end of the text and keeps the special tokens after it.
fn shortened(tokenization: Tokenization, longest: usize) -> Result<(Tokenization, usize)> {
    match tokenization {
        #[cfg(feature = "tokenizers")]
        Tokenization::Vocabulary { tokenizer } => {
            let tokenizer = tokenizer.shortened(longest)?;
            let length = tokenizer.max_length();
            Ok((Tokenization::Vocabulary { tokenizer: Box::new(tokenizer) }, length))
        }
        hashed => Ok((hashed, longest)),
    }
}

/// The tokenization of a file, and its maximum number of tokens.
#[cfg(feature = "tokenizers")]
fn of_file(file: &Path, max_length: Option<usize>) -> Result<(Tokenization, usize)> {
    let tokenizer = Tokenizer::from_file(file, max_length)?;
    let most = tokenizer.max_length();
    Ok((Tokenization::Vocabulary { tokenizer: Box::new(tokenizer) }, most))
}

/// Refuses a tokenizer.
#[cfg(not(feature = "tokenizers"))]
fn of_file(_file: &Path, _max_length: Option<usize>) -> Result<(Tokenization, usize)> {
    let problem = "--tokenizer: this program was compiled without the feature `tokenizers`";
    Err(Error::Usage(problem.to_string()))
}

/// A sentence about texts with more tokens than the maximum.
pub fn truncation(length: usize, texts: usize) -> String {
    format!(
        "only the first {length} tokens are used of {texts} texts that have more; raise --max-length to use them"
    )
}
