//! Infers classes and subsets from the names and structure of folders of images or texts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::folder::{entries, resolve_links};
use super::text_folder::is_text_file;
use crate::Subset;
use crate::error::{Result, quoted};
use crate::image::Kind;

/// The files that are examples.
#[derive(Clone, Copy)]
pub(crate) struct ExampleFiles {
    /// What they are, in singular.
    noun: &'static str,
    is: fn(&Path) -> bool,
}

/// Images.
pub(crate) const IMAGES: ExampleFiles =
    ExampleFiles { noun: "image", is: |path| Kind::of(path) == Kind::Image };

/// Texts and mails.
pub(crate) const TEXTS: ExampleFiles = ExampleFiles { noun: "text", is: is_text_file };

impl ExampleFiles {
    fn counted(self, count: usize) -> String {
        format!("{count} {}{}", self.noun, if count == 1 { "" } else { "s" })
    }
}

/// A folder with examples, and its subfolders with examples.
pub(crate) struct FolderTree {
    /// What is an example.
    pub examples: ExampleFiles,
    /// Where it is.
    pub path: PathBuf,
    /// The number of examples directly in it.
    pub files: usize,
    /// The subfolders with examples at any depth, sorted.
    pub below: Vec<FolderTree>,
    /// The names of the other subfolders.
    pub empty: Vec<String>,
}

/// A class folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClassFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The class.
    pub class: String,
    /// The subset, if the folder belongs to one.
    pub portion: Option<Subset>,
}

/// The inferred classes and subsets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FolderLayout {
    /// The class folders, sorted by path.
    pub classes: Vec<ClassFolder>,
    /// Warnings about skipped files and folders.
    pub notes: Vec<String>,
}

/// Folders created by operating systems, in lower case. Hidden folders are already excluded.
const JUNK: [&str; 5] = ["__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"];

/// The maximum folder depth.
const MAX_DEPTH: usize = 16;

