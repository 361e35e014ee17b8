//! The inputs of a prediction: files, folders, glob patterns, tables and lists, in the given order.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::InputSpec;
use crate::data::error::{Error, Location, Result};
use crate::data::format;
use crate::data::format::csv::{RowChunk, RowStream, RowStreamError};
use crate::data::format::folder::{entries, resolve_links};
use crate::data::format::skipped::Skipped;
use crate::data::format::text_folder::is_text_file;
use crate::data::image::Kind;
use crate::data::table_files::AS_IN_A_SHELL;

/// The name of standard input.
const STANDARD_INPUT: &str = "-";

/// The inputs of a prediction.
///
/// A folder means all files below it, sorted by name, except hidden files and except text files and tables next to images; for a model
/// of texts, the text files and mails. A glob
/// pattern (`*`, `?`, `[…]`, and `**` for folders at any depth) that is not the name of a file means the files that it matches,
/// sorted by name. `-` means the rows of a table on standard input. No folder is walked twice; only `**` follows symbolic link
/// cycles, up to the limit of the system.
///
/// ```
/// use cresset::predict::Sources;
///
/// let sources = Sources::new(vec!["photos/".into(), "more/*.jpg".into()], None)?;
/// assert_eq!(sources, sources.clone().with_images(None));
/// assert!(Sources::new(vec!["-".into(), "-".into()], None).is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    named: Vec<PathBuf>,
    list: Option<PathBuf>,
    pub(super) images: Option<PathBuf>,
}

/// A unit of work for the reading threads.
pub(super) enum Job {
    Image(PathBuf),
    /// A text file or a mail.
    Text(PathBuf),
    Rows(RowChunk),
    /// An input that cannot be read.
    Bad(RowStreamError),
}

pub(super) type Jobs = Box<dyn Iterator<Item = Job> + Send>;

impl Sources {
    /// The inputs `named`, followed by those in the file `list`: one path of a file or folder per line, without globbing. `-` is
    /// standard input.
    ///
    /// # Errors
    /// `-` given more than once, and a list that cannot be opened.
    pub fn new(named: Vec<PathBuf>, list: Option<PathBuf>) -> Result<Self> {
        let is_standard = |path: &PathBuf| path.as_os_str() == STANDARD_INPUT;
        if named.iter().chain(&list).filter(|path| is_standard(path)).count() > 1 {
            return Err(Error::Usage("`-` means standard input, which can be read only once".to_string()));
        }
        if let Some(path) = list.as_ref().filter(|path| !is_standard(path)) {
            File::open(path)
                .map_err(|e| Error::data(path.as_path(), format!("cannot read the list: {e}")))?;
        }
        Ok(Sources { named, list, images: None })
    }

    /// Sets the folder of the images that tables list.
    pub fn with_images(self, images: Option<PathBuf>) -> Self {
        Sources { images, ..self }
    }

    /// A lazy iterator over all inputs.
    pub(super) fn jobs(self, spec: &Arc<InputSpec>) -> Jobs {
        let (named_spec, listed_spec) = (Arc::clone(spec), Arc::clone(spec));
        let named = self.named.into_iter().flat_map(move |name| name_jobs(&name, &named_spec));
        let listed = self.list.into_iter().flat_map(move |list| list_jobs(&list, &listed_spec));
        Box::new(named.chain(listed))
    }
}

fn name_jobs(name: &Path, spec: &Arc<InputSpec>) -> Jobs {
    if name.as_os_str() == STANDARD_INPUT {
        return table_jobs(Ok(RowStream::new(name.into(), Box::new(stdin()), &spec.layout, spec.allowed)));
    }
    let pattern = name.to_str().filter(|text| text.contains(['*', '?', '[']));
    match pattern.filter(|_| name.symlink_metadata().is_err()) {
        Some(pattern) => pattern_jobs(pattern, spec),
        None => path_jobs(name, spec),
    }
}

fn path_jobs(path: &Path, spec: &Arc<InputSpec>) -> Jobs {
    if path.is_dir() {
        Box::new(FolderFiles::below(path, spec.takes_texts()))
    } else if spec.takes_texts() && is_text_file(path) {
        Box::new(std::iter::once(Job::Text(path.to_path_buf())))
    } else if is_read_as_image(path, spec.takes_images()) {
        Box::new(std::iter::once(file_job(path.to_path_buf(), Kind::of(path))))
    } else if let Some(images) = listed_images(path, spec) {
        images
    } else {
        table_jobs(RowStream::open(path, &spec.layout, spec.allowed))
    }
}

/// Whether a file is read as an image, judged by its name or its first bytes. If the model takes images, this includes other known
/// file types that are not tables, for which the image reader has a better error message.
pub(super) fn is_read_as_image(path: &Path, takes_images: bool) -> bool {
    match Kind::of(path) {
        Kind::Image => true,
        Kind::Foreign(foreign) => foreign.is_image || takes_images,
        Kind::Beside | Kind::Unknown => false,
    }
}

