//! Images that a table lists, with their labels: a column of file names, and one of labels, as in `train.csv` beside `train/`.

mod places;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::csv::{find_column, first_rows, is_missing, rows};
use super::folder::entries;
use super::pictures::Pictures;
use super::portions::{ClassFolder, Tree, arrange, portion_in, words};
use super::{Format, has_extension};
use crate::error::{Error, Place, Result, excerpt, quoted};
use crate::image::{ImageSource, is_image};
use crate::options::ColumnChoice;
use crate::{DataOptions, Dataset, Names, Portion, sha256};
use places::Places;

/// The format.
pub struct ImageList;

impl Format for ImageList {
    fn name(&self) -> &'static str {
        "image-list"
    }

    fn summary(&self) -> &'static str {
        "a table that lists images and their labels (a .csv beside the images, or the folder of both)"
    }

    fn recognises(&self, path: &Path) -> bool {
        if !path.is_dir() {
            return List::recognised(path, None).is_some();
        }
        !lists_in(path, None).is_empty() && !has_classes(path)
    }

    fn read(&self, path: &Path, options: &DataOptions) -> Result<Dataset> {
        let images = options.images.as_deref();
        let lists = if path.is_dir() {
            lists_in(path, images)
        } else {
            Vec::from_iter(List::recognised(path, images))
        };
        if lists.is_empty() {
            let problem = "no column holds the names of images: those of files that are there, or that end as in cat.jpg";
            return Err(Error::data(path, problem));
        }
        let base = images.map_or_else(|| folder_of(path), Path::to_path_buf);
        let is_split = lists.len() > 1;
        let mut all = Rows::default();
        for list in chosen(path, lists)? {
            let rows = list.read(options)?;
            let portion = list.portion().unwrap_or(Portion::Train);
            all.portions.extend(vec![portion; rows.files.len()]);
            all.append(&list, rows, is_split)?;
        }
        let all = all.without_repeats(path)?;
        let name = |file: &PathBuf| file.strip_prefix(&base).unwrap_or(file).to_string_lossy().into_owned();
        let pictures = Pictures {
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
        let dataset = pictures.into_dataset(path, options)?;
        let Names::Files(names) = dataset.names else { unreachable!("images are files") };
        // Other labels are other data, though the files are the same.
        let sha256 = sha256(format!("{}\n{}", dataset.sha256, all.labels.join("\n")).as_bytes());
        let lines = if is_split { Vec::new() } else { all.lines };
        Ok(Dataset { sha256, names: Names::Listed { folder: base, names, lines }, ..dataset })
    }
}

/// An image that a table lists, by its line: its file, or why there is none.
type Line = (u64, std::result::Result<PathBuf, String>);

/// The images that a table lists, with or without labels, to be classified: the line of each, and its file or why there is none.
/// None if it is no such list.
pub fn images(path: &Path, images: Option<&Path>) -> Option<Result<Vec<Line>>> {
    let list = List::recognised(path, images)?;
    let cells = match list.cells() {
        Ok(cells) => cells,
        Err(error) => return Some(Err(error)),
    };
    let mut places = list.places;
    let image = |(line, row): (u64, Vec<String>)| {
        let cell = row.get(list.column).cloned().unwrap_or_default();
        (line, places.find(&cell).map_err(|problem| format!("{}: {problem}", quoted(&cell))))
    };
    Some(Ok(cells.into_iter().map(image).collect()))
}

fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_path_buf() } else { path.parent().unwrap_or(Path::new("")).to_path_buf() }
}

/// Whether a folder holds folders of classes, which come first. Folders whose names differ in a number alone are parts.
fn has_classes(path: &Path) -> bool {
    let of_two = |tree: Tree| {
        let classes = arrange(&tree).map_or(Vec::new(), |found| found.classes);
        let is_other = |class: &ClassFolder, first: &ClassFolder| {
            let own = words(&class.class);
            class.class != first.class && (own.is_empty() || own != words(&first.class))
        };
        classes.iter().any(|class| is_other(class, &classes[0]))
    };
    Tree::of(path).is_ok_and(of_two)
}

