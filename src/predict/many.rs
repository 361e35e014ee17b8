//! Writes the predictions of a stream of inputs.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::embeddings::Embeddings;
use super::output::{Output, OutputOptions, PredictionWriter};
use super::{Classifier, Stream};
use crate::data::atomic;
use crate::data::unknown::UnknownCounts;
use crate::error::{Error, Result};
use crate::export::Metadata;

/// A summary of the predictions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// The number of inputs.
    pub inputs: usize,
    /// The number of inputs that could not be read or classified.
    pub failed: usize,
    /// Categories that the model was not trained on.
    pub unknowns: UnknownCounts,
    /// The first table that does not match the model's input, and the error.
    pub misfit: Option<String>,
}

impl Classifier {
    /// Writes the predictions for a stream of this classifier to `out`, batch by batch. If the stream computes features, also writes
    /// the inputs of the last layer to `embeddings`: float32 (N, width), NaN for an input that failed.
    ///
    /// A closed pipe on `out` ends it early, unless embeddings are written as well.
    ///
    /// ```
    /// use cresset::predict::{Batching, Output, OutputOptions, Sources};
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// # let table = out.join("flowers.csv");
    /// # std::fs::write(&table, "5.1,3.5,1.4,0.2\n6.3,2.9,5.6,1.8\n").unwrap();
    /// let classifier = fitted.classifier()?;
    /// let batching = Batching { size: 64, threads: 1, features: false };
    /// let stream = classifier.stream(Sources::new(vec![table], None)?, batching)?;
    /// let form =
    ///     OutputOptions { output: Output::Csv, top_k: 1, probabilities: false, escape_formulas: false };
    /// let mut csv = Vec::new();
    /// let summary = classifier.write(stream, form, &mut csv, None)?;
    /// assert_eq!((summary.inputs, summary.failed), (2, 0));
    /// assert!(csv.starts_with(b"input,class,probability"));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model that fails, and failed writes.
    pub fn write(
        &self,
        stream: Stream,
        form: OutputOptions,
        out: &mut dyn Write,
        embeddings: Option<&Path>,
    ) -> Result<Summary> {
        let Metadata { classes, outputs, conformal, ood, .. } = self.metadata();
        let writer = PredictionWriter::new(out, form, classes)
            .with_outputs(outputs)
            .with_sets(*conformal)
            .with_ood(*ood);
        let mut summary = Summary::default();
        match embeddings {
            None => summary = write_predictions(stream, writer, None)?,
            Some(path) => atomic::replace(path, |temporary| {
                let embeddings = Embeddings::create(temporary)?;
                summary = write_predictions(stream, writer, Some(embeddings))?;
                Ok::<_, Error>(())
            })?,
        }
        Ok(summary)
    }
}

fn write_predictions(
    stream: Stream,
    writer: PredictionWriter<'_, &mut dyn Write>,
    mut embeddings: Option<Embeddings>,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let is_plain = writer.form().output == Output::Plain;
    let mut writer = Some(writer);
    for batch in stream {
        let batch = batch?;
        summary.inputs += batch.rows.len();
        for row in &batch.rows {
            summary.unknowns.add(&row.notes.unknown);
            if let Err(problem) = &row.probabilities {
                summary.failed += 1;
                if row.notes.is_table && summary.misfit.is_none() {
                    summary.misfit = Some(format!("{}: {problem}", row.input));
                }
            }
        }
        // Plain output has an empty line for an error, so warn with the reason.
        for row in batch.rows.iter().filter(|_| is_plain) {
            if let Err(problem) = &row.probabilities {
                tracing::warn!("{}: {problem}", row.input);
            }
        }
        if let Some(embeddings) = &mut embeddings {
            embeddings.add(&batch)?;
        }
        if let Some(open) = &mut writer
            && !is_open(open.write(&batch.rows))?
        {
            writer = None;
            if embeddings.is_none() {
                return Ok(summary);
            }
        }
    }
    if let Some(writer) = writer {
        is_open(writer.finish())?;
    }
    embeddings.map_or(Ok(()), Embeddings::finish)?;
    Ok(summary)
}

/// Whether standard output is still open: a closed pipe, as with `| head`, is not an error.
fn is_open(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::io("write to", Path::new("standard output"))(error)),
    }
}
