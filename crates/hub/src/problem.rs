//! Messages of errors: the cause and a remedy.

use std::path::Path;

use cresset_data::error::Error as DataError;
use cresset_data::terminal;

use crate::error::Error;
use crate::model_id::ModelId;
use crate::settings::Settings;
use crate::url::{origin, url_path};

fn usage(problem: String) -> Error {
    DataError::Usage(problem).into()
}

/// The cache lacks a file, and the network must not be used.
pub fn offline(id: &ModelId, name: &str, cache: &Path) -> Error {
    usage(format!(
        "{name} of `{id}` is not in the cache {}, and HF_HUB_OFFLINE is set; unset it to download the file, or pass the path of \
         a folder with config.json and model.safetensors",
        terminal::path(cache)
    ))
}

/// The cache of `torch.hub` lacks a file, and the network must not be used.
pub fn torchvision_offline(name: &str, folder: &Path) -> Error {
    usage(format!(
        "{name} is not in the cache {}, and HF_HUB_OFFLINE is set; unset it to download the file, or put the file there",
        terminal::path(folder)
    ))
}

/// A model cannot be uploaded, because the network must not be used.
pub fn push_offline(id: &ModelId) -> Error {
    usage(format!("cannot upload to `{id}`: HF_HUB_OFFLINE is set; unset it"))
}

/// An upload needs a token.
pub fn no_token(id: &ModelId, settings: &Settings) -> Error {
    usage(format!(
        "cannot upload to `{id}` without an access token; create one with write access at {}/settings/tokens, and put it into the \
         variable HF_TOKEN or the file {}",
        settings.endpoint,
        terminal::path(&settings.token_file)
    ))
}

/// The token may not write.
pub fn no_write_access(id: &ModelId, status: u16, reason: &str, endpoint: &str) -> Error {
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    usage(format!(
        "cannot upload to `{id}` (HTTP {status}{reason}): the access token is invalid or may not write there; create one with write \
         access at {endpoint}/settings/tokens, and check the name of the user or organization"
    ))
}

/// A data set has not been downloaded, and the network must not be used.
pub fn dataset_offline(name: &str, folder: &Path) -> Error {
    usage(format!(
        "the data set {name} is not in {}, and HF_HUB_OFFLINE is set; unset it to download the data set, or put its files there",
        terminal::path(folder)
    ))
}

/// The server does not know the model.
pub fn no_model(id: &ModelId, name: &str, settings: &Settings) -> Error {
    usage(format!(
        "{} has no model `{}` (HTTP 404 for {}); check the spelling of the name",
        settings.endpoint,
        id.name(),
        url_path(id, name)
    ))
}

/// The model has no such revision.
pub fn no_revision(id: &ModelId, name: &str, settings: &Settings) -> Error {
    usage(format!(
        "the model `{}` has no revision `{}` (HTTP 404 for {} at {}); check the branch, tag or commit after `@`",
        id.name(),
        id.revision(),
        url_path(id, name),
        settings.endpoint
    ))
}

/// The server requires a token, or the token has no access.
pub fn no_access(id: &ModelId, status: u16, is_gated: bool, settings: &Settings) -> Error {
    let Settings { endpoint, token, token_file, .. } = settings;
    let page = format!("{endpoint}/{}", id.name());
    let reason = match (is_gated, token) {
        (true, _) => format!("access to it must be requested on {page}"),
        (false, None) => "there is no public model of this name: it is misspelled, or private".to_string(),
        (false, Some(_)) => "the access token is invalid or has no access to it".to_string(),
    };
    usage(format!(
        "cannot download `{id}` (HTTP {status}): {reason}. For a gated or private model, put an access token, created at \
         {endpoint}/settings/tokens, into the variable HF_TOKEN or the file {}",
        terminal::path(token_file)
    ))
}

/// The server cannot be reached.
pub fn unreachable(url: &str, reason: &str) -> Error {
    let check = match reason.contains("certificate") {
        true => "Set SSL_CERT_FILE to the certificates of the server or of the proxy",
        false => "Check the network connection, and HTTPS_PROXY behind a proxy",
    };
    Error::Network(format!(
        "cannot reach {}: {reason}. {check}; on a machine without a \
         network, pass the path of a folder with config.json and model.safetensors",
        origin(url)
    ))
}

/// The server answered with something else than the file.
pub fn unexpected(url: &str, problem: &str) -> Error {
    Error::Network(format!(
        "{}: {problem}; try again later, or check HF_ENDPOINT",
        url.split('?').next().unwrap_or(url)
    ))
}
