//! How a command ends: one table of stable exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; what was asked for is so |
//! | 1 | the deployment or a check failed |
//! | 2 | usage: inputs are missing or wrong, or nobody approved the plan |
//! | 3 | blocked: a person has to act; the advice was shown |
//! | 4 | refused by the host, its policy or the controller, or the plan has changed |
//! | 5 | the daemon, the controller or the host cannot be reached |
//! | 6 | cancelled |
//! | 7 | waited long enough |
//! | 130 | interrupted, or nobody reads any more: detached; a deployment goes on |

use crate::advice;
use crate::client::ClientError;
use crate::output::{Format, Output};
use crate::text::safe;
use chatalot_protocol::advice::Advice;
use chatalot_protocol::chain;
use chatalot_protocol::inputs::Problem;
use chatalot_protocol::plan::PlanHash;
use chatalot_protocol::report::DeploymentState;
use serde_json::{Value, json};
use std::io;
use std::process::ExitCode;

/// The table for the end of a command line's help.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    the deployment or a check failed
  2    usage: inputs missing or wrong, or nobody approved the plan
  3    blocked: a person has to act
  4    refused by the host, its policy or the controller, or the plan has changed
  5    the daemon, the controller or the host cannot be reached
  6    cancelled
  7    waited long enough
  130  interrupted and detached; a deployment goes on";

/// How a command ended, as far as its caller may branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2
    Usage,
    /// 3
    Blocked,
    /// 4
    Refused,
    /// 5
    Unreachable,
    /// 6
    Cancelled,
    /// 7
    TimedOut,
    /// 130
    Detached,
}

