//! Sends the journal of a run folder, in order and exactly once.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cresset_data::error::Error as DataError;

use crate::error::{Error, Result};
use crate::journal::{JOURNAL, Record, read_from};
use crate::server::{Point, Server};
use crate::settings::Settings;
use crate::state::{RemoteRun, State};

/// The largest number of values of a request; MLflow takes 1000.
const MOST_POINTS: usize = 900;

/// The delivery of a journal to a server.
#[derive(Debug)]
pub struct Delivery {
    server: Server,
    folder: PathBuf,
    state: State,
    /// Whether the server may have more than the state says: a request may have been received although its answer was lost, or
    /// the process ended before it noted the answer.
    is_unsure: bool,
}

impl Delivery {
    /// Continues the delivery of a run folder. Another server than before gets the whole journal.
    pub fn new(folder: &Path, settings: &Settings) -> Result<Self> {
        let known = State::read(folder).filter(|state| state.uri == settings.uri);
        Ok(Delivery {
            server: Server::new(settings)?,
            folder: folder.to_path_buf(),
            is_unsure: known.is_some(),
            state: known.unwrap_or_else(|| State { uri: settings.uri.clone(), ..State::default() }),
        })
    }

    /// Sends the next records, as many as fit into a request. Returns false if there are none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if they are to be sent again later. Records that the server refuses count as sent; `refused` gets
    /// the reason.
    pub fn advance(&mut self, refused: &mut dyn FnMut(&str)) -> Result<bool> {
        let records = read_from(&self.folder, self.state.sent)?;
        let Some((mut end, first)) = records.first().cloned() else { return Ok(false) };
        let outcome = match first {
            Record::Metrics { .. } => {
                let (points, behind) = points(&records);
                end = behind;
                self.send_metrics(points)
            }
            record => self.send(&record),
        };
        match outcome {
            Ok(()) => {}
            Err(Error::Refused(problem)) => refused(&problem),
            Err(Error::File(problem)) => refused(&problem.to_string()),
            Err(error) => {
                self.is_unsure = true;
                return Err(error);
            }
        }
        self.state.sent = end;
        self.state.write(&self.folder)?;
        Ok(true)
    }

    /// The number of records that were not sent.
    pub fn waiting(&self) -> Result<usize> {
        Ok(read_from(&self.folder, self.state.sent)?.len())
    }

    fn send_metrics(&mut self, mut points: Vec<(Point, f64)>) -> Result<()> {
        let run = self.run()?.clone();
        if self.is_unsure {
            let names: HashSet<&str> = points.iter().map(|((name, ..), _)| name.as_str()).collect();
            let known = self.server.known_points(&run, &names)?;
            points.retain(|(point, _)| !known.contains(point));
        }
        if !points.is_empty() {
            self.server.log_metrics(&run, &points)?;
        }
        self.is_unsure = false;
        Ok(())
    }

    /// Sends a record other than metrics. Sending it twice has the effect of sending it once.
    fn send(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Run(new) => {
                let run = self.server.find_or_create_run(new)?;
                self.server.log_entries(&run, &new.params, &new.tags)?;
                self.state.run = Some(run);
                Ok(())
            }
            Record::Tags { values } => self.server.log_entries(self.run()?, &Default::default(), values),
            Record::File { name, path } => {
                self.server.upload_file(self.run()?, name, &self.folder.join(path))
            }
            Record::Text { name, text } => self.server.upload_text(self.run()?, name, text),
            Record::Model { folder, description } => {
                let run = self.run()?;
                let mut description = description.clone();
                description["run_id"] = run.id.as_str().into();
                let text = description.to_string();
                // JSON is YAML, which MLflow reads.
                self.server.upload_text(run, &format!("{folder}/MLmodel"), &text)?;
                self.server.log_model(run, &text)
            }
            Record::Status { status, time } => self.server.set_status(self.run()?, status, *time),
            Record::Metrics { .. } => unreachable!("metrics are sent together"),
        }
    }

    fn run(&self) -> Result<&RemoteRun> {
        let refused = || Error::Refused("the run could not be created on the MLflow server".to_string());
        self.state.run.as_ref().ok_or_else(refused)
    }
}

/// The values of the metrics at the start of the records, and the number of the byte behind them.
fn points(records: &[(u64, Record)]) -> (Vec<(Point, f64)>, u64) {
    let (mut points, mut behind) = (Vec::new(), 0);
    for (end, record) in records {
        let Record::Metrics { time, step, values } = record else { break };
        if !points.is_empty() && points.len() + values.len() > MOST_POINTS {
            break;
        }
        points.extend(values.iter().map(|(name, value)| ((name.clone(), *step, *time), *value)));
        behind = *end;
    }
    (points, behind)
}

/// The address of the server that a run was reported to; none if it was not reported.
pub fn known_uri(folder: &Path) -> Option<String> {
    folder.join(JOURNAL).is_file().then(|| State::read(folder))?.map(|state| state.uri)
}

/// Sends what is left in the journal of a run folder. `uri` is the address of the server; without it, the one of the run.
/// Returns the number of records that were sent and the reasons of the server for those that it refused.
///
/// # Errors
/// A folder without a journal, and a server that cannot be reached.
pub fn sync(folder: &Path, uri: Option<&str>) -> Result<(usize, Vec<String>)> {
    let path = folder.join(JOURNAL);
    if !path.is_file() {
        let problem = "the run has no MLflow journal: it was not trained with --mlflow";
        return Err(DataError::data(folder, problem).into());
    }
    let Some(uri) = uri.map(str::to_string).or_else(|| known_uri(folder)) else {
        let problem = "the run has no address of an MLflow server; set it with --mlflow";
        return Err(DataError::data(folder, problem).into());
    };
    let mut delivery = Delivery::new(folder, &Settings::from_environment(&uri)?)?;
    let (waiting, mut problems) = (delivery.waiting()?, Vec::new());
    while delivery.advance(&mut |problem| problems.push(problem.to_string()))? {}
    Ok((waiting, problems))
}
