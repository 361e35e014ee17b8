//! The playground: one self-contained page, assembled from small files.

use std::sync::LazyLock;

use cresset::report::html::hash;

const FRAME: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
/// In dependency order.
const SCRIPTS: [&str; 8] = [
    include_str!("api.js"),
    include_str!("drawing.js"),
    include_str!("results.js"),
    include_str!("drift.js"),
    include_str!("row.js"),
    include_str!("text.js"),
    include_str!("recommend.js"),
    include_str!("main.js"),
];

static SCRIPT: LazyLock<String> = LazyLock::new(|| format!("\"use strict\";\n{}", SCRIPTS.concat()));

static HTML: LazyLock<String> = LazyLock::new(|| {
    let frame = FRAME.replacen("<!--policy-->", &POLICY, 1);
    frame.replacen("/*style*/", STYLE, 1).replacen("/*script*/", &SCRIPT, 1)
});

/// Only this style and this script run, and they can only reach this server.
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

/// The Content-Security-Policy header; the page also contains it, without directives that only work in a header.
pub(super) fn policy() -> String {
    format!("{}; frame-ancestors 'none'", *POLICY)
}
