//! Reads tables of users and of items, which are joined with a table of choices.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::{column_choices, header_of, read_with_hashed_texts};
use crate::cell::is_missing;
use crate::column::{Column, ColumnKind};
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, quoted};
use crate::format::options::DataOptions;
use crate::joined::JoinedTable;
use crate::{Dataset, Inputs, TaskKind, sha256, sorted_classes};

/// The options of a table of choices: those that select columns are for the tables that are joined with it.
pub(super) fn of_choices(options: &DataOptions) -> DataOptions {
    match has_tables(options) {
        true => DataOptions { keep: None, ignore: None, ..options.clone() },
        false => options.clone(),
    }
}

fn has_tables(options: &DataOptions) -> bool {
    options.user_table.is_some() || options.item_table.is_some()
}

/// Joins choices with the tables of the options: their users and items are also those of the tables.
///
/// # Errors
/// Tables that cannot be read, or that have none of the users or items.
pub(super) fn join(mut dataset: Dataset, options: &DataOptions) -> Result<Dataset> {
    if !has_tables(options) {
        return Ok(dataset);
    }
    check_choices(&dataset, options)?;
    let mut hashes = dataset.sha256.clone();
    for (place, file) in [&options.user_table, &options.item_table].into_iter().enumerate() {
        let Some(file) = file else { continue };
        let (Some(table), Inputs::Floats(values)) = (&mut dataset.table, &mut dataset.inputs) else {
            continue;
        };
        if table.header.is_none() {
            let problem = "the table has no header, and the columns of users and items must have the same name as in the tables of users and items; add one";
            return Err(Error::data(dataset.path.as_path(), problem));
        }
        let column = &mut table.columns[place];
        let joined = read_joined(file, &column.name, options)?;
        report(&joined, column, &dataset.path)?;
        let new = add_names(column, &joined);
        for value in values.iter_mut().skip(place).step_by(2) {
            *value = new[*value as usize] as f32;
        }
        hashes += &joined.rows.sha256;
        dataset.choices.tables[place] = Some(Arc::new(joined));
    }
    dataset.sha256 = sha256(hashes.as_bytes());
    Ok(dataset)
}

/// Reads the table at `path`, whose column `key` has the names of users or items.
///
/// # Errors
/// A file that cannot be read, or without this column, and a name that is missing or occurs twice.
fn read_joined(path: &Path, key: &str, options: &DataOptions) -> Result<JoinedTable> {
    let names = header_of(path)?;
    // Any text is a label of several, unlike a class.
    let reading = DataOptions {
        label: ColumnChoice::Name(key.to_string()),
        task: Some(TaskKind::Multilabel),
        missing: options.missing,
        column_types: options.column_types,
        max_memory: options.max_memory,
        keep: among(options.keep.as_deref(), &names)?,
        ignore: among(options.ignore.as_deref(), &names)?,
        ..DataOptions::default()
    };
    let table = read_with_hashed_texts(path, &reading)?;
    let mut row_of = HashMap::with_capacity(table.labels.len());
    for (row, label) in table.labels.iter().enumerate() {
        let name = &table.label_texts[*label as usize];
        if is_missing(name.as_bytes()) {
            let problem =
                format!("the row has no name in column {}; fill it in or remove the row", quoted(key));
            return Err(Error::data(table.location(row), problem));
        }
        if let Some(first) = row_of.insert(name.clone(), row) {
            let first = table.location(first);
            let problem = format!("{} has a row already: {first}; remove one of them", quoted(name));
            return Err(Error::data(table.location(row), problem));
        }
    }
    Ok(JoinedTable::new(table.into_features(), row_of))
}

/// Refuses options with columns that no table has.
fn check_choices(dataset: &Dataset, options: &DataOptions) -> Result<()> {
    let mut names: HashSet<String> =
        dataset.table.iter().flat_map(|table| table.header.iter().flatten().cloned()).collect();
    for file in [&options.user_table, &options.item_table].into_iter().flatten() {
        names.extend(header_of(file)?);
    }
    for (option, chosen) in [("--keep", &options.keep), ("--ignore", &options.ignore)] {
        for choice in chosen.as_deref().map(column_choices).transpose()?.unwrap_or_default() {
            let is_known = matches!(&choice, ColumnChoice::Name(name) if names.contains(name));
            if !is_known {
                let problem = format!(
                    "{option} {choice}: no table has a column of this name; with --user-table or --item-table, columns are selected by name"
                );
                return Err(Error::Usage(problem));
            }
        }
    }
    Ok(())
}

/// Those of the columns of an option that are among these names.
fn among(chosen: Option<&str>, names: &[String]) -> Result<Option<String>> {
    let chosen = chosen.map(column_choices).transpose()?.unwrap_or_default();
    let own = chosen.iter().map(ColumnChoice::to_string).filter(|name| names.contains(name));
    let own = own.collect::<Vec<_>>().join(",");
    Ok((!own.is_empty()).then_some(own))
}

/// Says how many users or items of the choices have no row, and how many rows have no choice.
///
/// # Errors
/// A table with a row for none of them.
fn report(joined: &JoinedTable, column: &Column, choices: &Path) -> Result<()> {
    let ColumnKind::Code { categories, .. } = &column.kind else { return Ok(()) };
    let known = categories.iter().filter(|name| joined.row(name).is_some()).count();
    let (path, all, name) = (joined.path(), categories.len(), quoted(&column.name));
    if known == 0 {
        let problem = format!(
            "none of the {all} values of column {name} of {} has a row; the column must have the same values in both tables",
            choices.display()
        );
        return Err(Error::data(Location::from(path.as_path()), problem));
    }
    if known < all {
        tracing::warn!(
            "{}: {} of the {all} values of column {name} of {} have no row, so nothing but their choices is known of them",
            path.display(),
            all - known,
            choices.display()
        );
    }
    let others = joined.names().count() - known;
    if others > 0 {
        tracing::info!("{}: {others} row(s) of column {name} have no choice", path.display());
    }
    Ok(())
}

/// Adds the names of a table to the categories of a column. Returns the new index of each category.
fn add_names(column: &mut Column, joined: &JoinedTable) -> Vec<usize> {
    let ColumnKind::Code { categories, .. } = &mut column.kind else { return Vec::new() };
    let known: HashSet<&String> = categories.iter().collect();
    let new = joined.names().filter(|name| !known.contains(name)).cloned();
    let all = sorted_classes(categories.iter().cloned().chain(new).collect());
    let places: HashMap<&String, usize> = all.iter().enumerate().map(|(place, name)| (name, place)).collect();
    let new = categories.iter().map(|name| places[name]).collect::<Vec<usize>>();
    *categories = all;
    new
}

#[cfg(test)]
mod tests;
