//! Splits a stream of text into chunks at row ends.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::text::{self, BYTE_ORDER_MARK};
use crate::error::{Error, Location};

/// The maximum row length, to bound memory for files without line ends.
const MAX_ROW_LENGTH: usize = 1 << 26;

/// Complete rows of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The number of the first line, from 1.
    pub first_line: u64,
    /// The text.
    pub text: Vec<u8>,
    /// The number of line ends.
    pub line_ends: u64,
}

/// Why a text cannot be read on.
#[derive(Debug)]
pub(crate) enum ReadFault {
    /// The line, and the problem.
    At(u64, String),
    /// An error of the source, which names the place.
    Known(Error),
}

impl ReadFault {
    /// The error for a file.
    pub fn of(self, path: &Path) -> Error {
        match self {
            ReadFault::At(line, problem) => Error::data(Location::line(path, line), problem),
            ReadFault::Known(error) => error,
        }
    }
}

/// A problem of a text whose line is not known yet, or an error that names the place.
type Problem = Result<String, Error>;

/// An iterator over chunks of complete rows, or the fault that ends the text.
pub(crate) struct Chunks {
    source: Box<dyn Read + Send>,
    /// The number of bytes per read.
    read_size: usize,
    buffer: Vec<u8>,
    /// The number of scanned bytes.
    scanned: usize,
    /// The number of bytes in complete rows.
    complete: usize,
    /// The number of bytes with normalized line ends.
    normalized: usize,
    /// Whether the beginning, with a possible byte order mark, was processed.
    is_started: bool,
    /// The line number of the buffer's start.
    line: u64,
    quotes: Quotes,
    /// The end of the text or a read error, once reached.
    end: Option<Result<(), Problem>>,
}

impl Chunks {
    /// Splits `source` into chunks, reading `read_size` bytes at a time, with one of these delimiters. It begins
    /// at line `first_line`.
    pub fn new(source: Box<dyn Read + Send>, read_size: usize, delimiters: &[u8], first_line: u64) -> Self {
        let states = delimiters.iter().map(|delimiter| (*delimiter, CellState::Start)).collect();
        Chunks {
            source,
            read_size,
            buffer: Vec::new(),
            scanned: 0,
            complete: 0,
            normalized: 0,
            is_started: false,
            line: first_line,
            quotes: Quotes { states },
            end: None,
        }
    }

    /// Sets the delimiter once it is known.
    pub(crate) fn set_delimiter(&mut self, delimiter: u8) {
        self.quotes.states.retain(|(candidate, _)| *candidate == delimiter);
    }