/// The name of a list in a folder, if there is one.
pub(super) fn list_in(folder: &Path) -> Option<String> {
    Some(lists_in(folder, None).first()?.name())
}

/// The lists in a folder, in the order of their names. What is handed in for a competition is none.
fn lists_in(folder: &Path, images: Option<&Path>) -> Vec<List> {
    let tables = entries(folder).unwrap_or_default().into_iter().filter(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && !name.contains("submission")
    });
    tables.filter_map(|path| List::recognised(&path, images)).collect()
}

/// Of several lists in a folder, those of its portions that have the columns of that to train on.
fn chosen(path: &Path, lists: Vec<List>) -> Result<Vec<List>> {
    if lists.len() == 1 {
        return Ok(lists);
    }
    let names: Vec<_> = lists.iter().map(|list| quoted(&list.name())).collect();
    let of_train: Vec<_> = lists.iter().filter(|list| list.portion() == Some(Portion::Train)).collect();
    let [train] = of_train[..] else {
        let problem = format!("it holds several lists of images ({}); name one of them", names.join(", "));
        return Err(Error::data(path, problem));
    };
    let header = train.header.clone();
    let (kept, left): (Vec<_>, Vec<_>) =
        lists.into_iter().partition(|list| list.portion().is_some() && list.header == header);
    for list in left {
        let name = quoted(&list.name());
        tracing::warn!(
            "{}: skipped {name}, which has other columns than the list to train on",
            Place::from(path)
        );
    }
    Ok(kept)
}

/// A table that lists images.
struct List {
    path: PathBuf,
    /// The column of the names.
    column: usize,
    width: usize,
    header: Option<Vec<String>>,
    places: Places,
}

/// A table of more columns may have numbers of rows beside images that are called by numbers, too.
const MOST_COLUMNS: usize = 8;

