//! What folders of images mean: folders of classes, by themselves or in folders of portions, among what lies beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::folder::{entries, real};
use crate::Portion;
use crate::error::{Result, quoted};
use crate::image::Kind;

/// A folder that holds images, and the folders in it that do.
pub struct Tree {
    /// Where it is.
    pub path: PathBuf,
    /// The number of the images that lie in it directly.
    pub images: usize,
    /// Those of the folders in it that hold images at any depth, sorted.
    pub below: Vec<Tree>,
    /// The names of the other folders in it.
    pub empty: Vec<String>,
}

/// A folder of a class.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The class.
    pub class: String,
    /// The portion that it is in, if it is in one.
    pub portion: Option<Portion>,
}

/// What the folders mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    /// The folders of classes, in the order of their paths.
    pub classes: Vec<ClassFolder>,
    /// What is not used, a sentence each.
    pub notes: Vec<String>,
}

/// Folders that systems make and people never mean, in lower case. Hidden ones are not even seen.
const JUNK: [&str; 5] = ["__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"];

/// Deeper folders are not looked into.
const DEEPEST: usize = 16;

impl Tree {
    /// Looks at a folder and all below it.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(path: &Path) -> Result<Tree> {
        Tree::below(path, &mut Vec::new())
    }

    /// `above` are the real folders on the way here: links may lead back.
    fn below(path: &Path, above: &mut Vec<PathBuf>) -> Result<Tree> {
        let mut tree = Tree { path: path.to_path_buf(), images: 0, below: Vec::new(), empty: Vec::new() };
        above.push(real(path)?);
        for entry in entries(path)? {
            if !entry.is_dir() {
                tree.images += usize::from(Kind::of(&entry) == Kind::Image);
                continue;
            }
            let is_junk = JUNK.contains(&name_of(&entry).to_lowercase().as_str());
            if is_junk || above.len() >= DEEPEST || above.contains(&real(&entry)?) {
                tree.empty.push(name_of(&entry));
                continue;
            }
            let inner = Tree::below(&entry, above)?;
            match inner.total() {
                0 => tree.empty.push(inner.name()),
                _ => tree.below.push(inner),
            }
        }
        above.pop();
        Ok(tree)
    }

    /// The number of all images at and below it.
    pub fn total(&self) -> usize {
        self.images + self.below.iter().map(Tree::total).sum::<usize>()
    }

    fn name(&self) -> String {
        name_of(&self.path)
    }

    /// The folder that holds the classes of a portion: this one, or one in it that alone holds images and is called alike.
    fn unwrapped(&self) -> &Tree {
        match &self.below[..] {
            [only]
                if !only.below.is_empty() && self.images == 0 && stands_for(&only.name(), &self.name()) =>
            {
                only.unwrapped()
            }
            _ => self,
        }
    }

    /// Whether there are folders in it that may be classes.
    fn has_classes(&self) -> bool {
        !self.unwrapped().below.is_empty()
    }

    /// The folders in it that are called like portions, with these, if one of them is to train on.
    ///
    /// # Errors
    /// Portions of several data sets.
    fn portions(&self) -> std::result::Result<Vec<(&Tree, Portion)>, String> {
        let named: Vec<_> = self
            .below
            .iter()
            .filter_map(|folder| {
                let (portion, rest) = portion_in(&folder.name())?;
                Some((folder, portion, rest))
            })
            .collect();
        let rests: BTreeSet<&str> = named.iter().map(|(.., rest)| rest.as_str()).collect();
        let of = |wanted: &str| -> Vec<_> {
            let own = named.iter().filter(|(.., rest)| rest == wanted);
            own.map(|(folder, portion, _)| (*folder, *portion)).collect()
        };
        // What is called `train` alone is one; `dogs_train` is one only beside `dogs_test`.
        let is_set = |rest: &&str| {
            let own = of(rest);
            let is = |wanted: bool| own.iter().any(|(_, portion)| (*portion == Portion::Train) == wanted);
            rest.is_empty() || is(true) && is(false)
        };
        let sets: Vec<&str> = rests.into_iter().filter(is_set).collect();
        match sets[..] {
            [] => Ok(Vec::new()),
            [rest] | ["", rest] if of("").iter().all(|(_, portion)| *portion != Portion::Train) => {
                Ok(of(rest))
            }
            ["", ..] => Ok(of("")),
            _ => Err(format!(
                "it holds several data sets with portions of their own ({}); name the folder of one",
                list(sets.iter().flat_map(|rest| of(rest)).map(|(folder, _)| folder.name()))
            )),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a folder within `outer` is `outer` once more, as unpacking makes them.
fn stands_for(inner: &str, outer: &str) -> bool {
    const PLAIN: [&str; 4] = ["images", "data", "imgs", "dataset"];
    let portion = |name: &str| portion_in(name).map(|(portion, _)| portion);
    let (inner, outer) = (inner.to_lowercase(), outer.to_lowercase());
    inner == outer
        || PLAIN.contains(&inner.as_str())
        || portion(&inner).is_some_and(|own| portion(&outer) == Some(own))
}

/// Words that say nothing of what is in a folder.
const FILLING: [&str; 16] = [
    "set", "sets", "data", "dataset", "datasets", "images", "image", "imgs", "img", "pictures", "photos",
    "folder", "split", "samples", "part", "seg",
];

/// What may stand behind a word without a gap, as in `trainset`.
const GLUED: [&str; 6] = ["dataset", "data", "images", "set", "imgs", "img"];

/// The portion that a name says, and what else it says: `Training`, `test_set`, `train-images2`, `seg_train`, `trainset`.
pub fn portion_in(name: &str) -> Option<(Portion, String)> {
    let words = words(name);
    let portion = |word: &String| {
        let word = word.as_str();
        let stripped = GLUED.iter().find_map(|end| word.strip_suffix(end));
        Portion::of_name(word).or_else(|| Portion::of_name(stripped?))
    };
    let mut found = words.iter().filter_map(portion);
    let (first, second) = (found.next()?, found.next());
    if second.is_some() {
        return None;
    }
    let rest: Vec<_> = words
        .iter()
        .filter(|word| portion(word).is_none() && !FILLING.contains(&word.as_str()))
        .map(String::as_str)
        .collect();
    Some((first, rest.join(" ")))
}

/// The words of a name in lower case, without the digits behind them.
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

/// Names in quotation marks, of many the first.
fn list(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<_> = names.into_iter().map(|name| quoted(&name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    let end = if more > 0 { format!(", … and {more} more") } else { String::new() };
    names[..names.len() - more].join(", ") + &end
}

fn images(count: usize) -> String {
    format!("{count} image{}", if count == 1 { "" } else { "s" })
}

/// What the folders of `tree` mean.
///
/// # Errors
/// Folders that are called like portions and cannot be.
pub fn arrange(tree: &Tree) -> std::result::Result<Arrangement, String> {
    let named = tree.portions()?;
    let is_named = |folder: &Tree| named.iter().any(|(own, _)| own.path == folder.path);
    let others: Vec<&Tree> = tree.below.iter().filter(|folder| !is_named(folder)).collect();
    let names = || list(named.iter().map(|(folder, _)| folder.name()));
    let is_several = named.iter().any(|(_, portion)| *portion != named[0].1);
    let is_set = named.iter().any(|(folder, portion)| *portion == Portion::Train && folder.has_classes());
    let mut arrangement = if is_set && (is_several || others.is_empty()) {
        let mut arrangement = of_portions(&named, &others);
        if tree.images > 0 {
            arrangement.notes.push(format!("skipped {} in no folder of a class", images(tree.images)));
        }
        arrangement
    } else if is_set {
        return Err(format!(
            "{} holds folders like a portion to train on, but {} beside it hold images, too; if it is the portion, name it \
             as --data or move the others away, and if it is a class, rename it",
            names(),
            list(others.iter().map(|folder| folder.name()))
        ));
    } else if is_several
        || !named.is_empty() && others.is_empty() && named.iter().all(|(folder, _)| !folder.has_classes())
    {
        return Err(if named.iter().any(|(_, portion)| *portion == Portion::Train) {
            format!(
                "{} are called like portions of a data set, but the images in them are not in a folder a class; sort them into \
                 folders such as train/cat and train/dog, or list them with their labels in a CSV file. If these are the names \
                 of classes, rename the folders",
                names()
            )
        } else {
            format!("{} are called like portions of a data set, but none is to train on", names())
        });
    } else {
        of_classes(tree)?
    };
    if !tree.empty.is_empty() {
        let (count, ending) = (tree.empty.len(), if tree.empty.len() == 1 { "" } else { "s" });
        let note =
            format!("skipped {count} folder{ending} without images: {}", list(tree.empty.iter().cloned()));
        arrangement.notes.push(note);
    }
    Ok(arrangement)
}

/// The classes in folders of portions.
fn of_portions(named: &[(&Tree, Portion)], others: &[&Tree]) -> Arrangement {
    let mut arrangement = Arrangement::default();
    let Arrangement { classes, notes } = &mut arrangement;
    for (folder, portion) in named {
        let inner = folder.unwrapped();
        if inner.below.is_empty() {
            let (name, count) = (quoted(&folder.name()), images(inner.images));
            notes.push(format!("skipped the folder {name}: it holds {count} in no folder of a class"));
            continue;
        }
        if inner.images > 0 {
            let (count, name) = (images(inner.images), quoted(&folder.name()));
            notes.push(format!("skipped {count} in {name}, in no folder of a class"));
        }
        if !inner.empty.is_empty() {
            let (names, name) = (list(inner.empty.iter().cloned()), quoted(&folder.name()));
            notes.push(format!("skipped folders without images in {name}: {names}"));
        }
        classes.extend(inner.below.iter().map(|class| ClassFolder {
            path: class.path.clone(),
            class: class.name(),
            portion: Some(*portion),
        }));
    }
    for folder in others {
        let (name, count) = (quoted(&folder.name()), images(folder.total()));
        notes.push(format!("skipped the folder {name} with {count}, which is not called like a portion"));
    }
    arrangement
}

/// The classes where no folder is a portion: in the folder that alone holds some, or here.
fn of_classes(tree: &Tree) -> std::result::Result<Arrangement, String> {
    let is_set = |folder: &&Tree| {
        folder.portions().is_ok_and(|portions| {
            portions.iter().any(|(own, portion)| *portion == Portion::Train && own.has_classes())
        })
    };
    let sets: Vec<&Tree> = tree.below.iter().filter(is_set).collect();
    let inner = match (&sets[..], &tree.below[..]) {
        ([set], _) => Some(*set),
        ([], [only]) if !only.below.is_empty() => Some(only),
        ([], _) => None,
        _ => {
            return Err(format!(
                "it holds several data sets with portions of their own ({}); name the folder of one",
                list(sets.iter().map(|folder| folder.name()))
            ));
        }
    };
    let mut notes = Vec::new();
    let mut note = |count: usize, place: String| {
        if count > 0 {
            notes.push(format!("skipped {} {place}", images(count)));
        }
    };
    if let Some(inner) = inner {
        note(tree.total() - inner.total(), format!("outside the folder {}", quoted(&inner.name())));
        let mut arrangement = arrange(inner)?;
        arrangement.notes.extend(notes);
        return Ok(arrangement);
    }
    note(tree.images, "in no folder of a class".to_string());
    let mut classes = Vec::new();
    let has_portions = tree.below.iter().all(is_parted);
    for folder in &tree.below {
        let class = folder.name();
        match has_portions {
            true => classes.extend(folder.below.iter().map(|part| ClassFolder {
                path: part.path.clone(),
                class: class.clone(),
                portion: portion_in(&part.name()).map(|(portion, _)| portion),
            })),
            false => classes.push(ClassFolder { path: folder.path.clone(), class, portion: None }),
        }
    }
    Ok(Arrangement { classes, notes })
}

/// Whether a class's folder holds nothing but folders of portions, one of them to train on.
fn is_parted(class: &Tree) -> bool {
    let mut portions =
        class.below.iter().map(|part| portion_in(&part.name()).filter(|(_, rest)| rest.is_empty()));
    let is_all = portions.clone().all(|portion| portion.is_some());
    class.images == 0
        && is_all
        && portions.any(|portion| portion.is_some_and(|(own, _)| own == Portion::Train))
}

#[cfg(test)]
mod tests;
