//! Resolvers, asked one by one.
//!
//! No cache, no search domains, no hosts file: what is asked for is what the world sees of a name. A recursive
//! resolver follows aliases itself, so an answer that is an alias and no address is told as what it is.

use super::{Config, chain, names};
use crate::host::{Answers, HostError, Records};
use futures_util::StreamExt;
use futures_util::future::join_all;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, DnsHandle, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a resolver may take for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

type Pool = NameServerPool<TokioRuntimeProvider>;

/// What the system's resolvers, and each public one, say of a name.
pub(super) async fn resolve(config: &Config, name: &str) -> Result<Vec<Answers>, HostError> {
    let name = absolute(name)?;
    let mut asked = vec![("system".to_owned(), names::system(config))];
    for resolver in &config.resolvers {
        asked.push((resolver.ip().to_string(), vec![*resolver]));
    }
    let answers = asked.into_iter().map(async |(resolver, servers)| {
        let (a, aaaa) = ask(&servers, name.clone()).await;
        Answers { resolver, a, aaaa }
    });
    Ok(join_all(answers).await)
}

/// A name that nothing is added to.
pub(super) fn absolute(name: &str) -> Result<Name, HostError> {
    let parsed = Name::from_ascii(name.trim_end_matches('.'));
    let mut parsed = parsed.map_err(|e| HostError::Unknown {
        what: "a name's addresses",
        why: chain(&e),
    })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// Asks one resolver, or the first of several that answers, for both kinds of address.
pub(super) async fn ask(
    servers: &[SocketAddr],
    name: Name,
) -> (Records<std::net::Ipv4Addr>, Records<std::net::Ipv6Addr>) {
    let pool = match pool(servers) {
        Ok(pool) => pool,
        Err(why) => return (Records::Failed(why.clone()), Records::Failed(why)),
    };
    futures_util::join!(
        records(&pool, name.clone(), RecordType::A, |data| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        }),
        records(&pool, name, RecordType::AAAA, |data| match data {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        }),
    )
}

fn pool(servers: &[SocketAddr]) -> Result<Pool, String> {
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE;
    options.attempts = 1;
    // All at once: one that is silent must not use up the time of the others.
    options.num_concurrent_reqs = servers.len();
    let servers = servers.iter().map(|server| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        NameServerConfig::new(server.ip(), true, connections)
    });
    let tls = TlsConfig::new().map_err(|e| chain(&e))?;
    let context = Arc::new(PoolContext::new(options, tls));
    Ok(NameServerPool::from_config(
        servers,
        context,
        TokioRuntimeProvider::default(),
    ))
}

async fn records<T: Ord>(
    pool: &Pool,
    name: Name,
    kind: RecordType,
    pick: impl Fn(&RData) -> Option<T>,
) -> Records<T> {
    let mut options = DnsRequestOptions::default();
    options.recursion_desired = true;
    options.use_edns = true;
    let mut answers = pool.lookup(Query::query(name, kind), options);
    match timeout(PATIENCE, answers.next()).await {
        Err(_) => Records::Failed(no_answer()),
        Ok(None) => Records::Failed("it closed the connection".to_owned()),
        Ok(Some(Ok(response))) => match response.response_code {
            ResponseCode::NoError => picked(&response.answers, pick),
            ResponseCode::NXDomain => Records::Found(Vec::new()),
            code => Records::Failed(refused(code)),
        },
        Ok(Some(Err(error))) => failed(&error),
    }
}

fn picked<T: Ord>(answers: &[Record], pick: impl Fn(&RData) -> Option<T>) -> Records<T> {
    let mut found: Vec<T> = answers.iter().filter_map(|record| pick(&record.data)).collect();
    if found.is_empty() && has_loop(answers) {
        return Records::Failed("its aliases lead in a circle".to_owned());
    }
    found.sort_unstable();
    found.dedup();
    Records::Found(found)
}

/// Whether an alias leads back to a name that was an alias already.
fn has_loop(answers: &[Record]) -> bool {
    let target = |name: &Name| {
        answers.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == *name => Some(&alias.0),
            _ => None,
        })
    };
    let mut at = answers.first().map(|record| &record.name);
    for _ in 0..=answers.len() {
        at = at.and_then(target);
    }
    at.is_some()
}

fn failed<T>(error: &NetError) -> Records<T> {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Records::Found(Vec::new()),
            code => Records::Failed(refused(code)),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => Records::Failed(refused(*code)),
        NetError::Timeout => Records::Failed(no_answer()),
        error => Records::Failed(chain(error)),
    }
}

fn no_answer() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

fn refused(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "it failed (SERVFAIL)".to_owned(),
        ResponseCode::Refused => "it refused (REFUSED)".to_owned(),
        code => format!("it answered: {code}"),
    }
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
