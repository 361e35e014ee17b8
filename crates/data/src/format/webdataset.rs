//! Tar shards in WebDataset's convention (<https://github.com/webdataset/webdataset>): members with the same
//! name up to the first dot are one example, such as `000017.jpg` and `000017.cls`. Members are indexed, not
//! extracted.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::{Archive, EntryType};

use super::encoded_images::EncodedImages;
use super::{Format, has_extension};
use crate::error::{Error, Result, quoted};
use crate::image::{ImageSource, is_image};
use crate::{DataOptions, Dataset, Subset, room};

/// The format.
pub struct WebDataset;

/// The maximum size of a label in bytes.
const MAX_LABEL_SIZE: u64 = 1 << 20;

/// The maximum number of shards in a pattern.
const MAX_SHARDS: u64 = 1_000_000;

/// The JSON keys of the label; the first existing one is used.
const LABEL_KEYS: [&str; 4] = ["label", "cls", "class", "class_name"];

impl Format for WebDataset {
    fn name(&self) -> &'static str {
        "webdataset"
    }

    fn summary(&self) -> &'static str {
        "tar shards in WebDataset's convention (a .tar, a folder of them, or a pattern such as shard-{000..009}.tar)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        is_pattern(path) || has_extension(path, &["tar"]) || (path.is_dir() && !tars_in(path).is_empty())
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let shards = shards(path)?;
        let mut images = EncodedImages::default();
        let mut portions = Vec::new();
        for shard in &shards {
            let prefix = (shards.len() > 1).then(|| shard.file_name().unwrap_or_default().to_string_lossy());
            index(shard, prefix.as_deref(), &mut images)?;
            portions.resize(images.labels.len(), subset_of(shard));
        }
        let is_split = portions.iter().any(|portion| *portion != portions[0]);
        images.portions = is_split.then_some(portions);
        images.into_dataset(path, options)
    }
}

/// Whether this is a pattern of shards, with a range in braces.
pub(crate) fn is_pattern(path: &Path) -> bool {
    range(&path.to_string_lossy()).is_some() && !path.exists()
}

/// The parts of a pattern: before the braces, first and last number as text, after the braces.
fn range(pattern: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = pattern.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (first, last) = range.split_once("..")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(first) && is_number(last)).then_some((before, first, last, after))
}

fn shards(path: &Path) -> Result<Vec<PathBuf>> {
    let shards = if is_pattern(path) {
        let text = path.to_string_lossy();
        let (before, first, last, after) = range(&text).expect("it is a pattern");
        let width = first.len();
        let error =
            || Error::data(path, format!("invalid range {first}..{last}: it is too long or decreasing"));
        let (first, last): (u64, u64) =
            (first.parse().map_err(|_| error())?, last.parse().map_err(|_| error())?);
        if last < first || last - first >= MAX_SHARDS {
            return Err(error());
        }
        (first..=last).map(|number| format!("{before}{number:0width$}{after}").into()).collect()
    } else if path.is_dir() {
        tars_in(path)
    } else {
        vec![path.to_path_buf()]
    };
    if shards.is_empty() {
        return Err(Error::data(path, "the folder contains no .tar files"));
    }
    Ok(shards)
}

fn tars_in(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut tars: Vec<_> = entries.filter(|path| has_extension(path, &["tar"]) && path.is_file()).collect();
    tars.sort();
    tars
}

/// The subset at the beginning of a shard's name, as in `train-0001.tar`.
fn subset_of(shard: &Path) -> Subset {
    let name = shard.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let word = name.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    Subset::of_name(word).unwrap_or(Subset::Train)
}

/// An example whose members are being collected.
#[derive(Default)]
struct Sample {
    key: String,
    image: Option<(String, u64, u64)>,
    label: Option<String>,
}

/// Adds the examples of a shard. With several shards, names are prefixed with the shard's name.
fn index(shard: &Path, prefix: Option<&str>, images: &mut EncodedImages) -> Result<()> {
    let error = |e: std::io::Error| {
        Error::data(shard, format!("not a tar archive, or damaged: {}", quoted(&e.to_string())))
    };
    let file = room::open(shard).map_err(|e| Error::data(shard, format!("cannot read the file: {e}")))?;
    let length = file.metadata().map_err(error)?.len();
    let archive: Arc<Path> = Arc::from(shard);
    let mut sample = Sample::default();
    let mut tar = Archive::new(file);
    for entry in tar.entries_with_seek().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        let path = entry.path().map_err(error)?.into_owned();
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        if path
            .components()
            .any(|part| !matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
        {
            let problem =
                format!("the member {} has a path outside the archive, which is not allowed", quoted(&name));
            return Err(Error::data(shard, problem));
        }
        let (offset, size) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(size).is_none_or(|end| end > length) {
            return Err(Error::data(
                shard,
                format!("the archive is truncated in its member {}", quoted(&name)),
            ));
        }
        let (key, extension) = key_of(&name);
        if key != sample.key {
            let done = std::mem::replace(&mut sample, Sample { key: key.to_string(), ..Sample::default() });
            done.finish(shard, &archive, prefix, images)?;
        }
        match extension.to_lowercase().as_str() {
            "cls" => sample.label = Some(text(&mut entry, size).map_err(error)?.trim().to_string()),
            "json" if sample.label.is_none() => {
                sample.label = label_in(&text(&mut entry, size).map_err(error)?);
            }
            _ if is_image(&path) => sample.image = Some((name, offset, size)),
            _ => {}
        }
    }
    sample.finish(shard, &archive, prefix, images)
}

