//! One simulation: hosts, an operator who deploys, and whatever goes wrong.

use crate::away;
use crate::centre::{Anything, Seat};
use crate::chance::{self, among, in_hundred, millis};
use crate::model::{Restored, World};
use crate::net::{DOWN, UP, Weather};
use crate::rotation;
use crate::trace::Trace;
use crate::vps::Vps;
use chatalot_agent::ledger::outbox;
use chatalot_protocol::event::What;
use chatalot_protocol::inputs::Inputs;
use chatalot_protocol::message::{Answer, Ask, Job, Order};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::{CheckState, Level};
use chatalot_protocol::work::Work;
use chatalotctl::fleet::Command;
use chatalotctl::store::StoreError;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Which faults there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// All but backups that are put back.
    Everything,
    /// Row 22: the network is silent, and nobody says so.
    HalfOpen,
    /// Row 23: a tenth is lost, and what arrives is small and slow.
    Slow,
    /// Row 24: silent in one direction.
    OneWay,
    /// Row 25: connections are cut at every byte.
    Cuts,
    /// Row 25 again: one host, whose connections are cut after as many bytes as the seed says, up with an even one and down
    /// with an odd one.
    EachByte,
    /// Rows 32 and 33: backups are put back, on either side.
    Backups,
    /// Row 20: no controller for a week.
    Away,
    /// Row 18: another root takes the place of the first, with agents, controller and network as they are.
    Rotation,
    /// An event appears at the controller that no host has sent: shows that the model looks.
    Broken,
}

impl Profile {
    pub(crate) const ALL: [(&str, Self); 10] = [
        ("everything", Self::Everything),
        ("half-open", Self::HalfOpen),
        ("slow", Self::Slow),
        ("one-way", Self::OneWay),
        ("cuts", Self::Cuts),
        ("each-byte", Self::EachByte),
        ("backups", Self::Backups),
        ("away", Self::Away),
        ("rotation", Self::Rotation),
        ("broken", Self::Broken),
    ];

    fn weather(self) -> Weather {
        let mut weather = Weather::fair();
        let cuts = self == Self::Cuts || self == Self::Everything && in_hundred(50);
        if cuts {
            let most = [300, 3_000, 30_000, 300_000][usize::try_from(among(0..4)).unwrap_or(0)];
            weather.cut = [Some(0..most), Some(0..most)];
        }
        if self == Self::Slow || self == Self::Everything && in_hundred(15) {
            weather.segment = usize::try_from(among(16..1400)).unwrap_or(64);
            weather.delay = 0..5;
            weather.loss = 10;
        }
        weather
    }
}

/// Runs a simulation to its end; everything that is wrong then.
pub(crate) async fn tell(folder: &Path, profile: Profile, trace: Trace) -> Anything<Vec<String>> {
    chance::begin();
    let seat = Arc::new(Seat::new(folder, trace.clone()));
    seat.start().await?;
    let mut world = World {
        seat: seat.clone(),
        hosts: Vec::new(),
        queued: Vec::new(),
        restored: Restored::default(),
        trace: trace.clone(),
    };
    let hosts = if profile == Profile::EachByte {
        1
    } else {
        among(1..4)
    };
    for number in 0..hosts {
        let name = format!("chat-{number}");
        let peer = seat.admit(&name).await?;
        let vps = Vps::new(&name, folder, peer, &seat, &trace);
        rotation::join(&vps, &seat)?;
        vps.tick();
        vps.start()?;
        world.hosts.push(vps);
    }
    let clocks = world.hosts.clone();
    let tick = if profile == Profile::Away { 60_000 } else { 100 };
    tokio::spawn(async move {
        loop {
            for vps in &clocks {
                vps.tick();
            }
            tokio::time::sleep(Duration::from_millis(tick)).await;
        }
    });
    if profile == Profile::Away {
        let mut wrong = away::week(&world).await?;
        wrong.extend(world.wrong().await?);
        return Ok(wrong);
    }
    if profile == Profile::EachByte {
        cut_at(&mut world, chance::seeded()).await;
    } else {
        for _ in 0..among(8..30) {
            tokio::time::sleep(millis(1..8_000)).await;
            happen(&mut world, profile).await?;
        }
    }
    heal(&world);
    if profile == Profile::Broken {
        forge(&world).await?;
    }
    if profile == Profile::Rotation {
        rotation::begins(&world).await?;
    }
    let mut wrong = rotation::ends(&world).await?;
    wrong.extend(world.wrong().await?);
    Ok(wrong)
}

