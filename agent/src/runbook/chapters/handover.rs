//! What the user is told: where things are, and what they must keep up themselves.

mod duties;

use super::super::route::{self, admin, admin::Registered};
use super::super::{Cx, Step, StepError, answer};
use super::checkout;
use async_trait::async_trait;
use chatalot_protocol::handover::{Handover, ImportantFile};
use chatalot_protocol::report::Verdict;
use chatalot_protocol::site::Site;

/// The chapter.
pub(super) const STEPS: &[&dyn Step] = &[&Report];

/// The handover can be given.
struct Report;

#[async_trait]
impl Step for Report {
    fn id(&self) -> &'static str {
        "handover.report"
    }

    fn title(&self) -> &'static str {
        "The handover is ready"
    }

    fn after(&self) -> Option<&'static str> {
        Some("proxy.site")
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let handover = handover(cx).await?;
        Ok(Verdict::satisfied(format!(
            "https://{}: {} must register first",
            handover.domain, handover.admin
        )))
    }
}

/// Looks at the site as it is and puts the handover together.
pub async fn handover(cx: &Cx<'_>) -> Result<Handover, StepError> {
    let version = answer::local(cx.host).await.map(|health| health.version);
    // What is checked out now is the truth; what was remembered may have been lost with an answer.
    let commit = match checkout::head(cx.host, cx.site).await? {
        Some(commit) => commit,
        None => cx.memory.get("commit").cloned().unwrap_or_default(),
    };
    let registered = admin::registered(cx).await;
    // Once the administrator is there, it is about to end.
    let limit = route::limit(cx).filter(|_| !matches!(registered, Ok(Registered::Admin)));
    Ok(Handover {
        domain: cx.site.domain.clone(),
        admin: cx.site.admin.clone(),
        version: version.unwrap_or_else(|_| "unknown: it does not answer".to_owned()),
        commit,
        folder: cx.site.folder.clone(),
        updates: cx.site.updates,
        open_to_first_comer: match registered {
            Ok(Registered::Nobody) => Some(true),
            Ok(Registered::Admin | Registered::Others(_)) => Some(false),
            Ok(Registered::Untold(_)) | Err(_) => None,
        },
        let_in: limit.as_ref().map(ToString::to_string),
        files: files(cx.site),
        duties: duties::all(cx).await?,
    })
}

fn files(site: &Site) -> Vec<ImportantFile> {
    let file = |path: String, what: &str| ImportantFile {
        path,
        what: what.to_owned(),
    };
    let folder = &site.folder;
    vec![
        file(
            format!("{folder}/.env"),
            "server configuration with the database's password and other secrets; never commit it",
        ),
        file(
            format!("{folder}/secrets/"),
            "cryptographic material: JWT keys, TOTP key, TURN secret, updater token, cosign key; back it up offline now: losing it ends every session, every TOTP enrolment and every managed update",
        ),
        file(
            "/var/lib/docker/volumes/".to_owned(),
            "the database, the uploaded files and the updater's snapshots",
        ),
    ]
}
