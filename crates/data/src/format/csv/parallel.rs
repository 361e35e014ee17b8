//! Parallel parsing: one thread reads, all cores parse, and the results are joined in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk_reader::ChunkReader;
use super::chunks::Chunk;
use super::layout::Layout;
use super::parse::Parsed;
use crate::error::Result;

/// Parses all rows after the header.
///
/// # Errors
/// The first read error or row that does not match the layout.
pub fn parse(reader: ChunkReader, layout: &Layout) -> Result<Parsed> {
    let mut all = Parsed::of(layout);
    parse_each(reader, layout, &mut |part| {
        match all.seen {
            0 => all = part,
            _ => all.append(part, layout),
        }
        Ok(())
    })?;
    Ok(all)
}

/// Parses all rows after the header in parts, which `take` gets in their order.
///
/// # Errors
/// As for [`parse`], and those of `take`.
pub fn parse_each(
    mut reader: ChunkReader,
    layout: &Layout,
    take: &mut dyn FnMut(Parsed) -> Result<()>,
) -> Result<()> {
    reader.set_layout(layout);
    let path = reader.path().to_path_buf();
    let mut chunks = reader.peekable();
    if let Some(beginning) = chunks.next() {
        take(Parsed::chunk(&path, &beginning?, layout)?)?;
    }
    if chunks.peek().is_some() {
        parse_on_all_cores(&path, chunks, layout, take)?;
    }
    Ok(())
}

/// The maximum number of chunks read ahead, and of parsed ones, which bounds memory.
const MAX_QUEUED: usize = 8;

fn parse_on_all_cores(
    path: &Path,
    chunks: impl Iterator<Item = Result<Chunk>> + Send,
    layout: &Layout,
    take: &mut dyn FnMut(Parsed) -> Result<()>,
) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (to_parse, unparsed) = sync_channel(MAX_QUEUED);
    // Dropped with the last parser thread, which stops reading.
    let unparsed = Arc::new(Mutex::new(unparsed));
    let (to_join, parsed) = sync_channel(MAX_QUEUED);
    std::thread::scope(|scope| {
        scope.spawn(move || chunks.enumerate().try_for_each(|chunk| to_parse.send(chunk)));
        for _ in 0..cores {
            let (unparsed, to_join) = (Arc::clone(&unparsed), to_join.clone());
            scope.spawn(move || {
                while let Some((index, chunk)) = next(&unparsed) {
                    let parsed = chunk.and_then(|chunk: Chunk| Parsed::chunk(path, &chunk, layout));
                    if to_join.send((index, parsed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop((unparsed, to_join));
        let mut waiting = BTreeMap::new();
        let mut awaited = 0;
        for (index, part) in parsed {
            waiting.insert(index, part);
            while let Some(part) = waiting.remove(&awaited) {
                take(part?)?;
                awaited += 1;
            }
        }
        Ok(())
    })
}

/// Receives the next item of a shared channel; `None` when it is closed.
fn next<T>(shared: &Mutex<Receiver<T>>) -> Option<T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
