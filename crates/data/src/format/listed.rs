//! Image lists: a table with a column of file names and one of labels, such as `train.csv` next to `train/`.

mod image_index;
mod json_lines;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::class_folders::{ClassFolder, FolderTree, arrange, subset_in, words};
use super::csv::{column_choices, find_column, first_rows, is_missing, label_columns, rows};
use super::encoded_images::EncodedImages;
use super::folder::entries;
use super::{Format, has_extension};
use crate::column::LabelColumn;
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, excerpt, quoted};
use crate::image::{ImageSource, is_image};
use crate::label_columns::{SEPARATOR, joined};
use crate::targets::separator;
use crate::{DataOptions, Dataset, Names, Subset, TaskKind, sha256, table_files};
use image_index::ImageIndex;

/// The format.
pub struct ImageList;

impl Format for ImageList {
    fn name(&self) -> &'static str {
        "image-list"
    }

    fn summary(&self) -> &'static str {
        "a table of image file names and labels (a .csv or .jsonl next to the images, or the folder with both)"
    }

    fn recognizes(&self, path: &Path) -> bool {
        if !path.is_dir() {
            return List::detect(path, None).is_some();
        }
        !lists_in(path, None).is_empty() && !has_classes(path)
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let images = options.images.as_deref();
        if !table_files::files(path).is_empty() {
            let problem =
                "the files are image lists, which cannot be several; join them, or pass their folder";
            return Err(Error::data(path, problem));
        }
        let lists =
            if path.is_dir() { lists_in(path, images) } else { Vec::from_iter(List::detect(path, images)) };
        if lists.is_empty() {
            let problem = "no column contains image file names: existing files, or names such as cat.jpg";
            return Err(Error::data(path, problem));
        }
        let base = images.map_or_else(|| folder_of(path), Path::to_path_buf);
        let is_split = lists.len() > 1;
        let (mut all, mut label_names) = (Rows::default(), Vec::new());
        for list in select_lists(path, lists)? {
            let rows = list.read(options)?;
            if label_names.is_empty() {
                label_names = list.label_columns(options)?.into_iter().map(|column| column.name).collect();
            }
            let portion = list.portion().unwrap_or(Subset::Train);
            all.portions.extend(vec![portion; rows.files.len()]);
            all.append(&list, rows, is_split)?;
        }
        let is_multilabel = match options.targets()?.task {
            Some(task) => task == TaskKind::Multilabel,
            None => are_combined(&all.labels),
        };
        let separator = is_multilabel.then(|| all.separator(&label_names));
        let all = all.deduplicated(path, separator)?;
        let name = |file: &PathBuf| file.strip_prefix(&base).unwrap_or(file).to_string_lossy().into_owned();
        let images = EncodedImages {
            names: all.files.iter().map(name).collect(),
            sizes: all
                .files
                .iter()
                .map(|file| file.metadata().map_or(0, |metadata| metadata.len()))
                .collect(),
            labels: all.labels.clone(),
            portions: is_split.then_some(all.portions),
            groups: options.group.is_some().then_some(all.groups),
            sources: all.files.into_iter().map(ImageSource::File).collect(),
        };
        let dataset = images.into_dataset(path, options)?;
        let dataset = if is_multilabel { dataset.into_multilabel(label_names) } else { dataset };
        let Names::Files(names) = dataset.names else { unreachable!("images are files") };
        // The labels are part of the hash, because they are not in the image files.
        let sha256 = sha256(format!("{}\n{}", dataset.sha256, all.labels.join("\n")).as_bytes());
        let lines = if is_split { Vec::new() } else { all.lines };
        Ok(Dataset { sha256, names: Names::Listed { folder: base, names, lines }, ..dataset })
    }
}

/// An image in a list: its line, and its file or why it was not found.
type Line = (u64, std::result::Result<PathBuf, String>);

