//! A text that comes in by and by, cut where rows end.

use std::io::{ErrorKind, Read};

use super::text::{self, BYTE_ORDER_MARK};

/// The longest row, so that a file without line ends does not fill the memory.
const LONGEST_ROW: usize = 1 << 26;

/// Some whole rows of a text.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// The number of its first line, from 1.
    pub first_line: u64,
    /// Its text.
    pub text: Vec<u8>,
    /// The number of its line ends.
    pub line_ends: u64,
}

/// The whole rows of a text as they come in; or the line at which the text cannot be read further, and why.
pub struct Pieces {
    source: Box<dyn Read + Send>,
    /// Bytes that are read at once, if so many are there.
    at_once: usize,
    buffer: Vec<u8>,
    /// The bytes of the buffer that were looked through.
    scanned: usize,
    /// The bytes of the buffer that are whole rows.
    whole: usize,
    /// The bytes of the buffer whose line ends are line feeds.
    ended: usize,
    /// Whether the beginning was seen, where a byte order mark may stand.
    has_begun: bool,
    /// The number of the buffer's first line.
    line: u64,
    quotes: Quotes,
    /// The end of the text, once it is known, and why it cannot be read further, if so.
    end: Option<std::result::Result<(), String>>,
}

impl Pieces {
    /// The rows of what comes from `source`, up to `at_once` bytes of it together, with one of these delimiters.
    pub fn new(source: Box<dyn Read + Send>, at_once: usize, delimiters: &[u8]) -> Self {
        let states = delimiters.iter().map(|delimiter| (*delimiter, Within::Start)).collect();
        Pieces {
            source,
            at_once,
            buffer: Vec::new(),
            scanned: 0,
            whole: 0,
            ended: 0,
            has_begun: false,
            line: 1,
            quotes: Quotes { states },
            end: None,
        }
    }

    /// Says which of the delimiters it is.
    pub fn settle(&mut self, delimiter: u8) {
        self.quotes.states.retain(|(candidate, _)| *candidate == delimiter);
    }

    /// Reads on.
    fn read(&mut self) {
        let start = self.buffer.len();
        self.buffer.resize(start + self.at_once, 0);
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
            Err(error) => self.end = Some(Err(format!("cannot read the file: {error}"))),
        }
        let is_binary = if self.has_begun { None } else { text::binary(&self.buffer) };
        if let Some(kind) = is_binary {
            (self.buffer, self.ended) = (Vec::new(), 0);
            self.end = Some(Err(kind));
        } else if let Some(at) = memchr::memchr(0, &self.buffer[start..]) {
            self.buffer.truncate(start + at);
            self.end = Some(Err(text::NUL.to_string()));
        }
        self.ended += end_lines(&mut self.buffer[self.ended..], self.end.is_some());
        self.scan();
        if self.end.is_none() && self.buffer.len() - self.whole > LONGEST_ROW {
            let problem =
                "the row is longer than 64 MiB; a line end is missing, or a quotation mark is not closed";
            self.end = Some(Err(problem.to_string()));
        }
    }

    /// Finds out how many of the bytes are whole rows.
    fn scan(&mut self) {
        if !self.has_begun {
            if self.end.is_none() && self.buffer.len() < BYTE_ORDER_MARK.len() {
                return;
            }
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.buffer.drain(..BYTE_ORDER_MARK.len());
                self.ended -= BYTE_ORDER_MARK.len();
            }
            self.has_begun = true;
        }
        if let Some(end) = self.quotes.last_end(&self.buffer[self.scanned..]) {
            self.whole = self.scanned + end;
        }
        // The last row of a text may lack its line end; that in which a text breaks off is not whole.
        if let Some(Ok(())) = self.end {
            self.whole = self.buffer.len();
        }
        self.scanned = self.buffer.len();
    }
}

impl Iterator for Pieces {
    type Item = std::result::Result<Piece, (u64, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.whole == 0 {
            match &mut self.end {
                None => self.read(),
                Some(end) => {
                    let problem = std::mem::replace(end, Ok(())).err()?;
                    let ends = memchr::memchr_iter(b'\n', &self.buffer).count();
                    return Some(Err((self.line + ends as u64, problem)));
                }
            }
        }
        let rest = self.buffer.split_off(self.whole);
        let text = std::mem::replace(&mut self.buffer, rest);
        self.scanned -= self.whole;
        self.ended -= self.whole;
        self.whole = 0;
        let (first_line, line_ends) = (self.line, memchr::memchr_iter(b'\n', &text).count() as u64);
        self.line += line_ends;
        Some(Ok(Piece { first_line, text, line_ends }))
    }
}

/// Makes line feeds of the carriage returns that end lines alone, as on old Macs, and gives the number of bytes for which that
/// is settled: a carriage return at the end may have a line feed behind it that has not come in yet.
fn end_lines(text: &mut [u8], is_all: bool) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\r', &text[from..]).map(|at| from + at) {
        let behind = text[at..].iter().position(|byte| *byte != b'\r').map(|count| at + count);
        let end = behind.unwrap_or(text.len());
        match behind {
            None if !is_all => return at,
            Some(behind) if text[behind] == b'\n' => {}
            _ => text[at..end].fill(b'\n'),
        }
        from = end;
    }
    text.len()
}

/// Whether a line end ends a row or stands within a quoted cell: the rules of the crate csv, which parses the rows. As long as
/// the delimiter is not known, only what ends a row with each of them counts.
struct Quotes {
    /// Each delimiter that it may be, and where the text stands with it.
    states: Vec<(u8, Within)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Where a cell begins.
    Start,
    /// In a cell without quotation marks around it.
    Plain,
    /// In a quoted cell.
    Quoted,
    /// Behind a quotation mark in a quoted cell: its last one, or the first of two that stand for one.
    Mark,
}

impl Within {
    fn behind(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Within::Quoted, b'"') => Within::Mark,
            (Within::Quoted, _) | (Within::Mark | Within::Start, b'"') => Within::Quoted,
            (_, b'\n' | b'\r') => Within::Start,
            (_, byte) if byte == delimiter => Within::Start,
            _ => Within::Plain,
        }
    }
}

impl Quotes {
    /// Goes on through `text`; gives the place behind the last line end that ends a row.
    fn last_end(&mut self, text: &[u8]) -> Option<usize> {
        let is_plain = |(_, within): &(u8, Within)| matches!(within, Within::Start | Within::Plain);
        if self.states.iter().all(is_plain) && memchr::memchr(b'"', text).is_none() {
            let last = *text.last()?;
            self.states.iter_mut().for_each(|(delimiter, within)| *within = within.behind(last, *delimiter));
            return memchr::memrchr(b'\n', text).map(|at| at + 1);
        }
        let mut end = None;
        for (at, byte) in text.iter().enumerate() {
            for (delimiter, within) in &mut self.states {
                *within = within.behind(*byte, *delimiter);
            }
            if *byte == b'\n' && self.states.iter().all(|(_, within)| *within == Within::Start) {
                end = Some(at + 1);
            }
        }
        end
    }
}
