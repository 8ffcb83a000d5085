//! Where a watched deployment is drawn: lines above, and at a terminal the step at work and a bar below.

use crate::ask::Changed;
use crate::exit::Failure;
use crate::output::Output;
use crate::progress::{Current, Progress, between};
use crate::text::{lasted, safe_output};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Output without a line end is held back until it has one, or this much of it.
const LONGEST_PARTIAL: usize = 8 * 1024;
/// A host's clock may be wrong; no step takes a day.
const LONGEST_STEP_MS: u64 = 24 * 3600 * 1000;

/// One deployment's place on the screen.
pub(crate) struct Screen {
    bar: Option<ProgressBar>,
    /// Before the bar is drawn, and until it is gone.
    _terminal: Option<Changed>,
    clocks: Arc<Mutex<Clocks>>,
    /// The end of the output so far, where its line is not complete.
    partial: String,
    is_mid_line: bool,
}

/// When the deployment and its present step began.
#[derive(Default)]
struct Clocks {
    whole: Option<Instant>,
    step: Option<Instant>,
}

impl Screen {
    pub(crate) fn of(out: &Output) -> Self {
        let clocks = Arc::new(Mutex::new(Clocks::default()));
        let terminal = if out.live { Changed::for_drawing() } else { None };
        let bar = out.live.then(|| bar(&clocks));
        Self {
            bar,
            _terminal: terminal,
            clocks,
            partial: String::new(),
            is_mid_line: false,
        }
    }

    /// Writes whole lines above the step at work.
    pub(crate) fn lines(&mut self, out: &mut Output, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.end_output(out)?;
        self.write(out, text)
    }

    /// Writes output of a step. Large pieces go through without a look at their lines.
    pub(crate) fn output(&mut self, out: &mut Output, text: &str) -> Result<(), Failure> {
        let text = safe_output(text);
        if self.bar.is_none() {
            self.is_mid_line = !text.ends_with('\n');
            return out.text(&text);
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let (lines, rest) = text.split_at(whole);
        if !lines.is_empty() {
            let lines = std::mem::take(&mut self.partial) + lines;
            self.write(out, &lines)?;
        }
        self.partial.push_str(rest);
        if self.partial.len() > LONGEST_PARTIAL {
            self.end_output(out)?;
        }
        Ok(())
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        let (done, all) = progress.counts();
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        let since = |at_ms| Instant::now().checked_sub(ago(at_ms));
        let current = progress.current();
        {
            let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
            if clocks.whole.is_none() {
                clocks.whole = progress.began_ms().and_then(since);
            }
            clocks.step = current.and_then(|current| since(current.since_ms));
        }
        bar.set_message(current.map_or_else(String::new, at_work));
    }

    /// Does something with the terminal while nothing is drawn on it.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(act),
            None => act(),
        }
    }

    /// Nothing more is drawn.
    pub(crate) fn end(&mut self, out: &mut Output) -> Result<(), Failure> {
        self.end_output(out)?;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        Ok(())
    }

    fn end_output(&mut self, out: &mut Output) -> Result<(), Failure> {
        let mut rest = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.is_mid_line) || !rest.is_empty() {
            rest.push('\n');
            self.write(out, &rest)?;
        }
        Ok(())
    }

    fn write(&self, out: &mut Output, text: &str) -> Result<(), Failure> {
        match &self.bar {
            None => out.text(text),
            Some(bar) => bar.suspend(|| {
                out.text(text)?;
                out.flush()
            }),
        }
    }
}

fn at_work(current: &Current) -> String {
    match current.attempt {
        0 => format!("{} (looking)", current.title),
        1 => current.title.clone(),
        attempt => format!("{} (attempt {attempt})", current.title),
    }
}

/// How long ago something was, by the host's clock, as far as that can be believed.
fn ago(at_ms: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let ago = between(at_ms, now_ms);
    Duration::from_millis(if ago > LONGEST_STEP_MS { 0 } else { ago })
}

fn bar(clocks: &Arc<Mutex<Clocks>>) -> ProgressBar {
    let took = |which: fn(&Clocks) -> Option<Instant>| {
        let clocks = Arc::clone(clocks);
        move |_: &ProgressState, text: &mut dyn Write| {
            let clocks = clocks.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(since) = which(&clocks) {
                let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                let _ = text.write_str(&lasted(millis));
            }
        }
    };
    let style = ProgressStyle::with_template("  {spinner} {msg}  {step}\n  {bar:32} {pos}/{len}  {whole}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .progress_chars("━━─")
        .with_key("step", took(|clocks| clocks.step))
        .with_key("whole", took(|clocks| clocks.whole));
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout()).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
