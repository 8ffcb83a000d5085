//! What happens to containers.

use super::{connect, spoke};
use crate::host::{HostError, plain_line};
use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt, TryFutureExt};
use std::collections::HashMap;
use std::path::PathBuf;

/// What can change how well a container is. The Engine is asked for no more: it also tells of each health check's
/// beginning and end, which is several a minute for ever, and would wake us for nothing.
const ACTIONS: [&str; 13] = [
    "create",
    "destroy",
    "die",
    "health_status",
    "kill",
    "oom",
    "pause",
    "rename",
    "restart",
    "start",
    "stop",
    "unpause",
    "update",
];

/// `(name, action)` of every event of a container that changes something from now on; ends with the Engine's connection.
pub(in crate::host::linux) fn events(
    socket: PathBuf,
) -> impl Stream<Item = Result<(String, String), HostError>> + Send {
    let connected = async move {
        let docker = connect(&socket).await?;
        let only = HashMap::from([("type", vec!["container"]), ("event", ACTIONS.to_vec())]);
        let options = EventsOptionsBuilder::new().filters(&only).build();
        Ok(docker.events(Some(options)).map(event))
    };
    connected.try_flatten_stream()
}

fn event(message: Result<EventMessage, Error>) -> Result<(String, String), HostError> {
    let message = message.map_err(|e| spoke(&e))?;
    let attributes = message
        .actor
        .and_then(|actor| actor.attributes)
        .unwrap_or_default();
    let name = attributes.get("name").map_or("", String::as_str);
    Ok((plain_line(name), plain_line(&message.action.unwrap_or_default())))
}
