//! A model at work for other programs and for people, over HTTP.
//!
//! A request is read and its inputs are made ready by the threads that serve connections. They wait in a queue, from which the
//! threads that have the model take all that is there, and classify it together: the busier the server, the larger the batches.
//!
//! ```no_run
//! use cresset::options::device::Threads;
//! use cresset_serve::{Model, Options, Server};
//! # fn options() -> Options { unimplemented!() }
//!
//! let model = Model { path: "runs/mine/model.pt".into(), device: tch::Device::Cpu, threads: Threads::Auto };
//! let server = Server::new(model, &options(), None)?;
//! println!("http://{}/", server.address());
//! server.run(std::future::pending())?;
//! # Ok::<(), cresset::error::Error>(())
//! ```

mod access;
mod inputs;
mod metrics;
mod models;
mod openapi;
mod options;
mod page;
mod problem;
mod queue;
mod rate;
mod reply;
mod routes;
mod worker;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use access::Access;
pub use access::Token;
use inputs::Limits;
use metrics::Metrics;
use models::Models;
pub use options::Options;
use rate::Rate;
use routes::{App, Client};
use worker::Computing;

use cresset::error::{Error, Result};
use cresset::feedback;
use cresset::options::device::Threads;

/// How often the model's file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a connection may keep in memory of what it has read and nobody has asked for.
const MOST_BUFFERED: usize = 64 * 1024;

/// Threads for what takes long beside the model: large pictures, which take memory, and the disk.
const MOST_BLOCKING: usize = 16;

/// The model that is to be served.
#[derive(Debug, Clone)]
pub struct Model {
    /// The model.pt. When another file takes its place by a rename, that is served.
    pub path: PathBuf,
    /// Where it computes.
    pub device: tch::Device,
    /// The CPU threads of a pass.
    pub threads: Threads,
}

/// A server that has its model and its address.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

impl Server {
    /// Loads the model and takes the address; connections wait until [`Server::run`]. Beyond loopback it takes a token.
    ///
    /// # Errors
    /// A model that cannot be loaded, an address that is taken or is not this machine's, no token where one is needed, and a
    /// feedback set that cannot be read.
    pub fn new(model: Model, options: &Options, token: Option<Token>) -> Result<Self> {
        let access = Access::new(token, options.host)?;
        let beside = model.path.parent().unwrap_or(Path::new("")).join("feedback");
        let corrections = feedback::Writer::new(options.feedback.as_deref().unwrap_or(&beside))?;
        let wanted = SocketAddr::new(options.host, options.port);
        let refused =
            |error| Error::Usage(format!("cannot listen on {wanted}: {error}; --port takes another port"));
        let listener = TcpListener::bind(wanted).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let metrics = Arc::new(Metrics::new());
        let computing = Computing {
            path: model.path,
            device: model.device,
            threads: model.threads,
            unknown: options.unknown,
            workers: options.workers,
            max_batch: options.max_batch as usize,
            max_delay: Duration::from_micros(options.max_delay.into()),
        };
        let models = Arc::new(Models::load(computing, options.queue as usize, Arc::clone(&metrics))?);
        let app = Arc::new(App {
            models,
            metrics,
            access,
            rate: options.most_requests().map(Rate::new),
            corrections,
            limits: Limits { rows: options.max_rows as usize, pixels: options.max_pixels.into() },
            most_bytes: options.max_body as usize,
            time: options.time(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(MOST_BLOCKING)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|e| Error::Usage(format!("cannot start threads: {e}")))?;
        Ok(Server { runtime, listener, address, app })
    }

    /// Where it listens, with the port that it has.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder for corrections.
    pub fn feedback(&self) -> &Path {
        self.app.corrections.folder()
    }

    /// Answers requests until `stop` is done; then takes no more connections, answers the requests that came in, and ends.
    /// Whatever takes longer than the time for a request and the one for its answer is cut off.
    ///
    /// # Errors
    /// What the system refuses at the start.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let Server { runtime, listener, address, app } = self;
        let _within = runtime.enter();
        let failed = |e| Error::Usage(format!("cannot listen on {address}: {e}"));
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        runtime.spawn(watch(Arc::clone(&app.models)));
        runtime.block_on(serve(listener, &app, stop));
        drop(_within);
        // A model that is being loaded is loaded to its end: the process must not end within libtorch.
        runtime.shutdown_timeout(app.time);
        app.models.stop();
        Ok(())
    }
}

async fn serve(listener: tokio::net::TcpListener, app: &Arc<App>, stop: impl Future<Output = ()>) {
    let router = routes::router(Arc::clone(app));
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = stop.as_mut() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => connect(stream, client, &router, &connections, app.time),
            Err(error) => {
                // Too many files are open, say: that passes when a connection ends.
                tracing::warn!("cannot take a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tracing::info!("answering the requests that came in");
    let most = 2 * app.time + LOOK;
    if timeout(most, connections.shutdown()).await.is_err() {
        tracing::warn!("some requests were not answered within {} s, and are cut off", most.as_secs());
    }
}

/// Serves a connection in a task of its own.
fn connect(
    stream: TcpStream,
    client: SocketAddr,
    router: &Router,
    connections: &GracefulShutdown,
    time: Duration,
) {
    // An answer is small, and waits for nothing.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Client(client.ip()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(time)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("{client}: {error}");
        }
    });
}

/// Looks at the model's file again and again.
async fn watch(models: Arc<Models>) {
    let mut turns = interval(LOOK);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match models.reload(false).await {
            Ok(true) => tracing::info!("serving {}", models.current().sha256),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!("the old model goes on, for the new one cannot be served: {error}")
            }
        }
    }
}
