//! One door, knocked at once: fixed questions, short answers, a deadline each.

use chatalot_protocol::outside::{self, Nonce, PATH, Saw, Transport};
use chatalot_protocol::site::Domain;
use chatalot_protocol::stun::{HEADER, MOST, Message, body_length};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use uuid::Uuid;

/// How long a door may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// How long the answer to a datagram is waited for before it is sent again.
const AGAIN: Duration = Duration::from_millis(700);
/// How often a datagram is sent.
const TRIES: usize = 4;
/// The most that is read of an answer with the number.
const PAGE: u64 = 1024;

/// How a door answered, and in a few words what.
pub type Answer = (Saw, String);

/// What an error of a connection says of the door.
pub(super) fn unanswered(error: &io::Error) -> Answer {
    let saw = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Saw::Refused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => Saw::NoRoute,
        _ => Saw::Silent,
    };
    (saw, String::new())
}

/// The same of one that took the connection.
fn broken(error: &io::Error) -> Answer {
    let detail = match error.kind() {
        io::ErrorKind::TimedOut => "no answer",
        _ => "the connection was closed",
    };
    (Saw::Broken, detail.to_owned())
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| Err(io::ErrorKind::TimedOut.into());
    timeout(PATIENCE, work).await.unwrap_or_else(late)
}

/// A connection.
pub(super) async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    within(TcpStream::connect(to)).await
}

/// Whether it takes connections; nothing is said.
pub(super) async fn touch(to: SocketAddr) -> Answer {
    match connect(to).await {
        Ok(_) => (Saw::Open, String::new()),
        Err(error) => unanswered(&error),
    }
}

/// Whether the agent answers with its number, over plain HTTP.
pub(super) async fn number(to: SocketAddr, domain: &Domain, nonce: &Nonce) -> Answer {
    match connect(to).await {
        Ok(stream) => numbered(stream, domain, nonce).await,
        Err(error) => unanswered(&error),
    }
}

/// The same of a connection that is there.
pub async fn numbered(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    domain: &Domain,
    nonce: &Nonce,
) -> Answer {
    let asked = within(async {
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        (&mut stream).take(PAGE).read_to_end(&mut answer).await?;
        Ok(answer)
    });
    match asked.await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer);
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.trim());
            if body == Some(nonce.as_str()) {
                (Saw::Answered, String::new())
            } else {
                (Saw::Other, "another answer".to_owned())
            }
        }
        Err(error) => broken(&error),
    }
}

/// Whether somebody answers a binding request: the agent where there is a number, a TURN server where there is none.
pub(super) async fn binding(transport: Transport, to: SocketAddr, nonce: Option<&Nonce>) -> Answer {
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&Uuid::new_v4().into_bytes()[..12]);
    let question = outside::question(transaction, nonce);
    match transport {
        Transport::Udp => over_datagrams(to, &question, nonce).await,
        Transport::Tcp => match connect(to).await {
            Ok(stream) => over_stream(stream, &question, nonce).await,
            Err(error) => unanswered(&error),
        },
    }
}

async fn over_datagrams(to: SocketAddr, question: &Message, nonce: Option<&Nonce>) -> Answer {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = match UdpSocket::bind(any).await {
        Ok(socket) => socket,
        Err(error) => return unanswered(&error),
    };
    if let Err(error) = socket.connect(to).await {
        return unanswered(&error);
    }
    let bytes = question.bytes(None);
    let mut buffer = [0; HEADER + MOST];
    let mut heard_else = false;
    for _ in 0..TRIES {
        if let Err(error) = socket.send(&bytes).await {
            return unanswered(&error);
        }
        match timeout(AGAIN, socket.recv(&mut buffer)).await {
            Err(_) => {}
            Ok(Err(error)) => return unanswered(&error),
            Ok(Ok(length)) if outside::is_answer(&buffer[..length], question, nonce) => {
                return (Saw::Answered, String::new());
            }
            Ok(Ok(_)) => heard_else = true,
        }
    }
    if heard_else {
        (Saw::Other, "another answer".to_owned())
    } else {
        (Saw::Silent, String::new())
    }
}

/// Whether somebody answers a question over a connection that is there.
pub async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    question: &Message,
    nonce: Option<&Nonce>,
) -> Answer {
    let asked = within(async {
        stream.write_all(&question.bytes(None)).await?;
        let mut answer = vec![0; HEADER];
        stream.read_exact(&mut answer).await?;
        let length = body_length(&answer).ok_or(io::ErrorKind::InvalidData)?;
        answer.resize(HEADER + length, 0);
        stream.read_exact(&mut answer[HEADER..]).await?;
        Ok(answer)
    });
    match asked.await {
        Ok(answer) if outside::is_answer(&answer, question, nonce) => (Saw::Answered, String::new()),
        Ok(_) => (Saw::Other, "another answer".to_owned()),
        Err(error) => broken(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn domain() -> Domain {
        "chat.example.com".parse().unwrap()
    }

    async fn says(answer: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 512];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_the_right_number_is_the_agent() {
        let nonce = Nonce::fresh();
        let page = |body: &str| format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        for (answer, saw) in [
            (page(nonce.as_str()), Saw::Answered),
            (page(Nonce::fresh().as_str()), Saw::Other),
            (page(&"x".repeat(100_000)), Saw::Other),
            ("SSH-2.0-OpenSSH_10.0\r\n".to_owned(), Saw::Other),
        ] {
            let to = says(answer).await;
            assert_eq!(number(to, &domain(), &nonce).await.0, saw);
            assert_eq!(touch(to).await.0, Saw::Open);
        }
    }

    #[tokio::test]
    async fn a_shut_door_a_mute_one_and_no_way_are_told_apart() {
        let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = mute.local_addr().unwrap();
        assert_eq!(binding(Transport::Udp, to, None).await.0, Saw::Silent);
        drop(mute);
        assert_eq!(binding(Transport::Udp, to, None).await.0, Saw::Refused);
        assert_eq!(binding(Transport::Tcp, to, None).await.0, Saw::Refused);
        assert_eq!(touch(to).await.0, Saw::Refused);
        let no_way = io::Error::from(io::ErrorKind::NetworkUnreachable);
        assert_eq!(unanswered(&no_way).0, Saw::NoRoute);
    }

    #[tokio::test]
    async fn a_binding_request_is_answered_over_udp_by_who_knows_the_number() {
        let (nonce, other) = (Nonce::fresh(), Nonce::fresh());
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = socket.local_addr().unwrap();
        let ours = nonce.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let answer = outside::answer(&buffer[..length], &ours).unwrap_or(b"no".to_vec());
                let _ = socket.send_to(&answer, from).await;
            }
        });
        assert_eq!(binding(Transport::Udp, to, Some(&nonce)).await.0, Saw::Answered);
        assert_eq!(binding(Transport::Udp, to, Some(&other)).await.0, Saw::Other);
    }
}