impl Exit {
    /// Every way to end.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Blocked,
        Self::Refused,
        Self::Unreachable,
        Self::Cancelled,
        Self::TimedOut,
        Self::Detached,
    ];

    /// The number, which never changes.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Blocked => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
            Self::Cancelled => 6,
            Self::TimedOut => 7,
            Self::Detached => 130,
        }
    }

    /// How a command ends that has followed a deployment to this state.
    pub const fn of(state: DeploymentState) -> Self {
        match state {
            DeploymentState::Succeeded | DeploymentState::Queued | DeploymentState::Running => Self::Done,
            DeploymentState::Blocked => Self::Blocked,
            DeploymentState::Cancelled => Self::Cancelled,
            DeploymentState::Refused => Self::Refused,
            DeploymentState::Failed | DeploymentState::Unknown => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Inputs are missing or wrong.
    #[error("inputs are missing or wrong")]
    Inputs(Vec<Problem>),
    /// The command was not given as it must be; the text says what to do instead.
    #[error("{0}")]
    Usage(String),
    /// A plan was made, but nobody is there to approve it.
    #[error("nobody is here to approve the plan: add --yes, or --plan-hash {0} for exactly this one")]
    Unapproved(PlanHash),
    /// The plan cannot be carried out before a person has acted.
    #[error("a person has to act first")]
    Blocked(Vec<Advice>),
    /// The plan is not the one that was approved.
    #[error("the plan has changed: approved {approved}, now {now}; look at it and approve it again")]
    PlanChanged {
        /// What was approved.
        approved: PlanHash,
        /// What it would be now.
        now: PlanHash,
    },
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The daemon took the request for a deployment, and its answer did not arrive.
    #[error("whether the deployment was started is not known: look at `status` before you deploy again")]
    Unclear(#[source] ClientError),
    /// The answer was none to what was asked.
    #[error("the answer is none to `{0}`: the two sides are of different versions, upgrade the older one")]
    Puzzled(&'static str),
    /// The time given with `--timeout` is over.
    #[error("it is not over after {0} seconds")]
    TimedOut(u64),
    /// The person at the terminal left a question with Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Nobody reads what is written any more.
    #[error("cannot write")]
    Output(#[source] io::Error),
    /// The terminal cannot be read.
    #[error("cannot read the answer")]
    Prompt(#[source] io::Error),
}

impl Failure {
    /// The exit code that it ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Inputs(_) | Self::Usage(_) | Self::Unapproved(_) | Self::Prompt(_) => Exit::Usage,
            Self::Blocked(_) | Self::Client(ClientError::Pending(_)) => Exit::Blocked,
            Self::PlanChanged { .. } | Self::Client(ClientError::Refused(_)) => Exit::Refused,
            Self::Client(_) | Self::Unclear(_) | Self::Puzzled(_) => Exit::Unreachable,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Interrupted => Exit::Detached,
            Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Detached,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// The stable word for programs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Inputs(_) => "INPUTS",
            Self::Usage(_) => "USAGE",
            Self::Unapproved(_) => "UNAPPROVED",
            Self::Blocked(_) => "BLOCKED",
            Self::Client(ClientError::Pending(_)) => "APPROVAL_PENDING",
            Self::PlanChanged { .. } => "PLAN_CHANGED",
            Self::Client(ClientError::Refused(_)) => "REFUSED",
            Self::Client(_) => "UNREACHABLE",
            Self::Unclear(_) => "UNCLEAR",
            Self::Puzzled(_) => "VERSION",
            Self::TimedOut(_) => "TIMED_OUT",
            Self::Interrupted => "INTERRUPTED",
            Self::Output(_) | Self::Prompt(_) => "TERMINAL",
        }
    }

    /// Every finding in it.
    pub fn advice(&self) -> Vec<Advice> {
        match self {
            Self::Blocked(advice) => advice.clone(),
            Self::Client(error) => vec![error.advice()],
            _ => Vec::new(),
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Inputs(problems) => json!({"error": self.word(), "problems": problems}),
            _ => json!({"error": self.word(), "why": chain(self), "advice": self.advice()}),
        }
    }
}

/// Tells of a failure, on standard error for people and as one last JSON object for programs, and gives the
/// exit code. The last thing that a command line does.
pub fn finish(result: Result<Exit, Failure>, out: &mut Output) -> Exit {
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => {
            let exit = failure.exit();
            // Nothing can be done about a terminal that is gone.
            let _ = tell(&failure, out);
            exit
        }
    };
    match out.flush() {
        Err(cause) if exit == Exit::Done => cause.exit(),
        _ => exit,
    }
}

fn tell(failure: &Failure, out: &mut Output) -> Result<(), Failure> {
    let silent = matches!(failure, Failure::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe);
    if silent {
        return Ok(());
    }
    if out.format == Format::Json {
        return out.json(&failure.as_json());
    }
    let page = out.page_of_errors();
    let advice = failure.advice();
    let text = if let Failure::Inputs(problems) = failure {
        crate::render::problems(problems, page)
    } else if advice.is_empty() {
        safe(&chain(failure)).into_owned()
    } else {
        let blocks: Vec<String> = advice.iter().map(|advice| advice::render(advice, page)).collect();
        blocks.join("\n")
    };
    out.note(text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_table_that_people_read() {
        let table = include_str!("exit.rs");
        for exit in Exit::ALL {
            assert!(table.contains(&format!("//! | {} |", exit.code())), "{exit:?}");
            assert!(HELP.contains(&format!("\n  {:<5}", exit.code())), "{exit:?}");
        }
    }

    #[test]
    fn missing_inputs_are_named_to_a_program_with_their_questions() {
        let problems = chatalot_protocol::inputs::Inputs::default()
            .complete()
            .unwrap_err();
        let json = Failure::Inputs(problems).as_json();
        assert_eq!(json["error"], "INPUTS");
        assert_eq!(json["problems"][0]["input"], "domain");
        assert_eq!(json["problems"][0]["missing"], true);
        assert_eq!(
            json["problems"][0]["question"],
            "Which public domain will chatalot answer at?"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_not_told_of_it() {
        let (mut out, printed) = Output::recorded(Format::Text);
        let gone = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(finish(Err(gone), &mut out), Exit::Detached);
        assert_eq!(printed.all(), "");
    }
}
