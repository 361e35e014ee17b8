//! The OpenAPI 3.1 description (<https://spec.openapis.org/oas/v3.1.0>).

mod recommend;

use serde_json::{Value, json};

use super::models::ServedModel;
use super::worker::ModelInput;
use cresset::data::column::{Column, ColumnKind};
use cresset::evaluate::ood::OodScore;
use cresset::export::Metadata;
use cresset::model::Outputs;
use cresset::predict::explain::table::TableColumns;

/// The document for a model. Its schemas contain the inputs, and the classes or labels, of the model.
pub(super) fn document(served: &ServedModel, needs_token: bool) -> Value {
    let metadata = &served.metadata;
    let Words { description, predict, top_k, explain, class } = Words::of(&metadata.outputs);
    let top_k = top_k.map(|text| parameter("top_k", text, json!({ "type": "integer", "minimum": 1 })));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cresset serve",
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": {
            "/v1/drift": { "get": operation(
                "drift", "How the inputs and predictions since the start differ from the training data",
                None, &[], &object(&[("drift", json!({ "type": ["object", "null"] }))]),
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
    if let ModelInput::Users(catalog) = &served.input {
        recommend::add(&mut document, catalog);
    } else {
        document["paths"]["/v1/predict"] = json!({ "post": operation(
            "predict", predict,
            Some(input_body("Inputs", metadata)),
            top_k.as_slice(),
            &reference("Predictions"),
        ) });
        document["paths"]["/v1/explain"] = json!({ "post": operation(
            "explain", explain,
            Some(input_body("OneInput", metadata)),
            &[parameter("class", class, reference("Class"))],
            &reference("Explanation"),
        ) });
    }
    if metadata.outputs.is_classification() {
        document["paths"]["/v1/feedback"] = json!({ "post": operation(
            "correct", "Stores the correct class of an input, for fine-tuning",
            Some(json!({ "application/json": { "schema": reference("Correction") } })), &[], &reference("Kept"),
        ) });
    }
    if needs_token {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "token": [] }]);
        document["paths"]["/healthz"]["get"]["security"] = json!([]);
    }
    document
}

/// The texts that depend on the task.
struct Words {
    description: &'static str,
    predict: &'static str,
    /// None if a prediction has no classes or labels.
    top_k: Option<&'static str>,
    explain: &'static str,
    class: &'static str,
}

