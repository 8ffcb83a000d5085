//! A build that is one version ahead, made by `--cfg chatalot_ahead` for the journey that shows that this one works with
//! it: with everything it says, it says what nobody knows yet. Never part of what is shipped.

use crate::frame::FrameError;
use serde::Serialize;
use serde_json::{Value, json};

/// What a later version calls something that this one does not have.
const LATER: &str = "of_a_later_version";

/// The message with fields that nobody knows: its own, and of each of its events.
pub(crate) fn with_more<T: Serialize>(message: &T) -> Result<Value, FrameError> {
    let mut message = serde_json::to_value(message).map_err(FrameError::Json)?;
    for part in message
        .as_object_mut()
        .into_iter()
        .flat_map(|own| own.values_mut())
    {
        for each in part.as_array_mut().into_iter().flatten() {
            add(each);
        }
    }
    add(&mut message);
    Ok(message)
}

fn add(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(LATER.to_owned(), json!({ "nested": [1, null, "two"] }));
    }
}

/// What is said after a message: where a session begins, a message that nobody knows; and by a controller, a question.
pub(crate) fn and_then(message: &Value) -> Vec<Value> {
    let unknown = json!({ "type": LATER, "n": 1 });
    let question = json!({ "type": "ask", "id": u64::MAX, "ask": { "ask": LATER, "about": [] } });
    match message["type"].as_str() {
        Some("hello") => vec![unknown],
        Some("welcome") => vec![unknown, question],
        _ => Vec::new(),
    }
}
