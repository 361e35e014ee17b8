//! Event files: TFRecord frames around `Event` messages (tensorflow/core/lib/io/record_writer.h, tensorboard/compat/proto/event.proto).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::export::proto::Message;
use crate::run::EVENT_FILE;

/// An event file, open for appending.
#[derive(Debug)]
pub(super) struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Creates a file in a folder, named by its creation time. TensorBoard reads the files of a folder in the order of
    /// their names.
    pub fn create(folder: &Path) -> Result<Self> {
        let (seconds, process) = (now() as u64, std::process::id());
        for number in 0u64.. {
            let path = folder.join(format!("{EVENT_FILE}{seconds:010}.cresset.{process}.{number}"));
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut events = EventFile { file, path };
                    events.write(Message::new().text(FILE_VERSION, "brain.Event:2"))?;
                    return Ok(events);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io("create", &path)(error)),
            }
        }
        unreachable!("the numbers do not end")
    }

    /// Discards the events of this step and later ones in earlier files: a resumed run repeats them.
    pub fn restart(&mut self, step: i64) -> Result<()> {
        const START: i64 = 1;
        let log = Message::new().int(1, START);
        self.write(Message::new().int(STEP, step).message(SESSION_LOG, &log))
    }

    /// Appends `Summary.Value` messages for one step.
    pub fn add(&mut self, step: i64, values: impl IntoIterator<Item = Message>) -> Result<()> {
        let summary = Message::new().messages(1, values);
        self.write(Message::new().int(STEP, step).message(SUMMARY, &summary))
    }

    fn write(&mut self, event: Message) -> Result<()> {
        let event = Message::new().double(WALL_TIME, now()).and(event);
        self.file.write_all(&frame(&event.into_bytes())).map_err(Error::io("write", &self.path))
    }
}

// The fields of `Event`.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SESSION_LOG: u64 = 7;

/// Seconds since the Unix epoch.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0., |time| time.as_secs_f64())
}

/// A record: length, CRC of the length, data, CRC of the data.
fn frame(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let mut frame = length.to_vec();
    frame.extend(masked_crc(&length).to_le_bytes());
    frame.extend(record);
    frame.extend(masked_crc(record).to_le_bytes());
    frame
}

/// The masked CRC-32C of TFRecord, so that the checksum of data which contains checksums differs from them.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that the writer in `tensorboard.compat.tensorflow_stub` writes for the record `event`.
    #[test]
    fn a_frame_is_that_of_tensorboards_writer() {
        let written = [
            5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e, b'e', b'v', b'e', b'n', b't', 0xe5, 0x69, 0x0b,
            0xf6,
        ];
        assert_eq!(frame(b"event"), written);
    }
}
