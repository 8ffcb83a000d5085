//! Reading what another version says: a message of a known kind whose content this build cannot read is answered for
//! what it is, and the session goes on.

use crate::event::{Event, What};
use crate::frame::FrameError;
use crate::message::{Answer, ToAgent, ToController};
use crate::names::DeploymentId;
use serde::Deserialize;
use serde_json::Value;

/// What a control frame said to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeardByAgent {
    /// A message.
    Said(ToAgent),
    /// A question that asks for something newer; to be answered as not supported.
    Ask(u64),
    /// A job that says something newer; to be refused.
    Job(DeploymentId),
    /// Something else that is newer; to be passed over.
    Other,
}

#[derive(Deserialize)]
struct Outline {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    events: Vec<Value>,
}

#[derive(Deserialize)]
struct EventOutline {
    seq: u64,
    at_ms: i64,
    #[serde(default)]
    deployment: Option<DeploymentId>,
}

/// Reads a control frame as an agent; fails where it is no message at all.
pub fn by_agent(body: &[u8]) -> Result<HeardByAgent, FrameError> {
    let error = match serde_json::from_slice(body) {
        Ok(message) => return Ok(HeardByAgent::Said(message)),
        Err(error) => error,
    };
    let outline: Outline = serde_json::from_slice(body).map_err(|_| FrameError::Json(error))?;
    let id = outline.id.unwrap_or_default();
    Ok(match outline.kind.as_str() {
        "ask" => id.as_u64().map_or(HeardByAgent::Other, HeardByAgent::Ask),
        "job" => serde_json::from_value(id).map_or(HeardByAgent::Other, HeardByAgent::Job),
        _ => HeardByAgent::Other,
    })
}

/// Reads a control frame as a controller; fails where it is no message at all. What cannot be read of an event or an
/// answer stands there as unknown.
pub fn by_controller(body: &[u8]) -> Result<ToController, FrameError> {
    let error = match serde_json::from_slice(body) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    let outline: Outline = serde_json::from_slice(body).map_err(|_| FrameError::Json(error))?;
    Ok(
        match (outline.kind.as_str(), outline.id.and_then(|id| id.as_u64())) {
            ("events", _) => {
                let events = outline.events.into_iter().map(event).collect::<Result<_, _>>()?;
                ToController::Events { events }
            }
            ("answer", Some(id)) => ToController::Answer {
                id,
                answer: Box::new(Answer::Unknown),
            },
            ("hello", _) => return Err(FrameError::Json(serde::de::Error::custom("no hello"))),
            _ => ToController::Unknown,
        },
    )
}

fn event(value: Value) -> Result<Event, FrameError> {
    let outline = EventOutline::deserialize(&value).map_err(FrameError::Json)?;
    Ok(serde_json::from_value(value).unwrap_or(Event {
        seq: outline.seq,
        at_ms: outline.at_ms,
        deployment: outline.deployment,
        what: What::Unknown,
    }))
}
