//! The OpenAPI 3.1 description (<https://spec.openapis.org/oas/v3.1.0>).

use serde_json::{Value, json};

use cresset::data::column::{Column, ColumnKind};
use cresset::data::image::Channels;
use cresset::evaluate::ood::OodScore;
use cresset::export::Metadata;

/// The document for a model. Its schemas contain the inputs and classes of the model.
pub(super) fn document(metadata: &Metadata, needs_token: bool) -> Value {
    let takes_images = Channels::of(&metadata.input.shape).is_some();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cresset serve",
            "description": "Classifies inputs with an exported model, and accepts corrections.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": {
            "/v1/predict": { "post": operation(
                "predict", "Class probabilities of inputs",
                Some(input_body("Inputs", takes_images)),
                &[parameter("top_k", "Number of classes, most probable first [default: all]", json!({ "type": "integer", "minimum": 1 }))],
                &reference("Predictions"),
            ) },
            "/v1/explain": { "post": operation(
                "explain", "Attribution of a class to the features of an input",
                Some(input_body("OneInput", takes_images)),
                &[parameter("class", "The class [default: the predicted one]", reference("Class"))],
                &reference("Explanation"),
            ) },
            "/v1/feedback": { "post": operation(
                "correct", "Stores the correct class of an input, for fine-tuning",
                Some(json!({ "application/json": { "schema": reference("Correction") } })), &[], &reference("Kept"),
            ) },
            "/v1/models": { "get": operation("models", "The served model", None, &[], &reference("Models")) },
            "/v1/models/reload": { "post": operation(
                "reload", "Reloads the model file; the server also checks it every second",
                None, &[], &reference("Models"),
            ) },
            "/healthz": { "get": operation("health", "Health check", None, &[], &object(
                &[("status", json!({ "const": "ok" }))],
            )) },
        },
        "components": { "schemas": schemas(metadata) },
    });
    document["paths"]["/metrics"] = json!({ "get": {
        "operationId": "metrics", "summary": "Metrics for Prometheus",
        "responses": { "200": { "description": "Metrics as text", "content": { "text/plain": { "schema": { "type": "string" } } } }, "default": error() },
    } });
    if needs_token {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "token": [] }]);
        document["paths"]["/healthz"]["get"]["security"] = json!([]);
    }
    document
}

