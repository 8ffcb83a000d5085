//! Output that a test can read back.

use super::{Format, Output};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// What was written, standard output and standard error apart.
#[derive(Clone, Default)]
pub(crate) struct Printed {
    out: Tape,
    err: Tape,
}

impl Printed {
    pub(crate) fn out(&self) -> String {
        self.out.read()
    }

    pub(crate) fn err(&self) -> String {
        self.err.read()
    }

    pub(crate) fn all(&self) -> String {
        self.out() + &self.err()
    }
}

#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Tape {
    fn read(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    pub(crate) fn recorded(format: Format) -> (Self, Printed) {
        let printed = Printed::default();
        let out = Self::to(
            format,
            "chatalotctl",
            Box::new(printed.out.clone()),
            Box::new(printed.err.clone()),
        );
        (out, printed)
    }
}