/// Splits a member's name at the first dot after its folders.
fn key_of(name: &str) -> (&str, &str) {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    name[file..].find('.').map_or((name, ""), |dot| (&name[..file + dot], &name[file + dot + 1..]))
}

fn text(entry: &mut impl Read, size: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    entry.take(size.min(MAX_LABEL_SIZE)).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn label_in(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    match LABEL_KEYS.iter().find_map(|key| value.get(key))? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Sample {
    fn finish(
        self,
        shard: &Path,
        archive: &Arc<Path>,
        prefix: Option<&str>,
        images: &mut EncodedImages,
    ) -> Result<()> {
        // Members without an image are metadata, such as a list of classes.
        let Some((name, offset, length)) = self.image else { return Ok(()) };
        let label = self.label.filter(|label| !label.is_empty()).ok_or_else(|| {
            let problem = format!(
                "the image {} has no label: no {}.cls, and no .json with one of {}",
                quoted(&name),
                self.key,
                LABEL_KEYS.join(", ")
            );
            Error::data(shard, problem)
        })?;
        images.names.push(prefix.map_or_else(|| name.clone(), |prefix| format!("{prefix}/{name}")));
        images.sizes.push(length);
        images.labels.push(label);
        images.sources.push(ImageSource::Member { archive: Arc::clone(archive), offset, length });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Inputs, Names};
    use image::{GrayImage, ImageFormat, Luma};
    use proptest::prelude::*;

    fn png(value: u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        GrayImage::from_pixel(5, 5, Luma([value])).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            // Not with `set_path`, which rejects the paths of hostile archives.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(shards: &[(&str, Vec<u8>)], name: &str) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        shards.iter().for_each(|(name, bytes)| std::fs::write(folder.path().join(name), bytes).unwrap());
        let path = folder.path().join(name);
        assert!(WebDataset.recognizes(&path));
        let data = WebDataset.read(&path, &DataOptions::default())?;
        let Inputs::Images(sources) = &data.inputs else { panic!("they are images") };
        let mut bytes = Vec::new();
        for source in sources {
            source.read(&mut bytes).unwrap();
            assert!(bytes.starts_with(b"\x89PNG"));
        }
        Ok(data)
    }

    fn shards() -> Vec<(&'static str, Vec<u8>)> {
        let (a, b, c) = (png(1), png(2), png(3));
        vec![
            (
                "train-00.tar",
                tar(&[
                    ("x/1.png", &a),
                    ("x/1.cls", b"7\n"),
                    ("x/2.json", br#"{"label": 10}"#),
                    ("x/2.png", &b),
                ]),
            ),
            ("val-01.tar", tar(&[("readme.txt", b"hello"), ("3.seg.png", &c), ("3.cls", b"7")])),
        ]
    }

    #[test]
    fn examples_are_indexed_without_extraction() {
        let data = read(&shards()[..1], "train-00.tar").unwrap();
        assert_eq!((data.classes, data.labels), (vec!["7".into(), "10".into()], vec![0, 1]));
        assert_eq!(data.names, Names::Files(vec!["x/1.png".into(), "x/2.png".into()]));
        assert_eq!((data.shape, data.portions), (InputShape(vec![1, 5, 5]), None));
    }

    #[test]
    fn shard_names_define_subsets() {
        let data = read(&shards(), "").unwrap();
        assert_eq!(data.portions.unwrap(), [Subset::Train, Subset::Train, Subset::Validation]);
        assert!(matches!(data.names, Names::Files(names) if names[2] == "val-01.tar/3.seg.png"));
        let renamed = |number: usize| (["s-08.tar", "s-09.tar"][number], shards()[number].1.clone());
        let data = read(&[renamed(0), renamed(1)], "s-{08..09}.tar").unwrap();
        assert_eq!(data.labels.len(), 3);
    }

    #[test]
    fn hostile_and_damaged_archives_are_refused() {
        let image = png(1);
        let problem = |bytes: Vec<u8>| read(&[("a.tar", bytes)], "a.tar").unwrap_err().to_string();
        for name in ["../out.png", "/etc/out.png", "a/../../out.png"] {
            let message = problem(tar(&[(name, &image), ("out.cls", b"1")]));
            assert!(message.contains("outside the archive"), "{message}");
        }
        assert!(problem(tar(&[("1.png", &image)])).contains("has no label: no 1.cls"));
        assert!(problem(Vec::new()).contains("no images found"));
        assert!(problem(vec![7; 2000]).contains("not a tar archive, or damaged"));
        let whole = tar(&[("1.cls", b"1"), ("1.png", &image)]);
        assert!(problem(whole[..1600].to_vec()).contains("truncated in its member"));
        let message =
            WebDataset.read(Path::new("s-{5..2}.tar"), &DataOptions::default()).unwrap_err().to_string();
        assert!(message.contains("decreasing"), "{message}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, at in 0usize..4000, value: u8, cut in 0usize..4000) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.tar");
            let mut file = shards()[0].1.clone();
            let place = at % file.len();
            file[place] = value;
            for bytes in [&bytes[..], &file, &file[..cut % file.len()]] {
                std::fs::write(&path, bytes).unwrap();
                let _ = WebDataset.read(&path, &DataOptions::default());
            }
        }
    }
}
