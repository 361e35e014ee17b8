//! `POST /v1/recommend`

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::recorded::{Reply, record};
use super::{App, request, state};
use crate::models::ServedModel;
use crate::problem::Problem;
use crate::worker::Job;
use crate::{inputs, reply};
use cresset::data::unknown::UnknownPolicy;
use cresset::error::quoted;
use cresset::predict::{Query, Recommendation};

/// A user, or several, and what is wanted for each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user: Option<Name>,
    users: Option<Vec<Name>>,
    /// The number of items of a user.
    top_k: Option<usize>,
    /// Items to leave out.
    #[serde(default)]
    exclude: Vec<Name>,
    /// Whether to recommend also what a user chose in the data of the run.
    #[serde(default)]
    include_chosen: bool,
}

/// The name of a user or an item. Tables may have numbers.
#[derive(Debug, Clone, PartialEq)]
struct Name(String);

/// The recommendations for a user.
#[derive(Serialize)]
struct UserResult {
    user: String,
    /// Whether the user is in the training set.
    known: bool,
    items: Vec<Recommendation>,
}

/// The number of items of a user if none is given.
const TOP_K: usize = 10;

/// Maximum number of items in a response, which determines its memory.
const MAX_RESULTS: usize = 1_000_000;

pub(super) async fn recommend(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (uri, headers, bytes) = request::read_request(&app, request).await?;
    request::options(&uri, &[])?;
    let served = app.models.current();
    served.catalog()?;
    inputs::expect_json(&headers)?;
    let body: Body = inputs::json(&bytes)?;
    let users = users(&app, &body)?;
    let queries = queries(&app, &served, &body, &users)?;
    let known: Vec<bool> = queries.iter().map(|query| query.user >= 0).collect();
    let ask = |answer| Job::Recommend { queries, answer };
    let found = request::answer(&app, &served, users.len(), ask).await?;
    let results = users.into_iter().zip(known).zip(found);
    let results = results.map(|((Name(user), known), items)| UserResult { user, known, items }).collect();
    let reply = Reply { id: state::new_id(), model_sha256: served.sha256.clone(), results };
    let response = reply::json(StatusCode::OK, &reply);
    if app.recorder.is_some() {
        record(&app, reply, &headers, bytes).await;
    }
    Ok(response)
}

/// The users of a request.
fn users(app: &App, body: &Body) -> Result<Vec<Name>, Problem> {
    let users = match (&body.user, &body.users) {
        (Some(user), None) => vec![user.clone()],
        (None, Some(users)) => users.clone(),
        _ => return Err(Problem::unprocessable("the body must have either `user` or `users`")),
    };
    inputs::counted(users.len(), app.limits)?;
    Ok(users)
}

/// The queries for the users, with what each one chose.
fn queries(app: &App, served: &ServedModel, body: &Body, users: &[Name]) -> Result<Vec<Query>, Problem> {
    let catalog = served.catalog()?;
    let all = catalog.items().len();
    let count = match body.top_k {
        None => TOP_K.min(all),
        Some(0) => return Err(Problem::unprocessable("`top_k` must be at least 1")),
        Some(count) if count > all => {
            let problem = format!("`top_k` is {count}, but the model knows {all} items");
            return Err(Problem::unprocessable(problem));
        }
        Some(count) => count,
    };
    if count.saturating_mul(users.len()) > MAX_RESULTS {
        let problem =
            format!("{} users with {count} items each are more than {MAX_RESULTS} items", users.len());
        return Err(Problem::too_large(problem));
    }
    let exclude = body.exclude.iter().map(|Name(item)| catalog.item(item)).collect::<Result<Vec<_>, _>>();
    let exclude = exclude.map_err(|problem| Problem::unprocessable(format!("`exclude`: {problem}")))?;
    let chosen = served.chosen.as_ref().filter(|_| !body.include_chosen);
    let (mut queries, mut faults) = (Vec::with_capacity(users.len()), Vec::new());
    for (number, Name(user)) in (1..).zip(users) {
        let index = catalog.user(user);
        if index.is_none() && app.unknown == UnknownPolicy::Error {
            let place = if users.len() == 1 { String::new() } else { format!("user {number}") };
            faults.push((place, format!("the model does not know the user {}", quoted(user))));
        }
        let user = index.unwrap_or(-1);
        let chosen = chosen.map_or(&[][..], |chosen| chosen.items(user));
        queries.push(Query { user, count, exclude: [&exclude, chosen].concat() });
    }
    inputs::invalid_rows(&faults).map_or(Ok(queries), Err)
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfName;
        impl Visitor<'_> for OfName {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a user or an item: a string or an integer")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Name, E> {
                Ok(Name(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Name, E> {
                Ok(Name(value.to_string()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Name, E> {
                Ok(Name(value.to_string()))
            }
        }
        from.deserialize_any(OfName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn users_are_strings_or_integers() {
        let read = |text: &str| inputs::json::<Body>(text.as_bytes());
        let body = read(r#"{"users": ["u3", 12, -1], "exclude": [7]}"#).unwrap();
        assert_eq!(body.users.unwrap(), ["u3", "12", "-1"].map(|name| Name(name.to_string())));
        assert_eq!((body.exclude, body.include_chosen), (vec![Name("7".to_string())], false));
        for wrong in [
            r#"{"user": 1.5}"#,
            r#"{"user": ["u"]}"#,
            r#"{"user": "u", "top_k": -1}"#,
            r#"{"usr": "u"}"#,
            "[",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(text in "[\\[\\]{}\":,a-z0-9.eE-]{0,60}") {
            let _ = inputs::json::<Body>(format!("{{\"user\": {text}}}").as_bytes());
        }
    }
}
