//! IDX, the format of MNIST, formerly documented at <http://yann.lecun.com/exdb/mnist>. Images and labels are
//! separate files: a header (two zero bytes, dtype code, number of dimensions, sizes) and the values, all
//! big-endian.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Format;
use super::binary::{Arrays, BYTES, check_end, check_length, exactly, floats, open, sha256_of};
use crate::error::{Error, Result, quoted};
use crate::room::MemoryBudget;
use crate::{DataOptions, Dataset, InputShape, Inputs, Subset};

/// The format.
pub(crate) struct Idx;

/// The words for images and labels in the names of a pair of files.
const PAIRS: [(&str, &str); 3] =
    [("images-idx", "labels-idx"), ("images.idx", "labels.idx"), ("images", "labels")];

impl Format for Idx {
    fn name(&self) -> &'static str {
        "idx"
    }

    fn summary(&self) -> &'static str {
        "IDX as used by MNIST (…-images-idx3-ubyte[.gz] next to its labels, or a folder of such files)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        if path.is_dir() { !images_in(path).is_empty() } else { is_images(path) }
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let images = if path.is_dir() { images_in(path) } else { vec![path.to_path_buf()] };
        if images.is_empty() {
            return Err(Error::data(path, "the folder contains no file such as train-images-idx3-ubyte"));
        }
        refuse_several_sets(path, &images)?;
        let mut files = Vec::new();
        let mut all: Option<Arrays> = None;
        for images in &images {
            let labels = labels_of(images)?;
            let part = read_pair(images, &labels, subset_of(images), options.room())?;
            files.extend([images.clone(), labels]);
            match &mut all {
                Some(all) => all.append(images, part)?,
                None => all = Some(part),
            }
        }
        let mut all = all.expect("there are files");
        if images.len() == 1 {
            all.portions = None;
        }
        let files: Vec<_> = files.iter().map(PathBuf::as_path).collect();
        all.into_dataset(path, sha256_of(&files)?)
    }
}

fn is_images(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.contains("images") && (name.contains("-idx") || name.contains(".idx"))
}

/// The image files in a folder, the training set first. If a file exists with and without `.gz`, the
/// uncompressed one is used.
fn images_in(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut images: Vec<_> = entries.filter(|path| path.is_file() && is_images(path)).collect();
    images.sort();
    let all = images.clone();
    images.retain(|path| {
        path.extension().is_none_or(|end| end != "gz") || !all.contains(&path.with_extension(""))
    });
    images.sort_by_key(|path| subset_of(path));
    images
}

fn subset_of(path: &Path) -> Subset {
    subset_and_set(path).0.unwrap_or(Subset::Train)
}

/// The subset in a file name and the rest of the name before the dtype, as in
/// `emnist-letters-train-images-idx3-ubyte`.
fn subset_and_set(path: &Path) -> (Option<Subset>, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let words = name.split(|c: char| !c.is_alphanumeric()).take_while(|word| !word.starts_with("idx"));
    let mut portion = None;
    let mut rest = Vec::new();
    for word in words.filter(|word| *word != "images") {
        let found = if word == "t10k" || word == "t50k" { Some(Subset::Test) } else { Subset::of_name(word) };
        match found {
            Some(found) if portion.is_none() => portion = Some(found),
            _ => rest.push(word),
        }
    }
    (portion, rest.join("-"))
}

/// Rejects a folder with several data sets, such as EMNIST's, because their labels have different meanings.
fn refuse_several_sets(folder: &Path, images: &[PathBuf]) -> Result<()> {
    let named = images.iter().map(|path| subset_and_set(path)).filter(|(portion, _)| portion.is_some());
    let sets: BTreeSet<String> = named.map(|(_, set)| set).collect();
    if sets.len() < 2 {
        return Ok(());
    }
    let sets: Vec<_> = sets.iter().map(|set| quoted(set)).collect();
    let problem = format!(
        "it contains several data sets ({}); move the files of one into a separate folder",
        sets.join(", ")
    );
    Err(Error::data(folder, problem))
}

/// The label file of an image file: `images` is replaced by `labels` in its name, and the number of
/// dimensions by 1.
fn labels_of(images: &Path) -> Result<PathBuf> {
    let name = images.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut tried = Vec::new();
    for (from, to) in PAIRS.iter().filter(|(from, _)| name.contains(from)) {
        let plain =
            name.replace(from, to).replace("idx3", "idx1").replace("idx4", "idx1").replace("idx2", "idx1");
        let other = plain.strip_suffix(".gz").map_or(format!("{plain}.gz"), str::to_string);
        for candidate in [plain, other] {
            let path = images.with_file_name(&candidate);
            if path.is_file() {
                return Ok(path);
            }
            tried.push(candidate);
        }
    }
    let problem = format!("label file not found; looked for {}", tried.join(", "));
    Err(Error::data(images, problem))
}

