//! Reports to MLflow after training.

#[cfg(feature = "mlflow")]
use cresset::data::terminal;
#[cfg(feature = "mlflow")]
use cresset::report::mlflow::{Mlflow, RunStatus, Unsent};
use cresset::run::{RunFolder, Trained};

/// The reports of a run that ended, which are to be completed.
#[derive(Debug, Default)]
#[must_use]
pub struct Tracking {
    #[cfg(feature = "mlflow")]
    pub mlflow: Option<Mlflow>,
}

#[cfg(feature = "mlflow")]
impl Tracking {
    /// Reports the results of a complete run.
    pub fn trained(self, folder: &RunFolder, trained: &Trained) {
        if let Some(mut mlflow) = self.mlflow {
            mlflow.trained(folder, trained);
            warn_about(mlflow.end(RunStatus::Finished), folder);
        }
    }

    /// Reports that the run was interrupted.
    pub fn interrupted(self, folder: &RunFolder) {
        self.end(RunStatus::Killed, folder);
    }

    /// Reports that the run failed.
    pub fn failed(self, folder: &RunFolder) {
        self.end(RunStatus::Failed, folder);
    }

    fn end(self, status: RunStatus, folder: &RunFolder) {
        if let Some(mlflow) = self.mlflow {
            warn_about(mlflow.end(status), folder);
        }
    }
}

/// Says what is not on the server, and how it gets there.
#[cfg(feature = "mlflow")]
pub fn warn_about(unsent: Option<Unsent>, folder: &RunFolder) {
    if let Some(Unsent { records, reason }) = unsent {
        let run = terminal::argument(folder.path());
        tracing::warn!(
            "{reason}. Not reported: {records} records of the run; send them with `cresset sync {run}`"
        );
    }
}

#[cfg(not(feature = "mlflow"))]
impl Tracking {
    pub fn trained(self, _: &RunFolder, _: &Trained) {}

    pub fn interrupted(self, _: &RunFolder) {}

    pub fn failed(self, _: &RunFolder) {}
}
