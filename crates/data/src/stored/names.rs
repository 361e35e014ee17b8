//! The numbers and lines of stored rows.

use serde::{Deserialize, Serialize};

/// The number and the line of each row. Rows that follow each other in the file, as most do, take no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNames {
    rows: u64,
    runs: Vec<Run>,
}

/// Rows whose numbers and lines both go up by 1: index of the first one, its number, and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Run(u64, u64, u64);

impl StoredNames {
    /// The number of rows.
    pub fn count(&self) -> usize {
        self.rows as usize
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: u64, line: u64) {
        let follows = self.runs.last().is_some_and(|Run(first, first_row, first_line)| {
            let since = self.rows - first;
            (row, line) == (first_row + since, first_line + since)
        });
        if !follows {
            self.runs.push(Run(self.rows, row, line));
        }
        self.rows += 1;
    }

    /// The number of the row at `index`, from 0, among all rows of the table.
    pub fn row(&self, index: usize) -> u64 {
        let Run(first, row, _) = self.run(index);
        row + index as u64 - first
    }

    /// The line at which the row at `index` begins.
    pub fn line(&self, index: usize) -> u64 {
        let Run(first, _, line) = self.run(index);
        line + index as u64 - first
    }

    fn run(&self, index: usize) -> Run {
        let after = self.runs.partition_point(|Run(first, ..)| *first <= index as u64);
        self.runs[after - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_number_and_line() {
        let all = [(0, 2), (1, 3), (2, 5), (5, 8), (6, 9), (7, 1 << 40)];
        let mut names = StoredNames::default();
        all.iter().for_each(|(row, line)| names.push(*row, *line));
        let found: Vec<_> = (0..names.count()).map(|index| (names.row(index), names.line(index))).collect();
        assert_eq!(found, all);
        assert_eq!(names.runs.len(), 4);
    }
}
