//! Rows of a table in a file, in their order.

use std::ops::Range;
use std::sync::Arc;

use tch::Device;

use super::{AHEAD, Assembly, RowsRead, StoredExamples, finished};
use crate::data::parallel::OrderedMap;
use crate::data::stored::StoredBlock;
use crate::error::Result;
use crate::loader::memory::evaluation_batch_of_texts;
use crate::loader::transfer::to_device;
use crate::loader::{Batch, Batches, EvaluationLoader};
use crate::model::preprocessing::Preprocessing;

/// Rows of a batch of evaluation, unless they are texts.
const EVALUATION_BATCH: usize = 1024;

/// Some rows of a file.
#[derive(Debug, Clone)]
enum ChosenRows {
    All(usize),
    /// These, in this order.
    Some(Arc<[i64]>),
}

impl ChosenRows {
    fn count(&self) -> usize {
        match self {
            ChosenRows::All(count) => *count,
            ChosenRows::Some(rows) => rows.len(),
        }
    }

    fn at(&self, place: usize) -> usize {
        match self {
            ChosenRows::All(_) => place,
            ChosenRows::Some(rows) => rows[place] as usize,
        }
    }
}

/// Rows in a file, for evaluation.
#[derive(Debug)]
pub struct StoredEvaluationLoader {
    examples: StoredExamples,
    rows: ChosenRows,
    preprocessing: Option<Preprocessing>,
    device: Device,
}

impl StoredEvaluationLoader {
    /// Feeds the rows at `rows`, raw without preprocessing.
    pub fn new(
        examples: &StoredExamples,
        rows: &[i64],
        preprocessing: Option<&Preprocessing>,
        device: Device,
    ) -> Self {
        StoredEvaluationLoader {
            examples: examples.clone(),
            rows: ChosenRows::Some(rows.into()),
            preprocessing: preprocessing.cloned(),
            device,
        }
    }

    /// Feeds all rows, raw.
    pub fn of_all(examples: &StoredExamples, device: Device) -> Self {
        let rows = ChosenRows::All(examples.rows.rows());
        StoredEvaluationLoader { examples: examples.clone(), rows, preprocessing: None, device }
    }
}

/// Reads rows in their order. It keeps the block that it has read last.
struct RowsReader {
    examples: StoredExamples,
    rows: ChosenRows,
    block: Option<(usize, StoredBlock)>,
}

impl RowsReader {
    fn read(&mut self, places: Range<usize>) -> Result<RowsRead> {
        let stored = &self.examples.rows;
        let mut blocks: Vec<StoredBlock> = Vec::new();
        let mut rows = Vec::with_capacity(places.len());
        let mut last = None;
        for place in places {
            let row = self.rows.at(place);
            let block = match last {
                Some(block) if stored.range(block).contains(&row) => block,
                _ => {
                    let block = stored.block_of(row);
                    let read = match self.block.take_if(|(known, _)| *known == block) {
                        Some((_, read)) => read,
                        None => stored.read(block)?,
                    };
                    self.block = Some((block, read.clone()));
                    blocks.push(read);
                    block
                }
            };
            last = Some(block);
            rows.push((blocks.len() as u32 - 1, (row - stored.range(block).start) as u32));
        }
        self.examples.read(&blocks, &rows)
    }
}

impl EvaluationLoader for StoredEvaluationLoader {
    fn rows(&self) -> usize {
        self.rows.count()
    }

    fn device(&self) -> Device {
        self.device
    }

    fn in_order(&self) -> Batches<'_> {
        let count = self.rows.count();
        let size = match self.examples.rows.has_texts() {
            true => evaluation_batch_of_texts(self.examples.rows.width() as i64) as usize,
            false => EVALUATION_BATCH,
        };
        let places = (0..count).step_by(size).map(move |start| start..count.min(start + size));
        let worker = || {
            let mut reader =
                RowsReader { examples: self.examples.clone(), rows: self.rows.clone(), block: None };
            let assembly = Assembly::new(&self.examples, self.preprocessing.as_ref(), None, self.device);
            move |places| Ok(assembly.batch(reader.read(places)?, None))
        };
        let read = OrderedMap::new(1, places, AHEAD, worker);
        let batches = to_device(read, self.device);
        match &self.preprocessing {
            Some(preprocessing) if self.device != Device::Cpu => Box::new(batches.map(|batch| {
                let batch = batch?;
                Ok(Batch { inputs: finished(preprocessing, None, &batch.inputs, None), ..batch })
            })),
            _ => batches,
        }
    }
}