fn read_pair(images: &Path, labels: &Path, portion: Subset, budget: MemoryBudget) -> Result<Arrays> {
    let array = read_array(images, budget)?;
    let shape = match array.sizes[1..] {
        [features] => vec![features],
        [height, width] => vec![1, height, width],
        [channels, height, width] => vec![channels, height, width],
        _ => {
            let problem =
                format!("the array has {} dimensions; expected 3 or 4 for images", array.sizes.len());
            return Err(Error::data(images, problem));
        }
    };
    let range = matches!(array.values, Inputs::Bytes(_)).then_some(BYTES);
    let label_array = read_array(labels, budget)?;
    if label_array.sizes.len() != 1 {
        return Err(Error::data(labels, "labels must have one dimension"));
    }
    let texts = match label_array.values {
        Inputs::Bytes(values) => values.iter().map(u8::to_string).collect::<Vec<_>>(),
        Inputs::Floats(values) => values.iter().map(f32::to_string).collect(),
        Inputs::Images(_) | Inputs::Stored(_) => unreachable!("an array contains numbers"),
    };
    if texts.len() as i64 != array.sizes[0] {
        let problem = format!("there are {} labels, but {} images", texts.len(), array.sizes[0]);
        return Err(Error::data(labels, problem));
    }
    let portions = Some(vec![portion; texts.len()]);
    Ok(Arrays { inputs: array.values, shape: InputShape(shape), range, labels: texts, portions })
}

struct Array {
    sizes: Vec<i64>,
    values: Inputs,
}

