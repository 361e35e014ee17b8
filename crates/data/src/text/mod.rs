//! Text files: encodings, raw mails and HTML.

mod encoding;
mod html;
mod mail;

pub use encoding::{Encoding, decode};
pub use mail::is_mail;

/// The text of a file: of a raw mail, subject and body; of any other file, its contents. Also returns the encoding, which for a mail
/// is that of its parts.
pub fn of_file(bytes: &[u8]) -> (String, Encoding) {
    if is_mail(bytes)
        && let Some(text) = mail::text(bytes)
    {
        return (text, Encoding::Utf8);
    }
    decode(bytes)
}
