//! `deployment watch`, and the watching part of `deploy`.

use super::deployment::cancelled;
use crate::client::{Client, Line};
use crate::exit::{Exit, Failure};
use crate::follow::{Follow, Heard};
use crate::output::{Format, Output};
use crate::progress::{Manner, Progress};
use crate::render;
use crate::screen::Screen;
use crate::text::safe_json;
use chatalot_protocol::api::{DeploymentView, WatchLine};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use clap::Args;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const LOST: &str = "The connection to the daemon is lost; trying again. The deployment goes on.";

/// `deployment watch`
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// The deployment's id
    pub deployment: DeploymentId,
}

/// Follows a deployment from its start to its end; the exit code says how it ended.
pub async fn watch(client: &Client, args: &WatchArgs, out: &mut Output) -> Result<Exit, Failure> {
    let follow = Follow::new(client, args.deployment, out.verbose);
    to_its_end(client, follow, out).await
}

pub(super) async fn state_of(client: &Client, id: DeploymentId) -> Result<DeploymentView, Failure> {
    Ok(client.get(&format!("/v1/deployments/{id}")).await?)
}

pub(super) async fn to_its_end(
    client: &Client,
    follow: Follow<'_>,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let mut watcher = Watcher::new(client, follow, out);
    let ended = watcher.run(ctrl_c()).await;
    let cleared = watcher.screen.end(watcher.out);
    let exit = ended?;
    cleared.and(Ok(exit))
}

/// Each Ctrl-C from now on. Where that cannot be had, Ctrl-C ends the program as usual.
fn ctrl_c() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    if let Ok(mut signals) = signal(SignalKind::interrupt()) {
        tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    }
    receiver
}

/// One watched deployment.
pub(super) struct Watcher<'a> {
    client: &'a Client,
    id: DeploymentId,
    follow: Follow<'a>,
    progress: Progress,
    screen: Screen,
    out: &'a mut Output,
}

/// What ends the wait for the next line.
enum Next {
    Heard(Heard),
    Interrupted,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(client: &'a Client, follow: Follow<'a>, out: &'a mut Output) -> Self {
        let manner = if out.live { Manner::Chapters } else { Manner::Lines };
        Self {
            client,
            id: follow.deployment(),
            follow,
            progress: Progress::new(manner, out.page()),
            screen: Screen::of(out),
            out,
        }
    }

    pub(super) async fn run(&mut self, mut interrupts: mpsc::Receiver<()>) -> Result<Exit, Failure> {
        let mut is_listening = true;
        loop {
            let next = tokio::select! {
                biased;
                interrupt = interrupts.recv(), if is_listening => {
                    is_listening = interrupt.is_some();
                    if !is_listening {
                        continue;
                    }
                    Next::Interrupted
                }
                heard = self.follow.next() => Next::Heard(heard?),
            };
            match next {
                Next::Heard(Heard::Lost) => {
                    let out = &mut *self.out;
                    self.screen.aside(|| out.note(LOST))?;
                }
                Next::Heard(Heard::Line(line)) => {
                    if let Some(exit) = self.tell(&line)? {
                        return Ok(exit);
                    }
                    if !self.follow.has_more() {
                        self.out.flush()?;
                    }
                }
                Next::Interrupted => {
                    if self.interrupted().await? {
                        return Ok(Exit::Detached);
                    }
                }
            }
        }
    }

    /// Writes what a line says; the exit code once it is the last one.
    fn tell(&mut self, line: &Line) -> Result<Option<Exit>, Failure> {
        if self.out.format == Format::Json {
            self.raw(line)?;
        }
        let is_text = self.out.format == Format::Text;
        match &line.line {
            WatchLine::Event { event } if is_text => {
                let text = self.progress.take(event);
                self.screen.lines(self.out, &text)?;
                self.screen.show(&self.progress);
            }
            WatchLine::Log { text, .. } if is_text => self.screen.output(self.out, text)?,
            WatchLine::End { view } => {
                if is_text {
                    self.conclude(view)?;
                }
                self.out.flush()?;
                return Ok(Some(Exit::of(view.state)));
            }
            _ => {}
        }
        Ok(None)
    }

    fn raw(&mut self, line: &Line) -> Result<(), Failure> {
        if self.out.terminal {
            let text = String::from_utf8_lossy(&line.raw);
            self.out.text(&safe_json(&text))?;
        } else {
            self.out.bytes(&line.raw)?;
        }
        self.out.bytes(b"\n")
    }

    fn conclude(&mut self, view: &DeploymentView) -> Result<(), Failure> {
        self.screen.end(self.out)?;
        let is_well = view.state == DeploymentState::Succeeded;
        let summary = self.progress.summary(is_well);
        let text = render::conclusion(view, &summary, self.out.page());
        self.out.text(&text)?;
        if view.state == DeploymentState::Failed && !self.out.verbose {
            let hint = format!(
                "\nAll output: {} deployment watch {} -v",
                self.out.program, self.id
            );
            self.out.line(&hint)?;
        }
        Ok(())
    }

    /// Ctrl-C: whether to detach. A deployment is only cancelled by somebody who says so.
    async fn interrupted(&mut self) -> Result<bool, Failure> {
        if self.out.interactive && self.wants_to_cancel()? {
            let view = cancelled(self.client, self.id).await?;
            if !view.state.is_over() {
                self.screen
                    .lines(self.out, "Cancelling at the next step boundary…\n")?;
            }
            return Ok(false);
        }
        self.screen.end(self.out)?;
        let hint = format!(
            "Detached; the deployment goes on. Follow it with: {} deployment watch {}",
            self.out.program, self.id
        );
        self.out.note(&hint)?;
        Ok(true)
    }

    fn wants_to_cancel(&mut self) -> Result<bool, Failure> {
        let term = self.out.term.as_mut();
        let answer = self
            .screen
            .aside(|| term.ask("\nCancel the deployment, or detach from it? [c/d] "));
        match answer {
            Ok(answer) => Ok(answer.is_some_and(|answer| answer.trim().eq_ignore_ascii_case("c"))),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(cause) => Err(Failure::Prompt(cause)),
        }
    }
}
