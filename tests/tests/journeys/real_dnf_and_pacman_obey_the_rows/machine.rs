//! A container with the real package managers, as a host: files and programs are the container's, the rest is made of
//! maps.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use chatalot_agent::host::fake::FakeHost;
use chatalot_agent::host::{
    Act, Answers, Command, Container, Engine, Fetch, FetchError, Fetched, HostError, Look, Output, Owner,
    PortOwner, Resources, Strictly, System, Transport, TurnAsk, TurnError, Unit,
};
use chatalot_agent::runbook::distro::{Distro, Manager};
use chatalot_agent::stun::dialogue::Relay;
use chatalot_protocol::outside;
use chatalot_protocol::site::Domain;
use chatalot_tests::{Result, run, run_with_input};

const IMAGE: &str = "chatalot-sandbox/managers";
/// Where a machine serves the repositories to itself.
const SERVED: &str = "http://127.0.0.1:8000";

/// Installs a newer git beside the one that is there, and has its repository known.
pub(crate) const NEWER_GIT: &str = "printf '[newer]\\nname=newer\\nbaseurl=file:///srv/packages/newer\\ngpgcheck=0\\n' \
    >/etc/yum.repos.d/newer.repo && \
    rpm -i --force --nodeps --nosignature /srv/packages/newer/noarch/git-2.0-1.noarch.rpm";
/// Has a stranger's packages at the address of Docker's.
pub(crate) const SWAP_DOCKER: &str =
    "sed -i s,signed-docker,signed-stranger, /etc/yum.repos.d/chatalot-docker.repo";

/// The repositories, made once by a container that the others share them with.
pub(crate) struct Packages {
    maker: String,
    keys: Vec<(String, String)>,
    prints: Vec<(String, String)>,
}

impl Packages {
    /// Makes what these rows install: the distribution's own in one, each third party's in its own with its own key.
    pub(crate) fn make(rows: &[&'static Distro]) -> Result<Self> {
        let maker = start(&[])?;
        let mut made = Self {
            maker,
            keys: Vec::new(),
            prints: Vec::new(),
        };
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for row in rows {
            for one in row.repositories {
                theirs.push((one.name, one.packages));
            }
            let all = [
                row.engine,
                row.compose,
                row.tools,
                row.caddy,
                row.nginx,
                row.certbot,
            ]
            .concat();
            let third = |name: &&str| row.repositories.iter().any(|one| one.packages.contains(name));
            own.push((
                row.id,
                all.into_iter().filter(|name| !third(name)).collect::<Vec<_>>(),
            ));
        }
        own.sort_unstable();
        own.dedup();
        theirs.sort_unstable();
        theirs.dedup();
        let pacman = rows.first().is_some_and(|row| row.manager == Manager::Pacman);
        let kind = if pacman { "pacman" } else { "rpm" };
        for (name, packages) in own {
            exec(
                &made.maker,
                &[&["make-repository", kind, name, "1.0"], packages.as_slice()].concat(),
            )?;
        }
        for (name, packages) in theirs {
            let signed = format!("signed-{name}");
            exec(
                &made.maker,
                &[&["make-repository", kind, &signed, "1.0"], packages].concat(),
            )?;
            let key = exec(&made.maker, &["cat", &format!("/srv/packages/{signed}/key.asc")])?;
            let listed = exec(
                &made.maker,
                &[
                    "sh",
                    "-c",
                    &format!("gpg --batch --with-colons --list-keys {signed} | grep ^fpr | cut -d: -f10"),
                ],
            )?;
            made.keys.push((name.to_owned(), key));
            made.prints.push((name.to_owned(), listed.trim().to_owned()));
        }
        if !pacman {
            exec(&made.maker, &["make-repository", "rpm", "newer", "2.0", "git"])?;
            exec(
                &made.maker,
                &["make-repository", "rpm", "signed-stranger", "1.0", "docker-ce"],
            )?;
        }
        Ok(made)
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        drop(run("docker", &["rm", "-fv", &self.maker]));
    }
}

/// A machine; dropping it removes it.
pub(crate) struct Machine {
    container: String,
    rest: FakeHost,
    ran: Mutex<usize>,
}

impl Machine {
    /// An empty system that knows its distribution's own repository, and where to find third parties'.
    pub(crate) fn fresh(packages: &Packages, rest: FakeHost, row: &Distro) -> Result<Self> {
        let container = start(&["--volumes-from", &packages.maker])?;
        let machine = Self {
            container,
            rest,
            ran: Mutex::new(0),
        };
        let id = row.id;
        let known = match row.manager {
            Manager::Pacman => format!(
                "mkdir -p /var/lib/pacman && printf '[{id}]\\nSigLevel = Optional TrustAll\\nServer = \
                 file:///srv/packages/{id}\\n' >>/etc/pacman.conf"
            ),
            _ => format!(
                "printf '[{id}]\\nname={id}\\nbaseurl=file:///srv/packages/{id}\\ngpgcheck=0\\n' >/etc/yum.repos.d/{id}.repo"
            ),
        };
        machine.must(&known)?;
        if !packages.keys.is_empty() {
            run(
                "docker",
                &[
                    "exec",
                    "-d",
                    &machine.container,
                    "python3",
                    "-m",
                    "http.server",
                    "-d",
                    "/srv/packages",
                    "-b",
                    "127.0.0.1",
                    "8000",
                ],
            )?
            .ok()?;
            let answers = "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/')";
            machine.must(&format!(
                "until python3 -c \"{answers}\" 2>/dev/null; do sleep 0.1; done"
            ))?;
        }
        let mut config = String::new();
        for ((name, key), (_, print)) in packages.keys.iter().zip(&packages.prints) {
            let at = format!("{SERVED}/signed-{name}");
            let _ = write!(
                config,
                "[repositories.{name}]\nurl = \"{at}/\"\nkey = \"{at}/key.asc\"\nfingerprint = \"{print}\"\n"
            );
            let page = Fetched {
                status: 200,
                body: key.clone().into_bytes(),
                ..Fetched::default()
            };
            machine
                .rest
                .world(|world| world.pages.insert(format!("{at}/key.asc"), Ok(page)));
        }
        machine
            .rest
            .world(|world| world.put("/etc/chatalot-agent/config.toml", config));
        Ok(machine)
    }

