//! `cresset serve`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use cresset::data::terminal;
use cresset_serve::{Model, Options, Server, Token};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::Flags;
use super::model_file::model_file;
use super::{Compute, Ended, show};

/// Serve an exported model over HTTP, with a playground, and record corrections
///
/// When the model.pt is replaced by a rename, the server loads the new file. On SIGINT and SIGTERM it finishes the pending
/// requests and exits.
#[derive(Debug, Args)]
pub struct Serve {
    /// Exported model (model.pt, .pt2 or .onnx), run folder, or hf:USER/NAME
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// File with the token that requests must send, required on addresses other than loopback; the variable CRESSET_TOKEN also sets it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    #[command(flatten)]
    options: Flags<Options>,

    #[command(flatten)]
    compute: Compute,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        let path = model_file(&self.model)?;
        let run = self.model.is_dir().then(|| self.model.clone());
        let model = Model { path, run, device, threads: self.compute.threads };
        let server = Server::new(model, &self.options, self.token()?)?;
        let mut text = format!("http://{}/\n", server.address());
        if let Some(folder) = server.feedback() {
            text += &format!("corrections are written to {}\n", terminal::path(folder));
        }
        show(&text)?;
        server.run(interrupted())?;
        Ok(Ended::Well)
    }

    fn token(&self) -> anyhow::Result<Option<Token>> {
        match (&self.token_file, std::env::var("CRESSET_TOKEN")) {
            (Some(path), _) => Ok(Some(Token::read(path)?)),
            (None, Ok(text)) => Ok(Some(Token::new(&text).context("CRESSET_TOKEN")?)),
            (None, Err(_)) => Ok(None),
        }
    }
}

/// Completes at the first Ctrl-C or SIGTERM; never if their handlers cannot be installed.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = ctrl_c() => {}
    }
}
