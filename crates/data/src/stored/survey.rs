//! Which texts and missing values occur in the training rows.

use super::block::Block;
use super::{InputFeatures, Source, StoredRows};
use crate::error::Result;

/// What occurs in the rows of a table.
#[derive(Debug, Clone)]
pub struct Survey {
    inputs: Vec<SurveyOfInput>,
}

#[derive(Debug, Clone)]
struct SurveyOfInput {
    /// Whether each text that is looked up occurs in a training row.
    texts: Vec<bool>,
    /// Whether a training row lacks the value.
    missing_in_training: bool,
    /// Whether any row lacks the value.
    missing: bool,
}

impl SurveyOfInput {
    fn of(input: &InputFeatures) -> Self {
        let texts = match &input.source {
            Source::Lookup { table, .. } => table.len() / input.width.max(1),
            Source::Number | Source::Hashed(_) | Source::Computed(_) | Source::Tokens { .. } => 0,
        };
        SurveyOfInput { texts: vec![false; texts], missing_in_training: false, missing: false }
    }

    fn add(&mut self, block: &Block, column: usize, rows: usize, is_training: &[bool]) {
        let column = block.column(column);
        for (row, is_training) in (0..rows).zip(is_training) {
            let value = column.value(row);
            if value.is_nan() {
                self.missing = true;
                self.missing_in_training |= is_training;
            } else if *is_training && let Some(text) = self.texts.get_mut(value as usize) {
                *text = true;
            }
        }
    }
}

impl StoredRows {
    /// Finds out what occurs in the training rows, in ascending order. The first call has the training rows of all.
    ///
    /// # Errors
    /// As for [`StoredRows::read`].
    pub fn survey(&self, train: &[i64]) -> Result<&Survey> {
        if let Some(known) = self.survey.get() {
            return Ok(known);
        }
        let mut inputs: Vec<_> = self.inputs.iter().map(SurveyOfInput::of).collect();
        let mut rest = train;
        let mut is_training = Vec::new();
        for block in 0..self.blocks() {
            let range = self.range(block);
            let (own, others) = rest.split_at(rest.partition_point(|row| (*row as usize) < range.end));
            rest = others;
            is_training.clear();
            is_training.resize(range.len(), false);
            own.iter().for_each(|row| is_training[*row as usize - range.start] = true);
            let values = self.values(block)?;
            for (input, found) in self.inputs.iter().zip(&mut inputs) {
                found.add(&values, input.column, range.len(), &is_training);
            }
        }
        Ok(self.survey.get_or_init(|| Survey { inputs }))
    }

    /// What occurs in the rows, if [`StoredRows::survey`] was called.
    pub fn known(&self) -> Option<&Survey> {
        self.survey.get()
    }

    /// The features of the different cells of an input that occur in the training rows, if they are looked up.
    pub fn seen<'a>(&'a self, survey: &'a Survey, input: usize) -> impl Iterator<Item = &'a [f32]> {
        let (own, found) = (&self.inputs[input], &survey.inputs[input]);
        let (table, missing) = match &own.source {
            Source::Lookup { table, missing } => (&table[..], &missing[..]),
            Source::Number | Source::Hashed(_) | Source::Computed(_) | Source::Tokens { .. } => {
                (&[][..], &[][..])
            }
        };
        let texts = table.chunks_exact(own.width.max(1)).zip(&found.texts);
        let texts = texts.filter(|(_, occurs)| **occurs).map(|(features, _)| features);
        texts.chain((found.missing_in_training && !missing.is_empty()).then_some(missing))
    }

    /// Whether each feature is NaN in a training row.
    pub fn lacking_features(&self, survey: &Survey) -> Vec<bool> {
        let of_input = |(input, found): (&InputFeatures, &SurveyOfInput)| {
            let lacks = found.missing_in_training;
            input.of_missing().into_iter().map(|value| lacks && value.is_nan()).collect::<Vec<_>>()
        };
        self.inputs.iter().zip(&survey.inputs).flat_map(of_input).collect()
    }

    /// Whether any feature of any row is NaN.
    pub fn lacks_values(&self, survey: &Survey) -> bool {
        let lacks = |(input, found): (&InputFeatures, &SurveyOfInput)| {
            found.missing && input.of_missing().iter().any(|value| value.is_nan())
        };
        self.inputs.iter().zip(&survey.inputs).any(lacks)
    }
}