    /// Reads more bytes.
    fn read(&mut self) {
        let start = self.buffer.len();
        self.buffer.resize(start + self.read_size, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[start..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.end = Some(Ok(())),
            Ok(_) => {}
            Err(error) => {
                let problem = error.downcast::<Error>();
                self.end = Some(Err(match problem {
                    Ok(known) => Err(known),
                    Err(error) => Ok(format!("cannot read the file: {error}")),
                }));
            }
        }
        let is_binary = if self.is_started { None } else { text::binary(&self.buffer) };
        if let Some(kind) = is_binary {
            (self.buffer, self.normalized) = (Vec::new(), 0);
            self.end = Some(Err(Ok(kind)));
        } else if let Some(at) = memchr::memchr(0, &self.buffer[start..]) {
            self.buffer.truncate(start + at);
            self.end = Some(Err(Ok(text::NUL.to_string())));
        }
        self.normalized += normalize_line_ends(&mut self.buffer[self.normalized..], self.end.is_some());
        self.scan();
        if self.end.is_none() && self.buffer.len() - self.complete > MAX_ROW_LENGTH {
            let problem =
                "the row is longer than 64 MiB; a line end is missing, or a quotation mark is not closed";
            self.end = Some(Err(Ok(problem.to_string())));
        }
    }

    /// Determines how many bytes are complete rows.
    fn scan(&mut self) {
        if !self.is_started {
            if self.end.is_none() && self.buffer.len() < BYTE_ORDER_MARK.len() {
                return;
            }
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
                self.normalized -= BYTE_ORDER_MARK.len();
            }
            self.is_started = true;
        }
        if let Some(end) = self.quotes.last_end(&self.buffer[self.scanned..]) {
            self.complete = self.scanned + end;
        }
        // The last row may lack a line end, but a row cut off by a read error is incomplete.
        if let Some(Ok(())) = self.end {
            self.complete = self.buffer.len();
        }
        self.scanned = self.buffer.len();
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk, ReadFault>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.complete == 0 {
            match &mut self.end {
                None => self.read(),
                Some(end) => {
                    let problem = std::mem::replace(end, Ok(())).err()?;
                    let ends = memchr::memchr_iter(b'\n', &self.buffer).count();
                    return Some(Err(match problem {
                        Ok(problem) => ReadFault::At(self.line + ends as u64, problem),
                        Err(known) => ReadFault::Known(known),
                    }));
                }
            }
        }
        let rest = self.buffer.split_off(self.complete);
        let text = std::mem::replace(&mut self.buffer, rest);
        self.scanned -= self.complete;
        self.normalized -= self.complete;
        self.complete = 0;
        let (first_line, line_ends) = (self.line, memchr::memchr_iter(b'\n', &text).count() as u64);
        self.line += line_ends;
        Some(Ok(Chunk { first_line, text, line_ends }))
    }
}

/// Replaces carriage returns that end lines alone, as on old Macs, by line feeds. Returns the number of
/// processed bytes: a line feed may still follow a final carriage return.
fn normalize_line_ends(text: &mut [u8], is_all: bool) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\r', &text[from..]).map(|at| from + at) {
        let after = text[at..].iter().position(|byte| *byte != b'\r').map(|count| at + count);
        let end = after.unwrap_or(text.len());
        match after {
            None if !is_all => return at,
            Some(after) if text[after] == b'\n' => {}
            _ => text[at..end].fill(b'\n'),
        }
        from = end;
    }
    text.len()
}

/// Tracks whether a line end ends a row or is within a quoted cell, with the rules of the csv crate, which
/// parses the rows. While the delimiter is unknown, only line ends that end a row with every candidate count.
struct Quotes {
    /// Each candidate delimiter with its state.
    states: Vec<(u8, CellState)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellState {
    /// At the start of a cell.
    Start,
    /// In an unquoted cell.
    Plain,
    /// In a quoted cell.
    Quoted,
    /// After a quotation mark in a quoted cell: the closing one, or the first of an escaped pair.
    Mark,
}

impl CellState {
    fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (CellState::Quoted, b'"') => CellState::Mark,
            (CellState::Quoted, _) | (CellState::Mark | CellState::Start, b'"') => CellState::Quoted,
            (_, b'\n' | b'\r') => CellState::Start,
            (_, byte) if byte == delimiter => CellState::Start,
            _ => CellState::Plain,
        }
    }
}

impl Quotes {
    /// Processes `text` and returns the position after the last row end.
    fn last_end(&mut self, text: &[u8]) -> Option<usize> {
        let is_plain = |(_, state): &(u8, CellState)| matches!(state, CellState::Start | CellState::Plain);
        if self.states.iter().all(is_plain) && memchr::memchr(b'"', text).is_none() {
            let last = *text.last()?;
            self.states.iter_mut().for_each(|(delimiter, state)| *state = state.after(last, *delimiter));
            return memchr::memrchr(b'\n', text).map(|at| at + 1);
        }
        let mut end = None;
        for (at, byte) in text.iter().enumerate() {
            for (delimiter, state) in &mut self.states {
                *state = state.after(*byte, *delimiter);
            }
            if *byte == b'\n' && self.states.iter().all(|(_, state)| *state == CellState::Start) {
                end = Some(at + 1);
            }
        }
        end
    }
}
