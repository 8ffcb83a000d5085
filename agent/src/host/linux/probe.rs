//! Answering from outside with a number, on ports that are free: while the controller looks, and then no more.
//!
//! Plain HTTP on the web's ports, where whoever asks for the path is told the number: it proves who answers and opens
//! nothing. STUN's binding request on those of voice and video, where only who knows the number is answered, so that
//! nobody can be made to be answered to.

use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{self, Door, Nonce, PATH, Transport, WEB};
use chatalot_protocol::stun::{HEADER, MOST, body_length};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How many connections are answered at once, of all ports.
const AT_ONCE: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the doors are open, whoever is waited for.
pub(super) const LONGEST: Duration = Duration::from_secs(50);
/// The longest request that is read.
const REQUEST: usize = 4 << 10;

/// Nobody has said anything while they were.
pub(super) fn late() -> Advice {
    Advice::new(
        "OUTSIDE_LATE",
        format!(
            "cannot be told from here: no word of it within {} s",
            LONGEST.as_secs()
        ),
        "a look from outside",
        "see that the agent's daemon runs (`systemctl status chatalot-agent`), then deploy again; `chatalotctl verify HOST` asks for it later",
    )
}

/// Doors that answer until this is dropped.
pub(super) struct Answering {
    /// Those that could be opened.
    pub(super) doors: Vec<Door>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

/// Opens every door that is free. Of UDP at each of the host's own addresses, so that the answer comes from where the
/// question went.
pub(super) async fn open(doors: &[Door], own: &[IpAddr], nonce: &Nonce) -> Answering {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut answering = Answering {
        doors: Vec::new(),
        tasks: Vec::new(),
    };
    for door in doors {
        let tasks = match door.transport {
            Transport::Tcp => tcp(*door, nonce, &room).await,
            Transport::Udp => udp(*door, own, nonce).await,
        };
        if !tasks.is_empty() {
            answering.doors.push(*door);
            answering.tasks.extend(tasks);
        }
    }
    answering
}

async fn tcp(door: Door, nonce: &Nonce, room: &Arc<Semaphore>) -> Vec<AbortOnDropHandle<()>> {
    let mut tasks = Vec::new();
    // The first stands for both kinds of address where the system lets it: then the second is taken already.
    for any in [
        IpAddr::from(Ipv6Addr::UNSPECIFIED),
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
    ] {
        match TcpListener::bind((any, door.port)).await {
            Ok(listener) => {
                let (nonce, room) = (nonce.clone(), room.clone());
                let is_web = WEB.contains(&door);
                tasks.push(AbortOnDropHandle::new(tokio::spawn(accept(
                    listener, is_web, nonce, room,
                ))));
            }
            Err(error) => log::debug!(door:% = door, error:% = error; "a port is not opened"),
        }
    }
    tasks
}

async fn accept(listener: TcpListener, is_web: bool, nonce: Nonce, room: Arc<Semaphore>) {
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, or the peer is gone: not at once again.
            drop(permit);
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let nonce = nonce.clone();
        tokio::spawn(async move {
            let answered = timeout(PATIENCE, async {
                if is_web {
                    answer_http(stream, &nonce).await
                } else {
                    answer_stream(stream, &nonce).await
                }
            });
            if let Ok(Err(error)) = answered.await {
                log::debug!(error:% = error; "a visitor from outside is gone");
            }
            drop(permit);
        });
    }
}

async fn answer_http(mut stream: TcpStream, nonce: &Nonce) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let asked = format!("GET {PATH} HTTP/1.");
    let (status, body) = if request.starts_with(asked.as_bytes()) {
        ("200 OK", nonce.as_str())
    } else {
        ("404 Not Found", "")
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn answer_stream(mut stream: TcpStream, nonce: &Nonce) -> io::Result<()> {
    let mut question = vec![0; HEADER];
    stream.read_exact(&mut question).await?;
    let length = body_length(&question).ok_or(io::ErrorKind::InvalidData)?;
    question.resize(HEADER + length, 0);
    stream.read_exact(&mut question[HEADER..]).await?;
    match outside::answer(&question, nonce) {
        Some(answer) => stream.write_all(&answer).await,
        None => Ok(()),
    }
}

async fn udp(door: Door, own: &[IpAddr], nonce: &Nonce) -> Vec<AbortOnDropHandle<()>> {
    let mut tasks = Vec::new();
    for ip in own {
        match UdpSocket::bind(SocketAddr::new(*ip, door.port)).await {
            Ok(socket) => {
                let nonce = nonce.clone();
                tasks.push(AbortOnDropHandle::new(tokio::spawn(answer_datagrams(
                    socket, nonce,
                ))));
            }
            Err(error) => log::debug!(door:% = door, error:% = error; "a port is not opened"),
        }
    }
    tasks
}

async fn answer_datagrams(socket: UdpSocket, nonce: Nonce) {
    let mut question = [0; HEADER + MOST];
    loop {
        // An error here is that of an earlier answer to somebody who is gone.
        let Ok((length, from)) = socket.recv_from(&mut question).await else {
            continue;
        };
        if let Some(answer) = outside::answer(&question[..length], &nonce)
            && let Err(error) = socket.send_to(&answer, from).await
        {
            log::debug!(error:% = error; "a visitor from outside is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::outside::{is_answer, question};

    const HERE: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::LOCALHOST)];

    /// A port that is free for both; another process may be quicker, so the test asks again.
    async fn free() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn the_number_is_given_to_who_knows_it_over_udp_and_tcp_until_the_end() {
        let (nonce, port) = (Nonce::fresh(), free().await);
        let doors = [Door::udp(port), Door::tcp(port)];
        let answering = open(&doors, HERE, &nonce).await;
        assert_eq!(answering.doors, doors);

        let asked = question([3; 12], Some(&nonce));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", port)).await.unwrap();
        socket.send(&question([3; 12], None).bytes(None)).await.unwrap();
        socket.send(&asked.bytes(None)).await.unwrap();
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).await.unwrap();
        assert!(is_answer(&buffer[..length], &asked, Some(&nonce)));

        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(&asked.bytes(None)).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(is_answer(&answer, &asked, Some(&nonce)));

        drop(answering);
        // The tasks end when the runtime next comes to them.
        while TcpListener::bind(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_port_that_somebody_has_is_left_alone() {
        let theirs = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = theirs.local_addr().unwrap().port();
        let also = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await;
        let answering = open(&[Door::tcp(port)], HERE, &Nonce::fresh()).await;
        assert_eq!(answering.doors, [], "{also:?}");
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = udp.local_addr().unwrap().port();
        let answering = open(&[Door::udp(port)], HERE, &Nonce::fresh()).await;
        assert_eq!(answering.doors, []);
    }

    #[tokio::test]
    async fn a_page_is_given_at_its_path_alone_and_an_endless_request_gets_nothing() {
        let nonce = Nonce::fresh();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let room = Arc::new(Semaphore::new(2));
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, true, nonce.clone(), room)));
        for (request, ends_with) in [
            (format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"), nonce.as_str()),
            (format!("GET {PATH}x HTTP/1.1\r\n\r\n"), "\r\n\r\n"),
            ("x".repeat(2 * REQUEST), ""),
        ] {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let read = stream.read_to_end(&mut answer).await;
            let text = String::from_utf8_lossy(&answer);
            assert!(
                text.ends_with(ends_with) && (read.is_ok() || text.is_empty()),
                "{text}"
            );
        }
        drop(serving);
    }
}
