//! The playground: one page that needs nothing else, put together of small files.

use std::sync::LazyLock;

use cresset::report::html::hash;

const FRAME: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 4] =
    [include_str!("api.js"), include_str!("drawing.js"), include_str!("results.js"), include_str!("main.js")];

static SCRIPT: LazyLock<String> = LazyLock::new(|| format!("\"use strict\";\n{}", SCRIPTS.concat()));

static HTML: LazyLock<String> = LazyLock::new(|| {
    let frame = FRAME.replacen("<!--policy-->", &POLICY, 1);
    frame.replacen("/*style*/", STYLE, 1).replacen("/*script*/", &SCRIPT, 1)
});

/// Nothing but this style and this script runs, and they reach this server alone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let (style, script) = (hash(STYLE), hash(&SCRIPT));
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src 'self' blob: data:; \
         base-uri 'none'; form-action 'none'"
    )
});

/// The page.
pub(super) fn html() -> &'static str {
    &HTML
}

/// What the browser allows the page (Content-Security-Policy); it is in the page, too, but for what only a header can say.
pub(super) fn policy() -> String {
    format!("{}; frame-ancestors 'none'", *POLICY)
}
