//! What a deployment leaves in the audit.

use super::*;
use crate::ledger::audit::{self, Door};
use chatalot_protocol::audit::Entry;
use chatalot_protocol::work::Work;

impl Agent {
    async fn audited(&self) -> Vec<Entry> {
        let records = self.ledger.with(|db| audit::after(db, 0)).await.unwrap();
        let whole = self.ledger.with(|db| audit::verify(db, None)).await.unwrap();
        assert_eq!(whole.unwrap().n, records.len() as u64);
        let entries = records
            .iter()
            .map(|record| serde_json::from_str(&record.body).unwrap());
        entries.collect()
    }
}

fn told(entries: &[Entry]) -> Vec<[&str; 4]> {
    entries
        .iter()
        .map(|entry| [&*entry.action, &*entry.by, &*entry.via, &*entry.verdict])
        .collect()
}

#[tokio::test]
async fn who_asked_for_what_with_which_plan_and_how_it_ended_is_in_the_audit() {
    let machine = Machine::fresh();
    let agent = machine.agent();
    let job = agent.job(&least()).await;
    agent.desk.take(job.clone()).await.unwrap();
    agent.desk.take(job.clone()).await.unwrap();
    assert_eq!(agent.end(&machine.host, job.id).await, DeploymentState::Succeeded);
    machine
        .host
        .world(|world| world.put(crate::policy::PATH, "enabled = false"));
    let refused = Job {
        by: "mallory\u{1b}[31m".repeat(100),
        ..agent.job(&full()).await
    };
    let away = Job {
        work: Work::UninstallWithData,
        ..agent.job(&least()).await
    };
    agent.desk.take(away).await.unwrap();
    agent
        .desk
        .take_from(refused, Door::Local { uid: 0 })
        .await
        .unwrap();
    for _ in 0..2 {
        agent
            .desk
            .cancel_from(job.id, "alice", Door::Controller)
            .await
            .unwrap();
    }
    let entries = agent.audited().await;
    let [deploy, end, away, refusal, cancel] = &entries[..] else {
        panic!("{:#?}", told(&entries))
    };
    assert_eq!(told(&entries)[0], ["deploy", "a test", "controller", "allowed"]);
    assert_eq!(
        (&deploy.plan, &deploy.subject),
        (&Some(job.plan), &job.id.to_string())
    );
    assert_eq!((&*end.action, &*end.verdict), ("end", "succeeded"));
    assert_eq!(
        (&*refusal.via, &*refusal.verdict),
        ("local socket, uid 0", "POLICY_DISABLED")
    );
    assert_eq!(
        (&*away.action, &*away.verdict),
        ("uninstall_with_data", "POLICY_DISABLED")
    );
    assert!(refusal.detail.contains("rule `enabled`"), "{}", refusal.detail);
    assert!(refusal.by.chars().count() <= 500);
    assert_eq!((&*cancel.action, &*cancel.by), ("cancel", "alice"));
    let text = serde_json::to_string(&entries).unwrap();
    for (_, secret) in full().secrets.present() {
        assert!(!text.contains(secret.expose()));
    }
}
