//! Asking the controller to look at the site from outside: the one thing that this host cannot do itself.
//!
//! The daemon has the session, so it has the [`Desk`] where questions are handed in. A step's own process asks the daemon,
//! on its local socket. Whoever cannot be asked has not seen anything, and says why: that never fails a deployment.

use chatalot_console::client::Client;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::outside::{Look, Told};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

/// How long the controller may take: longer than it gives itself.
const ANSWER: Duration = Duration::from_secs(25);
/// How long a daemon that is being started again is waited for, and how often it is tried.
const DAEMON: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(500);
/// How many questions may wait.
const WAITING: usize = 4;

/// Whom to ask.
#[derive(Debug, Clone, Default)]
pub enum Way {
    /// Nobody: a command line without a daemon.
    #[default]
    Nobody,
    /// The session of this process.
    Desk(Arc<Desk>),
    /// The daemon behind this socket.
    Daemon(PathBuf),
}

impl Way {
    /// What is seen from outside, or why nothing can be told.
    pub async fn ask(&self, look: Look) -> Told {
        match self {
            Self::Nobody => Told::declined(untold(
                "OUTSIDE_NO_DAEMON",
                "no daemon of the agent runs, which would ask the controller",
                &look,
            )),
            Self::Desk(desk) => desk.ask(look).await,
            Self::Daemon(socket) => {
                let client = Client::new(socket.clone(), "/v1");
                let since = Instant::now();
                loop {
                    match client.post("outside", &look).await {
                        Ok(told) => return told,
                        Err(error) if error.may_pass() && since.elapsed() < DAEMON => sleep(AGAIN).await,
                        Err(error) => {
                            let saw = format!("the agent's daemon: {}", crate::chain(&error));
                            return Told::declined(untold("OUTSIDE_NO_DAEMON", &saw, &look));
                        }
                    }
                }
            }
        }
    }
}

/// Where questions for the controller are handed in, whatever session there is.
#[derive(Debug)]
pub struct Desk {
    standing: Mutex<Standing>,
    asked: AtomicU64,
}

#[derive(Debug)]
enum Standing {
    /// This host has joined no controller.
    Alone,
    /// It has, and there is no session.
    Away,
    /// There is one with a controller that does not look.
    Older,
    /// There is one.
    Here(mpsc::Sender<Asked>),
}

/// A question on its way.
#[derive(Debug)]
pub struct Asked {
    /// Its number, of all that this process asks.
    pub id: u64,
    /// The question.
    pub look: Look,
    /// Who waits for the answer.
    pub told: oneshot::Sender<Told>,
}

/// A session's place at the desk, left when it is dropped.
#[derive(Debug)]
pub struct Place {
    /// What is asked meanwhile.
    pub asked: mpsc::Receiver<Asked>,
    desk: Arc<Desk>,
}

impl Desk {
    /// A desk without a session.
    pub fn new(has_joined: bool) -> Self {
        Self {
            standing: Mutex::new(if has_joined {
                Standing::Away
            } else {
                Standing::Alone
            }),
            asked: AtomicU64::new(0),
        }
    }

    /// A session takes its place; `looks` is whether its controller does.
    pub fn sit(self: &Arc<Self>, looks: bool) -> Place {
        let (sender, asked) = mpsc::channel(WAITING);
        *self.standing() = if looks {
            Standing::Here(sender)
        } else {
            Standing::Older
        };
        Place {
            asked,
            desk: self.clone(),
        }
    }

