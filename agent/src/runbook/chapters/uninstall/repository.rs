//! The package repositories that deployments have added.

use crate::runbook::{ActCx, Applied, Cx, Intent, Step, StepError, repositories};
use async_trait::async_trait;
use chatalot_protocol::report::Verdict;

/// Our files of package repositories are gone. What was installed from them stays, and so does what others have set up.
pub(super) struct NoRepository;

#[async_trait]
impl Step for NoRepository {
    fn id(&self) -> &'static str {
        "uninstall.repository"
    }

    fn title(&self) -> &'static str {
        "No package repository of ours is left"
    }

    fn applies_to(&self, intent: &Intent<'_>) -> bool {
        !intent.distro.repositories.is_empty()
    }

    fn effects(&self, intent: &Intent<'_>) -> Vec<String> {
        let files = intent.distro.repositories.iter().map(|one| {
            let (source, key) = (repositories::source_file(one), repositories::key_file(one));
            format!(
                "remove {} and {}, if a deployment has written them; what was installed from there stays, and gets no \
                 updates from there",
                source.display(),
                key.display()
            )
        });
        files.collect()
    }

    async fn check(&self, cx: &Cx<'_>) -> Result<Verdict, StepError> {
        let left = repositories::left(cx).await?;
        Ok(match left.first() {
            Some(first) => Verdict::needed(format!("{} is there", first.display())),
            None => Verdict::satisfied("no package repository of ours"),
        })
    }

    async fn apply(&self, cx: &ActCx<'_>) -> Result<Applied, StepError> {
        for file in repositories::left(&cx.look).await? {
            cx.host.remove(&file).await?;
        }
        Ok(Applied::default())
    }
}