fn operation(id: &str, summary: &str, body: Option<Value>, parameters: &[Value], answer: &Value) -> Value {
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": { "description": "Success", "content": { "application/json": { "schema": answer } } },
            "default": error(),
        },
    });
    if let Some(content) = body {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

fn error() -> Value {
    let content = json!({ "application/json": { "schema": reference("Error") } });
    json!({ "description": "Error message", "content": content })
}

fn parameter(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with exactly these properties, all required.
fn object(properties: &[(&str, Value)]) -> Value {
    let required: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<_, _> =
        properties.iter().map(|(name, schema)| (name.to_string(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

fn input_body(rows: &str, takes_images: bool) -> Value {
    let mut body = json!({
        "application/json": { "schema": reference(rows) },
        "text/csv": { "schema": { "type": "string", "description": "Table rows, in the format of `cresset predict`" } },
    });
    if takes_images {
        body["application/json"]["schema"] = json!({ "oneOf": [reference(rows), reference("Image")] });
        for kind in ["image/png", "image/jpeg", "application/octet-stream"] {
            body[kind] = json!({ "schema": image_body() });
        }
    }
    body
}

fn image_body() -> Value {
    json!({ "type": "string", "format": "binary", "description": "An encoded image; the format is detected" })
}

fn schemas(metadata: &Metadata) -> Value {
    let probability = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let sha256 = json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
    let base64 =
        json!({ "type": "string", "contentEncoding": "base64", "description": "An encoded image in base64" });
    let any = json!({ "type": "object" });
    let ranked = object(&[("class", json!({ "type": "string" })), ("probability", probability.clone())]);
    let mut result = object(&[("predictions", json!({ "type": "array", "items": ranked, "minItems": 1 }))]);
    result["properties"]["unknown"] = json!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "description": "Unknown categories by column",
    });
    if let Some(conformal) = metadata.conformal {
        result["properties"]["set"] = json!({
            "type": "array",
            "items": reference("Class"),
            "description": format!("Contains the true class with the probability {}", conformal.coverage),
        });
    }
    if let Some(ood) = metadata.ood {
        let threshold = ood.threshold.map_or("none".to_string(), |threshold| threshold.to_string());
        let what = match ood.score {
            OodScore::Energy => "-logsumexp of the logits",
            OodScore::Knn => "Distance to features of training examples",
        };
        result["properties"][ood.score.field()] = json!({
            "type": "number",
            "description": format!("{what}; threshold: {threshold}"),
        });
        result["properties"]["ood"] = json!({
            "type": "boolean",
            "description": format!("Unlike the training data; flags about {} of inputs like it", ood.share),
        });
    }
    let answer = object(&[("class", reference("Class")), ("probability", probability)]);
    let mut correction =
        object(&[("answer", answer), ("correction", reference("Class")), ("model_sha256", sha256.clone())]);
    correction["properties"]["image"] = base64.clone();
    correction["properties"]["values"] = reference("Row");
    correction["properties"]["model_version"] = json!({ "type": ["string", "null"], "maxLength": 200 });
    correction["oneOf"] = json!([{ "required": ["image"] }, { "required": ["values"] }]);
    let inputs = |rows: Value| object(&[("inputs", rows)]);
    let numbers = json!({ "type": "array", "items": { "type": "number" } });
    json!({
        "Class": { "enum": metadata.classes },
        "Row": row(metadata),
        "Inputs": inputs(json!({ "type": "array", "items": reference("Row"), "minItems": 1 })),
        "OneInput": inputs(json!({ "type": "array", "items": reference("Row"), "minItems": 1, "maxItems": 1 })),
        "Image": object(&[("image", base64)]),
        "Predictions": object(&[
            ("id", json!({ "type": "string" })),
            ("model_sha256", sha256.clone()),
            ("results", json!({ "type": "array", "items": result, "minItems": 1 })),
        ]),
        "Explanation": object(&[
            ("class", reference("Class")),
            ("method", json!({ "type": "string" })),
            ("shape", json!({ "type": "array", "items": { "type": "integer" } })),
            ("values", numbers),
            ("model_sha256", sha256.clone()),
        ]),
        "Correction": correction,
        "Kept": object(&[
            ("id", json!({ "type": "string" })),
            ("time", json!({ "type": "string", "format": "date-time" })),
            ("corrections", json!({ "type": "integer", "minimum": 1 })),
        ]),
        "Models": object(&[("models", json!({ "type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["name", "sha256", "classes", "input", "metrics"],
            "properties": {
                "name": { "type": "string" }, "sha256": sha256,
                "classes": { "type": "array", "items": { "type": "string" } }, "input": any, "metrics": any,
            },
        } }))]),
        "Error": object(&[("error", json!({
            "type": "object",
            "required": ["message"],
            "properties": { "message": { "type": "string" }, "inputs": { "type": "array" } },
        }))]),
    })
}

/// Schema of a row of raw values.
fn row(metadata: &Metadata) -> Value {
    let input = &metadata.input;
    let mut number = json!({ "type": "number", "minimum": -1e30, "maximum": 1e30 });
    if let Some(range) = input.value_range {
        number = json!({ "type": "number", "minimum": range.min, "maximum": range.max });
    }
    let has_fill = metadata.preprocessing.fill.is_some();
    let Some(table) = &input.table else {
        let count = input.shape.features();
        return json!({ "type": "array", "items": number, "minItems": count, "maxItems": count });
    };
    let cell = |column: &Column| {
        let mut schema = match &column.kind {
            ColumnKind::Number => number.clone(),
            ColumnKind::Category { categories, unknown: false } => json!({ "enum": categories }),
            // Any other string is an unknown category.
            ColumnKind::Category { categories, unknown: true } => {
                json!({ "anyOf": [{ "enum": categories }, { "type": "string", "minLength": 5 }] })
            }
        };
        if has_fill {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        schema
    };
    let cells: Vec<_> = table.columns.iter().map(cell).collect();
    let count = cells.len();
    let named: Vec<_> = table.columns.iter().map(|column| (column.name.as_str(), cell(column))).collect();
    json!({ "anyOf": [
        { "type": "array", "prefixItems": cells, "minItems": count, "maxItems": count },
        object(&named),
    ] })
}
