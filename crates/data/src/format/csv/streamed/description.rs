//! What the file of stored rows says about them, and the data set that they are.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::cell_error;
use super::super::encode::Encoder;
use super::super::layout::Layout;
use super::super::table_layout;
use super::super::uses::Uses;
use super::columns::StoredColumn;
use super::labels::StoredLabelTexts;
use crate::column::{ColumnKind, TableLayout};
use crate::error::{Error, Location, Result};
use crate::format::options::DataOptions;
use crate::image::Decoding;
use crate::stored::{
    Blocks, FeaturesOfText, InputFeatures, Source, StoredFile, StoredLabels, StoredNames, StoredRows,
};
use crate::table::check_labels;
use crate::targets::{Targets, TaskKind, task_of};
use crate::{Dataset, InputShape, Inputs, LabelsBuilder, Names};

/// The end of the file.
#[derive(Serialize, Deserialize)]
pub(super) struct Description {
    layout: TableLayout,
    /// The stored column of each input.
    stored: Vec<usize>,
    /// The texts of each input.
    texts: Vec<Vec<String>>,
    label_texts: Vec<String>,
    /// Whether the values of the labels are the targets, because they are too many for texts.
    are_values: bool,
    names: StoredNames,
    blocks: Option<Blocks>,
    sha256: String,
    warnings: Vec<String>,
}

/// A table whose rows were all stored.
pub(super) struct Finished<'a> {
    pub path: &'a Path,
    pub layout: &'a Layout,
    pub uses: Uses,
    pub labels: StoredLabelTexts,
    pub rows: usize,
    pub sha256: String,
    pub warnings: Vec<String>,
}

impl Description {
    /// Describes the rows, except where they are.
    ///
    /// # Errors
    /// Cells that their columns cannot have, and labels that do not suit the task.
    pub fn of(finished: Finished, columns: Vec<StoredColumn>, options: &DataOptions) -> Result<Self> {
        let Finished { path, layout, uses, labels, rows, sha256, warnings } = finished;
        let Uses { columns: inputs, slots, .. } = uses;
        let table = table_layout(layout, inputs);
        let encoder = Encoder::new(&table);
        let (mut stored, mut texts) = (Vec::new(), Vec::new());
        for (index, (slot, column)) in slots.iter().zip(columns).enumerate() {
            let Some(slot) = *slot else { continue };
            let (own, counts, lines) = match column {
                StoredColumn::Text(cells) => cells.finish(),
                StoredColumn::Number(_) | StoredColumn::Tokens => Default::default(),
            };
            let cache = encoder.cache(slot, &own).filter(|_| !own.is_empty());
            let known = cache.iter().flat_map(|cache| &cache.known).zip(counts.iter().zip(&lines));
            let fault = known.filter(|(_, (count, _))| **count > 0);
            if let Some((problem, line)) = fault
                .filter_map(|(known, (_, line))| Some((known.as_ref().err()?, line)))
                .min_by_key(|(_, line)| **line)
            {
                return Err(cell_error(path, layout, index, *line, problem));
            }
            stored.push(index);
            texts.push(own);
        }
        let is_over = labels.is_over;
        let (label_texts, lines) = labels.finish();
        let choice = options.targets()?;
        let location = |label: usize| Location::line(path, lines[label]);
        check_labels(path, &table, &label_texts, rows, choice, &location)?;
        let are_values = is_over && task_of(choice, &label_texts, rows) == TaskKind::Regression;
        if is_over && !are_values {
            let column = layout.label.map_or(String::new(), |label| layout.shown(label));
            let problem = format!(
                "column {column} has more than {} different values in {rows} rows, so it is not a label column; select the label column with --label, or predict the number with --task regression",
                label_texts.len()
            );
            return Err(Error::data(path, problem));
        }
        let names = StoredNames::default();
        Ok(Description {
            layout: table,
            stored,
            texts,
            label_texts,
            are_values,
            names,
            blocks: None,
            sha256,
            warnings,
        })
    }

    /// With the places of the rows, and their numbers and lines.
    pub fn at(self, blocks: Blocks, names: StoredNames) -> Self {
        Description { blocks: Some(blocks), names, ..self }
    }

