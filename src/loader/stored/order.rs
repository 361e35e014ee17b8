//! Which rows of a file are training rows, and the order of an epoch.

use std::ops::Range;
use std::sync::Arc;

use rand::seq::SliceRandom;

use crate::data::random::{Purpose, epoch_stream, stream};
use crate::data::stored::{StoredBlock, StoredRows};
use crate::error::Result;
use crate::loader::buckets::arrange;

/// The blocks whose rows are shuffled together. A thread has them in memory.
const TOGETHER: usize = 32;

/// Which rows are training rows: a bit for each row.
#[derive(Debug)]
pub(super) struct TrainingRows {
    bits: Vec<u64>,
    /// The blocks with training rows, and the number of these.
    blocks: Vec<(usize, usize)>,
    pub count: usize,
}

impl TrainingRows {
    pub fn new(stored: &StoredRows, train: &[i64]) -> Self {
        let mut bits = vec![0u64; stored.rows().div_ceil(64)];
        train.iter().for_each(|row| bits[*row as usize / 64] |= 1 << (row % 64));
        let mut rest = train;
        let counted = (0..stored.blocks()).map(|block| {
            let own = rest.partition_point(|row| (*row as usize) < stored.range(block).end);
            rest = &rest[own..];
            (block, own)
        });
        let blocks = counted.filter(|(_, own)| *own > 0).collect();
        TrainingRows { bits, blocks, count: train.len() }
    }

    /// The training rows of a range, relative to its start.
    pub fn of(&self, range: Range<usize>) -> impl Iterator<Item = u32> {
        let start = range.start;
        range.filter(|row| self.bits[row / 64] >> (row % 64) & 1 == 1).map(move |row| (row - start) as u32)
    }
}

/// The order of an epoch.
pub(super) struct EpochOrder {
    pub stored: Arc<StoredRows>,
    rows: Arc<TrainingRows>,
    /// The groups of blocks whose rows are shuffled together, …
    pub groups: Vec<Vec<usize>>,
    /// … and where the rows of each begin in the epoch.
    pub starts: Vec<usize>,
    seed: u64,
    epoch: u32,
    /// The batch size, if batches have texts of similar length.
    size: Option<usize>,
}

impl EpochOrder {
    pub fn new(
        stored: &Arc<StoredRows>,
        rows: &Arc<TrainingRows>,
        (seed, epoch): (u64, u32),
        size: Option<usize>,
    ) -> Self {
        let mut blocks = rows.blocks.clone();
        blocks.shuffle(&mut stream(seed, Purpose::Shuffle, epoch_stream(epoch, 0)));
        let mut starts = vec![0];
        let groups = blocks.chunks(TOGETHER).map(|group| {
            starts.push(starts[starts.len() - 1] + group.iter().map(|(_, count)| count).sum::<usize>());
            group.iter().map(|(block, _)| *block).collect()
        });
        let groups = groups.collect();
        EpochOrder { stored: Arc::clone(stored), rows: Arc::clone(rows), groups, starts, seed, epoch, size }
    }

    /// The group of a position in the epoch.
    pub fn group_of(&self, position: usize) -> usize {
        self.starts.partition_point(|start| *start <= position) - 1
    }

    /// Reads a group.
    pub fn read(&self, index: usize) -> Result<Group> {
        let blocks = self.groups[index].iter().map(|block| self.stored.read(*block));
        let blocks = blocks.collect::<cresset_data::error::Result<Vec<_>>>()?;
        let mut rows = self.rows_of(index);
        if let Some(size) = self.size {
            self.arrange(index, &blocks, &mut rows, size);
        }
        Ok(Group { index, blocks, rows })
    }

    /// Arranges the rows of a group, from the first batch that begins in it, in batches of similar length.
    fn arrange(&self, group: usize, blocks: &[StoredBlock], rows: &mut [(u32, u32)], size: usize) {
        let begun = (self.starts[group].next_multiple_of(size) - self.starts[group]).min(rows.len());
        let rows = &mut rows[begun..];
        let words = self.stored.words(blocks, rows);
        let mut lengths: Vec<((u32, u32), u32)> = rows.iter().copied().zip(words).collect();
        let mut generator = stream(self.seed, Purpose::Buckets, epoch_stream(self.epoch, 1 + group));
        arrange(&mut lengths, |(_, words)| *words, size, &mut generator);
        rows.iter_mut().zip(lengths).for_each(|(place, (row, _))| *place = row);
    }

    /// The rows of a group in random order, by block of the group and row of the block.
    pub fn rows_of(&self, group: usize) -> Vec<(u32, u32)> {
        let mut rows = Vec::with_capacity(self.starts[group + 1] - self.starts[group]);
        for (place, block) in (0..).zip(&self.groups[group]) {
            rows.extend(self.rows.of(self.stored.range(*block)).map(|row| (place, row)));
        }
        rows.shuffle(&mut stream(self.seed, Purpose::Shuffle, epoch_stream(self.epoch, 1 + group)));
        rows
    }
}

/// Blocks in memory, and the order of their rows.
pub(super) struct Group {
    pub index: usize,
    pub blocks: Vec<StoredBlock>,
    pub rows: Vec<(u32, u32)>,
}
