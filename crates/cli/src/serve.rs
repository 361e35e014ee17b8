//! `cresset serve`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use cresset::data::terminal;
use cresset::run::RunFolder;
use cresset_serve::{Model, Options, Server, Token};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::Flags;
use super::{Compute, Ended, show};

/// Answer requests over HTTP with an exported model, show a playground, and keep corrections
///
/// When another file takes the place of the model.pt by a rename, that is served from then on. SIGINT and SIGTERM end the
/// server when the requests that came in are answered.
#[derive(Debug, Args)]
pub struct Serve {
    /// A model.pt, or the folder of a run
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// A file with the token that requests must carry, which they must beyond loopback; the variable CRESSET_TOKEN gives it, too
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
        let run = self.model.is_dir().then(|| RunFolder::open(&self.model)).transpose()?;
        let path = run.as_ref().map_or(self.model.clone(), RunFolder::model);
        let model = Model { path, device, threads: self.compute.threads };
        let server = Server::new(model, &self.options, self.token()?)?;
        let feedback = terminal::path(server.feedback());
        show(&format!("http://{}/\ncorrections go to {feedback}\n", server.address()))?;
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

/// Ends with the first Ctrl-C or SIGTERM; where neither can be listened for, never.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminated.recv() => {}
        _ = ctrl_c() => {}
    }
}