/// Reads the images of a list for inference, with or without labels. `None` if the table is not an image
/// list.
pub fn images(path: &Path, images: Option<&Path>) -> Option<Result<Vec<Line>>> {
    let list = List::detect(path, images)?;
    let cells = match list.cells() {
        Ok(cells) => cells,
        Err(error) => return Some(Err(error)),
    };
    let mut image_index = list.image_index;
    let image = |(line, row): (u64, Vec<String>)| {
        let cell = row.get(list.column).cloned().unwrap_or_default();
        (line, image_index.find(&cell).map_err(|problem| format!("{}: {problem}", quoted(&cell))))
    };
    Some(Ok(cells.into_iter().map(image).collect()))
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_path_buf() } else { path.parent().unwrap_or(Path::new("")).to_path_buf() }
}

/// Whether a folder contains class folders, which take precedence. Folders whose names differ only in a
/// number are parts of one class.
fn has_classes(path: &Path) -> bool {
    let has_two_classes = |tree: FolderTree| {
        let classes = arrange(&tree).map_or(Vec::new(), |found| found.classes);
        let is_other = |class: &ClassFolder, first: &ClassFolder| {
            let own = words(&class.class);
            class.class != first.class && (own.is_empty() || own != words(&first.class))
        };
        classes.iter().any(|class| is_other(class, &classes[0]))
    };
    FolderTree::of(path).is_ok_and(has_two_classes)
}

/// The name of the first image list in a folder.
pub(super) fn list_in(folder: &Path) -> Option<String> {
    Some(lists_in(folder, None).first()?.name())
}

/// The image lists in a folder, sorted by name, without sample submissions of competitions.
fn lists_in(folder: &Path, images: Option<&Path>) -> Vec<List> {
    let tables = entries(folder).unwrap_or_default().into_iter().filter(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && !name.contains("submission")
    });
    tables.filter_map(|path| List::detect(&path, images)).collect()
}

/// Selects the lists to read: those of subsets with the same columns as the training list.
fn select_lists(path: &Path, lists: Vec<List>) -> Result<Vec<List>> {
    if lists.len() == 1 {
        return Ok(lists);
    }
    let names: Vec<_> = lists.iter().map(|list| quoted(&list.name())).collect();
    let training_lists: Vec<_> = lists.iter().filter(|list| list.portion() == Some(Subset::Train)).collect();
    let [train] = training_lists[..] else {
        let problem =
            format!("it contains several image lists ({}); choose one with --data", names.join(", "));
        return Err(Error::data(path, problem));
    };
    let header = train.header.clone();
    let (kept, skipped): (Vec<_>, Vec<_>) =
        lists.into_iter().partition(|list| list.portion().is_some() && list.header == header);
    for list in skipped {
        let name = quoted(&list.name());
        tracing::warn!(
            "{}: skipped {name}, whose columns differ from the training list",
            Location::from(path)
        );
    }
    Ok(kept)
}

/// An image list.
struct List {
    path: PathBuf,
    /// The column of file names.
    column: usize,
    width: usize,
    header: Option<Vec<String>>,
    image_index: ImageIndex,
}

/// The number of JSON lines by which a list is detected.
const SAMPLED: usize = 64;

/// In wider tables, a numeric column may match image files named by numbers by chance.
const MAX_COLUMNS: usize = 8;

