//! The authority: how it stands, and from one root to the next.

use super::gate::Call;
use super::{Api, refusals};
use crate::http::{self, Reply};
use crate::rotation::view::Rotate;
use crate::rotation::{Step, TurnError};
use hyper::StatusCode;

impl Api {
    pub(super) async fn ca_status(&self, _: Call) -> Reply {
        match self.centre.ca().await {
            Ok(view) => http::json(StatusCode::OK, &view),
            Err(error) => refusals::failed(&error),
        }
    }

    /// Goes on to a phase that can be gone back from.
    pub(super) async fn ca_rotate(&self, call: Call) -> Reply {
        match call.read() {
            Ok(Rotate {
                to: to @ (Step::Publish | Step::IssueNew | Step::ServeNew),
            }) => self.take_step(to).await,
            Ok(Rotate { to }) => {
                refusals::step_does_not_follow(to, self.centre.authority.now().rotation.phase)
            }
            Err(refusal) => refusal,
        }
    }

    pub(super) async fn ca_drop_old(&self, _: Call) -> Reply {
        self.take_step(Step::DropOld).await
    }

    /// Goes back; where nobody needs the new root any more, to the end.
    pub(super) async fn ca_rollback(&self, _: Call) -> Reply {
        let phase = self.centre.authority.now().rotation.phase;
        let first = phase.backward().unwrap_or(Step::Rollback);
        let begun = self.take_step(first).await;
        if first == Step::DropNew || begun.status() != StatusCode::OK {
            return begun;
        }
        match self.centre.turn(Step::DropNew).await {
            Ok(_) => http::noted(self.ca_as_it_is().await, "to the end".to_owned()),
            // It ends by itself.
            Err(TurnError::HeldUp(_) | TurnError::Order { .. }) => begun,
            Err(error) => refusals::failed(&error),
        }
    }

    async fn take_step(&self, step: Step) -> Reply {
        match self.centre.turn(step).await {
            Ok(_) => http::noted(self.ca_as_it_is().await, step.word().to_owned()),
            Err(TurnError::Order { step, phase }) => refusals::step_does_not_follow(step, phase),
            Err(TurnError::HeldUp(stragglers)) => refusals::hosts_left_behind(&stragglers),
            Err(error) => refusals::failed(&error),
        }
    }

    async fn ca_as_it_is(&self) -> Reply {
        match self.centre.ca().await {
            Ok(view) => http::json(StatusCode::OK, &view),
            Err(error) => refusals::failed(&error),
        }
    }
}
