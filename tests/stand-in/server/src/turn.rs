//! Stands for coturn: holds its ports and answers STUN binding requests over UDP.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use crate::{Failure, info, serve};

const PLAIN: u16 = 3478;
const TLS: u16 = 5349;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Holds 3478 and 5349, TCP and UDP, until told to stop.
pub(crate) async fn run() -> Result<(), Failure> {
    let everywhere = Ipv6Addr::UNSPECIFIED;
    let _held = (
        TcpListener::bind((everywhere, PLAIN)).await?,
        TcpListener::bind((everywhere, TLS)).await?,
        UdpSocket::bind((everywhere, TLS)).await?,
    );
    let socket = UdpSocket::bind((everywhere, PLAIN)).await?;
    info("TURN is up");
    tokio::select! {
        () = answer(&socket) => {}
        told = serve::until_told() => told?,
    }
    Ok(())
}

async fn answer(socket: &UdpSocket) {
    let mut buffer = [0; 1500];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some(reply) = binding_response(&buffer[..length], from) {
            drop(socket.send_to(&reply, from).await);
        }
    }
}

/// The reply to a STUN binding request: the address it came from, masked as RFC 5389 has it.
fn binding_response(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    if request.len() < 20 || request[..2] != [0, 1] || request[4..8] != COOKIE {
        return None;
    }
    let IpAddr::V4(address) = from.ip().to_canonical() else {
        return None;
    };
    let mut reply = vec![1, 1, 0, 12];
    reply.extend_from_slice(&request[4..20]);
    reply.extend_from_slice(&[0, 0x20, 0, 8, 0, 1]);
    reply.extend(
        from.port()
            .to_be_bytes()
            .iter()
            .zip(COOKIE)
            .map(|(byte, key)| byte ^ key),
    );
    reply.extend(address.octets().iter().zip(COOKIE).map(|(byte, key)| byte ^ key));
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_request_is_told_its_own_address() {
        let request = [&[0, 1, 0, 0][..], &COOKIE, &[7; 12]].concat();
        let reply = binding_response(&request, ([192, 0, 2, 1], 32853).into());
        let expected: &[u8] = &[0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(reply.map(|bytes| bytes[20..].to_vec()).as_deref(), Some(expected));
    }

    #[test]
    fn anything_else_is_ignored() {
        assert_eq!(
            binding_response(b"GET / HTTP/1.1\r\n\r\n    ", ([192, 0, 2, 1], 1).into()),
            None
        );
    }
}