/// The images listed in a table, if it is such a list and the model takes images.
fn listed_images(path: &Path, spec: &InputSpec) -> Option<Jobs> {
    let images =
        spec.takes_images().then(|| format::listed::images(path, spec.images.as_deref())).flatten()?;
    let path = path.to_path_buf();
    Some(match images {
        Err(error) => Box::new(std::iter::once(Job::Bad(error.into()))),
        Ok(images) => Box::new(images.into_iter().map(move |(line, image)| match image {
            Ok(image) => Job::Image(image),
            Err(problem) => Job::Bad(Error::data(Location::line(&path, line), problem).into()),
        })),
    })
}

pub(super) fn table_jobs(rows: Result<RowStream>) -> Jobs {
    match rows {
        Ok(rows) => Box::new(rows.map(|stretch| stretch.map_or_else(Job::Bad, Job::Rows))),
        Err(error) => Box::new(std::iter::once(Job::Bad(error.into()))),
    }
}

fn pattern_jobs(pattern: &str, spec: &Arc<InputSpec>) -> Jobs {
    let bad = |problem: String| -> Jobs {
        Box::new(std::iter::once(Job::Bad(Error::data(Path::new(pattern), problem).into())))
    };
    let mut matches = match glob::glob_with(pattern, AS_IN_A_SHELL) {
        Ok(matches) => matches.peekable(),
        Err(error) => {
            return bad(format!("there is no such file, and this is not a valid pattern ({})", error.msg));
        }
    };
    if matches.peek().is_none() {
        return bad("no file matches this pattern".to_string());
    }
    let spec = Arc::clone(spec);
    Box::new(matches.flat_map(move |entry| match entry {
        Ok(path) => path_jobs(&path, &spec),
        Err(error) => {
            let problem = format!("cannot read the folder: {}", error.error());
            Box::new(std::iter::once(Job::Bad(Error::data(error.path(), problem).into())))
        }
    }))
}

/// The maximum length of a line of a list, far above the path length limit of any file system.
const MAX_PATH_LENGTH: u64 = 1 << 16;

fn list_jobs(list: &Path, spec: &Arc<InputSpec>) -> Jobs {
    let source: Box<dyn Read + Send> = match list.as_os_str() == STANDARD_INPUT {
        true => Box::new(stdin()),
        false => match File::open(list) {
            Ok(file) => Box::new(file),
            Err(error) => {
                let problem = format!("cannot read the list: {error}");
                return Box::new(std::iter::once(Job::Bad(Error::data(list, problem).into())));
            }
        },
    };
    let (list, spec, mut source) = (list.to_path_buf(), Arc::clone(spec), BufReader::new(source));
    let mut is_over = false;
    let lines = std::iter::from_fn(move || {
        let mut line = Vec::new();
        match (&mut source).take(MAX_PATH_LENGTH).read_until(b'\n', &mut line) {
            _ if is_over => None,
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(error) => {
                is_over = true;
                Some(Err(Error::data(&*list, format!("cannot read the list: {error}"))))
            }
        }
    });
    Box::new(lines.flat_map(move |line| match line.map(path_of) {
        Ok(Some(path)) => path_jobs(&path, &spec),
        Ok(None) => Box::new(std::iter::empty()),
        Err(error) => Box::new(std::iter::once(Job::Bad(error.into()))),
    }))
}

/// The path on a line of a list, including any spaces; `None` if the line is empty.
fn path_of(mut line: Vec<u8>) -> Option<PathBuf> {
    for end in *b"\n\r" {
        line.pop_if(|last| *last == end);
    }
    (!line.is_empty()).then(|| OsString::from_vec(line).into())
}

/// The images or texts below a folder.
struct FolderFiles {
    root: PathBuf,
    /// The remaining entries of each open folder.
    stack: Vec<std::vec::IntoIter<PathBuf>>,
    /// The folders that were walked, to break symbolic link cycles.
    walked: HashSet<PathBuf>,
    /// The error of a folder that could not be opened.
    error: Option<Error>,
    is_empty: bool,
    /// Whether the model takes texts.
    takes_texts: bool,
    /// Files that are not images.
    skipped: Skipped,
}

impl FolderFiles {
    fn below(root: &Path, takes_texts: bool) -> Self {
        let mut files = FolderFiles {
            root: root.to_path_buf(),
            stack: Vec::new(),
            walked: HashSet::new(),
            error: None,
            is_empty: true,
            takes_texts,
            skipped: Skipped::default(),
        };
        files.enter(root);
        files
    }

    /// The problem of a folder without inputs.
    fn nothing(&self) -> &'static str {
        if self.takes_texts {
            "there are no texts (.txt, .eml) in this folder"
        } else {
            "there are no images in this folder"
        }
    }

    fn enter(&mut self, folder: &Path) {
        match resolve_links(folder).and_then(|real| Ok((real, entries(folder)?))) {
            Ok((real, entries)) => {
                if self.walked.insert(real) {
                    self.stack.push(entries.into_iter());
                }
            }
            Err(error) => self.error = Some(error),
        }
    }
}

