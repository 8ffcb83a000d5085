//! coturn on a fake host, as chatalot starts it: bound to its external address, without TLS, with a shared secret.

use super::world::World;
use crate::host::{TurnAsk, TurnError, TurnOver};
use crate::stun::dialogue::{Credentials, Refusal, Relay};
use chatalot_protocol::secret::Secret;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

const PLAIN: u16 = 3478;
const TLS: u16 = 5349;
/// The first of its relay ports.
const RELAY: u16 = 49_152;

/// How the TURN server is set up, where it is not as chatalot does it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of coturn's own")]
pub struct Turn {
    /// Whether it speaks TLS on its second port.
    pub tls: bool,
    /// Whether it listens on all addresses, whatever its external one is.
    pub everywhere: bool,
    /// Whether it listens on UDP only.
    pub deaf_on_tcp: bool,
    /// Whether it gives relays to everybody.
    pub open: bool,
    /// Whether it has no relay left.
    pub full: bool,
    /// The relay that it gives, where that is not its external address.
    pub relay: Option<SocketAddr>,
}

impl World {
    pub(super) fn turn(&self, ask: &TurnAsk) -> Result<Relay, TurnError> {
        let (external, folder) = self.turn_listens(ask)?;
        let relayed = self.turn.relay.unwrap_or(SocketAddr::new(external, RELAY));
        if !self.turn.open {
            self.judge_turn_user(&folder, &ask.credentials)?;
        }
        if self.turn.full {
            return Err(Refusal::Error(508, "Insufficient Capacity".to_owned()).into());
        }
        Ok(Relay {
            mapped: SocketAddr::new(ask.server.ip(), 40_000),
            relayed,
            open: self.turn.open,
        })
    }

    /// The external address and the folder of a TURN server that answers there.
    pub(super) fn turn_listens(&self, ask: &TurnAsk) -> Result<(IpAddr, String), TurnError> {
        let silent = || TurnError::Silent("connection refused".to_owned());
        let running = self.containers.values().filter(|one| one.state == "running");
        let container = running.into_iter().find(|one| one.service == "coturn");
        let folder = container.ok_or_else(silent)?.folder.clone();
        let env = self.text(Path::new(&folder).join(".env")).unwrap_or_default();
        let external = env
            .lines()
            .find_map(|line| line.strip_prefix("TURN_EXTERNAL_IP="));
        let external: IpAddr = external.and_then(|ip| ip.parse().ok()).ok_or_else(silent)?;
        let bound = self.addresses.contains(&external) && ask.server.ip() == external;
        let port = match ask.over {
            TurnOver::Udp => Some(PLAIN),
            TurnOver::Tcp => (!self.turn.deaf_on_tcp).then_some(PLAIN),
            TurnOver::Tls => self.turn.tls.then_some(TLS),
        };
        if (bound || self.turn.everywhere) && port == Some(ask.server.port()) {
            Ok((external, folder))
        } else {
            Err(silent())
        }
    }

    fn judge_turn_user(&self, folder: &str, credentials: &Credentials) -> Result<(), TurnError> {
        let secret = self.text(Path::new(folder).join("secrets/turn_secret"));
        let until = credentials
            .user
            .split(':')
            .next()
            .and_then(|text| text.parse::<i64>().ok());
        let right = secret.zip(until).is_some_and(|(secret, until)| {
            until * 1000 > self.now_ms
                && *credentials == Credentials::of_secret(&Secret::new(secret), until * 1000)
        });
        if right {
            Ok(())
        } else {
            Err(Refusal::Credentials("Unauthorized".to_owned()).into())
        }
    }
}
