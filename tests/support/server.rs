//! `cresset serve`, started for a test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::http::Connection;
use super::{cresset, text};

/// A server that ends with the test.
pub struct Server {
    child: Option<Child>,
    pub port: u16,
}

impl Server {
    /// Serves a model on a free port.
    pub fn start(model: &Path, options: &[&str]) -> Self {
        Server::of(cresset().args(["serve", text(model), "--port", "0", "--threads", "1"]).args(options))
    }

    /// Waits until a command that serves says where.
    pub fn of(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cresset starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let port =
            line.trim_end().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            panic!("the server did not start: {:?}", child.wait_with_output())
        };
        Server { child: Some(child), port }
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.port)
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Output {
        self.child.take().expect("it runs").wait_with_output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
