//! Tables whose only inputs are one or two columns of texts. The texts are stored, and tokenized when they are read.

use std::path::Path;

use super::super::TextUse;
use super::super::chunks::Chunk;
use super::super::converted::first_line;
use super::super::layout::Layout;
use super::super::parse::Parsed;
use super::super::uses::Uses;
use crate::column::ColumnKind;
use crate::error::Result;
use crate::format::options::{ColumnTypes, DataOptions};
use crate::stored::LongestText;
use crate::tokens::Tokenization;

/// The inputs of a table of texts.
pub(in crate::format::csv) struct TextInputs {
    /// What to say about the columns that are left out.
    pub warnings: Vec<String>,
}

impl TextInputs {
    /// The columns of `--text`, or those of a table whose first rows have no other inputs. The layout keeps these inputs alone. `None`
    /// for other tables.
    pub fn keep(path: &Path, beginning: &[u8], layout: &mut Layout, options: &DataOptions) -> Option<Self> {
        if options.text.is_some() {
            return Some(TextInputs { warnings: Vec::new() });
        }
        if options.column_types == ColumnTypes::Basic || !layout.inputs.iter().any(|input| input.is_text) {
            return None;
        }
        let chunk = Chunk {
            first_line: first_line(path),
            text: beginning.to_vec(),
            line_ends: memchr::memchr_iter(b'\n', beginning).count() as u64,
        };
        let parsed = Parsed::chunk(path, &chunk, layout).ok()?;
        // The texts are tokenized later.
        let plain = DataOptions { tokenizer: None, vocab_size: None, ..options.clone() };
        let uses = Uses::of(path, &parsed, layout, (&plain, TextUse::Tokens))
            .ok()
            .filter(|uses| !uses.ids.is_empty())?;
        let warnings = uses.warnings(layout);
        let mut slots = uses.slots.iter();
        layout.inputs.retain(|_| slots.next().is_some_and(Option::is_some));
        Some(TextInputs { warnings })
    }
}

/// The columns of texts, with hashed words, as many as the longest text has.
///
/// # Errors
/// A column without a word.
pub(super) fn uses(path: &Path, longest: &[LongestText], layout: &Layout) -> Result<Uses> {
    let kinds = longest
        .iter()
        .map(|longest| ColumnKind::Tokens { tokenization: Tokenization::default(), length: longest.words });
    Uses::of_texts(path, kinds, layout)
}