/// The job of a file of this kind. A file that is not an image is not opened: it may be huge, or an endless device.
fn file_job(path: PathBuf, kind: Kind) -> Job {
    if path.metadata().is_ok_and(|file| !file.is_file()) {
        return Job::Bad(Error::data(&*path, "this is not a regular file").into());
    }
    match kind {
        Kind::Foreign(foreign) => Job::Bad(Error::data(&*path, foreign.problem()).into()),
        Kind::Unknown => Job::Bad(Error::data(&*path, "this is not an image in a supported format").into()),
        Kind::Image | Kind::Beside => Job::Image(path),
    }
}

impl Iterator for FolderFiles {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(error) = self.error.take() {
                self.is_empty = false;
                return Some(Job::Bad(error.into()));
            }
            let Some(folder) = self.stack.last_mut() else { break };
            match folder.next() {
                None => drop(self.stack.pop()),
                Some(path) if path.is_dir() => self.enter(&path),
                Some(path) if self.takes_texts => {
                    if is_text_file(&path) {
                        self.is_empty = false;
                        return Some(Job::Text(path));
                    }
                }
                Some(path) => match Kind::of(&path) {
                    Kind::Beside => self.skipped.add(&path, Kind::Beside),
                    kind => {
                        self.is_empty = false;
                        return Some(file_job(path, kind));
                    }
                },
            }
        }
        if let Some(sentence) = std::mem::take(&mut self.skipped).sentence() {
            tracing::warn!("{}: {sentence}", Location::from(&*self.root));
        }
        std::mem::take(&mut self.is_empty).then(|| Job::Bad(Error::data(&*self.root, self.nothing()).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::format::csv::RowPolicy;
    use crate::data::image::Decoding;
    use crate::data::unknown::UnknownPolicy;
    use crate::data::{InputShape, TableLayout};
    use proptest::prelude::*;
    use std::fs;

    /// The paths of all jobs relative to `folder`, or their errors.
    fn job_names(folder: &Path, sources: Sources) -> Vec<String> {
        let layout = Arc::new(TableLayout::default());
        let shape = InputShape(vec![0]);
        let allowed = RowPolicy { missing: false, unknown: UnknownPolicy::Allow, no_label: false };
        let spec = Arc::new(InputSpec {
            shape,
            range: None,
            decoding: Decoding::default(),
            images: None,
            layout,
            allowed,
        });
        let below = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let name = |job| match job {
            Job::Image(path) | Job::Text(path) => below(&path),
            Job::Rows(rows) => below(rows.path()),
            Job::Bad(RowStreamError { error: Error::Data { location, problem }, .. }) => {
                format!("{}: {problem}", below(&location.path))
            }
            Job::Bad(unread) => unread.error.to_string(),
        };
        sources.jobs(&spec).map(name).collect()
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_and_patterns_yield_their_images_sorted_by_name() {
        let folder =
            folder(&["b/2.png", "b/10.PNG", "b/c/1.jpg", "a.png", "b/notes.txt", ".git/x.png", "b/.h.png"]);
        let found = |name: &str| {
            let name = folder.path().join(name);
            job_names(folder.path(), Sources::new(vec![name], None).unwrap())
        };
        assert_eq!(found(""), ["a.png", "b/10.PNG", "b/2.png", "b/c/1.jpg"]);
        assert_eq!(found("b/[0-9]*"), ["b/10.PNG", "b/2.png"]);
        assert_eq!(found("**/*.?p?"), ["b/c/1.jpg"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/up")).unwrap();
        assert_eq!(found(""), ["a.png", "b/10.PNG", "b/2.png", "b/c/1.jpg"]);
        assert_eq!(found("b/*.bmp"), ["b/*.bmp: no file matches this pattern"]);
        assert!(found("b/[")[0].starts_with("b/[: there is no such file, and this is not a valid pattern"));
        fs::write(folder.path().join("a*[.png"), "").unwrap();
        assert_eq!(found("a*[.png"), ["a*[.png"]);
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert_eq!(found("empty"), ["empty: there are no images in this folder"]);
    }

    proptest! {
        #[test]
        fn the_paths_of_a_list_are_read_verbatim(
            names in prop::collection::vec("[^/\u{0}\n\r]{1,12}", 0..6), windows: bool, last: bool
        ) {
            let folder = tempfile::tempdir().unwrap();
            let list = folder.path().join("list");
            // The name of an image, so that each path is one job.
            let paths: Vec<_> = names.iter().map(|name| format!("absent/{name}.png")).collect();
            let end = if windows { "\r\n" } else { "\n" };
            let text = paths.join(end) + end;
            fs::write(&list, text.strip_suffix(end).filter(|_| last).unwrap_or(&text)).unwrap();
            prop_assert_eq!(job_names(folder.path(), Sources::new(vec![], Some(list)).unwrap()), paths);
        }
    }
}
