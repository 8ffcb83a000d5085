//! Asking a TURN server for a relay: the sockets for [`crate::stun`].

use super::tls::Judge;
use super::{Config, chain};
use crate::host::{TurnAsk, TurnError, TurnOver};
use crate::stun::dialogue::{Dialogue, Next, Relay, first_message};
use rustls::pki_types::ServerName;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer to a datagram is waited for before it is sent again.
const AGAIN: Duration = Duration::from_millis(400);
/// How often a datagram is sent.
const TRIES: usize = 4;

/// Asks, and hands the relay back.
pub(super) async fn ask(config: &Config, ask: &TurnAsk) -> Result<Relay, TurnError> {
    let asked = timeout(DEADLINE, async {
        match ask.over {
            TurnOver::Udp => over_datagrams(ask).await,
            TurnOver::Tcp => over_stream(connect(ask).await?, ask).await,
            TurnOver::Tls => over_tls(config, ask).await,
        }
    });
    let late = || TurnError::Silent(format!("none within {} s", DEADLINE.as_secs()));
    asked.await.unwrap_or_else(|_| Err(late()))
}

fn silent(error: &io::Error) -> TurnError {
    TurnError::Silent(chain(error))
}

async fn over_datagrams(ask: &TurnAsk) -> Result<Relay, TurnError> {
    let any: SocketAddr = match ask.server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(|e| silent(&e))?;
    socket.connect(ask.server).await.map_err(|e| silent(&e))?;
    let (mut dialogue, mut request) = Dialogue::begin(&ask.credentials);
    let mut buffer = [0; crate::stun::HEADER + crate::stun::MOST];
    let mut sent = 0;
    loop {
        if sent == TRIES {
            return Err(TurnError::Silent(format!("none to {TRIES} datagrams")));
        }
        socket.send(&request).await.map_err(|e| silent(&e))?;
        sent += 1;
        // Anybody may send us anything: what is no answer does not put off when we ask again by much.
        let Ok(received) = timeout(AGAIN, socket.recv(&mut buffer)).await else {
            continue;
        };
        let length = received.map_err(|e| silent(&e))?;
        match dialogue.take(&buffer[..length])? {
            Next::Send(next) => (request, sent) = (next, 0),
            Next::Wait => {}
            Next::Done(relay) => return Ok(relay),
        }
    }
}

async fn connect(ask: &TurnAsk) -> Result<TcpStream, TurnError> {
    TcpStream::connect(ask.server).await.map_err(|e| silent(&e))
}

async fn over_tls(config: &Config, ask: &TurnAsk) -> Result<Relay, TurnError> {
    let stream = connect(ask).await?;
    let judge = Judge::new(config, false);
    let mut client = judge.client().map_err(|e| TurnError::Tls(chain(&e)))?;
    client.alpn_protocols.clear();
    let name = ServerName::from(ask.server.ip());
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await;
    over_stream(stream.map_err(|e| TurnError::Tls(chain(&e)))?, ask).await
}

async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ask: &TurnAsk,
) -> Result<Relay, TurnError> {
    let (mut dialogue, mut request) = Dialogue::begin(&ask.credentials);
    let mut came = Vec::new();
    loop {
        stream.write_all(&request).await.map_err(|e| silent(&e))?;
        stream.flush().await.map_err(|e| silent(&e))?;
        request = loop {
            let Some(length) = first_message(&came)? else {
                let read = stream.read_buf(&mut came).await.map_err(|e| silent(&e))?;
                if read == 0 {
                    return Err(TurnError::Silent("the connection was closed".to_owned()));
                }
                continue;
            };
            let rest = came.split_off(length);
            let message = std::mem::replace(&mut came, rest);
            match dialogue.take(&message)? {
                Next::Send(next) => break next,
                Next::Wait => {}
                Next::Done(relay) => return Ok(relay),
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::dialogue::Credentials;
    use chatalot_protocol::secret::Secret;
    use tokio::net::TcpListener;

    fn whom(server: SocketAddr, over: TurnOver) -> TurnAsk {
        TurnAsk {
            server,
            over,
            credentials: Credentials {
                user: "a".into(),
                password: Secret::new("b"),
            },
        }
    }

    #[tokio::test]
    async fn nobody_there_and_somebody_who_says_nothing_are_silent() {
        let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = mute.local_addr().unwrap();
        let error = ask(&Config::default(), &whom(server, TurnOver::Udp)).await;
        assert!(matches!(error, Err(TurnError::Silent(_))), "{error:?}");
        drop(mute);
        for over in [TurnOver::Udp, TurnOver::Tcp, TurnOver::Tls] {
            let error = ask(&Config::default(), &whom(server, over)).await;
            assert!(matches!(error, Err(TurnError::Silent(_))), "{error:?}");
        }
    }

    #[tokio::test]
    async fn somebody_who_speaks_something_else_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_10.0 Debian\r\n").await;
            }
        });
        let error = ask(&Config::default(), &whom(server, TurnOver::Tcp)).await;
        assert!(matches!(error, Err(TurnError::Refused(_))), "{error:?}");
        let error = ask(&Config::default(), &whom(server, TurnOver::Tls)).await;
        assert!(matches!(error, Err(TurnError::Tls(_))), "{error:?}");
    }
}
