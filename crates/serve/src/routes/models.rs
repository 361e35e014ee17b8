//! `GET /v1/models`, `POST /v1/models/reload`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::App;
use crate::models::Models;
use crate::problem::Problem;
use crate::reply;
use cresset::data::column::{Column, ColumnKind, MISSING};
use cresset::data::image::Channels;
use cresset::export::Metadata;

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    reply::json(StatusCode::OK, &described(&app.models))
}

pub(super) async fn reload(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    match app.models.reload(true).await {
        Ok(_) => Ok(reply::json(StatusCode::OK, &described(&app.models))),
        Err(error) => {
            let problem = format!("the model file cannot be served, so the old model stays: {error}");
            Err(Problem::new(StatusCode::CONFLICT, problem))
        }
    }
}

fn described(models: &Models) -> Value {
    let served = models.current();
    let metadata = &served.metadata;
    let model = json!({
        "name": models.name(),
        "sha256": served.sha256,
        "classes": metadata.classes,
        "outputs": metadata.outputs,
        "input": input(metadata),
        "metrics": metadata.metrics,
        "architecture": metadata.config.get("model"),
        "cresset": metadata.cresset,
        "libtorch": metadata.libtorch,
    });
    json!({ "models": [model] })
}

/// Input schema of the model. Table columns include a typical value: the mean of the training set.
fn input(metadata: &Metadata) -> Value {
    let input = &metadata.input;
    // For example, digits are table rows and images.
    let kind = match (&input.table, Channels::of(&input.shape)) {
        (_, Some(_)) => "image",
        (Some(_), None) => "table",
        (None, None) => "values",
    };
    let mut described = json!({ "kind": kind, "shape": input.shape, "value_range": input.value_range });
    if let Some(table) = &input.table {
        let mut feature = 0;
        let columns = table.columns.iter().map(|column| {
            let typical = metadata.preprocessing.offset.get(feature);
            feature += column.features();
            described_column(column, typical.copied())
        });
        described["columns"] = columns.collect();
    }
    described
}

fn described_column(column: &Column, typical: Option<f32>) -> Value {
    match &column.kind {
        ColumnKind::Number => json!({ "name": column.name, "kind": "number", "typical": typical }),
        ColumnKind::Category { categories, .. }
        | ColumnKind::Code { categories, .. }
        | ColumnKind::Ordinal { categories } => {
            let categories: Vec<_> = categories.iter().filter(|category| *category != MISSING).collect();
            json!({ "name": column.name, "kind": "category", "categories": categories })
        }
        ColumnKind::List { separator, items } => {
            json!({ "name": column.name, "kind": "list", "separator": separator, "items": items })
        }
        kind => json!({ "name": column.name, "kind": kind.name() }),
    }
}
