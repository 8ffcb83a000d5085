//! The network between one host and the controller: slow, cut anywhere, or silent in one direction.
//!
//! It keeps TCP's promise and no more: bytes arrive in order and once, as long as the connection lives. A held
//! direction delivers late, after newer connections have long begun; whoever waits for it cannot tell it from a dead
//! peer.

use crate::chance::{among, in_hundred, millis};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How the network is for the connections that are made now.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// The most that arrives at once.
    pub(crate) segment: usize,
    /// How long it takes, in milliseconds.
    pub(crate) delay: Range<u64>,
    /// How often in a hundred times it has to be sent again.
    pub(crate) loss: u64,
    /// After how many bytes the connection is cut, in each direction.
    pub(crate) cut: [Option<Range<u64>>; 2],
}

impl Weather {
    pub(crate) fn fair() -> Self {
        Self {
            segment: 16 << 10,
            delay: 1..20,
            loss: 0,
            cut: [None, None],
        }
    }
}

/// The road between one host and the controller.
#[derive(Clone)]
pub(crate) struct Road {
    weather: Arc<Mutex<Weather>>,
    held: [watch::Sender<bool>; 2],
    cut: Arc<Mutex<CancellationToken>>,
}

/// From the host to the controller.
pub(crate) const UP: usize = 0;
/// And back.
pub(crate) const DOWN: usize = 1;

impl Road {
    pub(crate) fn new() -> Self {
        Self {
            weather: Arc::new(Mutex::new(Weather::fair())),
            held: [watch::channel(false).0, watch::channel(false).0],
            cut: Arc::default(),
        }
    }

    pub(crate) fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// Lets nothing through in a direction, or lets everything through again.
    pub(crate) fn hold(&self, direction: usize, held: bool) {
        self.held[direction].send_replace(held);
    }

    /// Resets every connection.
    pub(crate) fn reset(&self) {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
    }

    /// Connects; both ends of the connection.
    pub(crate) async fn connect(&self) -> io::Result<(DuplexStream, DuplexStream)> {
        let weather = self
            .weather
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for direction in [UP, DOWN, UP] {
            tokio::time::sleep(millis(weather.delay.clone())).await;
            pass(&self.held[direction]).await;
        }
        let (near, near_far) = tokio::io::duplex(64 << 10);
        let (far, far_near) = tokio::io::duplex(64 << 10);
        let (up_from, down_to) = tokio::io::split(near_far);
        let (down_from, up_to) = tokio::io::split(far_near);
        let all = self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cut = all.child_token();
        for (from, to, direction) in [(up_from, up_to, UP), (down_from, down_to, DOWN)] {
            let left = weather.cut[direction].clone().map(among);
            let pump = Pump {
                from,
                to,
                left,
                weather: weather.clone(),
                held: self.held[direction].clone(),
            };
            let cut = cut.clone();
            tokio::spawn(async move {
                let broken = tokio::select! {
                    biased;
                    () = cut.cancelled() => true,
                    ended = pump.run() => ended.is_err(),
                };
                if broken {
                    cut.cancel();
                }
            });
        }
        Ok((near, far))
    }
}

async fn pass(held: &watch::Sender<bool>) {
    // The sender is at hand, so the wait cannot fail.
    let _ = held.subscribe().wait_for(|held| !held).await;
}

struct Pump {
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    left: Option<u64>,
    weather: Weather,
    held: watch::Sender<bool>,
}

impl Pump {
    async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; self.weather.segment];
        loop {
            let most = usize::try_from(among(1..self.weather.segment as u64 + 1)).unwrap_or(1);
            let got = self.from.read(&mut buffer[..most]).await?;
            tokio::time::sleep(millis(self.weather.delay.clone())).await;
            if in_hundred(self.weather.loss) {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            pass(&self.held).await;
            if got == 0 {
                return self.to.shutdown().await;
            }
            let through = self
                .left
                .map_or(got, |left| got.min(usize::try_from(left).unwrap_or(got)));
            self.to.write_all(&buffer[..through]).await?;
            if through < got {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.left = self.left.map(|left| left - through as u64);
        }
    }
}
