//! The features of a computation that has not ended: a file that grows by a record for each batch, so that a process that is killed
//! loses one batch at most.
//!
//! A record has little-endian numbers: the pass and the position after the batch (u64 each), the numbers of examples and of features
//! (u64 each), the rows of the examples in the data set (i64 each, or none: their number is the fifth u64), the labels (i64 each), the
//! features (f32 each), and the CRC-32C of all of them (u32).

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::error::{Error, Result};

/// The features of a batch.
#[derive(Debug)]
pub(super) struct Record {
    /// The pass over the examples, from 1.
    pub pass: u32,
    /// Position in the order of the pass after the batch.
    pub end: usize,
    /// The rows of the examples in the data set; empty for augmented views.
    pub rows: Vec<i64>,
    /// Classes, int64 (N).
    pub labels: Tensor,
    /// Features, float32 (N, width).
    pub values: Tensor,
}

/// The file, open for appending and locked.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

/// The bytes of a record before its rows, and of its checksum.
const HEAD: usize = 5 * 8;
const CHECKSUM: usize = 4;

impl Partial {
    /// Opens or creates the file, which may grow to `limit` bytes, and returns the records in it, up to the first damaged one. That one
    /// and all after it are removed. `None` if another process writes to the file, or it cannot be written.
    pub fn open(path: &Path, limit: u64) -> Option<(Self, Vec<Record>)> {
        match Partial::try_open(path, limit) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!("an interruption of the computation of features will lose them: {error}");
                None
            }
        }
    }

    fn try_open(path: &Path, limit: u64) -> Result<Option<(Self, Vec<Record>)>> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(Error::io("open", path))?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let mut reader = BufReader::new(&mut file);
        let (mut records, mut size) = (Vec::<Record>::new(), 0);
        while let Some((record, bytes)) = read(&mut reader, length - size) {
            let follows = records.last().is_none_or(|last| (last.pass, last.end) < (record.pass, record.end));
            if !follows {
                break;
            }
            size += bytes;
            records.push(record);
        }
        if size < length {
            tracing::warn!("{}: the end of the file is damaged and is computed again", path.display());
        }
        let cut = file.set_len(size).and_then(|()| file.seek(SeekFrom::Start(size)));
        cut.map_err(Error::io("write", path))?;
        Ok(Some((Partial { path: path.to_path_buf(), file, size, limit }, records)))
    }

    /// Appends a record.
    ///
    /// # Errors
    /// A file that cannot be written, and one that is larger than the limit.
    pub fn add(&mut self, record: &Record) -> Result<()> {
        let bytes = bytes_of(record)?;
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            let problem = format!("they are larger than the limit of the cache, {} MB", self.limit >> 20);
            return Err(Error::Usage(problem));
        }
        self.file.write_all(&bytes).map_err(Error::io("write", &self.path))
    }

    /// Removes the file.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn bytes_of(record: &Record) -> Result<Vec<u8>> {
    let Record { pass, end, rows, labels, values } = record;
    let (count, width) = values.size2()?;
    let head = [u64::from(*pass), *end as u64, count as u64, width as u64, rows.len() as u64];
    let mut bytes =
        Vec::with_capacity(HEAD + 8 * (rows.len() + count as usize) + 4 * values.numel() + CHECKSUM);
    head.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    rows.iter().for_each(|row| bytes.extend(row.to_le_bytes()));
    Vec::<i64>::try_from(labels)?.iter().for_each(|label| bytes.extend(label.to_le_bytes()));
    let values = Vec::<f32>::try_from(values.contiguous().view(-1))?;
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_le_bytes());
    Ok(bytes)
}

/// The next record and its number of bytes, if `left` bytes contain a whole one with the right checksum.
fn read(reader: &mut impl Read, left: u64) -> Option<(Record, u64)> {
    let mut bytes = vec![0; HEAD];
    reader.read_exact(&mut bytes).ok()?;
    let head: Vec<u64> =
        bytes.chunks_exact(8).map(|part| u64::from_le_bytes(part.try_into().unwrap())).collect();
    let [pass, end, count, width, rows] = head[..] else { return None };
    // In u128, because a damaged number may have any value.
    let [wide_count, wide_width, wide_rows] = [count, width, rows].map(u128::from);
    let body = 8 * (wide_rows + wide_count) + 4 * wide_count * wide_width + CHECKSUM as u128;
    if body + HEAD as u128 > u128::from(left) || (rows != 0 && rows != count) {
        return None;
    }
    bytes.resize(HEAD + body as usize, 0);
    reader.read_exact(&mut bytes[HEAD..]).ok()?;
    let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
    if crc32c::crc32c(content).to_le_bytes() != checksum {
        return None;
    }
    let (rows_bytes, rest) = content[HEAD..].split_at(8 * rows as usize);
    let (label_bytes, value_bytes) = rest.split_at(8 * count as usize);
    let whole = |bytes: &[u8]| -> Vec<i64> {
        bytes.chunks_exact(8).map(|part| i64::from_le_bytes(part.try_into().unwrap())).collect()
    };
    let values: Vec<f32> =
        value_bytes.chunks_exact(4).map(|part| f32::from_le_bytes(part.try_into().unwrap())).collect();
    let record = Record {
        pass: u32::try_from(pass).ok()?,
        end: usize::try_from(end).ok()?,
        rows: whole(rows_bytes),
        labels: Tensor::from_slice(&whole(label_bytes)),
        values: Tensor::from_slice(&values).view([count as i64, width as i64]),
    };
    Some((record, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    fn record(number: usize) -> Record {
        let values = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]) * number as f64;
        let rows = vec![2 * number as i64, 2 * number as i64 + 1];
        Record { pass: 1, end: 2 * number + 2, rows, labels: Tensor::from_slice(&[0i64, 1]), values }
    }

    fn open(path: &Path) -> (Partial, Vec<Record>) {
        Partial::open(path, 1 << 20).unwrap()
    }

    /// A file with three records.
    fn written(path: &Path) -> Vec<u8> {
        let (mut partial, found) = open(path);
        assert!(found.is_empty());
        (0..3).for_each(|number| partial.add(&record(number)).unwrap());
        drop(partial);
        fs::read(path).unwrap()
    }

    #[test]
    fn a_file_cut_anywhere_or_damaged_anywhere_keeps_the_records_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.partial");
        let whole = written(&path);
        let each = whole.len() / 3;
        let check = |bytes: &[u8], kept: usize| {
            fs::write(&path, bytes).unwrap();
            let (mut partial, found) = open(&path);
            assert_eq!(found.len(), kept);
            for (number, found) in found.iter().enumerate() {
                let expected = record(number);
                assert_eq!((found.pass, found.end, &found.rows), (1, expected.end, &expected.rows));
                assert_eq!((&found.values, &found.labels), (&expected.values, &expected.labels));
            }
            // What is missing can be appended.
            (kept..3).for_each(|number| partial.add(&record(number)).unwrap());
            drop(partial);
            assert_eq!(fs::read(&path).unwrap(), whole);
        };
        for length in 0..=whole.len() {
            check(&whole[..length], length / each);
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x81;
            check(&damaged, place / each);
        }
        check(&[&whole[..each], &vec![0; 2 * each]].concat(), 1);
    }

    #[test]
    fn only_one_process_writes_and_the_limit_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.partial");
        let (first, _) = open(&path);
        assert!(Partial::open(&path, 1 << 20).is_none());
        first.remove();
        assert!(!path.exists());
        let (mut small, _) = Partial::open(&path, 150).unwrap();
        small.add(&record(0)).unwrap();
        assert!(small.add(&record(1)).is_err());
    }
}