impl FolderTree {
    /// Reads a folder of images and its subfolders.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(path: &Path) -> Result<FolderTree> {
        FolderTree::of_files(path, IMAGES)
    }

    /// Reads a folder of these examples and its subfolders.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of_files(path: &Path, examples: ExampleFiles) -> Result<FolderTree> {
        FolderTree::below(path, examples, &mut Vec::new())
    }

    /// `above` are the resolved parent folders, to detect cyclic links.
    fn below(path: &Path, examples: ExampleFiles, above: &mut Vec<PathBuf>) -> Result<FolderTree> {
        let (below, empty) = (Vec::new(), Vec::new());
        let mut tree = FolderTree { path: path.to_path_buf(), examples, files: 0, below, empty };
        above.push(resolve_links(path)?);
        for entry in entries(path)? {
            if !entry.is_dir() {
                tree.files += usize::from((examples.is)(&entry));
                continue;
            }
            let is_junk = JUNK.contains(&name_of(&entry).to_lowercase().as_str());
            if is_junk || above.len() >= MAX_DEPTH || above.contains(&resolve_links(&entry)?) {
                tree.empty.push(name_of(&entry));
                continue;
            }
            let inner = FolderTree::below(&entry, examples, above)?;
            match inner.total() {
                0 => tree.empty.push(inner.name()),
                _ => tree.below.push(inner),
            }
        }
        above.pop();
        Ok(tree)
    }

    /// The number of examples in it and its subfolders.
    pub fn total(&self) -> usize {
        self.files + self.below.iter().map(FolderTree::total).sum::<usize>()
    }

    fn name(&self) -> String {
        name_of(&self.path)
    }

    /// The folder with the classes of a subset: this one, or its only subfolder with examples if the names
    /// match.
    fn innermost(&self) -> &FolderTree {
        match &self.below[..] {
            [only]
                if !only.below.is_empty() && self.files == 0 && is_same_name(&only.name(), &self.name()) =>
            {
                only.innermost()
            }
            _ => self,
        }
    }

    /// Whether it contains class folders.
    fn has_classes(&self) -> bool {
        !self.innermost().below.is_empty()
    }

    /// The subfolders named like subsets, if one of them is a training set.
    ///
    /// # Errors
    /// Subsets of several data sets.
    fn portions(&self) -> std::result::Result<Vec<(&FolderTree, Subset)>, String> {
        let subsets: Vec<_> = self
            .below
            .iter()
            .filter_map(|folder| {
                let (portion, rest) = subset_in(&folder.name())?;
                Some((folder, portion, rest))
            })
            .collect();
        let rests: BTreeSet<&str> = subsets.iter().map(|(.., rest)| rest.as_str()).collect();
        let of = |wanted: &str| -> Vec<_> {
            let matching = subsets.iter().filter(|(.., rest)| rest == wanted);
            matching.map(|(folder, portion, _)| (*folder, *portion)).collect()
        };
        // `train` is always a subset; `dogs_train` is one only next to `dogs_test`.
        let has_training_set = |rest: &&str| {
            let members = of(rest);
            let is = |wanted: bool| members.iter().any(|(_, portion)| (*portion == Subset::Train) == wanted);
            rest.is_empty() || is(true) && is(false)
        };
        let sets: Vec<&str> = rests.into_iter().filter(has_training_set).collect();
        match sets[..] {
            [] => Ok(Vec::new()),
            [rest] | ["", rest] if of("").iter().all(|(_, portion)| *portion != Subset::Train) => {
                Ok(of(rest))
            }
            ["", ..] => Ok(of("")),
            _ => Err(format!(
                "it contains several data sets ({}); choose the folder of one",
                list(sets.iter().flat_map(|rest| of(rest)).map(|(folder, _)| folder.name()))
            )),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a subfolder repeats the name of its parent, as some archives do when extracted.
fn is_same_name(inner: &str, outer: &str) -> bool {
    const GENERIC_NAMES: [&str; 4] = ["images", "data", "imgs", "dataset"];
    let portion = |name: &str| subset_in(name).map(|(portion, _)| portion);
    let (inner, outer) = (inner.to_lowercase(), outer.to_lowercase());
    inner == outer
        || GENERIC_NAMES.contains(&inner.as_str())
        || portion(&inner).is_some_and(|subset| portion(&outer) == Some(subset))
}

/// Generic words in folder names.
const GENERIC_WORDS: [&str; 16] = [
    "set", "sets", "data", "dataset", "datasets", "images", "image", "imgs", "img", "pictures", "photos",
    "folder", "split", "samples", "part", "seg",
];

/// Suffixes of a subset name, as in `trainset`.
const SUFFIXES: [&str; 6] = ["dataset", "data", "images", "set", "imgs", "img"];

/// The subset in a folder name, and the remaining words: `Training`, `test_set`, `train-images2`,
/// `seg_train`, `trainset`.
pub(crate) fn subset_in(name: &str) -> Option<(Subset, String)> {
    let words = words(name);
    let portion = |word: &String| {
        let word = word.as_str();
        let stripped = SUFFIXES.iter().find_map(|end| word.strip_suffix(end));
        Subset::of_name(word).or_else(|| Subset::of_name(stripped?))
    };
    let mut found = words.iter().filter_map(portion);
    let (first, second) = (found.next()?, found.next());
    if second.is_some() {
        return None;
    }
    let rest: Vec<_> = words
        .iter()
        .filter(|word| portion(word).is_none() && !GENERIC_WORDS.contains(&word.as_str()))
        .map(String::as_str)
        .collect();
    Some((first, rest.join(" ")))
}

/// The words of a name in lower case, without trailing digits.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_lower = false;
    for character in name.chars() {
        let starts = character.is_uppercase() && is_lower;
        is_lower = character.is_lowercase();
        if starts || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words.last_mut().expect("there is a word").extend(character.to_lowercase());
        }
    }
    let without_digits = |word: String| word.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
    words.into_iter().map(without_digits).filter(|word| !word.is_empty()).collect()
}

