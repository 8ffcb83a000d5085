//! How an id is written in a certificate, and read back: a SPIFFE-style URI, nothing else.

use crate::names::HostId;
use uuid::Uuid;

/// The application protocol of the control channel.
pub const ALPN_CHANNEL: &[u8] = b"chatalot-agent/1";
/// The application protocol of everything else on the same port.
pub const ALPN_HTTP: &[u8] = b"http/1.1";
/// The name that every controller's certificate carries, whatever address was dialled.
pub const CONTROLLER_NAME: &str = "controller.chatalot.internal";

/// The URI in an agent's certificate.
pub fn agent_uri(cluster: Uuid, host: HostId) -> String {
    format!("spiffe://{cluster}/agent/{host}")
}

/// Reads an agent's URI back, if it belongs to this cluster.
pub fn agent_of(uri: &str, cluster: Uuid) -> Option<HostId> {
    let rest = uri
        .strip_prefix("spiffe://")?
        .strip_prefix(cluster.to_string().as_str())?;
    let host: HostId = rest.strip_prefix("/agent/")?.parse().ok()?;
    (agent_uri(cluster, host) == uri).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_only_in_its_own_cluster_and_spelling() {
        let (cluster, host) = (Uuid::now_v7(), HostId::fresh());
        let uri = agent_uri(cluster, host);
        assert_eq!(agent_of(&uri, cluster), Some(host));
        assert_eq!(agent_of(&uri, Uuid::now_v7()), None);
        assert_eq!(agent_of(&uri.to_uppercase(), cluster), None);
        assert_eq!(agent_of(&uri.replace("agent", "admin"), cluster), None);
        assert_eq!(agent_of(&format!("{uri}/x"), cluster), None);
    }
}
