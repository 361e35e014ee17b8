//! Example lists, as written by users and `cresset data clean`: one name per line, as in `split.csv`. Text
//! after a tab and lines that begin with `#` are comments. A name with special characters is written as a
//! JSON string, such as `"a
//! b.png"`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::Dataset;
use crate::error::{Error, Location, Result, quoted};
use crate::terminal;

/// Removes the examples in a list from the data set.
///
/// # Errors
/// A list that cannot be read, contains an unknown name, or contains every example.
pub fn exclude(dataset: Dataset, list: &Path) -> Result<Dataset> {
    let excluded = read(&dataset, list)?;
    let kept: Vec<usize> = (0..dataset.rows()).filter(|index| !excluded.contains(index)).collect();
    if kept.is_empty() {
        return Err(Error::data(list, "the list excludes every example of the data"));
    }
    tracing::info!(list = %list.display(), excluded = excluded.len(), kept = kept.len(), "excluded examples");
    Ok(dataset.select(&kept))
}

/// Reads the indexes of the examples in a list.
///
/// # Errors
/// A list that cannot be read or that contains an unknown name.
pub fn read(dataset: &Dataset, list: &Path) -> Result<HashSet<usize>> {
    let index_of = dataset.names.indexes();
    let index = |(name, line): (String, u64)| {
        index_of.get(&name).copied().ok_or_else(|| {
            let problem = format!(
                "no example named {} in {}; example names are {}, …",
                quoted(&name),
                dataset.path.display(),
                quoted(&dataset.names.name(0))
            );
            Error::data(Location::line(list, line), problem)
        })
    };
    names(list)?.into_iter().map(index).collect()
}

/// Reads the distinct names in a list, each with the first line that contains it.
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

/// Formats a name for a list.
pub fn written(name: &str) -> Cow<'_, str> {
    let is_plain = !name.is_empty() && name == name.trim() && !name.starts_with(['#', '"']);
    if is_plain && !name.chars().any(terminal::is_hidden) {
        return name.into();
    }
    serde_json::to_string(name).expect("a string is valid JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Decoding;
    use crate::{InputShape, Inputs, Names};
    use proptest::prelude::*;

    fn dataset() -> Dataset {
        Dataset {
            path: "photos".into(),
            sha256: String::new(),
            classes: vec!["a".into(), "b".into()],
            labels: vec![0, 1, 1],
            targets: crate::Targets::Classes,
            shape: InputShape(vec![1]),
            range: None,
            inputs: Inputs::Bytes(vec![10, 20, 30]),
            names: Names::Files(vec!["a/1.png".into(), "b/1.png".into(), "b/2.png".into()]),
            table: None,
            portions: None,
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        }
    }

    fn list(text: &str) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.tsv");
        std::fs::write(&path, text).unwrap();
        exclude(dataset(), &path)
    }

    #[test]
    fn listed_examples_are_removed_with_all_their_data() {
        let kept = list("# found by hand\nb/1.png\tblurred\n\n").unwrap();
        assert_eq!((kept.labels.as_slice(), kept.classes.len()), (&[0, 1][..], 2));
        assert_eq!(kept.names, Names::Files(vec!["a/1.png".into(), "b/2.png".into()]));
        assert!(matches!(kept.inputs, Inputs::Bytes(values) if values == [10, 30]));
    }

    #[test]
    fn an_unknown_name_is_reported_with_its_line() {
        let text = list("a/1.png\nb/7.png\n").unwrap_err().to_string();
        assert!(text.contains("list.tsv, line 2: no example named `b/7.png` in photos"), "{text}");
    }

    #[test]
    fn a_list_of_everything_is_refused() {
        let text = list("a/1.png\nb/1.png\nb/2.png").unwrap_err().to_string();
        assert!(text.contains("excludes every example"), "{text}");
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