fn read_array(path: &Path, budget: MemoryBudget) -> Result<Array> {
    let mut source = open(path)?;
    let header = exactly(path, &mut *source, 4)?;
    let [0, 0, code, dimensions] = header[..] else {
        return Err(Error::data(path, "this is not an IDX file: it does not begin with two zero bytes"));
    };
    let width = match code {
        0x08 | 0x09 => 1u64,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => {
            return Err(Error::data(
                path,
                format!("this is not an IDX file: invalid dtype code {code:#04x}"),
            ));
        }
    };
    let sizes = exactly(path, &mut *source, 4 * u64::from(dimensions))?;
    let sizes: Vec<_> =
        sizes.chunks_exact(4).map(|size| u32::from_be_bytes(size.try_into().expect("four bytes"))).collect();
    let count = sizes.iter().try_fold(1, |count: u64, size| count.checked_mul(u64::from(*size)));
    let in_memory = |count: u64| if code == 0x08 { Some(count) } else { count.checked_mul(4.max(width)) };
    let Some((count, bytes)) =
        count.and_then(|count| Some((count, in_memory(count)?))).filter(|_| !sizes.is_empty())
    else {
        return Err(Error::data(path, format!("invalid array sizes: {sizes:?}")));
    };
    check_length(path, 4 + 4 * u64::from(dimensions), count.saturating_mul(width))?;
    budget.check(path, bytes)?;
    let sizes = sizes.into_iter().map(i64::from).collect();
    if code == 0x08 {
        let bytes = exactly(path, &mut *source, count)?;
        check_end(path, &mut *source)?;
        return Ok(Array { sizes, values: Inputs::Bytes(bytes) });
    }
    let values = floats(path, &mut *source, count, width as usize, |b| match code {
        0x09 => f32::from(b[0] as i8),
        0x0b => f32::from(i16::from_be_bytes([b[0], b[1]])),
        0x0c => i32::from_be_bytes(b.try_into().expect("four bytes")) as f32,
        0x0d => f32::from_be_bytes(b.try_into().expect("four bytes")),
        _ => f64::from_be_bytes(b.try_into().expect("eight bytes")) as f32,
    })?;
    check_end(path, &mut *source)?;
    Ok(Array { sizes, values: Inputs::Floats(values) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn idx(code: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, sizes.len() as u8];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn read(files: &[(&str, Vec<u8>)], name: &str) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        Idx.read(&folder.path().join(name), &DataOptions::default())
    }

    fn problem(images: Vec<u8>, labels: Vec<u8>) -> String {
        let files = [("a-images-idx3-ubyte", images), ("a-labels-idx1-ubyte", labels)];
        read(&files, "a-images-idx3-ubyte").unwrap_err().to_string()
    }

    #[test]
    fn a_folder_defines_subsets_and_a_file_does_not() {
        let files = [
            ("t10k-images-idx3-ubyte", idx(8, &[1, 2, 2], &[9, 8, 7, 6])),
            ("t10k-labels-idx1-ubyte", idx(8, &[1], &[3])),
            ("train-images-idx3-ubyte", idx(8, &[2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 255])),
            ("train-labels-idx1-ubyte", idx(8, &[2], &[3, 10])),
        ];
        let data = read(&files, "").unwrap();
        assert_eq!((data.classes, data.labels), (vec!["3".into(), "10".into()], vec![0, 1, 0]));
        assert_eq!(data.portions.unwrap(), [Subset::Train, Subset::Train, Subset::Test]);
        assert_eq!(data.shape, InputShape(vec![1, 2, 2]));
        assert!(matches!(data.inputs, Inputs::Bytes(v) if v == [0, 1, 2, 3, 4, 5, 6, 255, 9, 8, 7, 6]));
        assert!(read(&files, "train-images-idx3-ubyte").unwrap().portions.is_none());
    }

    #[test]
    fn subsets_are_recognized_anywhere_in_a_name() {
        let pair = |name: &str, value: u8| {
            let file = |what: &str, bytes| (name.replace('*', what), bytes);
            [file("images-idx3", idx(8, &[1, 1, 1], &[value])), file("labels-idx1", idx(8, &[1], &[value]))]
        };
        let of = |names: [&str; 2]| {
            let files: Vec<_> = (0..).zip(names).flat_map(|(value, name)| pair(name, value)).collect();
            let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
            read(&files, "")
        };
        for names in [
            ["emnist-balanced-train-*-ubyte", "emnist-balanced-test-*-ubyte"],
            ["mnist-train-*-ubyte", "mnist-t10k-*-ubyte"],
            ["Training-*-ubyte", "Testing-*-ubyte"],
        ] {
            let data = of(names).unwrap();
            assert_eq!(data.portions.unwrap(), [Subset::Train, Subset::Test], "{names:?}");
            assert_eq!(data.labels, [0, 1]);
        }
        let message = of(["emnist-balanced-train-*", "emnist-letters-train-*"]).unwrap_err().to_string();
        assert!(message.contains("several data sets (`emnist-balanced`, `emnist-letters`)"), "{message}");
    }

    #[test]
    fn values_of_every_dtype_are_read() {
        let labels = || ("a-labels-idx1-ubyte", idx(8, &[2], &[0, 1]));
        for (code, values) in [
            (0x09, vec![0xff, 2]),
            (0x0b, vec![0xff, 0xff, 0, 2]),
            (0x0c, [(-1i32).to_be_bytes(), 2i32.to_be_bytes()].concat()),
            (0x0d, [(-1f32).to_be_bytes(), 2f32.to_be_bytes()].concat()),
            (0x0e, [(-1f64).to_be_bytes(), 2f64.to_be_bytes()].concat()),
        ] {
            let images = idx(code, &[2, 1, 1], &values);
            let data = read(&[("a-images-idx3-ubyte", images), labels()], "a-images-idx3-ubyte").unwrap();
            assert!(matches!(data.inputs, Inputs::Floats(v) if v == [-1., 2.]), "{code}");
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let (images, labels) = (idx(8, &[2, 1, 1], &[1, 2]), idx(8, &[2], &[0, 1]));
        for length in 0..images.len() {
            assert!(problem(images[..length].to_vec(), labels.clone()).contains("truncated"));
        }
        assert!(
            problem([images.clone(), vec![0]].concat(), labels.clone()).contains("longer than its header")
        );
        assert!(problem(idx(8, &[u32::MAX; 2], &[]), labels.clone()).contains("truncated"));
        assert!(problem(idx(8, &[u32::MAX; 9], &[]), labels.clone()).contains("invalid array sizes"));
        assert!(problem(b"PNG!".to_vec(), labels.clone()).contains("not an IDX file"));
        assert!(problem(images, idx(8, &[3], &[0, 1, 2])).contains("there are 3 labels, but 2 images"));
        assert!(problem(idx(8, &[0, 1, 1], &[]), idx(8, &[0], &[])).contains("no examples"));
    }

    #[test]
    fn missing_labels_are_named() {
        let message =
            read(&[("a-images-idx3-ubyte", Vec::new())], "a-images-idx3-ubyte").unwrap_err().to_string();
        assert!(message.contains("looked for a-labels-idx1-ubyte, a-labels-idx1-ubyte.gz"), "{message}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut images: Vec<u8>, labels: Vec<u8>, with_header: bool) {
            if with_header {
                images.splice(0..0, [0, 0, 8, 3]);
            }
            let _ = read(&[("a-images-idx3-ubyte", images), ("a-labels-idx1-ubyte", labels)], "a-images-idx3-ubyte");
        }
    }
}
