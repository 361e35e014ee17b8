//! A collector of OpenTelemetry on this machine, which keeps the messages in OTLP's JSON encoding.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Message {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

#[derive(Debug, Default)]
struct Store {
    messages: Vec<Message>,
    /// The statuses of the next answers.
    statuses: VecDeque<u16>,
}

/// The collector. It ends with the test process.
pub struct Collector {
    port: u16,
    store: Arc<Mutex<Store>>,
}

impl Collector {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, store) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Store::default())));
        let shared = Arc::clone(&store);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let store = Arc::clone(&shared);
                std::thread::spawn(move || while receive(&stream, &store).is_some() {});
            }
        });
        Collector { port, store }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers the next messages with these statuses and does not take them.
    pub fn fail(&self, statuses: &[u16]) {
        self.store.lock().unwrap().statuses.extend(statuses);
    }

    /// The messages that were taken.
    pub fn messages(&self) -> Vec<Message> {
        self.store.lock().unwrap().messages.clone()
    }

    /// All spans so far, once there are so many.
    pub fn spans(&self, at_least: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let messages = self.messages();
            let traces = messages.iter().filter(|message| message.path == "/v1/traces");
            let parts = traces.flat_map(|message| message.body["resourceSpans"].as_array().unwrap());
            let scopes = parts.flat_map(|part| part["scopeSpans"].as_array().unwrap());
            let spans: Vec<_> =
                scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).cloned().collect();
            if spans.len() >= at_least {
                return spans;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "only {} spans came: {messages:?}",
                spans.len()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads a request and answers it. None at the end of the connection.
fn receive(stream: &TcpStream, store: &Mutex<Store>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_string())),
            None => break,
        }
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse().unwrap());
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    let mut store = store.lock().unwrap();
    let status = store.statuses.pop_front().unwrap_or(200);
    if status == 200 {
        store.messages.push(Message { path, headers, body: serde_json::from_slice(&body).expect("JSON") });
    }
    drop(store);
    let mut stream = stream;
    stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes()).ok()
}
