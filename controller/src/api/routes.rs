//! Every endpoint, in one table: who may use it, on what, and whether that is to be remembered. There is no other
//! way to a handler.

use super::Api;
use super::gate::Call;
use crate::access::Role;
use crate::http::Reply;
use chatalot_protocol::message::Ask;
use chatalot_protocol::work::Work;
use hyper::body::Bytes;
use serde::Deserialize;
use std::pin::Pin;

/// Which role it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// This one, or more.
    Role(Role),
    /// What the question in the body takes, see [`role_to_ask`].
    Question,
}

/// What it is about, and so whose reach counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Everybody may ask; the answer keeps within the reach of whoever asks.
    Oneself,
    /// The controller, or all hosts.
    Everything,
    /// The host that the path names.
    Host,
    /// The host of the deployment that the path names.
    Deployment,
    /// The host of the request that waits for approval, or everything where it is about none.
    Approval,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It looks. Only a refusal is remembered.
    Looks,
    /// It changes what the controller knows.
    Changes,
    /// It changes a host: where the controller was started so, somebody else has to approve it.
    ChangesHost,
    /// It cannot be taken back: where the controller was started so, somebody else has to approve it.
    Destroys,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// One endpoint.
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path; what is in braces is any one part.
    pub path: &'static str,
    /// What it is called in the audit.
    pub name: &'static str,
    /// Which role it takes.
    pub needs: Needs,
    /// Where the role must count.
    pub about: About,
    /// What it does.
    pub effect: Effect,
    pub(super) run: for<'a> fn(&'a Api, Call) -> Answer<'a>,
}

macro_rules! routes {
    ($($method:ident $path:literal $name:literal, $needs:expr, $about:ident, $effect:ident => $handler:ident;)*) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            name: $name,
            needs: $needs,
            about: About::$about,
            effect: Effect::$effect,
            run: |api, call| Box::pin(api.$handler(call)),
        }),*]
    };
}

const READ: Needs = Needs::Role(Role::Read);
const APPROVE: Needs = Needs::Role(Role::Approve);
const ADMIN: Needs = Needs::Role(Role::Admin);

/// All of them.
pub const ROUTES: &[Route] = routes! {
    GET  "/v1/whoami" "whoami", READ, Oneself, Looks => whoami;
    GET  "/v1/hosts" "host.list", READ, Oneself, Looks => list;
    POST "/v1/hosts" "host.add", ADMIN, Everything, Changes => add;
    GET  "/v1/hosts/{host}" "host.show", READ, Host, Looks => show_host;
    POST "/v1/hosts/{host}/ask" "host.ask", Needs::Question, Host, Looks => ask;
    POST "/v1/hosts/{host}/labels" "host.label", ADMIN, Everything, Changes => label;
    POST "/v1/hosts/{host}/revoke" "host.revoke", ADMIN, Host, Changes => revoke;
    POST "/v1/hosts/{host}/readmit" "host.readmit", ADMIN, Host, Changes => readmit;
    POST "/v1/hosts/{host}/rename" "host.rename", ADMIN, Host, Changes => rename;
    POST "/v1/hosts/{host}/deployments" "deploy", APPROVE, Host, ChangesHost => deploy;
    GET  "/v1/deployments/{deployment}" "deployment.show", READ, Deployment, Looks => show;
    GET  "/v1/deployments/{deployment}/watch" "deployment.watch", READ, Deployment, Looks => watch;
    POST "/v1/deployments/{deployment}/cancel" "deployment.cancel", APPROVE, Deployment, Changes => cancel;
    GET  "/v1/tokens" "token.list", ADMIN, Everything, Looks => tokens;
    POST "/v1/tokens" "token.add", ADMIN, Everything, Changes => add_token;
    POST "/v1/tokens/{token}/revoke" "token.revoke", ADMIN, Everything, Changes => revoke_token;
    GET  "/v1/approvals" "approval.list", READ, Oneself, Looks => approvals;
    GET  "/v1/approvals/{approval}" "approval.show", READ, Approval, Looks => show_approval;
    POST "/v1/approvals/{approval}/approve" "approval.approve", APPROVE, Approval, Changes => approve;
    POST "/v1/approvals/{approval}/reject" "approval.reject", APPROVE, Approval, Changes => reject;
    GET  "/v1/ca" "ca.status", ADMIN, Everything, Looks => ca_status;
    POST "/v1/ca/rotate" "ca.rotate", ADMIN, Everything, Changes => ca_rotate;
    POST "/v1/ca/drop-old" "ca.drop-old", ADMIN, Everything, Destroys => ca_drop_old;
    POST "/v1/ca/rollback" "ca.rollback", ADMIN, Everything, Changes => ca_rollback;
    GET  "/v1/audit" "audit.list", READ, Everything, Looks => audit;
};

