//! Folders of text files and raw mails, with a subfolder per class.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::class_folders::{FolderTree, TEXTS, arrange};
use super::folder::{entries, files_of_class};
use super::{Format, has_extension, text_column};
use crate::column::{Column, ColumnKind, LabelColumn, TableLayout};
use crate::error::{Error, Location, Result};
use crate::format::options::DataOptions;
use crate::image::{Decoding, is_image};
use crate::notation::Notation;
use crate::text::{self, Encoding};
use crate::texts::{ColumnTexts, TextIds, Texts};
use crate::{Dataset, InputShape, Inputs, LabelsBuilder, Names, Targets, hexadecimal};

/// The format.
pub struct TextFolder;

/// Reads a folder of texts for a model with this layout.
///
/// # Errors
/// A folder without texts in class folders, and a model of more than one text column.
pub fn read_for(path: &Path, model: &TableLayout) -> Result<Dataset> {
    let [column] = &model.columns[..] else {
        return Err(Error::data(
            path,
            "the model takes several texts for each example; pass a table with a column for each",
        ));
    };
    let ColumnKind::Tokens { tokenization, length } = &column.kind else {
        return Err(Error::data(path, "the model takes rows of a table, not texts; pass a table"));
    };
    let dataset = read(path, |texts| {
        let ids = TextIds::new(texts, tokenization.clone(), *length)?;
        Ok(TextIds { length: *length, ..ids })
    })?;
    Ok(Dataset { table: Some(model.clone()), texts: None, ..dataset })
}

/// The name of the column of the texts.
const TEXT: &str = "text";

/// The name of the column of the classes.
const LABEL: &str = "label";

/// Whether a file is a text or a mail, by its name.
pub fn is_text_file(path: &Path) -> bool {
    has_extension(path, &["txt", "eml", "text"])
}

/// Files of a folder that are looked at to recognize it, and the depth of its subfolders.
const LOOKED_AT: usize = 10_000;
const DEEPEST: usize = 4;

impl Format for TextFolder {
    fn name(&self) -> &'static str {
        "text-folder"
    }

    fn summary(&self) -> &'static str {
        "a folder of texts (.txt) or raw mails (.eml) with one subfolder per class"
    }

    fn recognizes(&self, path: &Path) -> bool {
        let mut seen = Seen::default();
        let folders = entries(path).unwrap_or_default().into_iter().filter(|entry| entry.is_dir());
        folders.for_each(|folder| seen.look(&folder, DEEPEST));
        path.is_dir() && seen.has_text && !seen.has_image
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        read(path, |texts| text_column::tokenize(texts, options))
    }
}

/// Reads a folder of texts, which `tokenize` tokenizes.
fn read(path: &Path, tokenize: impl Fn(&[String]) -> Result<TextIds>) -> Result<Dataset> {
    if !path.is_dir() {
        return Err(Error::data(path, "this is not a folder"));
    }
    let tree = FolderTree::of_files(path, TEXTS)?;
    if tree.below.is_empty() {
        let problem =
            "no texts in class folders found; expected one subfolder per class, as in mails/spam/1.txt";
        return Err(Error::data(path, problem));
    }
    let arrangement = arrange(&tree).map_err(|problem| Error::data(path, problem))?;
    let mut read = TextFiles::default();
    let mut portions = Vec::new();
    for class in &arrangement.classes {
        for file in files_of_class(&class.path, &mut |file| is_text_file(file))? {
            read.add(path, &file, &class.class)?;
            portions.extend(class.portion);
        }
    }
    for note in arrangement.notes.into_iter().chain(read.encodings()) {
        tracing::warn!("{}: {note}", Location::from(path));
    }
    let portions = (portions.len() == read.texts.len()).then_some(portions);
    let ids = tokenize(&read.texts).map_err(|error| match error {
        Error::Usage(problem) => Error::data(path, problem),
        other => other,
    })?;
    Ok(Dataset { portions, ..read.into_dataset(path, &ids) })
}

/// The kinds among the first files of a folder.
#[derive(Default)]
struct Seen {
    files: usize,
    has_text: bool,
    has_image: bool,
}

impl Seen {
    /// Looks at the files of a folder and its subfolders, up to the first image.
    fn look(&mut self, folder: &Path, depth: usize) {
        for entry in entries(folder).unwrap_or_default() {
            if self.has_image || self.files >= LOOKED_AT {
                return;
            }
            match entry.is_dir() {
                true if depth > 0 => self.look(&entry, depth - 1),
                true => {}
                false => {
                    self.files += 1;
                    self.has_text |= is_text_file(&entry);
                    self.has_image |= is_image(&entry);
                }
            }
        }
    }
}

/// The texts that were read.
#[derive(Default)]
struct TextFiles {
    texts: Vec<String>,
    names: Vec<String>,
    labels: LabelsBuilder,
    latin1: usize,
    utf16: usize,
    sha256: Sha256,
}

impl TextFiles {
    fn add(&mut self, root: &Path, file: &Path, class: &str) -> Result<()> {
        let bytes = fs::read(file).map_err(|e| Error::data(file, format!("cannot read the text: {e}")))?;
        let relative = file.strip_prefix(root).unwrap_or(file);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let name = parts.join("/");
        self.sha256.update(format!("{name}\0{}\0", bytes.len()));
        self.sha256.update(&bytes);
        let (text, encoding) = text::of_file(&bytes);
        match encoding {
            Encoding::Utf8 => {}
            Encoding::Utf16 => self.utf16 += 1,
            Encoding::Latin1 => self.latin1 += 1,
        }
        self.texts.push(text);
        self.names.push(name);
        self.labels.push(class);
        Ok(())
    }

    /// Sentences about texts that are not in UTF-8.
    fn encodings(&self) -> Vec<String> {
        let sentence = |(count, encoding): (usize, Encoding)| {
            let is_are = if count == 1 { "text is" } else { "texts are" };
            (count > 0).then(|| format!("{count} {is_are} not in UTF-8; read as {}", encoding.name()))
        };
        [(self.utf16, Encoding::Utf16), (self.latin1, Encoding::Latin1)]
            .into_iter()
            .filter_map(sentence)
            .collect()
    }

    fn into_dataset(self, path: &Path, ids: &TextIds) -> Dataset {
        let of_example = (0..self.texts.len() as u32).map(Some).collect();
        let column = ColumnTexts { texts: Arc::new(self.texts), of_example, longer: ids.longer };
        let texts = Texts { columns: vec![column] };
        let (classes, labels) = self.labels.finish();
        let column =
            Column { name: TEXT.to_string(), position: 0, kind: ids.kind(), notation: Notation::Plain };
        Dataset {
            path: path.to_path_buf(),
            sha256: hexadecimal(&self.sha256.finalize()),
            classes,
            labels,
            targets: Targets::Classes,
            shape: InputShape(vec![ids.length as i64]),
            range: None,
            inputs: Inputs::Floats(texts.features(std::slice::from_ref(ids))),
            names: Names::Files(self.names),
            table: Some(TableLayout {
                columns: vec![column],
                width: 2,
                label: Some(LabelColumn { name: LABEL.to_string(), position: 1 }),
                label_columns: Vec::new(),
                header: Some(vec![TEXT.to_string(), LABEL.to_string()]),
                missing_is_value: true,
            }),
            portions: None,
            groups: None,
            decoding: Decoding::default(),
            texts: Some(texts),
            choices: Default::default(),
        }
    }
}
