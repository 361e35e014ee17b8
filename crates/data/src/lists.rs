//! Lists of examples, as users and `cresset data clean` write them: a name a line, as `split.csv` shows names. What
//! stands behind a tab is a remark, and so is a line that begins with `#`. A name that would not survive this stands there as a
//! string of JSON, such as `"a\nb.png"`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::Dataset;
use crate::error::{Error, Place, Result, quoted};
use crate::terminal;

/// The data without the examples that a list names.
///
/// # Errors
/// A list that cannot be read, a name that no example has, and a list of everything.
pub fn leave_out(dataset: Dataset, list: &Path) -> Result<Dataset> {
    let excluded = read(&dataset, list)?;
    let kept: Vec<usize> = (0..dataset.rows()).filter(|index| !excluded.contains(index)).collect();
    if kept.is_empty() {
        return Err(Error::data(list, "the list leaves out every example of the data"));
    }
    tracing::info!(list = %list.display(), excluded = excluded.len(), kept = kept.len(), "left examples out");
    Ok(dataset.select(&kept))
}

/// The indexes of the examples that a list names.
///
/// # Errors
/// A list that cannot be read, and a name that no example has.
pub fn read(dataset: &Dataset, list: &Path) -> Result<HashSet<usize>> {
    let index_of = dataset.names.indexes();
    let index = |(name, line): (String, u64)| {
        index_of.get(&name).copied().ok_or_else(|| {
            let problem = format!(
                "no example of {} is called {}; they are called {}, …",
                dataset.path.display(),
                quoted(&name),
                quoted(&dataset.names.name(0))
            );
            Error::data(Place::line(list, line), problem)
        })
    };
    names(list)?.into_iter().map(index).collect()
}

/// The names on a list, each with the first line that it stands on.
///
/// # Errors
/// A list that cannot be read.
pub fn names(list: &Path) -> Result<Vec<(String, u64)>> {
    let text = std::fs::read_to_string(list)
        .map_err(|e| Error::data(list, format!("cannot read the list of examples: {e}")))?;
    let (mut seen, mut names) = (HashSet::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let name = text.split('\t').next().unwrap_or_default().trim_end();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        let name = serde_json::from_str(name).unwrap_or_else(|_| name.to_string());
        if seen.insert(name.clone()) {
            names.push((name, line));
        }
    }
    Ok(names)
}

/// A name as it stands on a list.
pub fn written(name: &str) -> Cow<'_, str> {
    let is_plain = !name.is_empty() && name == name.trim() && !name.starts_with(['#', '"']);
    if is_plain && !name.chars().any(terminal::is_hidden) {
        return name.into();
    }
    serde_json::to_string(name).expect("a text is JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Inputs, Names};
    use proptest::prelude::*;

    fn dataset() -> Dataset {
        Dataset {
            path: "photos".into(),
            sha256: String::new(),
            classes: vec!["a".into(), "b".into()],
            labels: vec![0, 1, 1],
            shape: InputShape(vec![1]),
            range: None,
            inputs: Inputs::Bytes(vec![10, 20, 30]),
            names: Names::Files(vec!["a/1.png".into(), "b/1.png".into(), "b/2.png".into()]),
            table: None,
            portions: None,
            groups: None,
            depth: None,
        }
    }

    fn list(text: &str) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.tsv");
        std::fs::write(&path, text).unwrap();
        leave_out(dataset(), &path)
    }

    #[test]
    fn examples_on_the_list_are_left_out_with_all_that_belongs_to_them() {
        let kept = list("# found by hand\nb/1.png\tblurred\n\n").unwrap();
        assert_eq!((kept.labels.as_slice(), kept.classes.len()), (&[0, 1][..], 2));
        assert_eq!(kept.names, Names::Files(vec!["a/1.png".into(), "b/2.png".into()]));
        assert!(matches!(kept.inputs, Inputs::Bytes(values) if values == [10, 30]));
    }

    #[test]
    fn a_name_that_no_example_has_names_its_line() {
        let text = list("a/1.png\nb/7.png\n").unwrap_err().to_string();
        assert!(text.contains("list.tsv, line 2: no example of photos is called `b/7.png`"), "{text}");
    }

    #[test]
    fn a_list_of_everything_is_refused() {
        let text = list("a/1.png\nb/1.png\nb/2.png").unwrap_err().to_string();
        assert!(text.contains("leaves out every example"), "{text}");
    }

    proptest! {
        #[test]
        fn a_name_on_a_list_is_read_as_it_was(name in "([#\" a-z./\\\\]|\\PC|\t|\n|\r|\u{1b}|\u{2028}){1,12}") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("list.tsv");
            std::fs::write(&path, format!("# A list\n{}\ta remark\n", written(&name))).unwrap();
            prop_assert_eq!(names(&path).unwrap(), [(name, 2)]);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[ab/12.png\\t\\n# ]{0,60}") {
            let _ = list(&text);
        }
    }
}