impl List {
    /// The table in `path`, if its first rows show that it lists images.
    fn recognised(path: &Path, images: Option<&Path>) -> Option<List> {
        if !path.is_file() || !has_extension(path, &["csv", "tsv", "txt", "csv.gz", "tsv.gz"]) {
            return None;
        }
        let sample = first_rows(path).ok().filter(|rows| !rows.is_empty())?;
        let width = sample[0].len();
        let body = if sample.len() > 1 { &sample[1..] } else { &sample[..] };
        let is_most = |found: usize| 10 * found >= 9 * body.len();
        let cells = |column: usize| -> Vec<&str> {
            body.iter().filter_map(|row| row.get(column)).map(String::as_str).collect()
        };
        let is_half = |found: usize| 2 * found >= body.len();
        let is_of_numbers =
            |column: usize| cells(column).iter().all(|cell| cell.parse::<f64>().is_ok() && !is_padded(cell));
        // The columns that may be names, with whether they are so by their looks: others are, if there are such files.
        let candidate = |column: usize| {
            let mut cells = cells(column);
            if is_most(cells.iter().filter(|cell| looks_like_an_image(cell)).count()) {
                return Some((column, true));
            }
            cells.sort_unstable();
            cells.dedup();
            let is_known = is_half(cells.len()) && !(is_of_numbers(column) && width > MOST_COLUMNS);
            is_known.then_some((column, false))
        };
        let candidates: Vec<(usize, bool)> = (0..width).filter_map(candidate).collect();
        if candidates.is_empty() {
            return None;
        }
        // Only now are folders looked into.
        let mut places = Places::new(path, images);
        let mut best = None;
        for (column, looks_so) in candidates {
            let there = cells(column).iter().filter(|cell| places.knows(cell)).count();
            let is_enough = if is_of_numbers(column) { is_most(there) } else { is_half(there) };
            if (looks_so || is_enough) && best.is_none_or(|(before, _)| (looks_so, there) > before) {
                best = Some(((looks_so, there), column));
            }
        }
        let (_, column) = best?;
        let first = &sample[0][column];
        let is_header = sample.len() > 1 && !looks_like_an_image(first) && !places.knows(first);
        let header = is_header.then(|| sample[0].clone());
        Some(List { path: path.to_path_buf(), column, width, header, places })
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn portion(&self) -> Option<Portion> {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Some(portion_in(&stem)?.0)
    }

    /// The rows with their lines, without the header.
    fn cells(&self) -> Result<Vec<(u64, Vec<String>)>> {
        let mut all = rows(&self.path)?;
        if self.header.is_some() && !all.is_empty() {
            all.remove(0);
        }
        Ok(all)
    }

    /// A column as messages name it.
    fn shown(&self, column: usize) -> String {
        let name = self.header.as_ref().and_then(|names| names.get(column));
        name.map_or_else(|| (column + 1).to_string(), |name| quoted(name))
    }

    fn read(&self, options: &DataOptions) -> Result<Rows> {
        let position =
            |choice: &ColumnChoice| find_column(&self.path, choice, self.width, self.header.as_deref());
        let group = options.group.as_ref().map(position).transpose()?;
        let ignored = options.ignore.iter().flat_map(|columns| columns.split(','));
        let ignored = ignored.map(|column| position(&column.trim().parse().map_err(Error::Usage)?));
        let ignored: Vec<usize> = ignored.collect::<Result<_>>()?;
        let cells = self.cells()?;
        let others: Vec<usize> = (0..self.width)
            .filter(|column| *column != self.column && Some(*column) != group && !ignored.contains(column))
            .collect();
        let label = match &options.label {
            ColumnChoice::Last => self.label_among(&others, &cells)?,
            choice => position(choice)?,
        };
        if label == self.column {
            let problem = format!(
                "column {} holds the names of the images, so it is not that of the labels",
                self.shown(label)
            );
            return Err(Error::data(&*self.path, problem));
        }
        let mut places = self.places.clone();
        let (mut all, mut missing, mut unlabelled) = (Rows::default(), Vec::new(), Vec::new());
        for (line, row) in cells {
            let cell = |column: usize| row.get(column).map_or("", |cell| cell.trim());
            if row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if is_missing(cell(label).as_bytes()) {
                unlabelled.push(format!("line {line}"));
            }
            match places.find(cell(self.column)) {
                Ok(file) => all.files.push(file),
                Err(problem) => missing.push((line, cell(self.column).to_string(), problem)),
            }
            all.labels.push(cell(label).to_string());
            all.groups.push(group.map_or("", cell).to_string());
            all.lines.push(line);
        }
        self.refuse_gaps(&all, &missing, &unlabelled, label)?;
        refuse_several_labels(&self.path, &all.labels)?;
        Ok(all)
    }

    /// The column of the labels, where the user names none.
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
        let called: Vec<usize> = others
            .iter()
            .copied()
            .filter(|column| name(column).is_some_and(|name| NAMES.contains(&name.as_str())))
            .collect();
        let problem = match (others, &called[..]) {
            ([], _) => "there is no column of labels beside that of the images".to_string(),
            ([only], _) => return Ok(*only),
            (_, [only]) => {
                let (path, shown) = (Place::from(&*self.path), self.shown(*only));
                tracing::warn!("{path}: the labels are taken from the column {shown}; --label names another");
                return Ok(*only);
            }
            _ if is_one_hot(others, cells) => {
                let columns: Vec<_> = others.iter().take(6).map(|column| self.shown(*column)).collect();
                format!(
                    "the columns {}{} hold 0 and 1 for each class; write the name of an image's class into one column, and name it \
                     with --label",
                    columns.join(", "),
                    if others.len() > 6 { ", …" } else { "" }
                )
            }
            _ => {
                let columns: Vec<_> = others.iter().take(20).map(|column| self.shown(*column)).collect();
                format!(
                    "which column holds the labels? Name it with --label; there are {}",
                    columns.join(", ")
                )
            }
        };
        Err(Error::data(&*self.path, problem))
    }

