//! The part of the document that only models of recommendations have.

use serde_json::{Value, json};

use super::{object, operation, reference, sha256};
use cresset::predict::Catalog;

/// Adds `/v1/recommend` and its schemas.
pub(super) fn add(document: &mut Value, catalog: &Catalog) {
    let body = json!({ "application/json": { "schema": reference("Users") } });
    let summary = "Items for users, best first, without those that a user chose in the data of the run";
    document["paths"]["/v1/recommend"] =
        json!({ "post": operation("recommend", summary, Some(body), &[], &reference("Recommendations")) });
    let items = catalog.items().len();
    let schemas = &mut document["components"]["schemas"];
    schemas["Name"] = json!({ "type": ["string", "integer"], "description": "As in the data of the run" });
    schemas["Users"] = users(items);
    let item = object(&[("item", json!({ "type": "string" })), ("score", json!({ "type": "number" }))]);
    let known = json!({ "type": "boolean", "description": "Whether the user is in the training data" });
    let result = object(&[
        ("user", json!({ "type": "string" })),
        ("known", known),
        ("items", json!({ "type": "array", "items": item })),
    ]);
    schemas["Recommendations"] = object(&[
        ("id", json!({ "type": "string" })),
        ("model_sha256", sha256()),
        ("results", json!({ "type": "array", "items": result, "minItems": 1 })),
    ]);
}

/// Schema of a request.
fn users(items: usize) -> Value {
    let names = |text: &str, least: u32| json!({ "type": "array", "items": reference("Name"), "minItems": least, "description": text });
    let top_k = "Number of items of a user [default: 10]";
    json!({
        "type": "object",
        "properties": {
            "user": reference("Name"),
            "users": names("Several users", 1),
            "top_k": { "type": "integer", "minimum": 1, "maximum": items, "description": top_k },
            "exclude": names("Items to leave out; each must be in the training data", 0),
            "include_chosen": { "type": "boolean", "description": "Also recommend items that the user chose in the data of the run [default: false]" },
        },
        "oneOf": [{ "required": ["user"] }, { "required": ["users"] }],
        "additionalProperties": false,
    })
}