    /// A shell script that must end with 0; its output.
    pub(crate) fn must(&self, script: &str) -> Result<String> {
        exec(&self.container, &["sh", "-c", script])
    }

    /// How many commands that change something were run.
    pub(crate) fn ran(&self) -> usize {
        *self.ran.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps a file open until `/run/let-go` is there.
    pub(crate) fn hold(&self, path: &str) -> Result<()> {
        let hold = format!("exec 9>>{path}; until [ -e /run/let-go ]; do sleep 0.1; done");
        run("docker", &["exec", "-d", &self.container, "sh", "-c", &hold])?.ok()?;
        self.must(&format!("until fuser {path}; do sleep 0.1; done"))?;
        Ok(())
    }

    /// Holds rpm's lock until `/run/let-go` is there.
    pub(crate) fn hold_rpm_lock(&self) -> Result<()> {
        let hold = "import fcntl, os, time\n\
                    lock = open('/var/lib/rpm/.rpm.lock', 'a+')\n\
                    fcntl.lockf(lock, fcntl.LOCK_EX)\n\
                    open('/run/held', 'w').close()\n\
                    while not os.path.exists('/run/let-go'): time.sleep(0.1)\n";
        run("docker", &["exec", "-d", &self.container, "python3", "-c", hold])?.ok()?;
        self.must("until [ -e /run/held ]; do sleep 0.1; done")?;
        Ok(())
    }

    fn command(&self, command: &Command) -> Output {
        let env: Vec<String> = command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut args = vec!["exec"];
        for pair in &env {
            args.extend(["-e", pair]);
        }
        args.extend([self.container.as_str(), command.program.as_str()]);
        args.extend(command.args.iter().map(String::as_str));
        let done = run("docker", &args).map_err(|error| error.to_string());
        done.map_or_else(
            |stderr| Output {
                code: 127,
                stdout: String::new(),
                stderr,
            },
            |output| Output {
                code: output.code,
                stdout: output.stdout,
                stderr: output.stderr,
            },
        )
    }

    fn read_now(&self, path: &Path) -> Option<Vec<u8>> {
        let output = run(
            "docker",
            &["exec", &self.container, "cat", &path.to_string_lossy()],
        )
        .ok()?;
        (output.code == 0).then_some(output.bytes)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(run("docker", &["rm", "-fv", &self.container]));
    }
}

fn start(more: &[&str]) -> Result<String> {
    let owner = format!("--label=chatalot-sandbox.owner={}", std::process::id());
    let args = [&["run", "-d", "--init", "--network=none", &owner], more, &[IMAGE]].concat();
    Ok(run("docker", &args)?.ok()?.stdout.trim().to_owned())
}

fn exec(container: &str, argv: &[&str]) -> Result<String> {
    Ok(run("docker", &[&["exec", container], argv].concat())?
        .ok()?
        .stdout)
}

#[async_trait]
impl Look for Machine {
    async fn system(&self) -> std::result::Result<System, HostError> {
        self.rest.system().await
    }

    async fn resources(&self, path: &Path) -> std::result::Result<Resources, HostError> {
        self.rest.resources(path).await
    }

    fn now_ms(&self) -> i64 {
        self.rest.now_ms()
    }

