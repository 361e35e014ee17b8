//! Pages that show commands, and a reader who types them.

use std::path::Path;
use std::process::Command;

use super::http::FORM;
use super::hub::Hub;
use super::server::Server;
use super::{cresset, encoder, pretrained, root, samples, stderr, text, train_once, without_hub};

/// The contents of a page's code blocks in a language.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("\n```{language}\n");
    page.split(&opening).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_string()).collect()
}

/// What no test has as the pages name it, and what is taken instead: it reads the same options, in seconds.
const INSTEAD: [(&str, &str); 3] = [
    ("--device cuda", "--device cpu"),
    ("--model resnet18", "--model resnet9 --model-options width=8"),
    ("--model resnet50", "--model resnet9 --model-options width=8"),
];

/// Starts what stands behind the first `cresset` of its arguments, once.
const STARTER: &str = "#!/bin/sh\nwhile [ \"$1\" != cresset ]; do shift; done\nexec \"$@\"\n";

/// Someone in a folder with the checkout's `data`, `recipes` and `examples`, the program, and data of their own.
pub struct Reader {
    folder: tempfile::TempDir,
    server: Option<Server>,
    /// The hub of a page with pretrained weights.
    hub: Option<Hub>,
    /// How many commands of cresset ran.
    pub ran: usize,
}

impl Reader {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for linked in ["data", "examples", "recipes"] {
            std::os::unix::fs::symlink(root().join(linked), folder.path().join(linked)).unwrap();
        }
        samples::all(folder.path());
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cresset"), programs.join("cresset")).unwrap();
        for starter in ["torchrun", "srun", "mpirun"] {
            std::fs::write(programs.join(starter), STARTER).unwrap();
            succeeds(Command::new("chmod").arg("+x").arg(programs.join(starter)), starter);
        }
        Reader { folder, server: None, hub: None, ran: 0 }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Trains the model that pages go on from.
    pub fn train(&self, run: &str) {
        train_once(&self.folder().join(run), &["--threads", "1", "--device", "cpu"]);
    }

    /// Types what a page's `sh` blocks show, in their order. A block that begins with `#!` is a script.
    pub fn follow(&mut self, page: &str) {
        if page.contains("--pretrained encoder/") {
            let mails = std::fs::read_to_string(self.folder().join("mails.csv")).unwrap();
            encoder::write(self.folder(), &mails);
        }
        if page.contains("--pretrained timm/") {
            self.hub = Some(pretrained::hub());
        }
        for block in blocks(page, "sh") {
            if block.starts_with("#!") {
                self.shell(&block);
                continue;
            }
            for line in block.replace("\\\n", " ").lines() {
                let begun = std::time::Instant::now();
                self.line(line);
                println!("{:6.1} s  {line}", begun.elapsed().as_secs_f64());
            }
        }
        self.end_server();
    }

    /// An unknown program is a failure: a command that nothing runs is not to be shown.
    fn line(&mut self, line: &str) {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match &words[..] {
            ["cresset", "serve", options @ ..] => self.serve(options),
            ["cresset" | "torchrun" | "srun" | "mpirun" | "head", ..] => self.shell(line),
            ["make", target, ..] => self.make(target),
            ["curl", arguments @ ..] => self.request(arguments),
            ["tensorboard", "--logdir", runs] => {
                assert!(has_events(&self.folder().join(runs)), "{line}: no event file is below {runs}");
            }
            // tests/export/programs.rs runs those of docs/export.md.
            ["g++" | "cmake", ..] => assert!(page("docs/export.md").contains(line), "nothing runs {line}"),
            // tests/export/python/ runs the programs.
            ["python", program, files @ ..] if program.starts_with("examples/") => {
                for file in [program].iter().chain(&files.iter().collect::<Vec<_>>()) {
                    assert!(self.folder().join(file).is_file(), "{line}: there is no {file}");
                }
            }
            ["cargo", "bench", "--bench", name] => {
                assert!(root().join(format!("benches/{name}.rs")).is_file(), "there is no benchmark {name}");
            }
            // tests/setup/wheel.rs installs the wheel.
            ["pip", "install", "target/wheels/cresset-*.whl"] => {}
            // tests/setup/docker.rs checks the image's steps.
            ["docker", "build", ..] => assert!(root().join("Dockerfile").is_file()),
            ["docker", "run", .., "cresset", "train"] => self.shell("cresset train"),
            // tests/setup/gpu_kit.rs runs it.
            ["target/gpu-kit/run", "--minutes", _] => {
                assert!(root().join("scripts/gpu-kit-run").is_file(), "there is no GPU kit");
            }
            _ => panic!("nothing runs this command: {line}"),
        }
    }

