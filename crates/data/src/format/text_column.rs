//! Columns of token ids of texts.

use std::path::Path;
use std::sync::Arc;

use super::options::DataOptions;
use super::trained_vocabulary::TrainedVocabulary;
use crate::column::{Column, ColumnKind};
use crate::error::{Error, Result};
use crate::stored::StoredRows;
use crate::texts::{TextIds, shortened};
#[cfg(feature = "tokenizers")]
use crate::tokenizer::Tokenizer;
use crate::tokens::{BUCKETS, MAX_LENGTH, Tokenization};
use crate::{Dataset, InputShape, Inputs, TableLayout, parallel};

/// The token ids of texts, as the options say.
///
/// # Errors
/// A tokenizer that cannot be read, or cannot encode one of the texts, and texts without words.
pub(crate) fn tokenize(texts: &[String], options: &DataOptions) -> Result<TextIds> {
    let (tokenization, most) = tokenization(options)?;
    let ids = TextIds::new(texts, tokenization, most)?;
    if ids.tokenization.is_hashed() && ids.of_text.iter().all(Vec::is_empty) {
        return Err(Error::Usage(without_words(&format!("the {} different texts", texts.len()))));
    }
    Ok(ids)
}

/// The problem of texts without a word.
pub(super) fn without_words(texts: &str) -> String {
    format!(
        "none of {texts} has a word, so there is nothing to learn from; select another column with --text"
    )
}

/// How the options tokenize texts, and the maximum number of tokens: [`MAX_LENGTH`] unless it is given, or that of the tokenizer.
fn tokenization(options: &DataOptions) -> Result<(Tokenization, usize)> {
    let given = options.max_length.map(|length| length as usize);
    let most = given.unwrap_or(MAX_LENGTH);
    let trained = TrainedVocabulary::of(options)?;
    if options.char_ngrams > 0 && (trained.is_some() || options.tokenizer.is_some()) {
        let problem = "--char-ngrams are for hashed words, and the texts have a tokenizer with a vocabulary; remove --char-ngrams, or \
                       --tokenizer, --vocab-size and --pretrained";
        return Err(Error::Usage(problem.to_string()));
    }
    match &options.tokenizer {
        // The vocabulary is trained after the split.
        _ if trained.is_some() => Ok((Tokenization::default(), most)),
        Some(file) => of_file(file, given),
        None => Ok((Tokenization::Hashed { buckets: BUCKETS, char_ngrams: options.char_ngrams }, most)),
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

impl Dataset {
    /// The data with its texts tokenized as these options say; data of another kind is unchanged.
    ///
    /// # Errors
    /// A tokenizer that cannot be read, or cannot encode one of the texts.
    pub fn retokenized(self, options: &DataOptions) -> Result<Self> {
        match tokenization(options)? {
            _ if !self.has_texts() => Ok(self),
            (tokenization, most) => self.with_tokenization(&tokenization, most),
        }
    }

    /// Like [`Dataset::retokenized`], in this way, with at most `most` tokens of a text.
    ///
    /// # Errors
    /// A text that the tokenizer cannot encode.
    pub fn with_tokenization(mut self, tokenization: &Tokenization, most: usize) -> Result<Self> {
        if let (Inputs::Stored(rows), Some(table)) = (&self.inputs, &mut self.table) {
            self.inputs = Inputs::Stored(Arc::new(stored_tokens(rows, table, tokenization, most)?));
            self.shape = InputShape(vec![table.features() as i64]);
            return Ok(self);
        }
        let (Some(texts), Some(table)) = (&mut self.texts, &mut self.table) else { return Ok(self) };
        let mut ids = Vec::with_capacity(texts.columns.len());
        for (texts, column) in texts.columns.iter_mut().zip(&mut table.columns) {
            let of_column = TextIds::new(&texts.texts, tokenization.clone(), most)?;
            (texts.longer, column.kind) = (of_column.longer, of_column.kind());
            ids.push(of_column);
        }
        self.shape = InputShape(vec![table.features() as i64]);
        self.inputs = Inputs::Floats(texts.features(&ids));
        Ok(self)
    }

    /// Whether the texts of the examples may be tokenized in another way.
    pub(crate) fn has_texts(&self) -> bool {
        match &self.inputs {
            Inputs::Stored(rows) => rows.has_texts(),
            _ => self.texts.is_some(),
        }
    }

    /// The data with its texts tokenized for a model with this layout; none if the data has no texts in the columns of the layout.
    ///
    /// # Errors
    /// A text that the tokenizer cannot encode.
    pub fn tokenized_for(mut self, layout: &TableLayout) -> Result<Option<Self>> {
        let (Some(texts), Some(table)) = (&self.texts, &self.table) else { return Ok(None) };
        if !layout.is_text() || table.names() != layout.names() {
            return Ok(None);
        }
        let rows: Vec<usize> = (0..self.rows()).collect();
        let features = parallel::map(&rows, |row| layout.text_features(&texts.of(*row)));
        self.inputs = Inputs::Floats(features.into_iter().collect::<Result<Vec<_>>>()?.concat());
        self.shape = InputShape(vec![layout.features() as i64]);
        self.table = Some(layout.clone());
        Ok(Some(self))
    }

    /// A sentence about the texts of each column that have more tokens than the maximum. Of texts in a file with a vocabulary, those
    /// that have more words are counted.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn truncations(&self) -> Result<Vec<String>> {
        let Some(table) = &self.table else { return Ok(Vec::new()) };
        let (longer, units) = match (&self.inputs, &self.texts) {
            (Inputs::Stored(rows), _) if rows.has_texts() => (rows.longer()?, " words"),
            (_, Some(texts)) => (texts.columns.iter().map(|column| column.longer).collect(), ""),
            _ => return Ok(Vec::new()),
        };
        let cut = longer.into_iter().zip(&table.columns).filter(|(longer, _)| *longer > 0);
        let sentence = |(longer, column): (usize, &Column)| {
            format!(
                "column {}: only the first {} tokens are used of {longer} texts that have more{units}; raise --max-length to use them",
                column.name,
                column.features()
            )
        };
        Ok(cut.map(sentence).collect())
    }
}

/// More tokens than a model puts around a text.
#[cfg(feature = "tokenizers")]
const SPECIAL_TOKENS: usize = 8;

/// Rows in a file with these tokens. The columns get the tokenization, and the number of tokens of the longest text, at most `most`; with
/// a vocabulary or character n-grams, at least as many, because the texts are not tokenized for it.
fn stored_tokens(
    rows: &StoredRows,
    table: &mut TableLayout,
    tokenization: &Tokenization,
    most: usize,
) -> Result<StoredRows> {
    let mut columns = Vec::with_capacity(table.columns.len());
    for (column, longest) in table.columns.iter_mut().zip(rows.longest()) {
        let longest = match tokenization {
            Tokenization::Hashed { char_ngrams, .. } => {
                // A word has at most one n-gram of each length more than it has characters.
                longest.words + char_ngrams.saturating_sub(1) as usize * (longest.words + longest.bytes)
            }
            #[cfg(feature = "tokenizers")]
            Tokenization::Vocabulary { .. } => longest.bytes + SPECIAL_TOKENS,
        };
        let (tokenization, length) = shortened(tokenization.clone(), longest.clamp(1, most))?;
        column.kind = ColumnKind::Tokens { tokenization: tokenization.clone(), length };
        columns.push((tokenization, length));
    }
    rows.tokenized(columns)
}