    async fn read(&self, path: &Path) -> std::result::Result<Option<Vec<u8>>, HostError> {
        Ok(self.read_now(path))
    }

    async fn read_strictly(&self, path: &Path) -> std::result::Result<Strictly, HostError> {
        self.rest.read_strictly(path).await
    }

    async fn list(&self, path: &Path) -> std::result::Result<Vec<String>, HostError> {
        let listed = run(
            "docker",
            &["exec", &self.container, "ls", &path.to_string_lossy()],
        );
        let listed = listed.map_or_else(|_| String::new(), |output| output.stdout);
        Ok(listed.lines().map(str::to_owned).collect())
    }

    async fn owner(&self, path: &Path) -> std::result::Result<Option<Owner>, HostError> {
        let there = self.must(&format!("test -e {}", path.display())).is_ok();
        Ok(there.then_some(Owner { uid: 0, mode: 0o644 }))
    }

    async fn program(&self, name: &str) -> std::result::Result<Option<PathBuf>, HostError> {
        let found = self.must(&format!("command -v {name}")).ok();
        Ok(found.map(|path| PathBuf::from(path.trim())))
    }

    async fn query(&self, command: Command) -> std::result::Result<Output, HostError> {
        Ok(self.command(&command))
    }

    async fn unit(&self, name: &str) -> std::result::Result<Unit, HostError> {
        self.rest.unit(name).await
    }

    async fn engine(&self) -> std::result::Result<Engine, HostError> {
        self.rest.engine().await
    }

    async fn compose(&self) -> std::result::Result<Option<String>, HostError> {
        self.rest.compose().await
    }

    async fn containers(&self, folder: Option<&str>) -> std::result::Result<Vec<Container>, HostError> {
        self.rest.containers(folder).await
    }

    async fn container_log(&self, name: &str, lines: u32) -> std::result::Result<Vec<String>, HostError> {
        self.rest.container_log(name, lines).await
    }

    async fn port_owner(
        &self,
        transport: Transport,
        port: u16,
    ) -> std::result::Result<Option<PortOwner>, HostError> {
        self.rest.port_owner(transport, port).await
    }

    async fn addresses(&self) -> std::result::Result<Vec<IpAddr>, HostError> {
        self.rest.addresses().await
    }

    fn seen_address(&self) -> Option<IpAddr> {
        self.rest.seen_address()
    }

    async fn resolve(&self, name: &str) -> std::result::Result<Vec<Answers>, HostError> {
        self.rest.resolve(name).await
    }

    async fn fetch(&self, fetch: Fetch) -> std::result::Result<Fetched, FetchError> {
        self.rest.fetch(fetch).await
    }

    async fn turn(&self, ask: TurnAsk) -> std::result::Result<Relay, TurnError> {
        self.rest.turn(ask).await
    }

    async fn outside(&self, look: outside::Look) -> outside::Told {
        self.rest.outside(look).await
    }
}

#[async_trait]
impl Act for Machine {
    async fn run(&self, command: Command) -> std::result::Result<Output, HostError> {
        *self.ran.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        Ok(self.command(&command))
    }

    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> std::result::Result<(), HostError> {
        let script = "mkdir -p \"$(dirname \"$1\")\" && cat >\"$1\" && chmod \"$2\" \"$1\"";
        let (path, mode) = (path.to_string_lossy(), format!("{mode:o}"));
        let args = [
            "exec",
            "-i",
            &self.container,
            "sh",
            "-c",
            script,
            "sh",
            &path,
            &mode,
        ];
        let written = run_with_input("docker", &args, content).and_then(chatalot_tests::Output::ok);
        written.map(drop).map_err(|error| HostError::Unknown {
            what: "a file written",
            why: error.to_string(),
        })
    }

    async fn rewrite(&self, path: &Path, content: &[u8]) -> std::result::Result<(), HostError> {
        self.write(path, content, 0o644).await
    }

    async fn remove(&self, path: &Path) -> std::result::Result<(), HostError> {
        let removed = self.must(&format!("rm -f {}", path.display()));
        removed.map(drop).map_err(|error| HostError::Unknown {
            what: "a file removed",
            why: error.to_string(),
        })
    }

    async fn make_folder(&self, path: &Path, _mode: u32) -> std::result::Result<(), HostError> {
        let made = self.must(&format!("mkdir -p {}", path.display()));
        made.map(drop).map_err(|error| HostError::Unknown {
            what: "a folder made",
            why: error.to_string(),
        })
    }

    async fn answer_outside(
        &self,
        domain: &Domain,
        doors: &[outside::Door],
    ) -> std::result::Result<(Vec<outside::Door>, outside::Told), HostError> {
        self.rest.answer_outside(domain, doors).await
    }

    async fn say(&self, line: &str) {
        self.rest.say(line).await;
    }
}