impl List {
    /// Opens the table at `path` if its first rows contain image file names.
    fn detect(path: &Path, images: Option<&Path>) -> Option<List> {
        let is_json = json_lines::is_json_lines(path);
        let is_table =
            is_json || has_extension(path, &["csv", "tsv", "txt", "csv.gz", "tsv.gz", "csv.zst", "tsv.zst"]);
        if !path.is_file() || !is_table {
            return None;
        }
        let sample = match is_json {
            true => {
                json_lines::rows(path, SAMPLED).map(|rows| rows.into_iter().map(|(_, row)| row).collect())
            }
            false => first_rows(path),
        };
        let sample: Vec<Vec<String>> = sample.ok().filter(|rows: &Vec<_>| !rows.is_empty())?;
        let width = sample[0].len();
        let body = if sample.len() > 1 { &sample[1..] } else { &sample[..] };
        let is_most = |found: usize| 10 * found >= 9 * body.len();
        let cells = |column: usize| -> Vec<&str> {
            body.iter().filter_map(|row| row.get(column)).map(String::as_str).collect()
        };
        let is_half = |found: usize| 2 * found >= body.len();
        let is_of_numbers =
            |column: usize| cells(column).iter().all(|cell| cell.parse::<f64>().is_ok() && !is_padded(cell));
        // Candidate columns, with whether their cells look like image file names; other columns count only if
        // such files exist.
        let candidate = |column: usize| {
            let mut cells = cells(column);
            if is_most(cells.iter().filter(|cell| looks_like_an_image(cell)).count()) {
                return Some((column, true));
            }
            cells.sort_unstable();
            cells.dedup();
            let is_known = is_half(cells.len()) && !(is_of_numbers(column) && width > MAX_COLUMNS);
            is_known.then_some((column, false))
        };
        let candidates: Vec<(usize, bool)> = (0..width).filter_map(candidate).collect();
        if candidates.is_empty() {
            return None;
        }
        // Folders are read only if there is a candidate.
        let mut image_index = ImageIndex::new(path, images);
        let mut best = None;
        for (column, has_extensions) in candidates {
            let existing = cells(column).iter().filter(|cell| image_index.contains(cell)).count();
            let is_enough = if is_of_numbers(column) { is_most(existing) } else { is_half(existing) };
            if (has_extensions || is_enough)
                && best.is_none_or(|(before, _)| (has_extensions, existing) > before)
            {
                best = Some(((has_extensions, existing), column));
            }
        }
        let (_, column) = best?;
        let first = &sample[0][column];
        let is_header = sample.len() > 1 && !looks_like_an_image(first) && !image_index.contains(first);
        let header = is_header.then(|| sample[0].clone());
        Some(List { path: path.to_path_buf(), column, width, header, image_index })
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn portion(&self) -> Option<Subset> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Some(subset_in(&stem)?.0)
    }

    /// The rows without the header, each with its line.
    fn cells(&self) -> Result<Vec<(u64, Vec<String>)>> {
        let mut all = match json_lines::is_json_lines(&self.path) {
            true => json_lines::rows(&self.path, usize::MAX)?,
            false => rows(&self.path)?,
        };
        if self.header.is_some() && !all.is_empty() {
            all.remove(0);
        }
        Ok(all)
    }

    /// A column's name or number for messages.
    fn shown(&self, column: usize) -> String {
        let name = self.header.as_ref().and_then(|names| names.get(column));
        name.map_or_else(|| (column + 1).to_string(), |name| quoted(name))
    }

    fn read(&self, options: &DataOptions) -> Result<Rows> {
        let position =
            |choice: &ColumnChoice| find_column(&self.path, choice, self.width, self.header.as_deref());
        let group = options.group.as_ref().map(position).transpose()?;
        let ignored = options.ignore.as_deref().map(column_choices).transpose()?.unwrap_or_default();
        let ignored = ignored.iter().map(position).collect::<Result<Vec<usize>>>()?;
        let several = self.label_columns(options)?;
        let task = options.targets()?.task;
        let cells = self.cells()?;
        let others: Vec<usize> = (0..self.width)
            .filter(|column| *column != self.column && Some(*column) != group && !ignored.contains(column))
            .collect();
        let label = match &options.label {
            _ if !several.is_empty() => several[0].position,
            ColumnChoice::Last => self.label_among(&others, &cells)?,
            choice => position(choice)?,
        };
        if label == self.column || several.iter().any(|column| column.position == self.column) {
            let problem = format!(
                "column {} contains the image file names, so it cannot be the label column",
                self.shown(label)
            );
            return Err(Error::data(&*self.path, problem));
        }
        let mut image_index = self.image_index.clone();
        let (mut all, mut missing, mut unlabelled) = (Rows::default(), Vec::new(), Vec::new());
        for (line, row) in cells {
            let cell = |column: usize| row.get(column).map_or("", |cell| cell.trim());
            if row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let text = match several.is_empty() {
                true => cell(label).to_string(),
                false => joined(&several, |position| row.get(position).map(String::as_bytes)).map_err(
                    |(column, problem)| {
                        Error::data(Location::line(&self.path, line).column(self.shown(column)), problem)
                    },
                )?,
            };
            if is_missing(text.as_bytes()) && task != Some(TaskKind::Multilabel) {
                unlabelled.push(format!("line {line}"));
            }
            match image_index.find(cell(self.column)) {
                Ok(file) => all.files.push(file),
                Err(problem) => missing.push((line, cell(self.column).to_string(), problem)),
            }
            all.labels.push(text);
            all.groups.push(group.map_or("", cell).to_string());
            all.lines.push(line);
        }
        self.check_complete(&all, &missing, &unlabelled, label)?;
        Ok(all)
    }

