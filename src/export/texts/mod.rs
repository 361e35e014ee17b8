//! TorchScript that tokenizes texts, so that a program which knows only libtorch can use a model of texts. It computes the same token
//! ids as `data::tokens`.

mod hashed;
#[cfg(test)]
mod tests;

use cresset_bridge::script::Module;

use crate::data::TableLayout;
use crate::data::column::ColumnKind;
use crate::data::tokens::{RESERVED, Tokenization};
use crate::error::Error;
use crate::export::tokenizer::script;
use crate::model::script::Class;

/// The names of the submodules that tokenize the text and the second text of a pair.
const TOKENIZERS: [&str; 2] = ["tokenizer", "tokenizer_of_pair"];

/// The methods of a model of one text.
const OF_TEXTS: &str = r#"
def encode_text(self, texts: List[str]) -> Tensor:
    ids: List[int] = []
    lengths: List[int] = []
    longest = 1
    for text in texts:
        own = self.tokenizer.encode(text)
        longest = max(longest, len(own))
        lengths.append(len(own))
        ids.extend(own)
    padded = torch.zeros([len(texts), longest], dtype=4)
    start = 0
    flat = torch.tensor(ids, dtype=4)
    for row in range(len(texts)):
        end = start + lengths[row]
        padded[row, :lengths[row]] = flat[start:end]
        start = end
    return padded.to(self.preprocess.offset.device)

def predict_text(self, texts: List[str]) -> Tuple[Tensor, Tensor]:
    return self.predict(self.encode_text(texts))
"#;

/// The methods of a model of pairs of texts, whose second text starts at a fixed place.
const OF_PAIRS: &str = r#"
def encode_text(self, texts: List[str], pairs: List[str]) -> Tensor:
    assert len(texts) == len(pairs), "the lists of texts and of their pairs have different lengths"
    padded = torch.zeros([len(texts), self.tokenizer.length + self.tokenizer_of_pair.length], dtype=4)
    for row in range(len(texts)):
        own = self.tokenizer.encode(texts[row])
        padded[row, :len(own)] = torch.tensor(own, dtype=4)
        other = self.tokenizer_of_pair.encode(pairs[row])
        start = self.tokenizer.length
        padded[row, start:start + len(other)] = torch.tensor(other, dtype=4)
    return padded.to(self.preprocess.offset.device)

def predict_text(self, texts: List[str], pairs: List[str]) -> Tuple[Tensor, Tensor]:
    return self.predict(self.encode_text(texts, pairs))
"#;

/// The method of a model of one text for programs that run its tokenizer themselves.
const OF_IDS: &str = r#"
def forward_ids(self, ids: Tensor, mask: Tensor) -> Tensor:
    return self.forward((ids + RESERVED) * mask.to(ids.dtype))
"#;

/// The names of the methods.
pub(super) const METHOD_NAMES: [&str; 3] = ["encode_text", "predict_text", "forward_ids"];

/// The methods of a model of texts; none for other models. Without those that take texts if a tokenizer has no TorchScript.
///
/// # Errors
/// What libtorch fails with.
pub(super) fn methods(module: &Module, layout: &TableLayout) -> Result<String, Error> {
    let of_texts = match (layout.is_text(), layout.columns.len()) {
        (true, 1) => OF_TEXTS,
        (true, 2) => OF_PAIRS,
        _ => return Ok(String::new()),
    };
    let mut methods = match layout.only_text() {
        Some((Tokenization::Vocabulary { .. }, _)) => OF_IDS.replace("RESERVED", &RESERVED.to_string()),
        _ => String::new(),
    };
    for ((tokenization, length), name) in columns(layout).zip(TOKENIZERS) {
        if module.child(name)?.is_none() {
            let problem = tokenizer(tokenization, length).err().unwrap_or_default();
            tracing::warn!("the exported file takes token ids and not texts: {problem}");
            return Ok(methods);
        }
    }
    methods += of_texts;
    Ok(methods)
}

/// Adds the tokenizers of a model of texts to its class.
pub(super) fn with_tokenizers(class: Class, layout: &TableLayout) -> Class {
    columns(layout).zip(TOKENIZERS).fold(class, |class, ((tokenization, length), name)| {
        match tokenizer(tokenization, length) {
            Ok(tokenizer) => class.child(name, tokenizer),
            Err(_) => class,
        }
    })
}

/// The tokenization and the maximum number of tokens of each text column.
fn columns(layout: &TableLayout) -> impl Iterator<Item = (&Tokenization, usize)> {
    layout.columns.iter().filter_map(|column| match &column.kind {
        ColumnKind::Tokens { tokenization, length } => Some((tokenization, *length)),
        _ => None,
    })
}

/// The class whose method `encode` returns the ids of the tokens of a text, at most `length`.
///
/// # Errors
/// A tokenizer that has no TorchScript.
fn tokenizer(tokenization: &Tokenization, length: usize) -> Result<Class, String> {
    match tokenization {
        Tokenization::Hashed { buckets, char_ngrams } => Ok(hashed::class(*buckets, *char_ngrams, length)),
        Tokenization::Vocabulary { tokenizer } => {
            let encode = format!(
                "  def encode(self: {{class}}, text: str) -> List[int]:\n    ids = annotate(List[int], [])\n    \
                 for id in (self.inner).encode(text):\n      if len(ids) < self.length:\n        ids.append(id + {RESERVED})\n    return ids\n"
            );
            let class = Class::new("VocabularyTokenizer", encode).int("length", length as i64);
            Ok(class.child("inner", script(tokenizer)?))
        }
    }
}
