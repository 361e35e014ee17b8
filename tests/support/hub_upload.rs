//! The hub's side of uploads: files are sent to the storage or in the request for a commit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{COMMIT, Reply, Request, Shelf, refusal, sha256};

/// The token that may write.
const TOKEN: &str = "Bearer hf_write";

/// What the storage answers to an upload.
pub fn store(request: &Request, shelf: &mut Shelf) -> Reply {
    if shelf.refused_uploads > 0 {
        shelf.refused_uploads -= 1;
        return refusal(503, "");
    }
    let hash = sha256(&request.body);
    // The address is signed; a token must not go to the storage.
    if request.path != format!("/upload/{hash}") || request.authorization.is_some() {
        return refusal(403, "");
    }
    shelf.stored.push((hash, request.body.clone()));
    refusal(200, "")
}

/// What the endpoint answers to a request with a body.
pub fn post(request: &Request, storage: u16, shelf: &mut Shelf) -> Reply {
    if request.authorization.as_deref() != Some(TOKEN) {
        return answer(403, json!({ "error": "this token cannot write" }));
    }
    let body = || serde_json::from_slice::<Value>(&request.body).expect("the body is JSON");
    let path = request.path.trim_start_matches("/api/models/");
    if request.path == "/api/repos/create" {
        let name = format!("{}/{}", text(&body()["organization"]), text(&body()["name"]));
        let exists = shelf.files.iter().any(|(model, ..)| *model == name);
        return answer(if exists { 409 } else { 200 }, json!({ "name": name }));
    }
    if path.contains("/preupload/") {
        let is_large = |name: &str| name.ends_with(".safetensors") || name.ends_with(".pt");
        let mode = |file: &Value| {
            let name = text(&file["path"]);
            json!({ "path": name, "uploadMode": if is_large(&name) { "lfs" } else { "regular" }, "shouldIgnore": false })
        };
        let files: Vec<_> = body()["files"].as_array().unwrap().iter().map(mode).collect();
        return answer(200, json!({ "files": files }));
    }
    if path.ends_with(".git/info/lfs/objects/batch") {
        let object = |object: &Value| {
            let hash = text(&object["oid"]);
            let mut entry = json!({ "oid": hash, "size": object["size"] });
            if !shelf.stored.iter().any(|(own, _)| *own == hash) {
                let href = format!("http://127.0.0.1:{storage}/upload/{hash}");
                entry["actions"] = json!({ "upload": { "href": href, "header": { "x-signed": "yes" } } });
            }
            entry
        };
        let objects: Vec<_> = body()["objects"].as_array().unwrap().iter().map(object).collect();
        return answer(200, json!({ "transfer": "basic", "objects": objects }));
    }
    match path.split_once("/commit/") {
        Some((model, "main")) => commit(model, &request.body, shelf),
        _ => refusal(404, "RepoNotFound"),
    }
}

/// Adds the files of a commit to the model.
fn commit(model: &str, body: &[u8], shelf: &mut Shelf) -> Reply {
    let lines = body.split(|byte| *byte == b'\n').map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let mut files = Vec::new();
    for line in lines {
        let value = &line["value"];
        let name = text(&value["path"]);
        match line["key"].as_str().unwrap() {
            "header" => {}
            "file" => files.push((name, STANDARD.decode(text(&value["content"])).unwrap())),
            "lfsFile" => {
                let stored = shelf.stored.iter().find(|(hash, _)| *hash == text(&value["oid"]));
                let Some((_, bytes)) = stored else {
                    return answer(400, json!({ "error": format!("{name} was not uploaded") }));
                };
                files.push((name, bytes.clone()));
            }
            other => return answer(400, json!({ "error": format!("unknown key {other}") })),
        }
    }
    shelf.files.retain(|(own, name, _)| own != model || !files.iter().any(|(new, _)| new == name));
    shelf.files.extend(files.into_iter().map(|(name, bytes)| (model.to_string(), name, bytes)));
    answer(200, json!({ "commitOid": COMMIT, "commitUrl": format!("/{model}/commit/{COMMIT}") }))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn answer(status: u16, value: Value) -> Reply {
    let body = value.to_string().into_bytes();
    let headers =
        vec![("Content-Length", body.len().to_string()), ("Content-Type", "application/json".to_string())];
    Reply { status, headers, body, sent: None }
}
