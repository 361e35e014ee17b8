//! Examples that a user's list leaves out of the data.

use std::collections::HashMap;
use std::path::Path;

use super::Dataset;
use crate::error::{Error, Place, Result, quoted};

/// The data without the examples that a list names: a name a line, as `split.csv` shows names; what stands behind a
/// tab is a remark, and so is a line that begins with `#`.
///
/// # Errors
/// A list that cannot be read, a name that no example has, and a list of everything.
pub fn apply(dataset: Dataset, list: &Path) -> Result<Dataset> {
    let excluded = rows_named(&dataset, list)?;
    let kept: Vec<usize> = (0..dataset.rows()).filter(|row| !excluded.contains_key(row)).collect();
    if kept.is_empty() {
        return Err(Error::data(list, "the list leaves out every example of the data"));
    }
    tracing::info!(list = %list.display(), excluded = excluded.len(), kept = kept.len(), "left examples out");
    Ok(dataset.select(&kept))
}

/// The examples that a list names, each with its line.
fn rows_named(dataset: &Dataset, list: &Path) -> Result<HashMap<usize, u64>> {
    let text = std::fs::read_to_string(list)
        .map_err(|e| Error::data(list, format!("cannot read the list of examples: {e}")))?;
    let row_of: HashMap<String, usize> =
        (0..dataset.rows()).map(|row| (dataset.names.name(row), row)).collect();
    let mut rows = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let name = text.split('\t').next().unwrap_or_default().trim_end();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        let row = row_of.get(name).ok_or_else(|| {
            let problem = format!("no example of {} is called {}", dataset.path.display(), quoted(name));
            Error::data(Place::line(list, line), problem)
        })?;
        rows.insert(*row, line);
    }
    Ok(rows)
}
