//! Answers on their way out: where the settings say so, odd in the ways the real ones may be.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::ask::Answer;
use crate::settings::Settings;

pub(super) fn respond(answer: Answer, settings: &Settings) -> Response {
    let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::OK);
    match answer.body {
        None => code.into_response(),
        Some(mut body) => {
            distort(&mut body, settings);
            (code, Json(body)).into_response()
        }
    }
}

fn distort(value: &mut Value, settings: &Settings) {
    match value {
        Value::Array(items) if items.is_empty() && settings.null_lists => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(|item| distort(item, settings)),
        Value::Object(fields) => {
            fields.retain(|name, value| !settings.omitted.contains(name) && !value.is_null());
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if settings.shouting && name == "status" => {
                        *text = text.to_uppercase().replace(' ', "_");
                    }
                    value => distort(value, settings),
                }
            }
            if settings.extra_fields {
                fields.insert("addedLater".to_owned(), json!({"by": ["the", "service"], "n": 1.5}));
            }
        }
        _ => {}
    }
}
