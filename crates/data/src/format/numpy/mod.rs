//! NumPy arrays: an `.npz` with inputs and labels, or an `.npy` of inputs with its labels next to it.

mod array;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use array::Array;
use zip::ZipArchive;

use super::binary::{Arrays, BYTES, sha256_of};
use super::{Format, has_extension};
use crate::error::{Error, Result};
use crate::format::options::ArrayLayout;
use crate::room::{self, MemoryBudget};
use crate::{DataOptions, Dataset, InputShape, Inputs, Subset, ValueRange};

/// The format.
pub(crate) struct Numpy;

/// The names of pairs of arrays: inputs and labels.
const PAIRS: [(&str, &str); 5] =
    [("x", "y"), ("images", "labels"), ("data", "target"), ("inputs", "labels"), ("features", "labels")];

/// Prefixes or suffixes of array names for subsets.
const SUBSETS: [(&str, Subset); 4] = [
    ("train", Subset::Train),
    ("val", Subset::Validation),
    ("valid", Subset::Validation),
    ("test", Subset::Test),
];

impl Format for Numpy {
    fn name(&self) -> &'static str {
        "numpy"
    }

    fn summary(&self) -> &'static str {
        "NumPy arrays (.npz with x and y, or .npy with its labels next to it)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        has_extension(path, &["npz", "npy"])
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        if has_extension(path, &["npz"]) {
            return read_npz(path, options.room(), options.layout)?.into_dataset(path, sha256_of(&[path])?);
        }
        let labels = labels_of(path)?;
        let open = |path: &Path| -> Result<Array> {
            let file =
                room::open(path).map_err(|e| Error::data(path, format!("cannot read the file: {e}")))?;
            Array::read(path, &mut BufReader::new(file), &|bytes| options.room().check(path, bytes))
        };
        let arrays = arrays(path, open(path)?, open(&labels)?, options.layout)?;
        arrays.into_dataset(path, sha256_of(&[path, &labels])?)
    }
}

/// The label file of `NAME.npy`: `NAME_labels.npy`, `NAME` with the word for inputs replaced by the word for
/// labels (`x` and `y`, `images` and `labels`, `data` and `target`), or `labels.npy`.
fn labels_of(path: &Path) -> Result<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut candidates = vec![format!("{stem}_labels.npy")];
    for (inputs, labels) in PAIRS {
        for (from, to) in [(inputs, labels), (&inputs.to_uppercase(), labels)] {
            // A single letter counts only as a separate word of the name.
            let words: Vec<_> = stem.split(['_', '-']).collect();
            if words.contains(&from) {
                let separator = if stem.contains('-') { "-" } else { "_" };
                let renamed: Vec<_> =
                    words.iter().map(|word| if *word == from { to } else { word }).collect();
                candidates.push(format!("{}.npy", renamed.join(separator)));
            }
        }
    }
    candidates.extend(["labels.npy".to_string(), "y.npy".to_string()]);
    candidates.dedup();
    let found = candidates
        .iter()
        .map(|name| path.with_file_name(name))
        .find(|other| other != path && other.is_file());
    found.ok_or_else(|| {
        let problem = format!("label file not found; looked for {}", candidates.join(", "));
        Error::data(path, problem)
    })
}