    /// The label columns of `--labels`.
    fn label_columns(&self, options: &DataOptions) -> Result<Vec<LabelColumn>> {
        label_columns(&self.path, options, self.width, self.header.as_deref())
    }

    /// The label column, if the user does not select one.
    fn label_among(&self, others: &[usize], cells: &[(u64, Vec<String>)]) -> Result<usize> {
        const NAMES: [&str; 12] = [
            "label",
            "labels",
            "class",
            "classes",
            "class_name",
            "classname",
            "target",
            "category",
            "y",
            "species",
            "breed",
            "diagnosis",
        ];
        let name =
            |column: &usize| self.header.as_ref().and_then(|names| Some(names.get(*column)?.to_lowercase()));
        let with_known_name: Vec<usize> = others
            .iter()
            .copied()
            .filter(|column| name(column).is_some_and(|name| NAMES.contains(&name.as_str())))
            .collect();
        let problem = match (others, &with_known_name[..]) {
            ([], _) => "the list has no label column".to_string(),
            ([only], _) => return Ok(*only),
            (_, [only]) => {
                let (path, shown) = (Location::from(&*self.path), self.shown(*only));
                tracing::warn!("{path}: using column {shown} as the label; select another with --label");
                return Ok(*only);
            }
            _ if is_one_hot(others, cells) => {
                let columns: Vec<_> = others.iter().take(6).map(|column| self.shown(*column)).collect();
                format!(
                    "the columns {}{} are one-hot encoded classes; write the class names into one column, and select it \
                     with --label, or train on several labels per image with --labels COLUMN,COLUMN,…",
                    columns.join(", "),
                    if others.len() > 6 { ", …" } else { "" }
                )
            }
            _ => {
                let columns: Vec<_> = others.iter().take(20).map(|column| self.shown(*column)).collect();
                format!("cannot infer the label column; select it with --label from {}", columns.join(", "))
            }
        };
        Err(Error::data(&*self.path, problem))
    }

    /// Reports all missing images and rows without labels at once.
    fn check_complete(
        &self,
        all: &Rows,
        missing: &[(u64, String, String)],
        unlabelled: &[String],
        label: usize,
    ) -> Result<()> {
        const SHOWN: usize = 5;
        let count = all.labels.len();
        if count == 0 {
            return Err(Error::data(&*self.path, "the list has a header but no rows"));
        }
        if let Some((_, _, problem)) = missing.first() {
            let first =
                missing.iter().take(SHOWN).map(|(line, cell, _)| format!("{} (line {line})", quoted(cell)));
            let first = first.collect::<Vec<_>>().join(", ");
            let (more, number) = (if missing.len() > SHOWN { ", …" } else { "" }, missing.len());
            let problem = format!(
                "{number} of {count} listed images not found: {first}{more}. For the first: {problem}. Set the folder of the \
                 images with --images, or remove these rows from the list"
            );
            return Err(Error::data(&*self.path, problem));
        }
        if !unlabelled.is_empty() {
            let first = unlabelled.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            let (more, number) = (if unlabelled.len() > SHOWN { ", …" } else { "" }, unlabelled.len());
            let problem = format!(
                "{number} of {count} rows have no label in column {} ({first}{more}); fill them in, or remove these rows",
                self.shown(label)
            );
            return Err(Error::data(&*self.path, problem));
        }
        Ok(())
    }
}

