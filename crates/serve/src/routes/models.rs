//! `GET /v1/models`, `POST /v1/models/reload`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::App;
use crate::models::{Models, ServedModel};
use crate::problem::Problem;
use crate::reply;
use crate::worker::ModelInput;
use cresset::data::column::{Column, ColumnKind, MISSING};
use cresset::data::image::Channels;
use cresset::evaluate::drift::Bins;

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
        "input": input(&served),
        "metrics": metadata.metrics,
        "architecture": metadata.config.get("model"),
        "cresset": metadata.cresset,
        "libtorch": metadata.libtorch,
    });
    json!({ "models": [model] })
}

/// Input schema of the model.
fn input(served: &ServedModel) -> Value {
    let (metadata, input) = (&served.metadata, &served.metadata.input);
    if let ModelInput::Users(catalog) = &served.input {
        return json!({ "kind": "user", "users": catalog.users(), "items": catalog.items().len() });
    }
    // For example, digits are table rows and images.
    let kind = match (&input.table, Channels::of(&input.shape)) {
        (Some(table), _) if table.only_text().is_some() => "text",
        (_, Some(_)) => "image",
        (Some(_), None) => "table",
        (None, None) => "values",
    };
    let mut described = json!({ "kind": kind, "shape": input.shape, "value_range": input.value_range });
    if let Some(table) = &input.table {
        let mut feature = 0;
        let variables = metadata.drift.as_ref().map_or(&[][..], |drift| &drift.inputs);
        let columns = table.columns.iter().map(|column| {
            let mean = metadata.preprocessing.offset.get(feature).copied();
            let variable = variables.iter().find(|variable| variable.start == feature);
            feature += column.features();
            described_column(column, mean, variable.map(|variable| &variable.bins))
        });
        described["columns"] = columns.collect();
    }
    described
}

/// A column with a typical value, the mean or the most frequent category, and the range of a number in the training data.
fn described_column(column: &Column, mean: Option<f32>, bins: Option<&Bins>) -> Value {
    match &column.kind {
        ColumnKind::Number => {
            let mut described = json!({ "name": column.name, "kind": "number", "typical": mean });
            if let Some(Bins::Number { low, edges }) = bins
                && let Some(high) = edges.last()
            {
                (described["low"], described["high"]) = (json!(low), json!(high));
                described["whole"] =
                    (low.fract() == 0. && edges.iter().all(|edge| edge.fract() == 0.)).into();
            }
            described
        }
        ColumnKind::Category { categories, .. }
        | ColumnKind::Code { categories, .. }
        | ColumnKind::Ordinal { categories } => {
            let frequent = match bins {
                Some(Bins::Category { kept, .. }) => kept.first().and_then(|index| categories.get(*index)),
                _ => None,
            };
            let categories: Vec<_> = categories.iter().filter(|category| *category != MISSING).collect();
            let typical = frequent.filter(|category| *category != MISSING).or(categories.first().copied());
            json!({ "name": column.name, "kind": "category", "categories": categories, "typical": typical })
        }
        ColumnKind::List { separator, items } => {
            json!({ "name": column.name, "kind": "list", "separator": separator, "items": items })
        }
        // Any text is one of its categories.
        ColumnKind::Hash { .. } => json!({ "name": column.name, "kind": "text" }),
        kind => json!({ "name": column.name, "kind": kind.name() }),
    }
}
