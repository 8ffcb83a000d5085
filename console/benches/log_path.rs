//! Step output from the daemon's socket to the operator's pipe: `cargo bench -p chatalot-console`.
//!
//! A thread plays the daemon and sends 100-byte lines as a controller does, in chunks of 64 KiB; another one reads
//! the pipe. What is measured is everything between: HTTP, JSON, making safe, writing.

use chatalot_console::client::Client;
use chatalot_console::commands::{WatchArgs, watch};
use chatalot_console::output::{Format, Output};
use chatalot_protocol::api::{DeploymentView, WatchLine};
use chatalot_protocol::names::DeploymentId;
use chatalot_protocol::report::DeploymentState;
use std::error::Error;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

const LINES: u64 = 2_000_000;
const LINE: usize = 100;
const LINES_A_CHUNK: u64 = 655;
const TARGET: f64 = 1_000_000.0;

fn main() -> Result<(), Box<dyn Error>> {
    let plain = format!("{}\n", "x".repeat(LINE - 1));
    // An escape, an umlaut and a check mark, as package managers and installers write them.
    let coloured = format!("\x1b[32m✓\x1b[0m für {}\n", "x".repeat(LINE - 19));
    for (name, line, format) in [
        ("text, plain lines", &plain, Format::Text),
        ("text, coloured lines", &coloured, Format::Text),
        ("JSON", &plain, Format::Json),
    ] {
        let took = run(line, format)?;
        #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = LINES as f64 / took.as_secs_f64();
        let verdict = if rate >= TARGET { "met" } else { "MISSED" };
        writeln!(
            io::stdout(),
            "{name:<22}{rate:>12.0} lines/s   target {TARGET:.0}   {verdict}"
        )?;
    }
    Ok(())
}

fn run(line: &str, format: Format) -> Result<Duration, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket)?;
    let script = script(line)?;
    let daemon = std::thread::spawn(move || listener.accept().and_then(|(stream, _)| play(stream, &script)));
    let (mut reader, writer) = io::pipe()?;
    let reading = std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    let began = Instant::now();
    {
        let writer = BufWriter::with_capacity(64 * 1024, writer);
        let mut out = Output::to(format, "bench", Box::new(writer), Box::new(io::sink()));
        out.verbose = true;
        let client = Client::new(socket, "/v1");
        let args = WatchArgs {
            deployment: DeploymentId::fresh(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(watch(&client, &args, &mut out))?;
    }
    let read = reading.join().map_err(|_| "the reader failed")??;
    let took = began.elapsed();
    daemon.join().map_err(|_| "the daemon failed")??;
    let enough = read >= LINES * (LINE as u64 - 20);
    if enough {
        Ok(took)
    } else {
        Err(format!("only {read} bytes arrived").into())
    }
}

/// The whole answer but its repeated chunk: that one, and the end.
fn script(line: &str) -> Result<(String, String), serde_json::Error> {
    let count = usize::try_from(LINES_A_CHUNK).unwrap_or(0);
    let chunk = line.repeat(count);
    let log = WatchLine::Log {
        stream: 1,
        // Filled in for each chunk: nothing may look as if it had been there before.
        offset: u64::MAX,
        text: chunk,
    };
    let end = WatchLine::End {
        view: Box::new(DeploymentView {
            deployment: DeploymentId::fresh(),
            host: None,
            domain: "chat.example.com".to_owned(),
            work: chatalot_protocol::work::Work::Deploy,
            diagnosis: Vec::new(),
            state: DeploymentState::Succeeded,
            advice: None,
            values: [].into(),
            handover: None,
        }),
    };
    Ok((serde_json::to_string(&log)?, serde_json::to_string(&end)?))
}

fn play(mut stream: UnixStream, (log, end): &(String, String)) -> io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let marker = u64::MAX.to_string();
    for chunk in 0..LINES.div_ceil(LINES_A_CHUNK) {
        let offset = chunk * LINES_A_CHUNK * (LINE as u64 + 20);
        send(&mut stream, &log.replacen(&marker, &offset.to_string(), 1))?;
    }
    send(&mut stream, end)?;
    stream.write_all(b"0\r\n\r\n")
}

fn send(stream: &mut UnixStream, line: &str) -> io::Result<()> {
    let head = format!("{:x}\r\n", line.len() + 1);
    let mut whole = Vec::with_capacity(head.len() + line.len() + 3);
    whole.extend_from_slice(head.as_bytes());
    whole.extend_from_slice(line.as_bytes());
    whole.extend_from_slice(b"\n\r\n");
    stream.write_all(&whole)
}