/// Whether a number has leading zeros, as in file names but not in quantities.
fn is_padded(cell: &str) -> bool {
    cell.len() > 1 && cell.starts_with('0') && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a cell is an image file name, also of an unsupported format.
fn looks_like_an_image(cell: &str) -> bool {
    const FOREIGN: [&str; 8] = ["avif", "dcm", "dicom", "heic", "heif", "jp2", "jxl", "svg"];
    let path = Path::new(cell);
    is_image(path) && path.file_stem().is_some() || has_extension(path, &FOREIGN)
}

/// Whether all cells of these columns are 0 or 1.
fn is_one_hot(columns: &[usize], cells: &[(u64, Vec<String>)]) -> bool {
    let is_bit = |cell: Option<&String>| {
        cell.is_some_and(|cell| matches!(cell.trim().parse::<f64>(), Ok(value) if value == 0. || value == 1.))
    };
    columns.len() > 1 && cells.iter().all(|(_, row)| columns.iter().all(|column| is_bit(row.get(*column))))
}

/// Whether some labels combine others, such as `cat|dog` if `cat` and `dog` are labels too.
fn are_combined(labels: &[String]) -> bool {
    let all: HashSet<&str> = labels.iter().map(String::as_str).collect();
    let is_combined = |label: &&str| {
        ['|', ';', ',', ' '].into_iter().any(|separator| {
            label.contains(separator) && label.split(separator).all(|part| all.contains(part.trim()))
        })
    };
    all.iter().any(is_combined)
}

/// The rows of one or more lists, in order.
#[derive(Default)]
struct Rows {
    files: Vec<PathBuf>,
    labels: Vec<String>,
    groups: Vec<String>,
    lines: Vec<u64>,
    portions: Vec<Subset>,
}

impl Rows {
    /// Appends the rows of a list.
    fn append(&mut self, list: &List, rows: Rows, is_split: bool) -> Result<()> {
        if is_split && rows.files.is_empty() {
            return Err(Error::data(&*list.path, "the list has no rows"));
        }
        self.files.extend(rows.files);
        self.labels.extend(rows.labels);
        self.groups.extend(rows.groups);
        self.lines.extend(rows.lines);
        Ok(())
    }

    /// The separator of the labels of an image; `label_names` are those of label columns.
    fn separator(&self, label_names: &[String]) -> char {
        if !label_names.is_empty() {
            return SEPARATOR;
        }
        let distinct: BTreeSet<&String> = self.labels.iter().collect();
        separator(&distinct.into_iter().cloned().collect::<Vec<_>>()).unwrap_or(SEPARATOR)
    }

    /// Removes repeated images. If images may have several labels, with this separator, they have those of all their rows.
    ///
    /// # Errors
    /// An image with two labels, if it may have only one.
    fn deduplicated(mut self, path: &Path, separator: Option<char>) -> Result<Self> {
        let mut first: BTreeMap<&Path, usize> = BTreeMap::new();
        let (mut kept, mut repeats) = (Vec::new(), 0);
        for (row, file) in self.files.iter().enumerate() {
            let Some(before) = first.get(file.as_path()).copied() else {
                first.insert(file, row);
                kept.push(row);
                continue;
            };
            if let Some(separator) = separator.filter(|_| self.labels[before] != self.labels[row]) {
                self.labels[before] = format!("{}{separator}{}", self.labels[before], self.labels[row]);
                continue;
            }
            if self.labels[before] != self.labels[row] {
                let problem = format!(
                    "{} is listed with the label {} in line {} and with {} in line {}; each image has one class, so remove all but one \
                     of its rows, or train with --task multilabel",
                    quoted(&file.to_string_lossy()),
                    quoted(&self.labels[before]),
                    self.lines[before],
                    quoted(&self.labels[row]),
                    self.lines[row]
                );
                return Err(Error::data(path, problem));
            }
            repeats += 1;
        }
        if repeats > 0 {
            tracing::warn!(
                "{}: ignored {repeats} rows with images that are already listed",
                Location::from(path)
            );
        }
        let strings = |all: &[String]| kept.iter().map(|row| all[*row].clone()).collect::<Vec<_>>();
        Ok(Rows {
            labels: strings(&self.labels),
            groups: strings(&self.groups),
            lines: kept.iter().map(|row| self.lines[*row]).collect(),
            portions: kept.iter().map(|row| self.portions[*row]).collect(),
            files: kept.iter().map(|row| self.files[*row].clone()).collect(),
        })
    }
}

/// Shortens a path for messages.
fn shown(path: &Path) -> String {
    excerpt(&path.to_string_lossy())
}

#[cfg(test)]
mod tests;