    /// What the controller sees from outside, or why nothing can be told.
    pub async fn ask(&self, look: Look) -> Told {
        let sender = match &*self.standing() {
            Standing::Here(sender) => Ok(sender.clone()),
            Standing::Alone => Err(("OUTSIDE_NO_CONTROLLER", "this host has joined no controller")),
            Standing::Away => Err(("OUTSIDE_NOT_CONNECTED", "the controller is not connected now")),
            Standing::Older => Err((
                "OUTSIDE_OLDER_CONTROLLER",
                "the controller is older than this agent and does not look from outside",
            )),
        };
        let refused = |(code, saw): (&'static str, &str)| Told::declined(untold(code, saw, &look));
        let sender = match sender {
            Ok(sender) => sender,
            Err(why) => return refused(why),
        };
        let (told, answer) = oneshot::channel();
        let id = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let asked = Asked {
            id,
            look: look.clone(),
            told,
        };
        if sender.try_send(asked).is_err() {
            return refused(("OUTSIDE_BUSY", "other looks are on their way"));
        }
        drop(sender);
        match timeout(ANSWER, answer).await {
            Ok(Ok(told)) => told,
            Ok(Err(_)) => refused((
                "OUTSIDE_NOT_CONNECTED",
                "the connection to the controller was lost meanwhile",
            )),
            Err(_) => refused(("OUTSIDE_LATE", "the controller has not answered in time")),
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.desk.standing() = Standing::Away;
    }
}

/// Nothing can be told from here, why, and how it can be asked for.
fn untold(code: &'static str, saw: &str, look: &Look) -> Advice {
    Advice::new(
        code,
        format!("cannot be told from here: {saw}"),
        "a look from outside",
        format!(
            "with a controller `chatalotctl verify HOST` asks for it; without one, from any machine elsewhere: `curl -sS https://{}/api/health`",
            look.domain
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatalot_protocol::outside::LookAt;

    fn look() -> Look {
        Look {
            domain: "chat.example.com".parse().unwrap(),
            at: LookAt::Site {
                turn: false,
                direct: true,
                published: Vec::new(),
            },
        }
    }

    fn code(told: Told) -> String {
        match told {
            Told::Declined { advice } => advice.code.into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn who_cannot_be_asked_says_why_and_what_to_type() {
        assert_eq!(code(Way::Nobody.ask(look()).await), "OUTSIDE_NO_DAEMON");
        let alone = Desk::new(false).ask(look()).await;
        assert!(matches!(&alone, Told::Declined { advice } if advice.fix.contains("chatalotctl verify")));
        assert_eq!(code(alone), "OUTSIDE_NO_CONTROLLER");
        let desk = Arc::new(Desk::new(true));
        assert_eq!(code(desk.ask(look()).await), "OUTSIDE_NOT_CONNECTED");
        let older = desk.sit(false);
        assert_eq!(code(desk.ask(look()).await), "OUTSIDE_OLDER_CONTROLLER");
        drop(older);
        assert_eq!(code(desk.ask(look()).await), "OUTSIDE_NOT_CONNECTED");
    }

    #[tokio::test]
    async fn a_question_is_answered_by_the_session_or_lost_with_it() {
        let desk = Arc::new(Desk::new(true));
        let mut place = desk.sit(true);
        let asking = tokio::spawn({
            let desk = desk.clone();
            async move { desk.ask(look()).await }
        });
        let asked = place.asked.recv().await.unwrap();
        assert_eq!((asked.id, &asked.look), (1, &look()));
        asked
            .told
            .send(Told::Seen {
                addresses: Vec::new(),
            })
            .unwrap();
        assert_eq!(
            asking.await.unwrap(),
            Told::Seen {
                addresses: Vec::new()
            }
        );
        let asking = tokio::spawn({
            let desk = desk.clone();
            async move { desk.ask(look()).await }
        });
        drop(place.asked.recv().await.unwrap());
        assert_eq!(code(asking.await.unwrap()), "OUTSIDE_NOT_CONNECTED");
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_or_daemon_that_says_nothing_is_not_waited_for_for_ever() {
        let desk = Arc::new(Desk::new(true));
        let _place = desk.sit(true);
        assert_eq!(code(desk.ask(look()).await), "OUTSIDE_LATE");
        let nobody = Way::Daemon("/nonexistent/agent.sock".into());
        assert_eq!(code(nobody.ask(look()).await), "OUTSIDE_NO_DAEMON");
    }
}
