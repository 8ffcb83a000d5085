//! The host, to be changed.

use super::run::{Patience, run};
use super::{LinuxHost, files, probe};
use crate::host::{
    Act, Answers, Command, Container, Engine, Fetch, FetchError, Fetched, HostError, Look, Output, Owner,
    PortOwner, Resources, Strictly, System, Transport, TurnAsk, TurnError, Unit,
};
use crate::runbook::Limits;
use crate::runbook::output::Sink;
use crate::stun::dialogue::Relay;
use async_trait::async_trait;
use chatalot_protocol::outside::{self, Door, LookAt, Nonce, Told};
use chatalot_protocol::site::Domain;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(30);

/// This host, to be changed by one step within its limits; what it does is told to its output.
#[derive(Debug)]
pub struct LinuxActor {
    look: LinuxHost,
    sink: Sink,
    limits: Limits,
    started: Instant,
    grace: Duration,
}

impl LinuxActor {
    /// The step's time begins now.
    pub fn new(look: LinuxHost, sink: Sink, limits: Limits) -> Self {
        Self {
            look,
            sink,
            limits,
            started: Instant::now(),
            grace: GRACE,
        }
    }
}

#[async_trait]
impl Act for LinuxActor {
    async fn run(&self, command: Command) -> Result<Output, HostError> {
        let patience = Patience {
            left: self.limits.deadline.saturating_sub(self.started.elapsed()),
            idle: self.limits.idle,
            grace: self.grace,
        };
        run(&command, &self.sink, patience).await
    }

    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), HostError> {
        files::write(path, content, mode)
    }

    async fn rewrite(&self, path: &Path, content: &[u8]) -> Result<(), HostError> {
        files::rewrite(path, content)
    }

    async fn remove(&self, path: &Path) -> Result<(), HostError> {
        files::remove(path)
    }

    async fn make_folder(&self, path: &Path, mode: u32) -> Result<(), HostError> {
        files::make_folder(path, mode)
    }

    async fn answer_outside(&self, domain: &Domain, doors: &[Door]) -> Result<(Vec<Door>, Told), HostError> {
        let (nonce, own) = (Nonce::fresh(), self.look.addresses().await?);
        let answering = probe::open(doors, &own, &nonce).await;
        let opened = answering.doors.clone();
        let doors = doors.to_vec();
        let at = LookAt::Probe { nonce, doors };
        let domain = domain.clone();
        let look = self.look.outside(outside::Look { domain, at });
        let told = tokio::time::timeout(probe::LONGEST, look).await;
        let told = told.unwrap_or_else(|_| Told::declined(probe::late()));
        drop(answering);
        Ok((opened, told))
    }

    async fn say(&self, line: &str) {
        self.sink.say(line);
    }
}

#[async_trait]
impl Look for LinuxActor {
    async fn system(&self) -> Result<System, HostError> {
        self.look.system().await
    }

    async fn resources(&self, path: &Path) -> Result<Resources, HostError> {
        self.look.resources(path).await
    }

    fn now_ms(&self) -> i64 {
        self.look.now_ms()
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        self.look.read(path).await
    }

    async fn read_strictly(&self, path: &Path) -> Result<Strictly, HostError> {
        self.look.read_strictly(path).await
    }

    async fn list(&self, path: &Path) -> Result<Vec<String>, HostError> {
        self.look.list(path).await
    }

    async fn owner(&self, path: &Path) -> Result<Option<Owner>, HostError> {
        self.look.owner(path).await
    }

    async fn program(&self, name: &str) -> Result<Option<PathBuf>, HostError> {
        self.look.program(name).await
    }

    async fn query(&self, command: Command) -> Result<Output, HostError> {
        let sink = &self.sink;
        match self.look.query(command).await {
            Ok(output) => Ok(Output {
                code: output.code,
                stdout: sink.mask(&output.stdout),
                stderr: sink.mask(&output.stderr),
            }),
            Err(error) => Err(error.masked(|line| sink.mask(line))),
        }
    }

    async fn unit(&self, name: &str) -> Result<Unit, HostError> {
        self.look.unit(name).await
    }

    async fn engine(&self) -> Result<Engine, HostError> {
        self.look.engine().await
    }

    async fn compose(&self) -> Result<Option<String>, HostError> {
        self.look.compose().await
    }

    async fn containers(&self, folder: Option<&str>) -> Result<Vec<Container>, HostError> {
        self.look.containers(folder).await
    }

    async fn container_log(&self, name: &str, lines: u32) -> Result<Vec<String>, HostError> {
        self.look.container_log(name, lines).await
    }

    async fn port_owner(&self, transport: Transport, port: u16) -> Result<Option<PortOwner>, HostError> {
        self.look.port_owner(transport, port).await
    }

    async fn port_is_taken(&self, transport: Transport, port: u16) -> Result<bool, HostError> {
        self.look.port_is_taken(transport, port).await
    }

    async fn addresses(&self) -> Result<Vec<IpAddr>, HostError> {
        self.look.addresses().await
    }

    fn seen_address(&self) -> Option<IpAddr> {
        self.look.seen_address()
    }

    async fn resolve(&self, name: &str) -> Result<Vec<Answers>, HostError> {
        self.look.resolve(name).await
    }

    async fn fetch(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        self.look.fetch(fetch).await
    }

    async fn turn(&self, ask: TurnAsk) -> Result<Relay, TurnError> {
        self.look.turn(ask).await
    }

    async fn outside(&self, look: outside::Look) -> Told {
        self.look.outside(look).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::linux::Config;
    use chatalot_protocol::secret::Secret;

    #[tokio::test]
    async fn f59_what_an_effect_asks_of_the_host_is_answered_without_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::new("s3cret-Token/42");
        let sink = Sink::open(&folder.path().join("output"), [&secret]).unwrap();
        let actor = LinuxActor::new(LinuxHost::new(Config::default()), sink, Limits::default());
        let asked = actor.query(Command::new(
            "echo",
            &["it is s3cret-Token/42", "s3cret-Token%2F42"],
        ));
        assert_eq!(asked.await.unwrap().stdout, "it is [secret] [secret]\n");
    }
}