    /// The inputs, with the tables of their features.
    fn inputs(&self) -> Vec<InputFeatures> {
        let encoder = Arc::new(Encoder::new(&self.layout));
        let mut first = 0;
        let inputs = self.layout.columns.iter().zip(&self.stored).zip(&self.texts).enumerate();
        inputs
            .map(|(slot, ((column, stored), texts))| {
                let width = column.features();
                let own = InputFeatures {
                    column: *stored,
                    first,
                    width,
                    source: match &column.kind {
                        ColumnKind::Tokens { tokenization, .. } => {
                            Source::Tokens { texts: slot, tokenization: Arc::new(tokenization.clone()) }
                        }
                        _ => source(&encoder, slot, width, texts),
                    },
                };
                first += width;
                own
            })
            .collect()
    }
}

fn source(encoder: &Arc<Encoder>, slot: usize, width: usize, texts: &[String]) -> Source {
    if encoder.is_value(slot, texts) {
        return Source::Number;
    }
    let features_of = |text: Option<&str>| {
        let mut features = Vec::with_capacity(width);
        // Texts were checked, and a missing value is none.
        if encoder.cell(slot, text, &mut features).is_err() {
            features.clear();
        }
        features.resize(width, f32::NAN);
        features
    };
    match encoder.cache(slot, texts) {
        Some(cache) if encoder.is_hashed(slot) => Source::Hashed(cache.features.into()),
        Some(cache) => Source::Lookup { table: cache.features.into(), missing: features_of(None).into() },
        None => {
            let (encoder, texts) = (Arc::clone(encoder), texts.to_vec());
            let of: FeaturesOfText = Arc::new(move |text, place| {
                let text = text.map(|text| texts[text].as_str());
                let mut features = Vec::with_capacity(width);
                let known = encoder.cell(slot, text, &mut features);
                match known {
                    Ok(_) => place.copy_from_slice(&features),
                    Err(_) => place.fill(f32::NAN),
                }
            });
            Source::Computed(of)
        }
    }
}

/// The data set of the rows in `file`; `None` if there is no such file, or it is damaged.
pub(super) fn open(path: &Path, file: &Path, options: &DataOptions) -> Option<Result<Dataset>> {
    let (file, mut description) = StoredFile::open::<Description>(file)?;
    let blocks = description.blocks.take()?;
    Some(dataset(path, file, blocks, description, options))
}

fn dataset(
    path: &Path,
    file: StoredFile,
    blocks: Blocks,
    description: Description,
    options: &DataOptions,
) -> Result<Dataset> {
    for warning in &description.warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    let inputs = description.inputs();
    let Description { layout, label_texts, are_values, names, sha256, .. } = description;
    let mut builder = LabelsBuilder::default();
    label_texts.iter().for_each(|text| builder.push(text));
    let (classes, label_of_text) = builder.finish();
    let stored_labels = match are_values {
        true => StoredLabels::Values,
        false => StoredLabels::Indexes(label_of_text),
    };
    let stored = StoredRows::new(file, blocks, inputs, stored_labels);
    let (labels, targets, classes) = match stored.all_labels()? {
        crate::stored::LabelsOfRows::Indexes(labels) => (labels, Targets::Classes, classes),
        crate::stored::LabelsOfRows::Values(values) => {
            let name = layout.label.as_ref().map_or_else(|| "value".to_string(), |label| label.name.clone());
            ((0..values.len() as i64).collect(), Targets::Values(values), vec![name])
        }
    };
    let dataset = Dataset {
        path: path.to_path_buf(),
        sha256,
        classes,
        labels,
        targets,
        shape: InputShape(vec![layout.features() as i64]),
        range: None,
        inputs: Inputs::Stored(Arc::new(stored)),
        names: Names::Stored(Arc::new(names)),
        table: Some(layout),
        portions: None,
        groups: None,
        decoding: Decoding::default(),
        texts: None,
        choices: Default::default(),
    };
    dataset.retokenized(options)?.for_task(options.targets()?)
}
