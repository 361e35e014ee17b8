//! Shared code of the binary formats: reading files of known size, and building data sets from arrays.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use sha2::{Digest, Sha256};

use crate::error::{Error, Location, Result};
use crate::image::Decoding;
use crate::{
    Dataset, InputShape, Inputs, LabelsBuilder, Names, Subset, Targets, ValueRange, hexadecimal, room, sha256,
};

/// Opens a file, decompressing it if its name ends in `.gz`.
pub fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = room::open(path).map_err(|e| Error::data(path, format!("cannot read the file: {e}")))?;
    let is_compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) })
}

/// Reads exactly `length` bytes. Memory grows with the actual data, whatever `length` a damaged file
/// declares.
///
/// # Errors
/// A source that ends before.
pub fn exactly(path: &Path, source: &mut dyn Read, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(length).read_to_end(&mut bytes);
    read.map_err(|e| Error::data(path, format!("cannot read the file, or it is damaged: {e}")))?;
    if (bytes.len() as u64) < length {
        return Err(too_short(path, length, bytes.len() as u64));
    }
    Ok(bytes)
}

/// Rejects an uncompressed file that is too short for its header: `length` bytes of values after `header`
/// bytes.
pub(crate) fn check_length(path: &Path, header: u64, length: u64) -> Result<()> {
    let is_compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    match path.metadata() {
        Ok(metadata) if !is_compressed && metadata.len() < header.saturating_add(length) => {
            Err(too_short(path, length, metadata.len().saturating_sub(header)))
        }
        _ => Ok(()),
    }
}

fn too_short(path: &Path, expected: u64, found: u64) -> Error {
    Error::data(path, format!("the file is truncated: expected {expected} bytes, found {found}"))
}

/// Reads `count` items of `width` bytes as float32, converted by `float`, with few raw bytes in memory at
/// once.
///
/// # Errors
/// A source that ends before.
pub fn floats(
    path: &Path,
    source: &mut dyn Read,
    count: u64,
    width: usize,
    float: impl Fn(&[u8]) -> f32,
) -> Result<Vec<f32>> {
    const ITEMS_PER_READ: u64 = 1 << 16;
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    while (values.len() as u64) < count {
        let wanted = ITEMS_PER_READ.min(count - values.len() as u64) * width as u64;
        bytes.clear();
        let read = (&mut *source).take(wanted).read_to_end(&mut bytes);
        read.map_err(|e| Error::data(path, format!("cannot read the file, or it is damaged: {e}")))?;
        if (bytes.len() as u64) < wanted {
            let found = values.len() * width + bytes.len();
            return Err(too_short(path, count * width as u64, found as u64));
        }
        values.extend(bytes.chunks_exact(width).map(&float));
    }
    Ok(values)
}

/// Rejects a source with bytes left.
pub(crate) fn check_end(path: &Path, source: &mut dyn Read) -> Result<()> {
    match source.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Error::data(path, "the file is longer than its header declares")),
        Err(e) => Err(Error::data(path, format!("cannot read the file, or it is damaged: {e}"))),
    }
}

/// SHA-256 of a list of files: the hash of one line per file with its SHA-256 and name.
pub fn sha256_of(files: &[&Path]) -> Result<String> {
    let mut lines = String::new();
    for path in files {
        let mut hash = Sha256::new();
        let hashed = room::open(path).map(BufReader::new).and_then(|mut file| {
            loop {
                let bytes = file.fill_buf()?;
                if bytes.is_empty() {
                    return Ok(());
                }
                hash.update(bytes);
                let count = bytes.len();
                file.consume(count);
            }
        });
        hashed.map_err(|e| Error::data(*path, format!("cannot read the file: {e}")))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        lines += &format!("{}  {name}\n", hexadecimal(&hash.finalize()));
    }
    Ok(sha256(lines.as_bytes()))
}

/// Examples as arrays, not yet a data set.
pub(crate) struct Arrays {
    /// The values of all examples, concatenated.
    pub inputs: Inputs,
    /// The shape of an example.
    pub shape: InputShape,
    /// The range of the values, if the format defines it.
    pub range: Option<ValueRange>,
    /// The label of each example, as text.
    pub labels: Vec<String>,
    /// The subset of each example, if the format defines it.
    pub portions: Option<Vec<Subset>>,
}

impl Arrays {
    /// Appends examples. If the ranges differ, the range becomes `None`.
    ///
    /// # Errors
    /// Examples at `path` with a different shape or dtype.
    pub fn append(&mut self, path: &Path, part: Arrays) -> Result<()> {
        if self.shape != part.shape {
            let problem =
                format!("its examples have shape {}, but previous ones have {}", part.shape, self.shape);
            return Err(Error::data(path, problem));
        }
        match (&mut self.inputs, part.inputs) {
            (Inputs::Bytes(all), Inputs::Bytes(part)) => all.extend(part),
            (Inputs::Floats(all), Inputs::Floats(part)) => all.extend(part),
            _ => return Err(Error::data(path, "its values have a different dtype than previous ones")),
        }
        if self.range != part.range {
            self.range = None;
        }
        self.labels.extend(part.labels);
        if let (Some(all), Some(part)) = (&mut self.portions, part.portions) {
            all.extend(part);
        }
        Ok(())
    }

    /// Converts the arrays to a data set with this SHA-256.
    ///
    /// # Errors
    /// No examples, different numbers of labels and examples, or NaN or infinite values.
    pub(crate) fn into_dataset(self, path: &Path, sha256: String) -> Result<Dataset> {
        let features = self.shape.features();
        let values = match &self.inputs {
            Inputs::Floats(values) => values.len(),
            Inputs::Bytes(values) => values.len(),
            Inputs::Images(sources) => sources.len(),
            Inputs::Stored(rows) => rows.rows(),
        };
        if features == 0 || values == 0 {
            return Err(Error::data(path, "there are no examples, or they have no values"));
        }
        let rows = values / features as usize;
        if rows != self.labels.len() {
            let problem = format!("there are {rows} examples, but {} labels", self.labels.len());
            return Err(Error::data(path, problem));
        }
        if let Inputs::Floats(values) = &self.inputs
            && let Some(at) = values.iter().position(|value| !value.is_finite())
        {
            let location = Location::row(path, at as u64 / features as u64);
            return Err(Error::data(location, format!("the value {} is not finite", values[at])));
        }
        let mut builder = LabelsBuilder::default();
        self.labels.iter().for_each(|label| builder.push(label));
        let (classes, labels) = builder.finish();
        Ok(Dataset {
            path: path.to_path_buf(),
            sha256,
            classes,
            labels,
            targets: Targets::Classes,
            shape: self.shape,
            range: self.range,
            inputs: self.inputs,
            names: Names::Rows((0..rows as u64).collect()),
            table: None,
            portions: self.portions,
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        })
    }
}

/// The range of uint8 values.
pub const BYTES: ValueRange = ValueRange { min: 0., max: 255. };
