//! Address and credentials of a tracking server.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{Error, Result};

/// The experiment that every server has.
pub const DEFAULT_EXPERIMENT: &str = "Default";

/// Address and credentials. The credentials are never written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address of the server, without a slash at its end.
    pub uri: String,
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    /// A file with the certificates of the authorities to trust, in PEM format.
    pub certificates: Option<PathBuf>,
}

impl Settings {
    /// The settings for the server at `uri`, with credentials from the variables that MLflow's clients read:
    /// `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`; and
    /// `MLFLOW_TRACKING_SERVER_CERT_PATH`. `get` looks up a variable.
    ///
    /// # Errors
    /// An address that is not of HTTP or HTTPS, or that contains credentials.
    pub fn new(uri: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let host = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
        let host =
            host.map(|rest| rest.split('/').next().unwrap_or_default()).filter(|host| !host.is_empty());
        let Some(host) = host else {
            let problem = "expected the address of an MLflow server, such as http://localhost:5000";
            return Err(Error::Usage(format!("--mlflow {uri}: {problem}")));
        };
        if host.contains('@') {
            let problem = "--mlflow: the address contains a user name or a password; set MLFLOW_TRACKING_USERNAME and \
                           MLFLOW_TRACKING_PASSWORD instead";
            return Err(Error::Usage(problem.to_string()));
        }
        let basic = || {
            let (user, password) = (get("MLFLOW_TRACKING_USERNAME")?, get("MLFLOW_TRACKING_PASSWORD"));
            let pair = format!("{user}:{}", password.unwrap_or_default());
            Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        };
        let token = get("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
        Ok(Settings {
            uri: uri.trim_end_matches('/').to_string(),
            authorization: token.or_else(basic),
            certificates: get("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from),
        })
    }

    /// The settings with the variables of this process.
    ///
    /// # Errors
    /// As [`Settings::new`].
    pub fn from_environment(uri: &str) -> Result<Self> {
        Settings::new(uri, &|name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_variables_of_mlflow() {
        let with = |set: &[(&str, &str)]| {
            let get =
                |name: &str| set.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_string());
            Settings::new("https://host/base/", &get).unwrap()
        };
        assert_eq!((with(&[]).uri.as_str(), with(&[]).authorization), ("https://host/base", None));
        let basic = [("MLFLOW_TRACKING_USERNAME", "user"), ("MLFLOW_TRACKING_PASSWORD", "secret")];
        assert_eq!(with(&basic).authorization.unwrap(), "Basic dXNlcjpzZWNyZXQ=");
        assert_eq!(with(&[("MLFLOW_TRACKING_TOKEN", "t"), basic[0]]).authorization.unwrap(), "Bearer t");
    }

    #[test]
    fn other_addresses_are_refused() {
        for (uri, problem) in [
            ("localhost:5000", "such as http://localhost:5000"),
            ("http://", "expected the address"),
            ("sqlite:///mlflow.db", "expected the address"),
            ("http://user:secret@host", "MLFLOW_TRACKING_USERNAME"),
        ] {
            let error = Settings::new(uri, &|_| None).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("secret"), "{error}");
        }
    }
}
