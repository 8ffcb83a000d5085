//! From the first frame to the welcome.

use super::pipe::{Inbound, Outbound};
use super::{Guest, SessionError, rejected};
use crate::centre::Centre;
use crate::clock::now_ms;
use crate::crowd;
use crate::peer::Peer;
use crate::store::generations::{self, Standing};
use crate::store::{StoreError, alarms, deployments, hosts};
use chatalot_protocol::frame::{self, Frame};
use chatalot_protocol::message::{Hello, RejectReason, ToAgent, ToController, Welcome};
use chatalot_protocol::version;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How long the agent has for its hello, and to take the answer.
const HELLO_TIME: Duration = Duration::from_secs(10);
/// The versions of the protocol that this controller speaks.
const OURS: (u32, u32) = (version::OLDEST, version::NEWEST);
/// How many hosts may have a session.
const MOST_SESSIONS: usize = 15_000;
/// The longest text that is kept of what an agent says of its host.
const LONGEST_TEXT: usize = 200;

pub(super) enum Greeted {
    Welcome(hosts::Entry),
    Rejected(RejectReason),
}

/// Hears the hello and answers it.
pub(super) async fn greet<G: Guest, R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    centre: &Centre,
    peer: Peer,
    guest: &G,
    inbound: &mut Inbound<R>,
    outbound: &mut Outbound<W>,
) -> Result<Greeted, SessionError> {
    timeout(HELLO_TIME, exchange(centre, peer, guest, inbound, outbound))
        .await
        .map_err(|_| SessionError::NoHello)?
}

async fn exchange<G: Guest, R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    centre: &Centre,
    peer: Peer,
    guest: &G,
    inbound: &mut Inbound<R>,
    outbound: &mut Outbound<W>,
) -> Result<Greeted, SessionError> {
    // Whoever has said hello waits for us, and is not sent away for it.
    let first = tokio::select! {
        first = inbound.next() => first?,
        () = guest.shown_out() => return Err(SessionError::NoHello),
    };
    let Some(Frame::Control(body)) = first else {
        return Err(SessionError::NotHello);
    };
    let ToController::Hello(hello) = frame::message(&body)? else {
        return Err(SessionError::NotHello);
    };
    if let Some((reason, retry)) = refuse(centre, peer, &hello).await? {
        outbound.put(&rejected(reason, retry))?;
        return Ok(Greeted::Rejected(reason));
    }
    let (entry, welcome) = welcome(centre, peer, *hello).await?;
    outbound.put(&ToAgent::Welcome(welcome))?;
    outbound.drive().await.map_err(SessionError::Write)?;
    Ok(Greeted::Welcome(entry))
}

async fn refuse(
    centre: &Centre,
    peer: Peer,
    hello: &Hello,
) -> Result<Option<(RejectReason, u64)>, SessionError> {
    if spoken(hello).is_none() {
        tell_of_versions(centre, peer, hello).await?;
        return Ok(Some((RejectReason::Version, 3600)));
    }
    let standing = centre
        .store
        .read(move |c| generations::standing(c, peer.host, peer.serial))
        .await?;
    Ok(match standing {
        // It was on its way when its successor came in.
        Standing::Old { since_ms } if peer.since_ms <= since_ms => Some((RejectReason::Superseded, 60)),
        Standing::Old { .. } => {
            lock(centre, peer).await?;
            rejection(centre, Standing::Locked)
        }
        standing => rejection(centre, standing).or_else(|| {
            let is_full = centre.fleet.len() >= MOST_SESSIONS && !centre.fleet.is_connected(peer.host);
            is_full.then_some((RejectReason::Busy, 60))
        }),
    })
}

/// What a host is told that is kept out.
pub(super) fn rejection(centre: &Centre, standing: Standing) -> Option<(RejectReason, u64)> {
    let later = centre.config.refused_retry.as_secs().max(1);
    match standing {
        Standing::Current | Standing::Pending | Standing::Old { .. } => None,
        Standing::Out => Some((RejectReason::Revoked, later)),
        Standing::Locked => Some((RejectReason::Locked, later)),
    }
}

/// The operator has to bring one side up to date.
async fn tell_of_versions(centre: &Centre, peer: Peer, hello: &Hello) -> Result<(), StoreError> {
    let agent = safe(&hello.agent);
    let versions = ((hello.protocol_min, hello.protocol_max), OURS);
    centre
        .store
        .write(move |c| alarms::raise_no_common_version(c, peer.host, &agent, versions, now_ms()))
        .await?;
    centre.changes.touch(peer.host.0);
    Ok(())
}

/// Two machines have this host's identity: neither comes in.
async fn lock(centre: &Centre, peer: Peer) -> Result<(), StoreError> {
    let (address, now) = (peer.address.to_string(), now_ms());
    centre
        .store
        .write(move |c| generations::lock(c, peer.host, &address, now))
        .await?;
    centre.fleet.end(peer.host);
    centre.changes.touch(peer.host.0);
    Ok(())
}

async fn welcome(centre: &Centre, peer: Peer, hello: Hello) -> Result<(hosts::Entry, Welcome), StoreError> {
    let protocol = spoken(&hello).unwrap_or(version::NEWEST);
    let hello = bounded(hello);
    let told = hello.acked;
    let (address, now) = (peer.address.to_string(), now_ms());
    let your_address = address.clone();
    let (entry, lost) = centre
        .store
        .write(move |c| {
            generations::promote(c, peer.host, peer.serial, now)?;
            alarms::end_no_common_version(c, peer.host)?;
            let entry = hosts::enter(c, peer.host, &hello, &address, now)?;
            let lost = if entry.another_life {
                deployments::lose(c, peer.host)?
            } else {
                Vec::new()
            };
            Ok::<_, StoreError>((entry, lost))
        })
        .await?;
    if entry.acked < told {
        log::error!(host:% = peer.host, stored = entry.acked, told, epoch = centre.cluster.epoch;
            "this controller has lost events that it had stored: was a backup put back?");
    }
    for deployment in lost {
        centre.changes.touch(deployment.0);
    }
    let hosts = centre.fleet.size();
    let welcome = Welcome {
        protocol,
        epoch: centre.cluster.epoch,
        ping_secs: crowd::ping_secs(hosts),
        acked: entry.acked,
        acked_at_ms: entry.acked_at_ms,
        now_ms: Some(now),
        your_address,
        addresses: centre.config.addresses(),
        looks: true,
        spread_secs: crowd::spread_secs(hosts),
    };
    Ok((entry, welcome))
}

fn spoken(hello: &Hello) -> Option<u32> {
    version::common(OURS, (hello.protocol_min, hello.protocol_max))
}

/// What the host says of itself, without control characters and not endless.
fn bounded(mut hello: Hello) -> Hello {
    for text in [
        &mut hello.agent,
        &mut hello.boot_id,
        &mut hello.hostname,
        &mut hello.system,
        &mut hello.architecture,
    ] {
        *text = safe(text);
    }
    hello
}

fn safe(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TEXT)
        .collect()
}
