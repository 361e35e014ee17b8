//! The parts of URLs.

use crate::model_id::ModelId;

/// The path of a file on the hub.
pub fn url_path(id: &ModelId, name: &str) -> String {
    format!("/{}/resolve/{}/{name}", id.name(), revision(id))
}

/// The revision as a part of a path.
pub fn revision(id: &ModelId) -> String {
    id.revision().replace('/', "%2F").replace('+', "%2B")
}

/// Scheme, host and port of a URL.
pub fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let length = url[start..].find(['/', '?', '#']).unwrap_or(url.len() - start);
    &url[..start + length]
}

/// The URL to which `location` in the answer to `url` leads.
pub fn resolve(url: &str, location: &str) -> String {
    match location {
        _ if location.contains("://") => location.to_string(),
        _ if location.starts_with("//") => {
            format!("{}:{location}", url.split(':').next().unwrap_or("https"))
        }
        _ => format!("{}/{}", origin(url), location.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_relative_to_its_url() {
        let url = "https://hub.example:8080/a/b?c";
        assert_eq!(origin(url), "https://hub.example:8080");
        assert_eq!(origin("http://hub.example"), "http://hub.example");
        assert_eq!(resolve(url, "/x/y"), "https://hub.example:8080/x/y");
        assert_eq!(resolve(url, "//other/x"), "https://other/x");
        assert_eq!(resolve(url, "http://other/x"), "http://other/x");
    }
}
