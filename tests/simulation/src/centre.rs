//! The controller: its real code over its real files, started, stopped, cut off and restored.

use crate::chance::{self, millis};
use crate::trace::Trace;
use chatalot_protocol::names::HostId;
use chatalotctl::ca::Issued;
use chatalotctl::centre::Centre;
use chatalotctl::config::Config;
use chatalotctl::hands::Hands;
use chatalotctl::peer::Peer;
use chatalotctl::session;
use chatalotctl::store::tokens::{self, Shown, Token};
use chatalotctl::store::{StoreError, hosts};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use uuid::Uuid;

pub(crate) type Anything<T> = Result<T, Box<dyn Error>>;

struct Life {
    centre: Arc<Centre>,
    tasks: JoinSet<()>,
}

/// The controller's machine.
pub(crate) struct Seat {
    folder: PathBuf,
    backup: PathBuf,
    life: Mutex<Option<Life>>,
    trace: Trace,
}

impl Seat {
    pub(crate) fn new(folder: &Path, trace: Trace) -> Self {
        Self {
            folder: folder.join("centre"),
            backup: folder.join("centre.backup"),
            life: Mutex::default(),
            trace,
        }
    }

    fn life(&self) -> MutexGuard<'_, Option<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Config {
        Config {
            state: self.folder.clone(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            address: None,
            binaries: Vec::new(),
            certificate_life: Duration::from_hours(24),
            token_life: Duration::from_mins(15),
            job_life: Duration::from_mins(15),
            standby: Vec::new(),
            refused_retry: Duration::from_mins(5),
            readmit_time: Duration::from_hours(1),
            keep: Duration::from_hours(24),
            approval_by: None,
            second_approver: None,
            approval_life: Duration::from_hours(1),
        }
    }

    pub(crate) async fn start(&self) -> Anything<()> {
        let hands = Hands::here(Arc::new(|| millis(0..4)));
        let centre = Centre::open_with(self.config(), hands).await?;
        self.trace.say("controller: starts");
        *self.life() = Some(Life {
            centre,
            tasks: JoinSet::new(),
        });
        Ok(())
    }

    /// The controller of the moment, if it runs.
    pub(crate) fn centre(&self) -> Option<Arc<Centre>> {
        self.life().as_ref().map(|life| life.centre.clone())
    }

    /// Does something for as long as this life lasts.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(life) = &mut *self.life() {
            life.tasks.spawn(work);
        }
    }

    /// Takes a connection in; false where nobody listens.
    pub(crate) fn accept(&self, stream: DuplexStream, peer: Peer, name: &str) -> bool {
        let Some(centre) = self.centre() else { return false };
        let (trace, name) = (self.trace.clone(), name.to_owned());
        self.spawn(async move {
            match session::run(centre, stream, peer, ()).await {
                Ok(ended) => trace.say(&format!("controller: session of {name} ended: {ended:?}")),
                Err(error) => trace.say(&format!("controller: session of {name} failed: {error}")),
            }
        });
        true
    }

    /// Ends it: in order, or in the middle of whatever it does.
    pub(crate) async fn stop(&self, in_order: bool) {
        let Some(mut life) = self.life().take() else {
            return;
        };
        self.trace.say(if in_order {
            "controller: stops"
        } else {
            "controller: crashes"
        });
        if in_order {
            life.centre.fleet.close();
            let all = async { while life.tasks.join_next().await.is_some() {} };
            if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
                self.trace.say("controller: does not stop in time");
            }
        }
        life.tasks.shutdown().await;
        while Arc::strong_count(&life.centre) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Copies the files aside; only while it does not run.
    pub(crate) fn back_up(&self) -> Anything<()> {
        self.trace.say("controller: is backed up");
        copy(&self.folder, &self.backup)
    }

    /// Puts the copy back, if there is one; whether the epoch is raised as it must be.
    pub(crate) fn restore(&self, raise: bool) -> Anything<bool> {
        if !self.backup.exists() {
            return Ok(false);
        }
        self.trace
            .say(&format!("controller: is restored, epoch raised: {raise}"));
        copy(&self.backup, &self.folder)?;
        if raise {
            let db = rusqlite::Connection::open(self.folder.join("controller.db"))?;
            db.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'", [])?;
            copy(&self.folder, &self.backup)?;
        }
        Ok(true)
    }

    /// A host joins.
    pub(crate) async fn admit(&self, name: &str) -> Anything<Peer> {
        let centre = self.centre().ok_or("no controller")?;
        let (named, now) = (name.parse()?, chance::now_ms());
        let (id, secret, spki) = (name_bytes(name), [7; 32], [9; 32]);
        let serial = *Uuid::new_v4().as_bytes();
        let host: HostId = centre
            .store
            .write(move |c| {
                let invited = hosts::invite(c, &named, &[], now).map_err(|_| StoreError::NotStored)?;
                let expires_ms = now + 60_000;
                let token = Token {
                    id,
                    secret,
                    expires_ms,
                };
                tokens::keep(c, invited.host, &token, now)?;
                let issue = |_| {
                    Ok(Issued {
                        serial,
                        pem: "simulated".to_owned(),
                        not_after_ms: now + 86_400_000,
                        root: 1,
                    })
                };
                let joined = tokens::consume(c, &Shown { id, secret, spki }, now, issue);
                joined
                    .map(|joined| joined.host)
                    .map_err(|_| StoreError::NotStored)
            })
            .await?;
        Ok(Peer {
            host,
            serial,
            address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
            since_ms: now,
        })
    }
}

fn name_bytes(name: &str) -> [u8; 8] {
    let mut id = [0; 8];
    for (at, byte) in name.bytes().take(8).enumerate() {
        id[at] = byte;
    }
    id
}

/// Makes one folder the copy of another.
pub(crate) fn copy(from: &Path, to: &Path) -> Anything<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