    /// Names all images that are not there and all rows without a label at once.
    fn refuse_gaps(
        &self,
        all: &Rows,
        missing: &[(u64, String, String)],
        unlabelled: &[String],
        label: usize,
    ) -> Result<()> {
        const SHOWN: usize = 5;
        let count = all.labels.len();
        if count == 0 {
            return Err(Error::data(&*self.path, "the list holds a header and no rows"));
        }
        if let Some((_, _, problem)) = missing.first() {
            let first =
                missing.iter().take(SHOWN).map(|(line, cell, _)| format!("{} (line {line})", quoted(cell)));
            let first = first.collect::<Vec<_>>().join(", ");
            let (more, number) = (if missing.len() > SHOWN { ", …" } else { "" }, missing.len());
            let problem = format!(
                "{number} of {count} listed images cannot be found: {first}{more}. Of the first: {problem}. Name the folder of the \
                 images with --images, or take these rows out of the list"
            );
            return Err(Error::data(&*self.path, problem));
        }
        if !unlabelled.is_empty() {
            let first = unlabelled.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            let (more, number) = (if unlabelled.len() > SHOWN { ", …" } else { "" }, unlabelled.len());
            let problem = format!(
                "{number} of {count} rows have no label in column {} ({first}{more}); fill them in, or take these rows out",
                self.shown(label)
            );
            return Err(Error::data(&*self.path, problem));
        }
        Ok(())
    }
}

/// A number with zeros before it, as names have and quantities have not.
fn is_padded(cell: &str) -> bool {
    cell.len() > 1 && cell.starts_with('0') && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of an image, also of a kind that is not supported.
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

/// Refuses labels such as `cat|dog` where `cat` and `dog` are labels, too: an image has one class here.
fn refuse_several_labels(path: &Path, labels: &[String]) -> Result<()> {
    let known: HashMap<&str, ()> = labels.iter().map(|label| (label.as_str(), ())).collect();
    let several = |label: &&String| {
        ['|', ';', ',', ' '].into_iter().any(|between| {
            label.contains(between) && label.split(between).all(|part| known.contains_key(part.trim()))
        })
    };
    match labels.iter().find(several) {
        None => Ok(()),
        Some(label) => {
            let problem = format!(
                "the label {} names several classes that other images have alone; an image has one class here, so keep one of them \
                 or make a class of each combination that has a name of its own",
                quoted(label)
            );
            Err(Error::data(path, problem))
        }
    }
}

/// Rows of lists, in their order.
#[derive(Default)]
struct Rows {
    files: Vec<PathBuf>,
    labels: Vec<String>,
    groups: Vec<String>,
    lines: Vec<u64>,
    portions: Vec<Portion>,
}

impl Rows {
    /// Adds the rows of a list. Of several lists, one that is not to train on may have no labels.
    fn append(&mut self, list: &List, rows: Rows, is_split: bool) -> Result<()> {
        if is_split && rows.files.is_empty() {
            return Err(Error::data(&*list.path, "the list holds no rows"));
        }
        self.files.extend(rows.files);
        self.labels.extend(rows.labels);
        self.groups.extend(rows.groups);
        self.lines.extend(rows.lines);
        Ok(())
    }

    /// The same with each image once.
    ///
    /// # Errors
    /// An image with two labels.
    fn without_repeats(self, path: &Path) -> Result<Self> {
        let mut first: BTreeMap<&Path, usize> = BTreeMap::new();
        let (mut kept, mut repeats) = (Vec::new(), 0);
        for (row, file) in self.files.iter().enumerate() {
            let Some(before) = first.insert(file, row) else {
                kept.push(row);
                continue;
            };
            if self.labels[before] != self.labels[row] {
                let problem = format!(
                    "{} is listed with the label {} in line {} and with {} in line {}; an image has one class, so take all but one \
                     of its rows out",
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
                "{}: {repeats} rows name an image that was listed before; each is taken once",
                Place::from(path)
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

/// Text of a list for messages.
fn shown(path: &Path) -> String {
    excerpt(&path.to_string_lossy())
}

#[cfg(test)]
mod tests;