/// The role that it takes to ask a host something. None of it has an effect; a plan takes the host's time, and
/// the site's secrets travel with it.
pub const fn role_to_ask(ask: &Ask) -> Role {
    match ask {
        Ask::Ping | Ask::Status | Ask::Verify | Ask::Handover | Ask::Diagnose | Ask::Drift => Role::Read,
        Ask::Preflight(_) | Ask::Plan(_) | Ask::Uninstall { .. } | Ask::Bundle | Ask::Unknown => Role::Plan,
        Ask::Audit { .. } => Role::Admin,
    }
}

/// What a job does: what takes something away cannot be taken back.
pub const fn effect_of(work: Work) -> Effect {
    match work {
        Work::Deploy => Effect::ChangesHost,
        Work::Uninstall | Work::UninstallWithData | Work::Unknown => Effect::Destroys,
    }
}

impl Route {
    /// What a request is called in the audit, and what it does: for a job, its work says so. A body that cannot be
    /// read here cannot be read by the handler either.
    pub(super) fn action(&self, body: &Bytes) -> (&'static str, Effect) {
        #[derive(Default, Deserialize)]
        struct Worked {
            #[serde(default)]
            work: Work,
        }
        if self.effect != Effect::ChangesHost {
            return (self.name, self.effect);
        }
        let Worked { work } = serde_json::from_slice(body).unwrap_or_default();
        (work.word(), effect_of(work))
    }

    /// The endpoint of a request, with what stands in the places of the braces.
    pub fn find(method: &str, path: &str) -> Option<(&'static Self, Vec<String>)> {
        ROUTES.iter().find_map(|route| {
            let args = (route.method == method).then(|| route.matches(path))??;
            Some((route, args))
        })
    }

    /// The role that a request takes.
    pub(super) fn role(&self, body: &Bytes) -> Role {
        match self.needs {
            Needs::Role(role) => role,
            // What cannot be read will be refused, but to somebody who may ask anything.
            Needs::Question => serde_json::from_slice(body).map_or(Role::Plan, |ask| role_to_ask(&ask)),
        }
    }

    fn matches(&self, path: &str) -> Option<Vec<String>> {
        let mut args = Vec::new();
        let mut given = path.strip_prefix('/')?.split('/');
        for wanted in self.path.trim_start_matches('/').split('/') {
            let part = given.next()?;
            if wanted.starts_with('{') && !part.is_empty() {
                args.push(part.to_owned());
            } else if wanted != part {
                return None;
            }
        }
        given.next().is_none().then_some(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_endpoint_or_none() {
        let (route, args) = Route::find("POST", "/v1/hosts/chat-1/ask").unwrap();
        assert_eq!(
            (route.name, args.as_slice()),
            ("host.ask", ["chat-1".to_owned()].as_slice())
        );
        for nothing in [
            "",
            "/",
            "/v1",
            "/v1/hosts/",
            "/v1/hosts/a/b",
            "/v1/hosts//ask",
            "/v2/hosts",
            "//v1/hosts",
        ] {
            assert!(Route::find("GET", nothing).is_none(), "{nothing}");
        }
        assert!(Route::find("DELETE", "/v1/hosts").is_none());
        for route in ROUTES {
            let same = ROUTES.iter().filter(|other| other.name == route.name).count();
            assert_eq!(same, 1, "{}", route.name);
            let example = route.path.replace(['{', '}'], "");
            let found = Route::find(route.method, &example).unwrap().0;
            assert_eq!(found.name, route.name);
        }
    }

    #[test]
    fn whatever_changes_something_takes_more_than_reading() {
        for route in ROUTES.iter().filter(|route| route.effect != Effect::Looks) {
            assert_eq!(route.method, "POST", "{}", route.name);
            assert!(
                matches!(route.needs, Needs::Role(role) if role >= Role::Approve),
                "{}",
                route.name
            );
        }
    }
}