/// A deployment, and what else there is to tell, over connections that are all cut after the same number of bytes.
async fn cut_at(world: &mut World, seed: u64) {
    tokio::time::sleep(Duration::from_secs(5)).await;
    deploy(world, 0).await;
    let (direction, byte) = (if seed.is_multiple_of(2) { UP } else { DOWN }, seed / 2);
    world.trace.say(&format!(
        "connections are cut after {byte} bytes, direction {direction}"
    ));
    let mut weather = Weather::fair();
    weather.cut[direction] = Some(byte..byte + 1);
    let vps = world.hosts[0].clone();
    vps.road.set(weather);
    vps.road.reset();
    record(&vps).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
}

async fn happen(world: &mut World, profile: Profile) -> Anything<()> {
    let host = usize::try_from(among(0..world.hosts.len() as u64))?;
    let vps = world.hosts[host].clone();
    if profile == Profile::Rotation && in_hundred(50) {
        return rotation::happens(world, &vps).await;
    }
    match among(0..100) {
        0..25 => deploy(world, host).await,
        25..35 => record(&vps).await,
        35..38 => cancel(world),
        38..50 => {
            let weather = profile.weather();
            world.trace.say(&format!("{}: {weather:?}", vps.name));
            vps.road.set(weather);
            vps.road.reset();
        }
        50..70 => silence(world, &vps, profile),
        70..85 => {
            let agent = profile != Profile::Backups || in_hundred(50);
            if agent {
                crash_agent(world, &vps, profile).await?;
            } else {
                crash_controller(world, profile).await?;
            }
        }
        85..95 => crash_controller(world, profile).await?,
        _ => {
            let off = i64::try_from(among(0..240_000))? - 120_000;
            world
                .trace
                .say(&format!("{}: its clock is off by {off} ms", vps.name));
            *vps.skew_ms.lock().unwrap_or_else(PoisonError::into_inner) = off;
        }
    }
    Ok(())
}

fn silence(world: &World, vps: &Arc<Vps>, profile: Profile) {
    if matches!(profile, Profile::Cuts | Profile::Slow) {
        world.trace.say(&format!("{}: a reset", vps.name));
        return vps.road.reset();
    }
    let one_way = match profile {
        Profile::HalfOpen => false,
        Profile::OneWay => true,
        _ => in_hundred(50),
    };
    let only = usize::from(in_hundred(50));
    let time = millis(100..120_000);
    world.trace.say(&format!(
        "{}: silence for {time:?}, one way: {one_way} {only}",
        vps.name
    ));
    for direction in [UP, DOWN] {
        if !one_way || direction == only {
            vps.road.hold(direction, true);
        }
    }
    let road = vps.road.clone();
    tokio::spawn(async move {
        tokio::time::sleep(time).await;
        road.hold(UP, false);
        road.hold(DOWN, false);
    });
}

async fn crash_agent(world: &mut World, vps: &Arc<Vps>, profile: Profile) -> Anything<()> {
    vps.crash().await;
    tokio::time::sleep(millis(0..5_000)).await;
    if profile == Profile::Backups {
        if in_hundred(50) {
            vps.back_up()?;
        } else if vps.restore()? {
            world.restored.host(&vps.name, world.queued.len());
        }
    }
    vps.start()
}

