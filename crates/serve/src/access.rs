//! Access control: a token, and on loopback protection against web pages of other sites.

use std::net::IpAddr;
use std::path::Path;

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use cresset::error::{Error, Result};

/// Minimum length of a token.
const MIN_TOKEN: usize = 16;

/// The token of requests (`Authorization: Bearer TOKEN`). Only its hash is stored.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Creates a token, without surrounding whitespace.
    ///
    /// # Errors
    /// If it is too short, or not valid in a header.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() < MIN_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Usage(format!(
                "the token must have at least {LEAST_TOKEN} characters, only letters, digits and punctuation in ASCII; \
                 `openssl rand -hex 32` generates one"
            )));
        }
        Ok(Token(Sha256::digest(text).into()))
    }

    /// Reads a token from a file.
    ///
    /// # Errors
    /// Like [`Token::new`], and if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::data(path, format!("cannot read the token: {e}")))?;
        Token::new(&text)
    }

    /// Whether a text equals the token, in constant time.
    fn is(&self, text: &str) -> bool {
        let own = Sha256::digest(text);
        self.0.iter().zip(own).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

/// The access rules of the server.
pub(super) struct Access {
    token: Option<Token>,
    host: IpAddr,
}

impl Access {
    /// The rules for a server with this listen address.
    ///
    /// # Errors
    /// If the address is not loopback and there is no token.
    pub fn new(token: Option<Token>, host: IpAddr) -> Result<Self> {
        if token.is_none() && !host.is_loopback() {
            return Err(Error::Usage(format!(
                "--host {host} is not loopback, so requests must carry a token; use --token-file, \
                 or set CRESSET_TOKEN"
            )));
        }
        Ok(Access { token, host })
    }

    /// Whether requests must carry a token.
    pub fn needs_token(&self) -> bool {
        self.token.is_some()
    }

    /// Rejects unauthorized requests.
    pub fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> std::result::Result<(), Problem> {
        let path = uri.path();
        if path == "/healthz" {
            return Ok(());
        }
        self.check_host(uri, headers)?;
        check_origin(method, headers)?;
        // A browser cannot send a token when it opens the page; the page contains nothing of the model.
        match &self.token {
            Some(token) if path != "/" => check_token(token, headers),
            _ => Ok(()),
        }
    }

    /// On loopback, requires a loopback host name, as protection against DNS rebinding.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> std::result::Result<(), Problem> {
        if !self.host.is_loopback() {
            return Ok(());
        }
        let host = host_of(uri, headers).unwrap_or_default();
        let name = without_port(host);
        let is_own = name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if is_own {
            return Ok(());
        }
        let problem = "this server only accepts requests for localhost, but the Host header has another name";
        Err(Problem::new(StatusCode::FORBIDDEN, problem))
    }
}

/// Rejects state-changing cross-site requests of browsers.
fn check_origin(method: &Method, headers: &HeaderMap) -> std::result::Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_foreign = match text(header::ORIGIN) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) != text(header::HOST),
        None => matches!(
            headers.get("sec-fetch-site").map(|site| site.as_bytes()),
            Some(b"cross-site" | b"same-site")
        ),
    };
    match is_foreign {
        true => Err(Problem::new(StatusCode::FORBIDDEN, "cross-site request")),
        false => Ok(()),
    }
}

fn check_token(token: &Token, headers: &HeaderMap) -> std::result::Result<(), Problem> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match given {
        Some(given) if token.is(given) => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong token")),
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "missing token; send the header Authorization: Bearer TOKEN",
        )),
    }
}

fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match headers.get(header::HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(|authority| authority.as_str()),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn status(access: &Access, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let found = access.check(&method, &path.parse().unwrap(), &headers.collect());
        found.map_or_else(
            |problem| axum::response::IntoResponse::into_response(problem).status().as_u16(),
            |()| 200,
        )
    }

    #[test]
    fn on_loopback_names_of_other_machines_are_refused() {
        let access = Access::new(None, "127.0.0.1".parse().unwrap()).unwrap();
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"] {
            assert_eq!(status(&access, Method::POST, "/v1/predict", &[("host", host)]), 200, "{host}");
        }
        for host in ["example.com", "localhost.example.com:80", "10.0.0.1", "", "[::2]:8080", "localhost:x"] {
            assert_eq!(status(&access, Method::POST, "/v1/predict", &[("host", host)]), 403, "{host}");
            assert_eq!(status(&access, Method::GET, "/v1/models", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&access, Method::GET, "/healthz", &[("host", "10.0.0.1")]), 200);
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let access = Access::new(None, "::1".parse().unwrap()).unwrap();
        let post = |name, value| {
            let headers = [("host", "localhost:8080"), (name, value)];
            status(&access, Method::POST, "/v1/feedback", &headers)
        };
        assert_eq!(post("origin", "http://localhost:8080"), 200);
        for origin in ["http://localhost:9090", "https://example.com", "null", ""] {
            assert_eq!(post("origin", origin), 403, "{origin}");
        }
        assert_eq!((post("sec-fetch-site", "cross-site"), post("sec-fetch-site", "same-origin")), (403, 200));
        let get = [("host", "localhost"), ("origin", "https://example.com")];
        assert_eq!(status(&access, Method::GET, "/v1/models", &get), 200);
    }

    #[test]
    fn beyond_loopback_only_the_token_opens() {
        let host: IpAddr = "0.0.0.0".parse().unwrap();
        assert!(Access::new(None, host).err().unwrap().to_string().contains("--token-file"));
        assert!(Token::new("short").is_err() && Token::new("sixteen or more, but blanks").is_err());
        let access = Access::new(Some(Token::new(" 0123456789abcdef\n").unwrap()), host).unwrap();
        let asked = |headers: &[(&str, &str)]| status(&access, Method::POST, "/v1/predict", headers);
        assert_eq!(asked(&[("authorization", "Bearer 0123456789abcdef")]), 200);
        assert_eq!(asked(&[("authorization", "bearer 0123456789abcdef")]), 200);
        for wrong in ["Bearer 0123456789abcdeg", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef"] {
            assert_eq!(asked(&[("authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(asked(&[]), 401);
        assert_eq!(status(&access, Method::GET, "/metrics", &[]), 401);
        assert_eq!(status(&access, Method::GET, "/healthz", &[]), 200);
    }
}
