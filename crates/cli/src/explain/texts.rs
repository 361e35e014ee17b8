//! Explanations of texts: a page with colored words.

use std::path::{Path, PathBuf};

use cresset::data::atomic;
use cresset::error::{Error, Result};
use cresset::predict::explain::text::TextAttribution;
use cresset::predict::explain::{Explainer, Subject};
use cresset::predict::{Classifier, TextReader};
use cresset::report::texts::{ShownText, highlighted, page};
use serde_json::{Value, json};

use super::Explained;

/// The page with all texts, in the folder of `--out`.
const FILE: &str = "texts.html";

/// Attributions of texts to their words.
pub struct Texts<'a> {
    reader: TextReader<'a>,
    explainer: Explainer,
    path: PathBuf,
    shown: Vec<ShownText>,
    rows: Vec<Value>,
}

impl<'a> Texts<'a> {
    /// Texts of a model that takes one text.
    pub fn new(reader: TextReader<'a>, explainer: Explainer, out: &Path) -> Self {
        Texts { reader, explainer, path: out.join(FILE), shown: Vec::new(), rows: Vec::new() }
    }

    /// The name of the method.
    pub fn method(&self) -> &'static str {
        self.explainer.name()
    }

    /// Adds the attribution of a text. Returns the values of its tokens.
    ///
    /// # Errors
    /// A text that is no longer what its token ids were read from.
    pub fn add(&mut self, classifier: &Classifier, explained: &Explained) -> Result<Vec<f32>> {
        let Explained { input, location, raw, label, probability, .. } = explained;
        let problem = || {
            Error::data(
                (*location).clone(),
                "the text has changed while it was explained; run the command again",
            )
        };
        let text = self.reader.text(location, raw)?.ok_or_else(problem)?;
        let subject = Subject::new(classifier, explained.class);
        let found = TextAttribution::by(&self.explainer, &subject, &text)?;
        self.shown.push(ShownText {
            name: input.clone(),
            predicted: format!("{label} {probability:.3}"),
            html: highlighted(&text, &found.words),
        });
        self.rows.push(json!({
            "input": input, "output": label, "probability": probability, "score": found.score, "base": found.base,
            "words": found.words, "other": found.other,
        }));
        Ok(found.tokens)
    }

    /// The page.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the page and the JSON file.
    pub fn finish(self, json: Option<&Path>) -> Result<()> {
        atomic::write(&self.path, page(self.explainer.name(), &self.shown).as_bytes())?;
        if let Some(path) = json {
            let all = json!({ "method": self.explainer.name(), "rows": self.rows });
            atomic::write(path, format!("{all:#}\n").as_bytes())?;
        }
        Ok(())
    }
}
