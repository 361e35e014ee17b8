//! Requests to the hub.

use std::fs::File;
use std::time::Duration;

use cresset_data::error::Error as DataError;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::Result;
use crate::model_id::{ModelId, is_commit};
use crate::problem::{no_access, no_model, no_revision, unexpected, unreachable};
use crate::settings::Settings;
use crate::url::{origin, resolve, url_path};

/// Time limits: to connect, and to wait for the next bytes.
const CONNECT: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(30);

/// The time limit of a request that only asks whether the hub can be reached.
const IMPATIENT: Duration = Duration::from_secs(3);

/// Redirects that a lookup follows.
const MAX_REDIRECTS: usize = 5;

/// An HTTP client that sends the token only to the endpoint.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    settings: Settings,
}

/// A file on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The name in the repository.
    pub name: String,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The URL of the contents, which may expire.
    pub url: String,
}

/// The answer to a lookup.
#[derive(Debug)]
pub enum Answer {
    /// The file exists.
    File {
        /// The commit of the revision.
        commit: String,
        /// The identity of the contents: the SHA-256 of a large file, the Git object of a small one.
        etag: String,
        /// The location of the contents.
        file: RemoteFile,
    },
    /// The commit has no such file.
    Missing {
        /// The commit of the revision.
        commit: String,
    },
}

impl Client {
    pub fn new(settings: &Settings) -> Result<Self> {
        Client::within(settings, None)
    }

    /// A client whose requests end after a few seconds.
    pub fn impatient(settings: &Settings) -> Result<Self> {
        Client::within(settings, Some(IMPATIENT))
    }

    /// A client with a limit of the duration of a whole request.
    fn within(settings: &Settings, limit: Option<Duration>) -> Result<Self> {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(READ))
            .timeout_per_read(Some(READ))
            .timeout_global(limit)
            .http_status_as_error(false)
            .user_agent(concat!("cresset/", env!("CARGO_PKG_VERSION")))
            // Compressed bytes could not be resumed.
            .accept_encoding("identity");
        let config = match &settings.certificates {
            Some(path) => {
                let pem = std::fs::read(path).map_err(DataError::io("read", path))?;
                let certificates = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let roots = RootCerts::from(certificates);
                config.tls_config(TlsConfig::builder().root_certs(roots).build())
            }
            None => config,
        };
        Ok(Client { agent: config.build().new_agent(), settings: settings.clone() })
    }

    /// Looks up a file of a model without its contents.
    pub fn look_up(&self, id: &ModelId, name: &str) -> Result<Answer> {
        let mut url = format!("{}{}", self.settings.endpoint, url_path(id, name));
        let (mut commit, mut etag, mut size) = (None, None, None);
        for _ in 0..MAX_REDIRECTS {
            let response = self.head(&url)?;
            let header = |name: &str| response.headers().get(name)?.to_str().ok();
            commit = commit.or_else(|| header("x-repo-commit").map(str::to_string));
            etag = etag.or_else(|| header("x-linked-etag").or_else(|| header("etag")).and_then(bare_etag));
            let is_redirect = response.status().is_redirection();
            let length = header("content-length").filter(|_| !is_redirect);
            size = size.or_else(|| header("x-linked-size").or(length)?.parse().ok());
            let target = header("location").filter(|_| is_redirect).map(|location| resolve(&url, location));
            match target {
                // The hub redirects to the new name of a model, or to a host of its own for the contents.
                Some(target) if self.is_endpoint(&target) => url = target,
                Some(target) => {
                    url = target;
                    break;
                }
                None => {
                    let code = header("x-error-code").map(str::to_string);
                    match self.judge(id, name, response.status().as_u16(), code.as_deref(), &url)? {
                        Existence::Exists => break,
                        Existence::IsMissing => {
                            return match commit.filter(|commit| is_commit(commit)) {
                                Some(commit) => Ok(Answer::Missing { commit }),
                                None => Err(no_model(id, name, &self.settings)),
                            };
                        }
                    }
                }
            }
        }
        let (Some(commit), Some(etag)) = (commit.filter(|commit| is_commit(commit)), etag) else {
            let problem = "the answer is not that of a model hub (it has no commit or etag)";
            return Err(unexpected(&url, problem));
        };
        Ok(Answer::File { commit, etag, file: RemoteFile { name: name.to_string(), size, url } })
    }

    fn judge(
        &self,
        id: &ModelId,
        name: &str,
        status: u16,
        code: Option<&str>,
        url: &str,
    ) -> Result<Existence> {
        match (status, code) {
            (200, _) => Ok(Existence::Exists),
            (404, Some("RepoNotFound")) => Err(no_model(id, name, &self.settings)),
            (404, Some("RevisionNotFound")) => Err(no_revision(id, name, &self.settings)),
            (404, _) => Ok(Existence::IsMissing),
            (401 | 403, code) => Err(no_access(id, status, code == Some("GatedRepo"), &self.settings)),
            _ => Err(unexpected(url, &format!("the server answered HTTP {status}"))),
        }
    }

    fn head(&self, url: &str) -> Result<Response<Body>> {
        let request = self.agent.head(url);
        let request = match &self.settings.token {
            Some(token) if self.is_endpoint(url) => {
                request.header("Authorization", format!("Bearer {token}"))
            }
            _ => request,
        };
        // Redirects are followed by `look_up`, because their headers identify the file.
        let request = request.config().max_redirects(0).max_redirects_will_error(false).build();
        request.call().map_err(|error| unreachable(url, &reason(&error)))
    }

    /// Requests the contents of a file from byte `start`. ureq drops the token when it follows a redirect.
    pub fn get(&self, url: &str, start: u64) -> std::result::Result<Response<Body>, String> {
        let mut request = self.agent.get(url);
        if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_endpoint(url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        request.call().map_err(|error| reason(&error))
    }

    /// Posts a body with the token, and returns the status and the answer.
    pub fn post(&self, url: &str, content_type: &str, accept: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        let mut request = self.agent.post(url).header("Content-Type", content_type).header("Accept", accept);
        if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_endpoint(url)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(body).map_err(|error| unreachable(url, &reason(&error)))?;
        let answer = response.body_mut().read_to_vec().map_err(|error| unreachable(url, &reason(&error)))?;
        Ok((response.status().as_u16(), answer))
    }

    /// Puts a file at a URL, which needs no token, with these headers, and returns the status.
    pub fn put(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        contents: &File,
    ) -> std::result::Result<u16, String> {
        let request =
            headers.iter().fold(self.agent.put(url), |request, (name, value)| request.header(*name, *value));
        let response = request.send(contents).map_err(|error| reason(&error))?;
        Ok(response.status().as_u16())
    }

    fn is_endpoint(&self, url: &str) -> bool {
        origin(url).eq_ignore_ascii_case(origin(&self.settings.endpoint))
    }
}

enum Existence {
    Exists,
    IsMissing,
}

/// An etag without quotes. None if it cannot be a file name.
fn bare_etag(etag: &str) -> Option<String> {
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    let is_plain = etag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_plain && !etag.is_empty()).then(|| etag.to_string())
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host name cannot be resolved".to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_string(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_that_could_leave_the_cache_is_refused() {
        assert_eq!(bare_etag("W/\"0a1b\"").as_deref(), Some("0a1b"));
        assert_eq!([bare_etag("\"../x\""), bare_etag("\"\"")], [None, None]);
    }
}
