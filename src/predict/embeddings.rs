//! Writes embeddings, the inputs of the last layer, as an array in NumPy's NPY format
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>), row by row.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use tch::Tensor;

use super::ClassifiedBatch;
use crate::data::npy;
use crate::error::{Error, Result};

/// A writer of a float32 array (N, width); N is written at the end.
pub(super) struct Embeddings {
    path: PathBuf,
    file: BufWriter<File>,
    rows: u64,
    /// `None` until an input was classified.
    width: Option<usize>,
}

impl Embeddings {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let mut embeddings =
            Embeddings { path: path.to_path_buf(), file: BufWriter::new(file), rows: 0, width: None };
        embeddings.bytes(&[0; npy::HEADER])?;
        Ok(embeddings)
    }

    /// Adds a row for each input, NaN if the input could not be classified.
    pub fn add(&mut self, batch: &ClassifiedBatch) -> Result<()> {
        let values =
            batch.features.as_ref().map_or_else(|| Ok(Vec::new()), |features| self.values(features))?;
        let width = self.width.unwrap_or(0);
        let missing = vec![f32::NAN; width];
        let mut rows = values.chunks_exact(width.max(1));
        for row in &batch.rows {
            let values = match row.probabilities {
                Ok(_) => rows.next().expect("each classified input has features"),
                Err(_) => &missing,
            };
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.bytes(&bytes)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// The values of `features`. The first call sets the width and writes the NaN rows of earlier inputs.
    fn values(&mut self, features: &Tensor) -> Result<Vec<f32>> {
        if self.width.is_none() {
            let width = features.size()[1] as usize;
            self.width = Some(width);
            for _ in 0..self.rows {
                let missing: Vec<u8> = (0..width).flat_map(|_| f32::NAN.to_le_bytes()).collect();
                self.bytes(&missing)?;
            }
        }
        Ok(Vec::try_from(features.contiguous().view(-1))?)
    }

    /// Writes the header and closes the file.
    pub fn finish(mut self) -> Result<()> {
        let header = npy::header(self.rows, self.width.unwrap_or(0) as u64);
        self.file.rewind().map_err(Error::io("write", &self.path))?;
        self.bytes(&header)?;
        self.file.flush().map_err(Error::io("write", &self.path))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::Classified;

    fn batch(good: &[bool], features: Option<Tensor>) -> ClassifiedBatch {
        let row = |good: &bool| Classified {
            input: String::new(),
            probabilities: if *good { Ok(vec![1.]) } else { Err(String::new()) },
            ood_score: None,
            notes: Default::default(),
        };
        ClassifiedBatch { rows: good.iter().map(row).collect(), features }
    }

    #[test]
    fn rows_are_in_order_and_failed_ones_are_nan_even_before_the_width_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.npy");
        let mut embeddings = Embeddings::create(&path).unwrap();
        embeddings.add(&batch(&[false, false], None)).unwrap();
        let features = Tensor::from_slice(&[1f32, 2., 3., 4.]).view([2, 2]);
        embeddings.add(&batch(&[true, false, true], Some(features))).unwrap();
        embeddings.finish().unwrap();
        let read = Tensor::read_npy(&path).unwrap();
        assert_eq!(read.size(), [5, 2]);
        let found = Vec::<f32>::try_from(read.nan_to_num(-1., None, None).view(-1)).unwrap();
        assert_eq!(found, [-1., -1., -1., -1., 1., 2., -1., -1., 3., 4.]);
    }

    #[test]
    fn an_empty_array_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.npy");
        Embeddings::create(&path).unwrap().finish().unwrap();
        assert_eq!(Tensor::read_npy(&path).unwrap().size(), [0, 0]);
    }
}