/// Quoted names; at most the first six.
fn list(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<_> = names.into_iter().map(|name| quoted(&name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    let end = if more > 0 { format!(", … and {more} more") } else { String::new() };
    names[..names.len() - more].join(", ") + &end
}

/// Infers the classes and subsets in `tree`.
///
/// # Errors
/// Folders that are named like subsets but have no class folders.
pub(crate) fn arrange(tree: &FolderTree) -> std::result::Result<FolderLayout, String> {
    let subsets = tree.portions()?;
    let noun = tree.examples.noun;
    let is_subset = |folder: &FolderTree| subsets.iter().any(|(subset, _)| subset.path == folder.path);
    let others: Vec<&FolderTree> = tree.below.iter().filter(|folder| !is_subset(folder)).collect();
    let names = || list(subsets.iter().map(|(folder, _)| folder.name()));
    let has_several_subsets = subsets.iter().any(|(_, portion)| *portion != subsets[0].1);
    let has_training_set =
        subsets.iter().any(|(folder, portion)| *portion == Subset::Train && folder.has_classes());
    let mut layout = if has_training_set && (has_several_subsets || others.is_empty()) {
        let mut layout = arrange_subsets(&subsets, &others);
        if tree.files > 0 {
            let count = tree.examples.counted(tree.files);
            layout.notes.push(format!("skipped {count} outside the class folders"));
        }
        layout
    } else if has_training_set {
        return Err(format!(
            "{} looks like a training set, but {} next to it also contain {noun}s; if it is the training set, pass it \
             as --data or move the others away; if it is a class, rename it",
            names(),
            list(others.iter().map(|folder| folder.name()))
        ));
    } else if has_several_subsets
        || !subsets.is_empty() && others.is_empty() && subsets.iter().all(|(folder, _)| !folder.has_classes())
    {
        return Err(if subsets.iter().any(|(_, portion)| *portion == Subset::Train) {
            format!(
                "{} are named like subsets, but their {noun}s are not in class folders; sort them into \
                 folders such as train/cat and train/dog, or list them with their labels in a CSV file. If these are class \
                 names, rename the folders",
                names()
            )
        } else {
            format!("{} are named like subsets, but none is a training set", names())
        });
    } else {
        arrange_classes(tree)?
    };
    if !tree.empty.is_empty() {
        let (count, ending) = (tree.empty.len(), if tree.empty.len() == 1 { "" } else { "s" });
        let note =
            format!("skipped {count} folder{ending} without {noun}s: {}", list(tree.empty.iter().cloned()));
        layout.notes.push(note);
    }
    Ok(layout)
}

/// The classes inside subset folders.
fn arrange_subsets(subsets: &[(&FolderTree, Subset)], others: &[&FolderTree]) -> FolderLayout {
    let mut layout = FolderLayout::default();
    let FolderLayout { classes, notes } = &mut layout;
    for (folder, portion) in subsets {
        let inner = folder.innermost();
        if inner.below.is_empty() {
            let (name, count) = (quoted(&folder.name()), inner.examples.counted(inner.files));
            notes.push(format!("skipped the folder {name}: it has {count} outside class folders"));
            continue;
        }
        if inner.files > 0 {
            let (count, name) = (inner.examples.counted(inner.files), quoted(&folder.name()));
            notes.push(format!("skipped {count} in {name}, outside its class folders"));
        }
        if !inner.empty.is_empty() {
            let (names, name) = (list(inner.empty.iter().cloned()), quoted(&folder.name()));
            notes.push(format!("skipped folders without {}s in {name}: {names}", inner.examples.noun));
        }
        classes.extend(inner.below.iter().map(|class| ClassFolder {
            path: class.path.clone(),
            class: class.name(),
            portion: Some(*portion),
        }));
    }
    for folder in others {
        let (name, count) = (quoted(&folder.name()), folder.examples.counted(folder.total()));
        notes.push(format!("skipped the folder {name} with {count}, which is not named like a subset"));
    }
    layout
}

/// The classes without subset folders: in the only subfolder with classes, or here.
fn arrange_classes(tree: &FolderTree) -> std::result::Result<FolderLayout, String> {
    let has_training_set = |folder: &&FolderTree| {
        folder.portions().is_ok_and(|portions| {
            portions.iter().any(|(folder, portion)| *portion == Subset::Train && folder.has_classes())
        })
    };
    let sets: Vec<&FolderTree> = tree.below.iter().filter(has_training_set).collect();
    let inner = match (&sets[..], &tree.below[..]) {
        ([set], _) => Some(*set),
        ([], [only]) if !only.below.is_empty() => Some(only),
        ([], _) => None,
        _ => {
            return Err(format!(
                "it contains several data sets ({}); choose the folder of one",
                list(sets.iter().map(|folder| folder.name()))
            ));
        }
    };
    let mut notes = Vec::new();
    let mut note = |count: usize, place: String| {
        if count > 0 {
            notes.push(format!("skipped {} {place}", tree.examples.counted(count)));
        }
    };
    if let Some(inner) = inner {
        note(tree.total() - inner.total(), format!("outside the folder {}", quoted(&inner.name())));
        let mut layout = arrange(inner)?;
        layout.notes.extend(notes);
        return Ok(layout);
    }
    note(tree.files, "outside the class folders".to_string());
    let mut classes = Vec::new();
    let has_subset_folders = tree.below.iter().all(contains_subsets);
    for folder in &tree.below {
        let class = folder.name();
        match has_subset_folders {
            true => classes.extend(folder.below.iter().map(|part| ClassFolder {
                path: part.path.clone(),
                class: class.clone(),
                portion: subset_in(&part.name()).map(|(portion, _)| portion),
            })),
            false => classes.push(ClassFolder { path: folder.path.clone(), class, portion: None }),
        }
    }
    Ok(FolderLayout { classes, notes })
}

/// Whether a class folder contains only subset folders, including a training set.
fn contains_subsets(class: &FolderTree) -> bool {
    let mut portions =
        class.below.iter().map(|part| subset_in(&part.name()).filter(|(_, rest)| rest.is_empty()));
    let is_all = portions.clone().all(|portion| portion.is_some());
    class.files == 0
        && is_all
        && portions.any(|portion| portion.is_some_and(|(folder, _)| folder == Subset::Train))
}

#[cfg(test)]
mod tests;
