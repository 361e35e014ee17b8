//! Serves a model over HTTP, with a playground.
//!
//! Connection tasks read requests and preprocess inputs into a queue. Worker threads take everything in the queue and classify it
//! as one batch: the higher the load, the larger the batches.
//!
//! ```no_run
//! use cresset::options::device::Threads;
//! use cresset_serve::{Model, Options, Server};
//! # fn options() -> Options { unimplemented!() }
//!
//! let (path, device) = ("runs/mine/model.pt".into(), tch::Device::Cpu);
//! let model = Model { path, run: None, device, threads: Threads::Auto };
//! let server = Server::new(model, &options(), None)?;
//! println!("http://{}/", server.address());
//! server.run(std::future::pending())?;
//! # Ok::<(), cresset::error::Error>(())
//! ```

mod access;
mod drift;
mod drift_file;
mod form;
mod inputs;
mod metrics;
mod models;
mod openapi;
mod options;
mod page;
mod problem;
mod queue;
mod rate;
mod recent;
mod record;
mod reply;
mod routes;
mod row;
#[cfg(feature = "otel")]
mod telemetry;
#[cfg(not(feature = "otel"))]
#[path = "without_telemetry.rs"]
mod telemetry;
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
use recent::Recent;
use record::Recorder;
use routes::{App, Client};
use worker::WorkerOptions;

use cresset::error::{Error, Result};
use cresset::feedback;
use cresset::model::Outputs;
use cresset::options::device::Threads;
use cresset::predict;

/// Interval between checks of the model file.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum read buffer of a connection in bytes.
const MAX_BUFFERED: usize = 64 * 1024;

/// Number of blocking threads: for decoding large images, which takes memory, and for disk access.
const MAX_BLOCKING: usize = 16;

/// The model to serve.
#[derive(Debug, Clone)]
pub struct Model {
    /// Path of model.pt. A file that replaces it by a rename is loaded.
    pub path: PathBuf,
    /// The run folder of the model, if it is served: a model of recommendations leaves out what users chose in its data.
    pub run: Option<PathBuf>,
    /// Device.
    pub device: tch::Device,
    /// Number of CPU threads per forward pass.
    pub threads: Threads,
}

/// A server with a loaded model and a bound address.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    /// The file of the drift.
    drift: Option<PathBuf>,
}

impl Server {
    /// Loads the model and binds the address; connections wait until [`Server::run`]. A host beyond loopback requires a token.
    ///
    /// # Errors
    /// If the model cannot be loaded, the address cannot be bound, a required token is missing, the feedback set cannot be
    /// read, there is one for a model that does not classify,
    /// or the folder of the record cannot be written to.
    pub fn new(model: Model, options: &Options, token: Option<Token>) -> Result<Self> {
        let access = Access::new(token, options.host)?;
        if options.feedback.is_some() {
            predict::metadata(&model.path)?.require_classes(&model.path, "--feedback")?;
        }
        let recorder = options.record.as_deref().map(Recorder::new).transpose()?;
        let beside = model.path.parent().unwrap_or(Path::new("")).join("feedback");
        let corrections = feedback::FeedbackWriter::new(options.feedback.as_deref().unwrap_or(&beside))?;
        let corrections = Arc::new(corrections);
        let wanted = SocketAddr::new(options.host, options.port);
        let refused = |error| Error::Usage(format!("cannot listen on {wanted}: {error}; use another --port"));
        let listener = TcpListener::bind(wanted).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let metrics = Arc::new(Metrics::new());
        let computing = WorkerOptions {
            path: model.path,
            run: model.run,
            device: model.device,
            threads: model.threads,
            unknown: options.unknown,
            workers: options.workers,
            max_batch: options.max_batch as usize,
            max_delay: Duration::from_micros(options.max_delay.into()),
        };
        let models = Arc::new(Models::load(computing, options.queue as usize, Arc::clone(&metrics))?);
        let (of_queue, of_feedback) = (Arc::clone(&models), Arc::clone(&corrections));
        let gauges = move || [of_queue.current().queue.rows() as u64, of_feedback.count()];
        let telemetry = telemetry::start(&metrics, Box::new(gauges))?;
        let app = Arc::new(App {
            telemetry,
            models,
            metrics,
            access,
            rate: options.most_requests().map(Rate::new),
            corrections,
            recorder,
            recent: Recent::default(),
            unknown: options.unknown,
            limits: Limits { rows: options.max_rows as usize, pixels: options.max_pixels.into() },
            most_bytes: options.max_body as usize,
            time: options.time(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(MAX_BLOCKING)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|e| Error::Usage(format!("cannot start threads: {e}")))?;
        if let Some(path) = &options.drift {
            let served = app.models.current();
            if served.metadata.outputs == Outputs::Ranking {
                let problem =
                    "--drift: a model of recommendations has no inputs to compare; remove the option";
                return Err(Error::Usage(problem.to_string()));
            }
            if served.drift.report().is_none() {
                let problem = "--drift: the model has no histograms of its training data; export it again with `cresset export`";
                return Err(Error::Usage(problem.to_string()));
            }
            // A folder that cannot be written to shows at once.
            drift_file::write(&app.models, path)?;
        }
        Ok(Server { runtime, listener, address, app, drift: options.drift.clone() })
    }

    /// The address with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder for corrections; none if the model does not classify.
    pub fn feedback(&self) -> Option<&Path> {
        let takes_corrections = self.app.models.current().metadata.outputs.is_classification();
        takes_corrections.then(|| self.app.corrections.folder())
    }

    /// Serves requests until `stop` completes; then accepts no more connections, and finishes open requests.
    /// Requests that take longer than the request time plus the response time are aborted.
    ///
    /// # Errors
    /// If the server cannot start.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let Server { runtime, listener, address, app, drift } = self;
        let _within = runtime.enter();
        let failed = |e| Error::Usage(format!("cannot listen on {address}: {e}"));
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        runtime.spawn(watch(Arc::clone(&app.models)));
        if let Some(path) = drift.clone() {
            runtime.spawn(drift_file::keep_written(Arc::clone(&app.models), path));
        }
        runtime.block_on(serve(listener, &app, stop));
        drop(_within);
        // Wait for a model that is being loaded: the process must not exit within libtorch.
        runtime.shutdown_timeout(app.time);
        if let Some(telemetry) = &app.telemetry {
            telemetry.stop();
        }
        app.models.stop();
        match drift {
            Some(path) => drift_file::write(&app.models, &path),
            None => Ok(()),
        }
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
                // For example, too many open files: that ends when a connection is closed.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    tracing::info!("shutting down: finishing open requests");
    let most = 2 * app.time + CHECK_INTERVAL;
    if timeout(most, connections.shutdown()).await.is_err() {
        tracing::warn!("aborted requests that did not finish within {} s", most.as_secs());
    }
}

/// Serves a connection in a task.
fn connect(
    stream: TcpStream,
    client: SocketAddr,
    router: &Router,
    connections: &GracefulShutdown,
    time: Duration,
) {
    // Responses are small; send them without delay.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Client(client.ip()));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(time)
        .max_buf_size(MAX_BUFFERED)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("{client}: {error}");
        }
    });
}

/// Checks the model file periodically.
async fn watch(models: Arc<Models>) {
    let mut turns = interval(CHECK_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match models.reload(false).await {
            Ok(true) => tracing::info!("serving {}", models.current().sha256),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!("the new model cannot be served, so the old one stays: {error}")
            }
        }
    }
}