impl Words {
    fn of(outputs: &Outputs) -> Self {
        match outputs {
            Outputs::Classification => Words {
                description: "Classifies inputs with an exported model, and accepts corrections.",
                predict: "Class probabilities of inputs",
                top_k: Some("Number of classes, most probable first [default: all]"),
                explain: "Attribution of a class to the features of an input",
                class: "The class [default: the predicted one]",
            },
            Outputs::Multilabel { .. } => Words {
                description: "Predicts the labels of inputs with an exported model.",
                predict: "Labels of inputs, and their probabilities",
                top_k: Some("Number of labels in `predictions`, most probable first [default: all]"),
                explain: "Attribution of a label to the features of an input",
                class: "The label [default: the most probable one]",
            },
            Outputs::Ranking => Words {
                description: "Recommends items to users with an exported model.",
                predict: "",
                top_k: None,
                explain: "",
                class: "",
            },
            Outputs::Regression { .. } => Words {
                description: "Predicts a number for inputs with an exported model.",
                predict: "Predicted numbers of inputs",
                top_k: None,
                explain: "Attribution of the predicted number to the features of an input",
                class: "The name of the number [default: the only one]",
            },
        }
    }
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

fn input_body(rows: &str, metadata: &Metadata) -> Value {
    let mut body = json!({
        "application/json": { "schema": reference(rows) },
        "text/csv": { "schema": { "type": "string", "description": "Table rows, in the format of `cresset predict`" } },
    });
    let takes_images = metadata.input.shape.image().is_some();
    if metadata.input.table.as_ref().is_some_and(|table| table.only_text().is_some()) {
        body["text/plain"] = json!({ "schema": { "type": "string", "description": "A text" } });
    }
    if takes_images {
        body["application/json"]["schema"] = json!({ "oneOf": [reference(rows), reference("Image")] });
        for kind in ["image/png", "image/jpeg", "application/octet-stream"] {
            body[kind] = json!({ "schema": image_body() });
        }
    }
    let file =
        json!({ "type": "string", "format": "binary", "description": "A file of one of the other types" });
    body["multipart/form-data"] = json!({ "schema": object(&[("file", file)]) });
    body
}

fn image_body() -> Value {
    json!({ "type": "string", "format": "binary", "description": "An encoded image; the format is detected" })
}

fn schemas(metadata: &Metadata) -> Value {
    let sha256 = sha256();
    let any = json!({ "type": "object" });
    let mut schemas = json!({
        "Models": object(&[("models", json!({ "type": "array", "minItems": 1, "items": {
            "type": "object",
            "required": ["name", "sha256", "classes", "outputs", "input", "metrics"],
            "properties": {
                "name": { "type": "string" }, "sha256": sha256,
                "classes": { "type": "array", "items": { "type": "string" } }, "outputs": any, "input": any, "metrics": any,
            },
        } }))]),
        "Error": object(&[("error", json!({
            "type": "object",
            "required": ["message"],
            "properties": { "message": { "type": "string" }, "inputs": { "type": "array" } },
        }))]),
    });
    if metadata.outputs != Outputs::Ranking {
        add_schemas_of_rows(&mut schemas, metadata);
    }
    schemas
}

fn sha256() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

/// Adds the schemas of a model that takes images, texts or rows.
fn add_schemas_of_rows(schemas: &mut Value, metadata: &Metadata) {
    let probability = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let sha256 = sha256();
    let base64 =
        json!({ "type": "string", "contentEncoding": "base64", "description": "An encoded image in base64" });
    let inputs = |rows: Value| object(&[("inputs", rows)]);
    schemas["Class"] = json!({ "enum": metadata.classes });
    schemas["Row"] = row(metadata);
    schemas["Inputs"] = inputs(json!({ "type": "array", "items": reference("Row"), "minItems": 1 }));
    schemas["OneInput"] =
        inputs(json!({ "type": "array", "items": reference("Row"), "minItems": 1, "maxItems": 1 }));
    schemas["Image"] = object(&[("image", base64.clone())]);
    schemas["Predictions"] = object(&[
        ("id", json!({ "type": "string" })),
        ("model_sha256", sha256.clone()),
        ("results", json!({ "type": "array", "items": result(metadata, &probability), "minItems": 1 })),
    ]);
    schemas["Explanation"] = explanation(metadata, &sha256);
    if metadata.outputs.is_classification() {
        schemas["Correction"] = correction(&probability, &sha256, &base64);
        schemas["Kept"] = object(&[
            ("id", json!({ "type": "string" })),
            ("time", json!({ "type": "string", "format": "date-time" })),
            ("corrections", json!({ "type": "integer", "minimum": 1 })),
        ]);
    }
}

/// Schema of an attribution.
fn explanation(metadata: &Metadata, sha256: &Value) -> Value {
    let of = metadata.outputs.explained();
    let numbers = json!({ "type": "array", "items": { "type": "number" } });
    let mut explanation = object(&[
        ("class", reference("Class")),
        ("output", json!({ "const": of, "description": "The output that is explained" })),
        ("method", json!({ "type": "string" })),
        ("shape", json!({ "type": "array", "items": { "type": "integer" } })),
        ("values", numbers),
        ("model_sha256", sha256.clone()),
    ]);
    if let Some(columns) = TableColumns::of(metadata) {
        let description = "The columns that the values belong to";
        explanation["properties"]["columns"] =
            json!({ "const": columns.names(), "description": description });
        let description = format!(
            "The mean {of} over rows like the training data; the values add up to the difference from it"
        );
        explanation["properties"]["base"] = json!({ "type": "number", "description": description });
    }
    if metadata.input.table.as_ref().is_some_and(|table| table.only_text().is_some()) {
        let place = json!({ "type": "integer", "minimum": 0 });
        let word = object(&[
            ("word", json!({ "type": "string" })),
            ("start", place.clone()),
            ("end", place),
            ("value", json!({ "type": "number" })),
        ]);
        let description = "The words of the text with their first byte and the one after the last, in UTF-8";
        let text = "The text that the model reads: of a raw mail, its subject and body";
        explanation["properties"]["text"] = json!({ "type": "string", "description": text });
        explanation["properties"]["words"] =
            json!({ "type": "array", "items": word, "description": description });
        let description = format!(
            "The {of} if the vectors of all words are zero; null if the method does not compare with it"
        );
        explanation["properties"]["base"] = json!({ "type": ["number", "null"], "description": description });
    }
    explanation
}

/// Schema of a correction.
fn correction(probability: &Value, sha256: &Value, base64: &Value) -> Value {
    let answer = object(&[("class", reference("Class")), ("probability", probability.clone())]);
    let mut correction = object(&[("correction", reference("Class"))]);
    correction["properties"]["id"] =
        json!({ "type": "string", "description": "That of a prediction of this server" });
    let row = "The input of that prediction, from 1 [default: the only one]";
    correction["properties"]["row"] = json!({ "type": "integer", "minimum": 1, "description": row });
    correction["properties"]["answer"] = answer;
    correction["properties"]["model_sha256"] = sha256.clone();
    correction["properties"]["image"] = base64.clone();
    correction["properties"]["values"] = reference("Row");
    correction["properties"]["model_version"] = json!({ "type": ["string", "null"], "maxLength": 200 });
    let with = |input: &str, without: [&str; 3]| {
        let without: serde_json::Map<_, _> =
            without.into_iter().map(|name| (name.to_string(), json!(false))).collect();
        json!({ "required": [input, "answer", "model_sha256"], "properties": without })
    };
    correction["oneOf"] = json!([
        { "required": ["id"], "properties": { "image": false, "values": false, "answer": false, "model_sha256": false } },
        with("image", ["values", "id", "row"]),
        with("values", ["image", "id", "row"]),
    ]);
    correction
}

/// Schema of the result for an input.
fn result(metadata: &Metadata, probability: &Value) -> Value {
    let ranked = object(&[("class", reference("Class")), ("probability", probability.clone())]);
    let predictions = ("predictions", json!({ "type": "array", "items": ranked, "minItems": 1 }));
    let mut result = match &metadata.outputs {
        Outputs::Classification => object(&[predictions]),
        Outputs::Multilabel { thresholds } => {
            let description = format!(
                "The labels whose probability is at least their threshold: {}",
                named(&metadata.classes, thresholds)
            );
            let labels = json!({ "type": "array", "items": reference("Class"), "uniqueItems": true, "description": description });
            object(&[predictions, ("labels", labels)])
        }
        Outputs::Ranking => object(&[("value", json!({ "type": "number" }))]),
        Outputs::Regression { interval, .. } => {
            let mut properties =
                vec![("value", json!({ "type": "number", "description": metadata.classes[0] }))];
            properties.extend(interval.map(|interval| ("interval", json!({
                "type": "array",
                "items": { "type": "number" },
                "minItems": 2,
                "maxItems": 2,
                "description": format!("Contains the true value with the probability {}", interval.coverage),
            }))));
            object(&properties)
        }
    };
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
    result
}

/// The thresholds of the labels, in a sentence.
fn named(labels: &[String], thresholds: &[f64]) -> String {
    let pairs = labels.iter().zip(thresholds);
    pairs.map(|(label, threshold)| format!("{label} {threshold:.3}")).collect::<Vec<_>>().join(", ")
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
            ColumnKind::Boolean => json!({ "enum": ["true", "false"] }),
            ColumnKind::Date { time: false } => json!({ "type": "string", "format": "date" }),
            ColumnKind::Date { time: true } => json!({ "type": "string", "format": "date-time" }),
            ColumnKind::Hash { .. }
            | ColumnKind::List { .. }
            | ColumnKind::Text { .. }
            | ColumnKind::Tokens { .. } => {
                json!({ "type": "string" })
            }
            ColumnKind::Ordinal { categories }
            | ColumnKind::Category { categories, unknown: false }
            | ColumnKind::Code { categories, unknown: false } => json!({ "enum": categories }),
            // Any other string is an unknown category.
            ColumnKind::Category { categories, unknown: true }
            | ColumnKind::Code { categories, unknown: true } => {
                json!({ "anyOf": [{ "enum": categories }, { "type": "string", "minLength": 5 }] })
            }
        };
        if has_fill || table.has_features_of_missing(column) {
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
