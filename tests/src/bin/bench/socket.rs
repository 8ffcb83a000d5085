//! The operator's socket as the command line speaks to it, over one connection that is kept.

use chatalot_tests::{Controller, Failed, Result};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

pub(crate) struct Socket {
    path: String,
    stream: BufReader<UnixStream>,
}

impl Socket {
    pub(crate) fn open(controller: &Controller) -> Result<Self> {
        let path = controller.state().join("operator.sock");
        let stream = UnixStream::connect(&path).map_err(failed("the operator's socket"))?;
        Ok(Self {
            path: path.display().to_string(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks a host; what comes back.
    pub(crate) fn ask(&mut self, host: &str, ask: &Value) -> Result<Value> {
        let body = self
            .exchange(host, &ask.to_string())
            .map_err(failed(&self.path))?;
        serde_json::from_slice(&body).map_err(|error| failed(&self.path)(error.into()))
    }

    fn exchange(&mut self, host: &str, body: &str) -> io::Result<Vec<u8>> {
        let request = format!(
            "POST /v1/hosts/{host}/ask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let head = line.trim().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

fn failed(path: &str) -> impl FnOnce(io::Error) -> Failed {
    let path = path.to_owned();
    move |source| Failed::File { path, source }
}
