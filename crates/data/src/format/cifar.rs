//! CIFAR-10 and CIFAR-100, binary version (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny
//! Images", 2009): records of one label (or a coarse and a fine one) and 3 × 32 × 32 bytes in (channels,
//! height, width) order.

use std::path::{Path, PathBuf};

use super::Format;
use super::binary::{Arrays, BYTES, open, sha256_of};
use crate::error::{Error, Location, Result};
use crate::{DataOptions, Dataset, InputShape, Inputs, Subset};

/// The format.
pub(crate) struct Cifar;

const PIXELS: usize = 3 * 32 * 32;

/// One of the two versions.
struct Version {
    /// The number of labels per record; the last one is the class.
    labels: usize,
    /// The file of class names, one per line.
    names: &'static str,
    /// The files with their subsets.
    files: &'static [(&'static str, Subset)],
}

const VERSIONS: [Version; 2] = [
    Version {
        labels: 1,
        names: "batches.meta.txt",
        files: &[
            ("data_batch_1.bin", Subset::Train),
            ("data_batch_2.bin", Subset::Train),
            ("data_batch_3.bin", Subset::Train),
            ("data_batch_4.bin", Subset::Train),
            ("data_batch_5.bin", Subset::Train),
            ("test_batch.bin", Subset::Test),
        ],
    },
    Version {
        labels: 2,
        names: "fine_label_names.txt",
        files: &[("train.bin", Subset::Train), ("test.bin", Subset::Test)],
    },
];

impl Format for Cifar {
    fn name(&self) -> &'static str {
        "cifar"
    }

    fn summary(&self) -> &'static str {
        "CIFAR-10 or CIFAR-100 in binary (a folder of .bin files, or one of them)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        if path.is_dir() {
            return VERSIONS.iter().any(|version| !existing_files(version, path).is_empty());
        }
        path.is_file() && version_of(path).is_some()
    }

    fn read(&self, path: &Path, _options: &DataOptions) -> Result<Dataset> {
        let (version, files) = if path.is_dir() {
            let found = VERSIONS.iter().map(|version| (version, existing_files(version, path)));
            let found = found.max_by_key(|(_, files)| files.len()).expect("there are versions");
            if found.1.is_empty() {
                return Err(Error::data(path, "the folder contains no CIFAR-10 or CIFAR-100 files"));
            }
            found
        } else {
            let (version, portion) = version_of(path).ok_or_else(|| {
                let problem = "cannot detect from the file name whether this is CIFAR-10 (data_batch_1.bin, …) or CIFAR-100 (train.bin, test.bin)";
                Error::data(path, problem)
            })?;
            (version, vec![(path.to_path_buf(), portion)])
        };
        let folder = files[0].0.parent().unwrap_or(Path::new(".")).to_path_buf();
        let names = class_names(&folder.join(version.names));
        let mut arrays = Arrays {
            inputs: Inputs::Bytes(Vec::new()),
            shape: InputShape(vec![3, 32, 32]),
            range: Some(BYTES),
            labels: Vec::new(),
            portions: None,
        };
        let mut portions = Vec::new();
        for (file, portion) in &files {
            append(&mut arrays, file, version, &names)?;
            portions.resize(arrays.labels.len(), *portion);
        }
        arrays.portions = (files.len() > 1).then_some(portions);
        let files: Vec<_> = files.iter().map(|(path, _)| path.as_path()).collect();
        arrays.into_dataset(path, sha256_of(&files)?)
    }
}

fn existing_files(version: &Version, folder: &Path) -> Vec<(PathBuf, Subset)> {
    let files = version.files.iter().map(|(name, portion)| (folder.join(name), *portion));
    files.filter(|(path, _)| path.is_file()).collect()
}

fn version_of(file: &Path) -> Option<(&'static Version, Subset)> {
    let name = file.file_name()?.to_str()?;
    VERSIONS.iter().find_map(|version| {
        let (_, portion) = version.files.iter().find(|(file, _)| *file == name)?;
        Some((version, *portion))
    })
}