fn read_npz(path: &Path, budget: MemoryBudget, layout: Option<ArrayLayout>) -> Result<Arrays> {
    let file = room::open(path).map_err(|e| Error::data(path, format!("cannot read the file: {e}")))?;
    let damaged = |e: zip::result::ZipError| Error::data(path, format!("not an .npz file, or damaged: {e}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    let names = archive.file_names().map(|name| name.map(|name| name.into_owned()));
    let names = names.collect::<zip::result::ZipResult<Vec<_>>>().map_err(damaged)?;
    // The budget applies to all arrays together.
    let used = Cell::new(0u64);
    let check = |bytes: u64| {
        used.set(used.get().saturating_add(bytes));
        budget.check(path, used.get())
    };
    let mut arrays_of: BTreeMap<(Subset, bool), Array> = BTreeMap::new();
    for name in &names {
        let Some((portion, is_label)) = role(name.trim_end_matches(".npy")) else { continue };
        let mut member = archive.by_name(name).map_err(damaged)?;
        let array = Array::read(&path.join(name), &mut member, &check)?;
        arrays_of.insert((portion.unwrap_or(Subset::Train), is_label), array);
    }
    let mut all: Option<Arrays> = None;
    let mut portions = Vec::new();
    for portion in [Subset::Train, Subset::Validation, Subset::Test] {
        let pair = (arrays_of.remove(&(portion, false)), arrays_of.remove(&(portion, true)));
        let (Some(inputs), Some(labels)) = pair else { continue };
        let part = arrays(path, inputs, labels, layout)?;
        portions.resize(portions.len() + part.labels.len(), portion);
        match &mut all {
            Some(all) => all.append(path, part)?,
            None => all = Some(part),
        }
    }
    let mut all = all.ok_or_else(|| {
        let problem = format!(
            "no pair of inputs and labels found, such as x and y, images and labels, or x_train and y_train; the arrays are: {}",
            names.join(", ")
        );
        Error::data(path, problem)
    })?;
    let is_split = portions.iter().any(|portion| *portion != portions[0]);
    all.portions = is_split.then_some(portions);
    Ok(all)
}

/// The role of an array by its name: its subset, if any, and whether it contains labels.
fn role(name: &str) -> Option<(Option<Subset>, bool)> {
    let name = name.to_lowercase();
    let mut words: Vec<_> = name.split(['_', '-']).collect();
    let index = words.iter().position(|word| SUBSETS.iter().any(|(name, _)| name == word));
    let portion = index.map(|index| {
        let word = words.remove(index);
        SUBSETS.iter().find(|(name, _)| *name == word).expect("the word is in the list").1
    });
    let [word] = words[..] else { return None };
    if PAIRS.iter().any(|(_, labels)| *labels == word) {
        return Some((portion, true));
    }
    PAIRS.iter().any(|(inputs, _)| *inputs == word).then_some((portion, false))
}

fn arrays(path: &Path, inputs: Array, labels: Array, layout: Option<ArrayLayout>) -> Result<Arrays> {
    let error = |problem: String| Error::data(path, problem);
    if labels.shape.len() != 1 && labels.shape.get(1) != Some(&1) {
        return Err(error(format!("labels must have one dimension, but their shape is {:?}", labels.shape)));
    }
    let labels = labels
        .into_labels()
        .ok_or_else(|| error("labels must be integers or strings, not fractions".to_string()))?;
    let (shape, channels_last) = match inputs.shape[..] {
        [_, features] => (vec![features], false),
        [_, height, width] => (vec![1, height, width], false),
        [_, a, b, c] => match layout.or_else(|| infer_layout(a, c)) {
            Some(ArrayLayout::Nhwc) => (vec![c, a, b], true),
            Some(ArrayLayout::Nchw) => (vec![a, b, c], false),
            None => {
                let problem = format!(
                    "cannot infer the memory layout from the shape {:?}; use --layout nhwc if the last size, {c}, is the \
                     number of channels, or --layout nchw if the second, {a}, is",
                    inputs.shape
                );
                return Err(error(problem));
            }
        },
        _ => {
            let problem = format!(
                "inputs must have the shape (N, features), (N, H, W), (N, C, H, W) or (N, H, W, C), but their shape is {:?}",
                inputs.shape
            );
            return Err(error(problem));
        }
    };
    let values = match inputs.into_numbers() {
        Some(Inputs::Bytes(bytes)) => Inputs::Bytes(channels_first(bytes, &shape, channels_last)),
        Some(Inputs::Floats(floats)) => Inputs::Floats(channels_first(floats, &shape, channels_last)),
        _ => return Err(error("inputs must be numbers, not strings".to_string())),
    };
    let unit = ValueRange { min: 0., max: 1. };
    let is_unit = |values: &[f32]| values.iter().all(|value| (0. ..=1.).contains(value));
    let range = match &values {
        Inputs::Bytes(_) => Some(BYTES),
        // Images with values from 0 to 1 have this range; table columns may have such values by chance.
        Inputs::Floats(values) if shape.len() == 3 && is_unit(values) => Some(unit),
        _ => None,
    };
    // Bytes of a table are ordinary numbers.
    let (values, range) = match values {
        Inputs::Bytes(bytes) if shape.len() == 1 => {
            (Inputs::Floats(bytes.into_iter().map(f32::from).collect()), None)
        }
        other => (other, range),
    };
    let shape = InputShape(shape.into_iter().map(|size| size as i64).collect());
    Ok(Arrays { inputs: values, shape, range, labels, portions: None })
}

/// Infers the memory layout of images with sizes (N, first, …, last): the dimension of size 1 to 4, if there
/// is only one.
fn infer_layout(first: usize, last: usize) -> Option<ArrayLayout> {
    let may_be_channels = |size: usize| (1..=4).contains(&size);
    match (may_be_channels(first), may_be_channels(last)) {
        (true, false) => Some(ArrayLayout::Nchw),
        (false, true) => Some(ArrayLayout::Nhwc),
        _ => None,
    }
}

fn channels_first<T: Copy>(values: Vec<T>, shape: &[usize], channels_last: bool) -> Vec<T> {
    let [channels, height, width] = shape[..] else { return values };
    if !channels_last || channels == 1 {
        return values;
    }
    let mut ordered = Vec::with_capacity(values.len());
    for image in values.chunks_exact(channels * height * width) {
        for channel in 0..channels {
            ordered.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::File;
    use std::io::Write;

    fn npy(descr: &str, shape: &[usize], items: &[u8]) -> Vec<u8> {
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), items].concat()
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in arrays {
            archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
        Numpy.read(&path, &DataOptions::default())
    }

    #[test]
    fn channels_last_images_are_converted() {
        let pixels: Vec<u8> = (0..12).collect();
        let images = npy("|u1", &[1, 5, 2, 3], &[pixels.clone(), vec![0; 18]].concat());
        let data = npz(&[("images", images), ("labels", npy("|u1", &[1], &[4]))]).unwrap();
        assert_eq!((data.shape, data.range), (InputShape(vec![3, 5, 2]), Some(BYTES)));
        let of = |channel: usize| {
            (0..10).map(move |pixel| if pixel < 4 { (3 * pixel + channel) as u8 } else { 0 })
        };
        let expected: Vec<u8> = (0..3).flat_map(of).collect();
        assert!(matches!(data.inputs, Inputs::Bytes(v) if v == expected));
    }

    #[test]
    fn the_memory_layout_is_inferred_or_must_be_set() {
        let with = |sizes: [usize; 3], layout: Option<ArrayLayout>| {
            let folder = tempfile::tempdir().unwrap();
            let shape = [&[1][..], &sizes].concat();
            let path = folder.path().join("x.npy");
            std::fs::write(&path, npy("|u1", &shape, &vec![7; sizes.iter().product()])).unwrap();
            std::fs::write(folder.path().join("y.npy"), npy("|u1", &[1], &[4])).unwrap();
            let options = DataOptions { layout, ..DataOptions::default() };
            Numpy.read(&path, &options).map(|data| data.shape.0)
        };
        for channels in 1..=4usize {
            let expected = vec![channels as i64, 8, 9];
            assert_eq!(with([8, 9, channels], None).unwrap(), expected);
            assert_eq!(with([channels, 8, 9], None).unwrap(), expected);
        }
        for sizes in [[3, 4, 3], [4, 4, 3], [1, 28, 1], [8, 8, 16]] {
            let message = with(sizes, None).unwrap_err().to_string();
            assert!(
                message.contains("cannot infer the memory layout") && message.contains("--layout nhwc"),
                "{message}"
            );
        }
        assert_eq!(with([3, 4, 2], Some(ArrayLayout::Nhwc)).unwrap(), [2, 3, 4]);
        assert_eq!(with([3, 4, 2], Some(ArrayLayout::Nchw)).unwrap(), [3, 4, 2]);
        assert_eq!(with([16, 8, 8], Some(ArrayLayout::Nchw)).unwrap(), [16, 8, 8]);
    }

    #[test]
    fn array_names_define_subsets() {
        let row = |value: f32| npy("<f4", &[1, 2], &[value.to_le_bytes(), value.to_le_bytes()].concat());
        let label = |label: u8| npy("|u1", &[1], &[label]);
        let data = npz(&[
            ("x_test", row(7.)),
            ("x_train", row(5.)),
            ("y_test", label(1)),
            ("y_train", label(0)),
            ("note", b"no array".to_vec()),
        ])
        .unwrap();
        assert_eq!(data.portions.unwrap(), [Subset::Train, Subset::Test]);
        assert!(matches!(data.inputs, Inputs::Floats(v) if v == [5., 5., 7., 7.]));
        assert_eq!((data.range, data.labels), (None, vec![0, 1]));
    }

    #[test]
    fn the_labels_of_an_npy_are_next_to_it() {
        for (inputs, labels) in [
            ("images.npy", "labels.npy"),
            ("x_train.npy", "y_train.npy"),
            ("X.npy", "y.npy"),
            ("mine.npy", "mine_labels.npy"),
            ("box.npy", "labels.npy"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(inputs), npy("|u1", &[2, 1], &[1, 2])).unwrap();
            let path = folder.path().join(inputs);
            let message = Numpy.read(&path, &DataOptions::default()).unwrap_err().to_string();
            assert!(message.contains("looked for") && message.contains(labels), "{message}");
            std::fs::write(folder.path().join(labels), npy("|u1", &[2], &[0, 1])).unwrap();
            assert_eq!(Numpy.read(&path, &DataOptions::default()).unwrap().labels, [0, 1]);
        }
    }

    #[test]
    fn mismatched_pairs_are_rejected() {
        let x = || npy("<f4", &[2, 1], &[0; 8]);
        let problem = |arrays: &[(&str, Vec<u8>)]| npz(arrays).unwrap_err().to_string();
        assert!(
            problem(&[("x", x()), ("y", npy("|u1", &[3], &[0; 3]))]).contains("2 examples, but 3 labels")
        );
        let halves = [0.5f32.to_le_bytes(), [0; 4]].concat();
        assert!(problem(&[("x", x()), ("y", npy("<f4", &[2], &halves))]).contains("not fractions"));
        assert!(problem(&[("x", x())]).contains("the arrays are: x.npy"));
        let nan = npy("<f4", &[2, 1], &[1f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat());
        assert!(
            problem(&[("x", nan), ("y", npy("|u1", &[2], &[0; 2]))]).contains("example 1: the value NaN")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, at in 0usize..2000, by in 1u8.., cut in 0usize..2000) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.npz");
            let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            for (name, array) in [("x.npy", npy("<f4", &[2, 1], &[0; 8])), ("y.npy", npy("|u1", &[2], &[0, 1]))] {
                archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                archive.write_all(&array).unwrap();
            }
            let mut file = archive.finish().unwrap().into_inner();
            let index = at % file.len();
            file[index] ^= by;
            for bytes in [&bytes[..], &file, &file[..cut % file.len()]] {
                std::fs::write(&path, bytes).unwrap();
                let _ = Numpy.read(&path, &DataOptions::default());
            }
        }
    }
}