async fn crash_controller(world: &mut World, profile: Profile) -> Anything<()> {
    world.seat.stop(in_hundred(30)).await;
    tokio::time::sleep(millis(0..30_000)).await;
    if profile == Profile::Backups {
        if in_hundred(50) {
            world.seat.back_up()?;
        } else if world.seat.restore(true)? {
            world.restored.centre(world.queued.len());
        }
    }
    world.seat.start().await
}

/// Writes an event into the controller's database.
async fn forge(world: &World) -> Anything<()> {
    world.rest().await?;
    let centre = world.seat.centre().ok_or("no controller")?;
    let forged = centre.store.write(|c| {
        c.execute(
            "INSERT INTO events (stream, seq, received_ms, body)
             SELECT id, last_seq + 1, 1, json_object('seq', last_seq + 1, 'at_ms', 1, 'event', 'x') FROM streams",
            [],
        )
        .map_err(StoreError::from)
    });
    forged.await?;
    Ok(())
}

fn heal(world: &World) {
    world.trace.say("the faults are over");
    for vps in &world.hosts {
        vps.road.set(Weather::fair());
        vps.road.hold(UP, false);
        vps.road.hold(DOWN, false);
    }
}

/// The operator asks for a plan, approves it, and queues the deployment.
async fn deploy(world: &mut World, host: usize) {
    let (Some(centre), vps) = (world.seat.centre(), world.hosts[host].clone()) else {
        return;
    };
    let number = world.queued.len();
    let inputs = Inputs {
        domain: Some(format!("chat-{number}.example.com")),
        admin_username: Some("alice".to_owned()),
        ..Inputs::default()
    };
    let Ok((site, secrets)) = inputs.complete() else {
        return;
    };
    let order = Order { site, secrets };
    let asked = centre
        .fleet
        .ask(vps.peer.host, Box::new(Ask::Plan(Box::new(order.clone()))));
    let plan = match tokio::time::timeout(Duration::from_secs(20), asked).await {
        Ok(Ok(Answer::Plan(plan))) => plan.hash,
        other => {
            let other = other.map(|answer| answer.map(|_| "another answer"));
            return world
                .trace
                .say(&format!("operator: no plan of {}: {other:?}", vps.name));
        }
    };
    let now = chance::now_ms();
    let job = Job {
        id: DeploymentId(Uuid::now_v7()),
        issued_ms: now,
        not_after_ms: now + i64::try_from(among(1_000..900_000)).unwrap_or(0),
        by: "operator".to_owned(),
        plan,
        work: Work::default(),
        order,
    };
    let id = job.id;
    match centre.queue(vps.peer.host, job).await {
        Ok(_) => {
            world
                .trace
                .say(&format!("operator: deployment {number} for {}", vps.name));
            world.queued.push((id, host));
        }
        Err(error) => world.trace.say(&format!("operator: refused: {error}")),
    }
}

fn cancel(world: &World) {
    let (Some(centre), Some((id, _))) = (world.seat.centre(), world.queued.last().copied()) else {
        return;
    };
    world.trace.say("operator: cancels the last deployment");
    let again = centre.clone();
    world.seat.spawn(async move {
        // A store that is being cut off refuses it, as it would refuse the operator.
        let _ = again.cancel(id).await;
    });
    for vps in &world.hosts {
        centre.fleet.tell(vps.peer.host, Command::Jobs);
    }
}

/// Something happens on a host that has to be told, or a great many things.
async fn record(vps: &Vps) {
    let Some(service) = vps.service() else { return };
    let (times, at) = (if in_hundred(20) { among(200..900) } else { 1 }, chance::now_ms());
    let written = service.ledger.with(move |db| {
        for n in 0..times {
            let cause = CheckState {
                check: "http".to_owned(),
                level: Level::Down,
                saw: format!("{n}"),
                advice: None,
                since_ms: at,
            };
            let what = What::LevelChanged {
                from: Level::Ok,
                to: Level::Down,
                cause,
            };
            outbox::record(db, at, None, &what)?;
        }
        Ok(())
    });
    // A ledger that is cut off never answers.
    let _ = tokio::time::timeout(Duration::from_secs(5), written).await;
}
