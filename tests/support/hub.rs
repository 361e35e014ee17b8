//! A model hub on this machine: an endpoint, and a second server for the contents of large files, as the real one has.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

#[path = "hub_upload.rs"]
mod upload;

/// The commit of every model.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whether the second server received it.
    pub is_storage: bool,
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub range: Option<String>,
    pub body: Vec<u8>,
}

/// What the hub has, and how it misbehaves.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Contents by model and file name.
    pub files: Vec<(String, String, Vec<u8>)>,
    /// For each of the next downloads, the number of bytes after which the connection is closed.
    pub cuts: VecDeque<usize>,
    /// Whether the second server sends other bytes than announced.
    pub is_corrupt: bool,
    /// The status of the second server's answers, if they are errors.
    pub storage_status: Option<u16>,
    /// Files that were sent to the storage, by their SHA-256.
    pub stored: Vec<(String, Vec<u8>)>,
    /// The number of uploads to the storage that fail.
    pub refused_uploads: usize,
    /// All requests so far.
    pub requests: Vec<Request>,
}

/// The servers. They end with the test process.
pub struct Hub {
    port: u16,
    storage: u16,
    shelf: Arc<Mutex<Shelf>>,
}

impl Hub {
    /// Starts the servers with a model that has these files.
    pub fn start(model: &str, files: &[(&str, &[u8])]) -> Self {
        let entry = |(name, bytes): &(&str, &[u8])| (model.to_string(), name.to_string(), bytes.to_vec());
        let shelf = Shelf { files: files.iter().map(entry).collect(), ..Shelf::default() };
        let shelf = Arc::new(Mutex::new(shelf));
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, storage] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap().port());
        for (is_storage, listener) in [false, true].into_iter().zip(listeners) {
            let shelf = Arc::clone(&shelf);
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let shelf = Arc::clone(&shelf);
                    std::thread::spawn(move || answer(stream, is_storage, storage, &shelf));
                }
            });
        }
        Hub { port, storage, shelf }
    }

    /// The value of `HF_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The value of `TORCHVISION_ENDPOINT`.
    #[allow(dead_code, reason = "not every program of tests that includes this file needs it")]
    pub fn torchvision_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.storage)
    }

    /// Changes what the hub has or does.
    pub fn change(&self, change: impl FnOnce(&mut Shelf)) {
        change(&mut self.shelf.lock().unwrap());
    }

    /// Takes the requests since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shelf.lock().unwrap().requests)
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a request and answers it; the connection is closed afterwards.
fn answer(stream: TcpStream, is_storage: bool, storage: u16, shelf: &Mutex<Shelf>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(read) if read > 0 && !line.trim().is_empty() => lines.push(line.trim().to_string()),
            _ => break,
        }
    }
    let Some((method, path)) = lines.first().and_then(|line| line.split_once(' ')) else { return };
    let header = |name: &str| {
        let found = lines.iter().filter_map(|line| line.split_once(": "));
        found.filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_string()).next()
    };
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let request = Request {
        is_storage,
        method: method.to_string(),
        path: path.split(' ').next().unwrap_or_default().to_string(),
        authorization: header("authorization"),
        range: header("range"),
        body,
    };
    let mut shelf = shelf.lock().unwrap();
    shelf.requests.push(request.clone());
    let reply = match (is_storage, request.method.as_str()) {
        (true, "PUT") => upload::store(&request, &mut shelf),
        (true, _) => contents(&request, &mut shelf),
        (false, "POST") => upload::post(&request, storage, &mut shelf),
        (false, _) => endpoint(&request, storage, &shelf),
    };
    drop(shelf);
    let mut stream = reader.into_inner();
    let mut head = format!("HTTP/1.1 {} Reply\r\nConnection: close\r\n", reply.status);
    reply.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let body =
        if request.method == "HEAD" { &[] } else { &reply.body[..reply.sent.unwrap_or(reply.body.len())] };
    // A client that has seen enough closes the connection.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
}

#[derive(Default)]
struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The number of bytes that are sent before the connection is closed.
    sent: Option<usize>,
}

fn refusal(status: u16, code: &str) -> Reply {
    let headers = vec![("X-Error-Code", code.to_string()), ("Content-Length", "0".to_string())];
    Reply { status, headers, ..Reply::default() }
}

/// What the endpoint answers: large files are redirected to the second server, small ones to another path.
fn endpoint(request: &Request, storage: u16, shelf: &Shelf) -> Reply {
    let path = request.path.trim_start_matches("/api/resolve-cache").trim_start_matches('/');
    let (model, rest) = path.split_once("/resolve/").unwrap_or((path, ""));
    let (revision, name) = rest.split_once('/').unwrap_or((rest, ""));
    match model {
        "org/private" => return refusal(401, "RepoNotFound"),
        "org/gated" => return refusal(403, "GatedRepo"),
        _ if !shelf.files.iter().any(|(own, ..)| own == model) => return refusal(404, "RepoNotFound"),
        _ if !["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) => {
            return refusal(404, "RevisionNotFound");
        }
        _ => {}
    }
    let commit = ("X-Repo-Commit", COMMIT.to_string());
    let Some((.., bytes)) = shelf.files.iter().find(|(own, file, _)| own == model && file == name) else {
        let missing = refusal(404, "EntryNotFound");
        return Reply { headers: [missing.headers, vec![commit]].concat(), ..missing };
    };
    let hash = sha256(bytes);
    if name.ends_with(".safetensors") || name.ends_with(".bin") {
        let location = format!("http://127.0.0.1:{storage}/{hash}?Signature=secret");
        let headers = vec![
            commit,
            ("X-Linked-Etag", format!("\"{hash}\"")),
            ("X-Linked-Size", bytes.len().to_string()),
            ("Location", location),
            ("Content-Length", "0".to_string()),
        ];
        return Reply { status: 302, headers, ..Reply::default() };
    }
    if !request.path.starts_with("/api/") {
        let location = format!("/api/resolve-cache/{path}");
        let headers = vec![commit, ("Location", location), ("Content-Length", "0".to_string())];
        return Reply { status: 307, headers, ..Reply::default() };
    }
    let length = ("Content-Length", bytes.len().to_string());
    let headers = vec![commit, ("ETag", format!("\"{}\"", &hash[..40])), length];
    Reply { status: 200, headers, body: bytes.clone(), sent: None }
}

/// What the second server answers.
fn contents(request: &Request, shelf: &mut Shelf) -> Reply {
    if let Some(status) = shelf.storage_status {
        return refusal(status, "");
    }
    // The SHA-256, or the name of a file of torchvision.
    let hash = request.path.trim_start_matches('/').split('?').next().unwrap_or_default();
    let is_wanted = |(_, name, bytes): &&(String, String, Vec<u8>)| name == hash || sha256(bytes) == hash;
    let Some((.., bytes)) = shelf.files.iter().find(is_wanted) else {
        return refusal(404, "");
    };
    let mut bytes = bytes.clone();
    if shelf.is_corrupt {
        bytes[0] ^= 1;
    }
    let start = request.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let start: usize = start.map_or(0, |start| start.parse().unwrap());
    if start >= bytes.len() {
        return refusal(416, "");
    }
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    let body = bytes.split_off(start);
    let mut headers = vec![("Content-Length", body.len().to_string())];
    if start > 0 {
        headers.push(("Content-Range", range));
    }
    let sent = shelf.cuts.pop_front().map(|cut| cut.min(body.len()));
    Reply { status: if start > 0 { 206 } else { 200 }, headers, body, sent }
}
