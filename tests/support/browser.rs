//! A browser, led by ChromeDriver (<https://www.w3.org/TR/webdriver2/>).

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::Connection;

/// The variable that names the driver.
pub const DRIVER: &str = "CRESSET_CHROMEDRIVER";

/// The key of an element's name in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Far beyond what anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser of its own, with one page, which ends with the test.
pub struct Browser {
    _driver: Driver,
    connection: Connection,
    session: String,
    _profile: tempfile::TempDir,
}

/// ChromeDriver, which ends with the test, whatever becomes of that.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Browser {
    pub fn start() -> Self {
        let program = std::env::var(DRIVER).unwrap_or_else(|_| panic!("{DRIVER} names ChromeDriver"));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new(program);
        let driver = driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let driver = Driver(driver.expect("it starts"));
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "ChromeDriver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let profile = tempfile::tempdir().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        let mut arguments = vec![data.as_str()];
        arguments.extend([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]);
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments }, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut connection = Connection::to(port);
        let answer = connection.post("/session", &capabilities).granted();
        let session = answer["value"]["sessionId"].as_str().expect("a session").to_string();
        Browser { _driver: driver, connection, session, _profile: profile }
    }

    fn command(&mut self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.connection.post(&path, body).granted()["value"].take()
    }

    pub fn open(&mut self, address: &str) {
        self.command("url", &json!({ "url": address }));
    }

    /// Makes the window so large, as a phone or as a computer has it, light or dark.
    pub fn look(&mut self, width: u32, height: u32, is_phone: bool, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.tool("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tool("Emulation.setEmulatedMedia", &scheme);
    }

    fn tool(&mut self, command: &str, parameters: &Value) {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        self.command("execute/sync", &json!({ "script": format!("return {expression};"), "args": [] }))
    }

    /// The text that somebody sees in the element of this selector.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({})?.innerText ?? ''", json!(selector)));
        text.as_str().expect("a text").to_string()
    }

    /// Waits until an expression in the page is true.
    pub fn wait_for(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.value(&format!("Boolean({expression})")) != true {
            assert!(
                begun.elapsed() < PATIENCE,
                "{expression} never came: {}\n{:?}",
                self.text("main"),
                self.complaints()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn find(&mut self, selector: &str) -> String {
        let found = self.command("element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_string()
    }

    /// Clicks in the middle of an element, as a person does: one that is covered cannot be clicked.
    pub fn click(&mut self, selector: &str) {
        let element = self.find(selector);
        self.command(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into an element. Keys that are no letters have their numbers in WebDriver (`\u{e003}` is backspace).
    pub fn type_into(&mut self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.command(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// Draws a line over an element, through points that are shares of its sides.
    pub fn draw(&mut self, selector: &str, points: &[(f64, f64)]) {
        self.value(&format!(
            "document.querySelector({}).scrollIntoView({{ block: 'center' }})",
            json!(selector)
        ));
        let frame =
            self.value(&format!("document.querySelector({}).getBoundingClientRect()", json!(selector)));
        let side = |name: &str| frame[name].as_f64().expect("a number");
        let (x, y, width, height) = (side("x"), side("y"), side("width"), side("height"));
        let to = |point: &(f64, f64)| {
            let (x, y) = ((x + point.0 * width).round(), (y + point.1 * height).round());
            json!({ "type": "pointerMove", "duration": 5, "x": x as i64, "y": y as i64, "origin": "viewport" })
        };
        let mut actions = vec![to(&points[0]), json!({ "type": "pointerDown", "button": 0 })];
        actions.extend(points[1..].iter().map(to));
        actions.push(json!({ "type": "pointerUp", "button": 0 }));
        let finger = json!({ "type": "pointer", "id": "finger", "parameters": { "pointerType": "touch" }, "actions": actions });
        self.command("actions", &json!({ "actions": [finger] }));
    }

    /// Saves what is seen of the page.
    pub fn photograph(&mut self, path: &Path) {
        let path_of = format!("/session/{}/screenshot", self.session);
        let image = self.connection.get(&path_of).granted()["value"].take();
        std::fs::write(path, STANDARD.decode(image.as_str().expect("base64")).expect("base64")).unwrap();
    }

    /// What the browser's console holds since it was asked last: warnings and errors.
    pub fn complaints(&mut self) -> Vec<String> {
        let lines = self.command("se/log", &json!({ "type": "browser" }));
        let lines = lines.as_array().expect("a list").iter();
        lines.filter(|line| line["level"] != "INFO").map(|line| line["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser, too; a test that failed may have left the connection in the middle of an answer.
        let mut connection = self.connection.again();
        connection.send("DELETE", &format!("/session/{}", self.session), &[], b"");
        let _ = connection.receive();
    }
}
