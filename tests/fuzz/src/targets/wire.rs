//! What travels between agent and controller.

use super::again;
use super::inputs::judge_site;
use chatalot_protocol::api::{DeployRequest, WatchLine};
use chatalot_protocol::event::Event;
use chatalot_protocol::frame::{self, Frame, HEADER, MAX_CONTROL, MAX_GREETING, MAX_LOG};
use chatalot_protocol::message::{Answer, Ask, Job, Order, ToAgent, ToController};
use chatalot_protocol::reading::{HeardByAgent, by_agent, by_controller};
use chatalot_protocol::stream;
use futures_util::FutureExt;

/// All frames that a peer sends, until the connection would end; as before and after a session is accepted.
pub(super) fn frame(input: &[u8]) {
    for most in [MAX_GREETING, MAX_CONTROL] {
        let mut rest = input;
        // All bytes are there, so that it never waits.
        while let Ok(Some(read)) = stream::read(&mut rest, most).now_or_never().unwrap() {
            match read {
                Frame::Control(body) => assert!(body.len() <= most),
                Frame::Log(chunk) => {
                    assert!(chunk.output.len() <= MAX_LOG);
                    let mut bytes = Vec::new();
                    frame::put_log(
                        chunk.deployment,
                        chunk.stream,
                        chunk.offset,
                        &chunk.output,
                        &mut bytes,
                    )
                    .unwrap();
                    let back = stream::read(&mut bytes.as_slice(), MAX_CONTROL)
                        .now_or_never()
                        .unwrap();
                    assert_eq!(back.unwrap(), Some(Frame::Log(chunk)));
                }
            }
        }
        if let Some((head, rest)) = input.split_first_chunk::<HEADER>()
            && let Ok((kind, length)) = frame::header(*head, most)
        {
            assert!(length <= most, "length is judged before memory is given");
            let _ = frame::body(kind, rest.to_vec());
        }
    }
}

/// A message goes into a frame and comes out of it as it was.
fn framed<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(message: &T) {
    let mut bytes = Vec::new();
    // What was read may be longer when it is written, and is refused then.
    if frame::put_message(message, &mut bytes).is_err() {
        return assert!(bytes.is_empty(), "half a frame is none");
    }
    let read = stream::read(&mut bytes.as_slice(), MAX_CONTROL)
        .now_or_never()
        .unwrap();
    let Some(Frame::Control(body)) = read.unwrap() else {
        panic!("no control message");
    };
    assert_eq!(frame::message::<T>(&body).unwrap(), *message);
}

pub(super) fn hello(input: &[u8]) {
    let strictly = again::<ToController>(input);
    again::<Answer>(input);
    let Ok(heard) = by_controller(input) else {
        return assert!(strictly.is_none(), "what can be read is understood");
    };
    framed(&heard);
    if let Some(strictly) = strictly {
        assert_eq!(heard, strictly, "a message that can be read means what it says");
    }
}

pub(super) fn job(input: &[u8]) {
    let strictly = again::<ToAgent>(input);
    if let Ok(request) = frame::message::<DeployRequest>(input) {
        judge_site(&request.order.site);
    }
    for ask in [again::<Ask>(input)].into_iter().flatten() {
        if let Ask::Plan(order) | Ask::Preflight(order) = ask {
            judge_site(&order.site);
        }
    }
    let orders = [again::<Order>(input), again::<Job>(input).map(|job| job.order)];
    for order in orders.into_iter().flatten() {
        judge_site(&order.site);
    }
    let Ok(heard) = by_agent(input) else {
        return assert!(strictly.is_none(), "what can be read is understood");
    };
    match (heard, strictly) {
        (HeardByAgent::Said(heard), Some(strictly)) => {
            assert_eq!(heard, strictly);
            framed(&heard);
            if let ToAgent::Job(job) = heard {
                judge_site(&job.order.site);
            }
        }
        (HeardByAgent::Said(_), None) | (_, Some(_)) => panic!("one reading contradicts the other"),
        (_, None) => {}
    }
}

pub(super) fn event(input: &[u8]) {
    if let Some(event) = again::<Event>(input) {
        framed(&ToController::Events {
            events: vec![event.clone()],
        });
        again::<WatchLine>(
            &serde_json::to_vec(&WatchLine::Event {
                event: Box::new(event),
            })
            .unwrap(),
        );
    }
    again::<WatchLine>(input);
    let cut = chatalot_protocol::api::whole(input);
    assert!(
        cut <= input.len() && input.len() - cut < 4,
        "at most a character waits"
    );
    if std::str::from_utf8(input).is_ok() {
        assert_eq!(cut, input.len(), "whole text goes out whole");
    }
}
