//! The wire before a controller, with a memory: everything that agents, visitors and operators elsewhere send and are sent
//! passes here, and is kept as it was on the wire.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What went one way on one connection.
type Way = Arc<Mutex<Vec<u8>>>;

/// Listens, and passes on. Dropping it takes no more connections; those there are go on.
#[derive(Debug)]
pub(crate) struct Wire {
    at: (Ipv4Addr, u16),
    ways: Arc<Mutex<Vec<Way>>>,
    over: Arc<AtomicBool>,
}

impl Wire {
    /// Before whoever listens, or will listen, at a port of the same address.
    pub(crate) fn before(address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let wire = Self {
            at: (address, listener.local_addr()?.port()),
            ways: Arc::default(),
            over: Arc::default(),
        };
        let (ways, over) = (Arc::clone(&wire.ways), Arc::clone(&wire.over));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // Where nobody listens, the connection ends as it would there.
                let joined = TcpStream::connect((address, port)).and_then(|far| join(near, far));
                let kept = joined.into_iter().flatten();
                ways.lock().unwrap_or_else(PoisonError::into_inner).extend(kept);
            }
        });
        Ok(wire)
    }

    /// The port that it listens at.
    pub(crate) fn port(&self) -> u16 {
        self.at.1
    }

    /// What has passed so far: one piece for each way of each connection.
    pub(crate) fn passed(&self) -> Vec<Vec<u8>> {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        ways.iter()
            .map(|way| way.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes whoever waits for a connection.
        drop(TcpStream::connect(self.at));
    }
}

fn join(near: TcpStream, far: TcpStream) -> io::Result<[Way; 2]> {
    let ways = [Way::default(), Way::default()];
    let pairs = [(near.try_clone()?, far.try_clone()?), (far, near)];
    for ((from, to), way) in pairs.into_iter().zip(&ways) {
        let way = Arc::clone(way);
        thread::spawn(move || pass(from, to, &way));
    }
    Ok(ways)
}

/// Passes on until either side has ended it.
fn pass(mut from: TcpStream, mut to: TcpStream, way: &Mutex<Vec<u8>>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(got @ 1..) = from.read(&mut bytes) {
        way.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(&bytes[..got]);
        if to.write_all(&bytes[..got]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    drop(to.shutdown(Shutdown::Write));
    drop(from.shutdown(Shutdown::Read));
}