    fn shell(&mut self, commands: &str) {
        let commands = INSTEAD.iter().fold(commands.to_string(), |all, (from, to)| all.replace(from, to));
        let path = format!("{}:{}", text(&self.folder().join("bin")), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &commands]).current_dir(self.folder());
        match &self.hub {
            Some(hub) => {
                pretrained::connect(&mut shell, &hub.endpoint(), &self.folder().join("huggingface"));
                shell.env("HF_TOKEN", "hf_write");
            }
            None => without_hub(&mut shell),
        }
        shell.env("XDG_CACHE_HOME", self.folder().join("cache"));
        succeeds(shell.env("PATH", path).env("SLURM_JOB_NAME", "photos-slurm"), &commands);
        self.ran += 1;
    }

    fn make(&mut self, target: &str) {
        assert!(page("Makefile").contains(&format!("\n{target}:")), "the Makefile has no {target}");
        if target == "train" {
            self.shell("cresset train");
        }
    }

    /// Serves until the next one does, or the page ends.
    fn serve(&mut self, options: &[&str]) {
        self.end_server();
        let mut command = cresset();
        command.arg("serve").args(options).args(["--port", "0"]).current_dir(self.folder());
        let server = Server::of(&mut command);
        assert_eq!(server.connect().get("/healthz").status, 200, "{options:?}");
        self.server = Some(server);
        self.ran += 1;
    }

    fn end_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal("-TERM");
            assert!(server.end().status.success());
        }
    }

    /// Sends what curl would send to the server that runs.
    fn request(&self, arguments: &[&str]) {
        let (mut headers, mut body, mut path) = (Vec::new(), None, None);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "-H" => headers.push(arguments.next().unwrap().split_once(": ").expect("a header")),
                "--data-binary" => {
                    let file = arguments.next().unwrap().strip_prefix('@').expect("a file");
                    body = Some(std::fs::read(self.folder().join(file)).unwrap());
                }
                "-F" => {
                    let file = arguments.next().unwrap().strip_prefix("file=@").expect("a file");
                    let bytes = std::fs::read(self.folder().join(file)).unwrap();
                    headers.push(("Content-Type", FORM));
                    body = Some(super::http::form(file, &bytes));
                }
                "-d" => body = Some(arguments.next().unwrap().as_bytes().to_vec()),
                url => path = Some(url.strip_prefix("localhost:8080").expect("the server of the page")),
            }
        }
        let method = if body.is_some() { "POST" } else { "GET" };
        let server = self.server.as_ref().expect("a line above serves");
        let mut connection = server.connect();
        connection.send(method, path.expect("a URL"), &headers, &body.unwrap_or_default());
        let reply = connection.receive().expect("an answer");
        assert_eq!(reply.status, 200, "{arguments:?}: {}", String::from_utf8_lossy(&reply.body));
    }
}

/// A page of the checkout.
pub fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The names of the commands that a help lists.
pub fn subcommands(help: &str) -> Vec<String> {
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_string())
        .filter(|name| name != "help")
        .collect()
}

fn succeeds(command: &mut Command, shown: &str) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{shown}:\n{}", stderr(&output));
}

/// Whether a folder has event files of TensorBoard, at any depth.
fn has_events(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.map(|entry| entry.unwrap()).any(|entry| {
        entry.file_name().to_string_lossy().starts_with("events.out.tfevents") || has_events(&entry.path())
    })
}

/// The words of a command, with quotes taken off as a shell does, without what stands behind ` #`.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote, mut word) = (Vec::new(), None, None::<String>);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '#' && word.is_none() => break,
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
