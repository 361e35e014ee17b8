//! Raw mails.

use mailparse::{MailHeaderMap, ParsedMail};

use super::{decode, html};

/// The first bytes that decide whether a file is a mail.
const SAMPLE: usize = 8_192;

/// The fewest known fields in the header of a mail.
const FIELDS: usize = 2;

/// Fields of mail headers in lower case.
const KNOWN: [&str; 9] = [
    "received",
    "return-path",
    "message-id",
    "mime-version",
    "delivered-to",
    "from",
    "to",
    "subject",
    "date",
];

/// Whether a file is a raw mail: it starts with a header with at least two of the fields of mails.
pub fn is_mail(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE)]);
    let mut known = 0;
    for (number, line) in head.lines().enumerate() {
        // The separator of a mailbox.
        let is_separator = number == 0 && line.starts_with("From ");
        let is_continued = number > 0 && line.starts_with([' ', '\t']);
        if is_separator || is_continued {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { break };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            break;
        }
        known += usize::from(KNOWN.contains(&name.to_ascii_lowercase().as_str()));
    }
    known >= FIELDS
}

/// Subject and body of a mail; none if it cannot be parsed. Other fields, which often tell more about the mailbox than about the mail,
/// and attachments are left out. Of alternatives, the plain text is used.
pub fn text(bytes: &[u8]) -> Option<String> {
    let start = match bytes.starts_with(b"From ") {
        true => bytes.iter().position(|byte| *byte == b'\n')? + 1,
        false => 0,
    };
    let mail = mailparse::parse_mail(&bytes[start..]).ok()?;
    let subject = mail.headers.get_first_value("Subject").unwrap_or_default();
    let mut text = subject;
    add_body(&mail, &mut text, 0);
    Some(text)
}

/// The deepest nesting of parts.
const DEEPEST: usize = 16;

fn add_body(part: &ParsedMail, text: &mut String, depth: usize) {
    let kind = part.ctype.mimetype.as_str();
    if !part.subparts.is_empty() {
        let is_plain = |part: &&ParsedMail| part.ctype.mimetype == "text/plain";
        match part.subparts.iter().find(is_plain).filter(|_| kind == "multipart/alternative") {
            Some(plain) => add_body(plain, text, depth + 1),
            None if depth < DEEPEST => part.subparts.iter().for_each(|part| add_body(part, text, depth + 1)),
            None => {}
        }
        return;
    }
    if !kind.starts_with("text/") {
        return;
    }
    let body = match part.get_body() {
        Ok(body) => body,
        // An unknown character set or a damaged transfer encoding.
        Err(_) => decode(&part.get_body_raw().unwrap_or_default()).0,
    };
    text.push_str("\n\n");
    text.push_str(&if kind == "text/html" { html::text(&body) } else { body });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIL: &[u8] = b"From ann@example.org  Thu Aug 22 12:36:23 2002\nReceived: from a\n\tby b\nSubject: =?utf-8?q?Caf=C3=A9?=\n\
        Content-Type: multipart/alternative; boundary=X\n\n--X\nContent-Type: text/plain; charset=iso-8859-1\n\
        Content-Transfer-Encoding: quoted-printable\n\nCr=E8me =3D 5\n--X\nContent-Type: text/html\n\n<b>other</b>\n--X--\n";

    #[test]
    fn a_mail_is_its_subject_and_its_text() {
        assert!(is_mail(MAIL));
        let text = text(MAIL).unwrap();
        assert!(text.starts_with("Café\n\nCrème = 5"), "{text}");
        assert!(!text.contains("other") && !text.contains("Received"), "{text}");
    }

    #[test]
    fn html_and_base64_are_decoded_and_attachments_left_out() {
        let mail = b"From: a@b.c\nTo: d@e.f\nContent-Type: multipart/mixed; boundary=X\n\n--X\nContent-Type: text/html\n\
            Content-Transfer-Encoding: base64\n\nPHA+aGk8L3A+\n--X\nContent-Type: application/pdf\n\nsecret\n--X--\n";
        let text = text(mail).unwrap();
        assert_eq!(text.trim(), "hi");
    }

    #[test]
    fn other_texts_are_no_mails() {
        for text in [
            "",
            "Subject: one field alone",
            "Dear all,\n\nFrom: x\nTo: y\n",
            "Note: this\nis: not\none: mail",
        ] {
            assert!(!is_mail(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn damaged_mails_are_no_panic(cut in 0..MAIL.len(), at in 0..MAIL.len(), byte: u8) {
            let mut mail = MAIL.to_vec();
            mail[at] = byte;
            text(&mail[..cut]);
        }
    }
}
