//! The texts that token ids were read from.

use std::collections::HashMap;
use std::path::PathBuf;

use tch::{Kind, Tensor};

use crate::data::TableLayout;
use crate::data::column_choice::ColumnChoice;
use crate::data::format::csv::{TextColumn, read_column};
use crate::data::text;
use crate::error::{Error, Location, Result};

/// Reads texts of a model that takes one text, a table once.
pub struct TextReader<'a> {
    layout: &'a TableLayout,
    columns: HashMap<PathBuf, TextColumn>,
}

impl<'a> TextReader<'a> {
    /// A reader for a model with this layout.
    pub fn new(layout: &'a TableLayout) -> Self {
        TextReader { layout, columns: HashMap::new() }
    }

    /// The text at a place, a file or a row of a table, with these token ids (1, …). None if the model takes several texts, or the text
    /// there has other ids.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn text(&mut self, location: &Location, ids: &Tensor) -> Result<Option<String>> {
        let Some((tokenization, length)) = self.layout.only_text() else { return Ok(None) };
        let Some(text) = self.read(location)? else { return Ok(None) };
        let found = tokenization.features(&text, length).map_err(Error::Usage)?;
        let ids =
            Vec::<f32>::try_from(ids.to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous().view(-1))?;
        // The ids may have less padding.
        let is_same =
            found.iter().zip(&ids).all(|(a, b)| a == b) && found.iter().skip(ids.len()).all(|id| *id == 0.);
        Ok(is_same.then_some(text))
    }

    fn read(&mut self, location: &Location) -> Result<Option<String>> {
        let Some(line) = location.line else {
            let bytes = std::fs::read(&location.path).map_err(Error::io("read", &location.path))?;
            return Ok(Some(text::of_file(&bytes).0));
        };
        if !self.columns.contains_key(&location.path) {
            let column = &self.layout.columns[0];
            let name = ColumnChoice::Name(column.name.clone());
            let read = read_column(&location.path, &name, line)
                .or_else(|_| read_column(&location.path, &ColumnChoice::Number(column.position + 1), line));
            // A table of texts alone may have fewer columns than the training data.
            let read = read.or_else(|_| read_column(&location.path, &ColumnChoice::First, line))?;
            self.columns.insert(location.path.clone(), read);
        }
        Ok(self.columns[&location.path].cells.get(&line).cloned())
    }
}