/// The class names; empty if the file is missing.
fn class_names(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_string).collect()
}

fn append(arrays: &mut Arrays, path: &Path, version: &Version, names: &[String]) -> Result<()> {
    let Inputs::Bytes(pixels) = &mut arrays.inputs else { unreachable!("pixels are bytes") };
    let mut source = open(path)?;
    let mut record = vec![0; version.labels + PIXELS];
    for row in 0.. {
        let mut filled = 0;
        while filled < record.len() {
            match source.read(&mut record[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) => return Err(Error::data(path, format!("cannot read the file: {e}"))),
            }
        }
        if filled == 0 {
            return Ok(());
        }
        if filled < record.len() {
            let problem =
                format!("the file ends within a record of {} bytes, so it is damaged", record.len());
            return Err(Error::data(Location::row(path, row), problem));
        }
        let label = usize::from(record[version.labels - 1]);
        if !names.is_empty() && label >= names.len() {
            let problem = format!("invalid label {label}; there are {} classes", names.len());
            return Err(Error::data(Location::row(path, row), problem));
        }
        arrays.labels.push(names.get(label).cloned().unwrap_or_else(|| label.to_string()));
        pixels.extend_from_slice(&record[version.labels..]);
    }
    unreachable!("the loop has no end")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        [labels, &[pixel; PIXELS]].concat()
    }

    fn read(files: &[(&str, Vec<u8>)]) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        assert!(Cifar.recognizes(folder.path()));
        Cifar.read(folder.path(), &DataOptions::default())
    }

    #[test]
    fn classes_are_sorted_by_name_and_files_define_subsets() {
        let data = read(&[
            ("data_batch_1.bin", [record(&[1], 5), record(&[0], 6)].concat()),
            ("test_batch.bin", record(&[0], 7)),
            ("batches.meta.txt", b"truck\ncat\n\n".to_vec()),
        ])
        .unwrap();
        assert_eq!((data.classes, data.labels), (vec!["cat".into(), "truck".into()], vec![0, 1, 1]));
        assert_eq!(data.portions.unwrap(), [Subset::Train, Subset::Train, Subset::Test]);
        assert!(matches!(data.inputs, Inputs::Bytes(v) if v.len() == 3 * PIXELS && v[PIXELS] == 6));
    }

    #[test]
    fn the_fine_label_is_the_class() {
        let data = read(&[("train.bin", [record(&[4, 30], 1), record(&[1, 9], 2)].concat())]).unwrap();
        assert_eq!((data.classes, data.labels), (vec!["9".into(), "30".into()], vec![1, 0]));
    }

    #[test]
    fn damaged_files_are_refused_with_the_record() {
        let whole = [record(&[1], 5), record(&[0], 6)].concat();
        for length in [1, PIXELS, PIXELS + 2, whole.len() - 1] {
            let message = read(&[("data_batch_1.bin", whole[..length].to_vec())]).unwrap_err().to_string();
            assert!(message.contains("ends within a record"), "{message}");
        }
        let names = b"cat\n".to_vec();
        let message =
            read(&[("data_batch_1.bin", whole), ("batches.meta.txt", names)]).unwrap_err().to_string();
        assert!(message.contains("example 0: invalid label 1; there are 1 classes"), "{message}");
        assert!(read(&[("data_batch_1.bin", Vec::new())]).unwrap_err().to_string().contains("no examples"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, whole in 0usize..3, names: String) {
            let records: Vec<u8> = (0..whole).flat_map(|_| record(&[9], 5)).chain(bytes).collect();
            let _ = read(&[("train.bin", records.clone()), ("fine_label_names.txt", names.clone().into_bytes())]);
            let _ = read(&[("data_batch_1.bin", records), ("batches.meta.txt", names.into_bytes())]);
        }
    }
}
