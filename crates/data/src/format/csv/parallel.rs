//! A text is parsed while it is read: one thread reads, all cores parse, and what they find is joined in the order of the text.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::layout::Layout;
use super::parse::Parsed;
use super::pieces::Piece;
use super::reading::Reading;
use crate::error::Result;

/// Parses all rows behind the header.
///
/// # Errors
/// A file that cannot be read further, and rows that do not fit the layout: what comes first.
pub fn parse(mut reading: Reading, layout: &Layout) -> Result<Parsed> {
    reading.settle(layout.delimiter);
    let path = reading.path().to_path_buf();
    let mut pieces = reading.peekable();
    let mut all = match pieces.next() {
        Some(beginning) => Parsed::piece(&path, &beginning?, layout)?,
        None => Parsed::of(layout),
    };
    if pieces.peek().is_some() {
        parse_on_all_cores(&path, pieces, layout, &mut all)?;
    }
    Ok(all)
}

/// Pieces that may be read before they are parsed: so much of the text is in memory.
const AHEAD: usize = 8;

fn parse_on_all_cores(
    path: &Path,
    pieces: impl Iterator<Item = Result<Piece>> + Send,
    layout: &Layout,
    all: &mut Parsed,
) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (to_parse, unparsed) = sync_channel(AHEAD);
    // Gone with the last that parses, and reading ends.
    let unparsed = Arc::new(Mutex::new(unparsed));
    let (to_join, parsed) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || pieces.enumerate().try_for_each(|piece| to_parse.send(piece)));
        for _ in 0..cores {
            let (unparsed, to_join) = (Arc::clone(&unparsed), to_join.clone());
            scope.spawn(move || {
                while let Some((place, piece)) = take(&unparsed) {
                    let parsed = piece.and_then(|piece: Piece| Parsed::piece(path, &piece, layout));
                    if to_join.send((place, parsed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop((unparsed, to_join));
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (place, part) in parsed {
            early.insert(place, part);
            while let Some(part) = early.remove(&next) {
                all.append(part?, layout);
                next += 1;
            }
        }
        Ok(())
    })
}

/// The next of what several threads share; none when there will be no more.
fn take<T>(shared: &Mutex<Receiver<T>>) -> Option<T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
