//! A client of HTTP/1.1, small enough to send what no good client sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A connection that is kept for several requests.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn to(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        Connection { stream: BufReader::new(stream), host: format!("127.0.0.1:{port}") }
    }

    /// A new connection to the same server.
    pub fn again(&self) -> Self {
        let port = self.host.rsplit(':').next().and_then(|port| port.parse().ok());
        Connection::to(port.expect("a port"))
    }

    /// Sends a request. A header `Host` takes the place of the usual one.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("Host: {}\r\n", self.host);
        }
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        let is_framed = |(name, _): &(&str, &str)| matches!(*name, "Content-Length" | "Transfer-Encoding");
        if method != "GET" && !headers.iter().any(is_framed) {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        self.raw(&[text.as_bytes(), b"\r\n", body].concat());
    }

    /// Sends bytes as they are. A server that has closed the connection is found out by the answer.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// The next answer; none if the connection is closed before it begins.
    pub fn receive(&mut self) -> Option<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let status = line.split(' ').nth(1).expect("a status").parse().expect("a number");
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a head that ends");
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_string())),
                None => break,
            }
        }
        let header =
            |name: &str| headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let body = match header("content-length") {
            Some(length) => self.bytes(length.parse().expect("a number")),
            None if header("transfer-encoding") == Some("chunked") => self.chunks(),
            None => panic!("an answer without a length: {status} {headers:?}"),
        };
        Some(Reply { status, headers, body })
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).expect("the body");
        bytes
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a chunk");
            let length = usize::from_str_radix(line.trim(), 16).expect("its length");
            body.extend(self.bytes(length));
            assert_eq!(self.bytes(2), b"\r\n");
            if length == 0 {
                return body;
            }
        }
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(method, path, headers, body);
        self.receive().expect("an answer")
    }

    /// Posts JSON.
    pub fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// What is wrong, by an answer that must have this status and say so in JSON.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        let message = self.json()["error"]["message"].as_str().expect("a message").to_string();
        assert!(
            !message.is_empty() && !message.contains("panicked") && !message.contains("frame #"),
            "{message}"
        );
        message
    }

    /// The value, of an answer that must be a good one.
    pub fn granted(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

/// The content type of [`form`].
pub const FORM: &str = "multipart/form-data; boundary=------------------------d74496d66958873e";

/// The body that `curl -F file=@NAME` sends.
pub fn form(name: &str, file: &[u8]) -> Vec<u8> {
    let boundary = "--------------------------d74496d66958873e";
    let kind = if name.ends_with(".png") { "image/png" } else { "application/octet-stream" };
    let head = format!(
        "{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
    );
    [head.as_bytes(), file, format!("\r\n{boundary}--\r\n").as_bytes()].concat()
}
