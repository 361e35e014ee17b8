//! Writes the predictions of a stream of inputs.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::embeddings::Embeddings;
use super::output::{Output, OutputOptions, PredictionWriter};
use super::{ClassifiedBatch, Classifier, Stream};
use crate::data::atomic;
use crate::data::unknown::UnknownCounts;
use crate::error::{Error, Result};
use crate::evaluate::drift::{DriftPolicy, DriftReport};
use crate::export::Metadata;

/// The most inputs whose predictions are held back while a column makes them meaningless.
const MAX_HELD: usize = 1000;

/// A summary of the predictions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The number of inputs.
    pub inputs: usize,
    /// The number of inputs that could not be read or classified.
    pub failed: usize,
    /// Categories that the model was not trained on.
    pub unknowns: UnknownCounts,
    /// The first table that does not match the model's input, and the error.
    pub misfit: Option<String>,
    /// The comparison with the training data; `None` if the model has no histograms of it.
    pub drift: Option<DriftReport>,
}

impl Classifier {
    /// Writes the predictions for a stream of this classifier to `out`, batch by batch. If the stream computes features, also writes
    /// the inputs of the last layer to `embeddings`: float32 (N, width), NaN for an input that failed.
    ///
    /// A closed pipe on `out` ends it early, unless embeddings are written as well.
    ///
    /// ```
    /// use cresset::evaluate::drift::DriftPolicy;
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
    /// let summary = classifier.write(stream, form, &mut csv, None, DriftPolicy::Refuse)?;
    /// assert_eq!((summary.inputs, summary.failed), (2, 0));
    /// assert!(csv.starts_with(b"input,class,probability"));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model that fails, failed writes, and columns that make predictions meaningless ([`DriftReport::problems`]) unless
    /// `drift` allows them. Then nothing was written if the first 1000 inputs already showed it.
    pub fn write(
        &self,
        stream: Stream,
        form: OutputOptions,
        out: &mut dyn Write,
        embeddings: Option<&Path>,
        drift: DriftPolicy,
    ) -> Result<Summary> {
        let Metadata { classes, outputs, conformal, ood, .. } = self.metadata();
        let writer = PredictionWriter::new(out, form, classes)
            .with_outputs(outputs)
            .with_sets(*conformal)
            .with_ood(*ood);
        let mut summary = Summary::default();
        match embeddings {
            None => summary = write_predictions(stream, writer, None, drift)?,
            Some(path) => atomic::replace(path, |temporary| {
                let embeddings = Embeddings::create(temporary)?;
                summary = write_predictions(stream, writer, Some(embeddings), drift)?;
                Ok::<_, Error>(())
            })?,
        }
        Ok(summary)
    }
}

fn write_predictions(
    mut stream: Stream,
    writer: PredictionWriter<'_, &mut dyn Write>,
    mut embeddings: Option<Embeddings>,
    policy: DriftPolicy,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let is_plain = writer.form().output == Output::Plain;
    let mut writer = Some(writer);
    // Batches are held back while a column makes their predictions meaningless.
    let mut held = Vec::new();
    let mut is_accepted = policy == DriftPolicy::Allow;
    loop {
        let batch = stream.next().transpose()?;
        let is_last = batch.is_none();
        held.extend(batch.inspect(|batch| summary.add(batch, is_plain)));
        if !is_accepted {
            let refused = stream.drift_report().is_some_and(|report| !report.problems.is_empty());
            if refused && !is_last && summary.inputs < MAX_HELD {
                continue;
            }
            stream.drift_report().map_or(Ok(()), |report| report.require_meaning())?;
            is_accepted = summary.inputs >= MAX_HELD;
        }
        for batch in held.drain(..) {
            if let Some(embeddings) = &mut embeddings {
                embeddings.add(&batch)?;
            }
            if let Some(open) = &mut writer
                && !is_open(open.write(&batch.rows))?
            {
                writer = None;
            }
        }
        if is_last || (writer.is_none() && embeddings.is_none()) {
            break;
        }
    }
    summary.drift = stream.drift_report();
    if let Some(writer) = writer {
        is_open(writer.finish())?;
    }
    embeddings.map_or(Ok(()), Embeddings::finish)?;
    Ok(summary)
}

impl Summary {
    fn add(&mut self, batch: &ClassifiedBatch, is_plain: bool) {
        self.inputs += batch.rows.len();
        for row in &batch.rows {
            self.unknowns.add(&row.notes.unknown);
            let Err(problem) = &row.probabilities else { continue };
            self.failed += 1;
            if row.notes.is_table && self.misfit.is_none() {
                self.misfit = Some(format!("{}: {problem}", row.input));
            }
            // Plain output has an empty line for an error, so warn with the reason.
            if is_plain {
                tracing::warn!("{}: {problem}", row.input);
            }
        }
    }
}

/// Whether standard output is still open: a closed pipe, as with `| head`, is not an error.
fn is_open(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::io("write to", Path::new("standard output"))(error)),
    }
}
