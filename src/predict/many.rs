//! A stream of inputs, classified and written down.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::embeddings::Embeddings;
use super::output::{Form, Output, Writer};
use super::{Classifier, Stream};
use crate::data::atomic;
use crate::data::unknown::Unknowns;
use crate::error::{Error, Result};

/// What became of the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// All inputs.
    pub inputs: usize,
    /// Those that could not be read or classified.
    pub failed: usize,
    /// Categories that the model was not trained on.
    pub unknowns: Unknowns,
    /// The first table that does not fit the model, and why.
    pub misfit: Option<String>,
}

impl Classifier {
    /// Writes what the model makes of a stream of its own to `out`, as each batch is ready, and to `embeddings`, if the stream
    /// has features, what the last layer is given: float32 (N, width), NaN for an input that failed.
    ///
    /// A reader of `out` that goes away ends it, unless embeddings are wanted, too.
    ///
    /// # Errors
    /// A model that fails, and what the system refuses to write.
    pub fn write(
        &self,
        stream: Stream,
        form: Form,
        out: &mut dyn Write,
        embeddings: Option<&Path>,
    ) -> Result<Summary> {
        let classes = &self.metadata().classes;
        let mut summary = Summary::default();
        match embeddings {
            None => summary = written(stream, Writer::new(out, form, classes), None)?,
            Some(path) => atomic::replace(path, |temporary| {
                let embeddings = Embeddings::create(temporary)?;
                summary = written(stream, Writer::new(out, form, classes), Some(embeddings))?;
                Ok::<_, Error>(())
            })?,
        }
        Ok(summary)
    }
}

fn written(
    stream: Stream,
    writer: Writer<'_, &mut dyn Write>,
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
        // An empty line alone does not say why it is empty.
        for row in batch.rows.iter().filter(|_| is_plain) {
            if let Err(problem) = &row.probabilities {
                tracing::warn!("{}: {problem}", row.input);
            }
        }
        if let Some(embeddings) = &mut embeddings {
            embeddings.add(&batch)?;
        }
        if let Some(open) = &mut writer
            && !is_read(open.write(&batch.rows))?
        {
            writer = None;
            if embeddings.is_none() {
                return Ok(summary);
            }
        }
    }
    if let Some(writer) = writer {
        is_read(writer.finish())?;
    }
    embeddings.map_or(Ok(()), Embeddings::finish)?;
    Ok(summary)
}

/// Whether there was a reader for what was written: `| head` goes away when it has seen enough, which is no failure.
fn is_read(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::io("write to", Path::new("standard output"))(error)),
    }
}
