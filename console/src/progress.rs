//! What is said of a running deployment: events in, text out.

use crate::advice;
use crate::output::{Page, Style};
use crate::render::heading;
use crate::text::{lasted, padded, safe, shortened, width};
use chatalot_protocol::advice::Advice;
use chatalot_protocol::event::{Event, StepEnd, What};
use chatalot_protocol::names::StepId;
use std::fmt::Write as _;

const WIDEST_TITLE: usize = 40;
const WIDEST_ID: usize = 28;
const WORTH_TELLING: u64 = 1000;

/// How a deployment is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// For a person who watches: chapters, marks and titles.
    Chapters,
    /// For a file or another program's eyes: one line a step, complete by itself.
    Lines,
}

/// A step that is being worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) title: String,
    pub(crate) since_ms: i64,
    pub(crate) attempt: u32,
}

/// How far a deployment is.
#[derive(Debug)]
pub(crate) struct Progress {
    manner: Manner,
    page: Page,
    steps: Vec<(StepId, String)>,
    done: usize,
    chapter: String,
    current: Option<Current>,
    began_ms: Option<i64>,
    last_ms: i64,
    last_step: Option<StepId>,
}

impl Progress {
    pub(crate) const fn new(manner: Manner, page: Page) -> Self {
        Self {
            manner,
            page,
            steps: Vec::new(),
            done: 0,
            chapter: String::new(),
            current: None,
            began_ms: None,
            last_ms: 0,
            last_step: None,
        }
    }

    /// The step that is being worked on.
    pub(crate) const fn current(&self) -> Option<&Current> {
        self.current.as_ref()
    }

    /// How many steps are over, and how many there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.done, self.steps.len())
    }

    /// When it began, by the host's clock.
    pub(crate) const fn began_ms(&self) -> Option<i64> {
        self.began_ms
    }

    /// Where it ended and how long it took, to follow its domain.
    pub(crate) fn summary(&self, is_well: bool) -> String {
        let took = self.began_ms.map(|began| lasted(between(began, self.last_ms)));
        let Some(took) = took else {
            return String::new();
        };
        match &self.last_step {
            Some(step) if !is_well => format!(", at {} after {took}", safe(&step.0)),
            _ => format!(", {} steps in {took}", self.steps.len()),
        }
    }

    /// Takes an event in; what is to be said of it, whole lines.
    pub(crate) fn take(&mut self, event: &Event) -> String {
        self.last_ms = event.at_ms;
        match &event.what {
            What::DeploymentStarted {
                domain, steps, plan, ..
            } => {
                self.steps.clone_from(steps);
                self.began_ms = Some(event.at_ms);
                format!(
                    "Deploying {} · {} steps · plan {}\n",
                    self.page.paint(Style::Strong, &safe(domain)),
                    steps.len(),
                    plan.short()
                )
            }
            What::DeploymentResumed { because } => {
                let text = format!("Resumed: {}", safe(because));
                format!("{}\n", self.page.paint(Style::Attention, &text))
            }
            What::StepStarted {
                step, attempt, why, ..
            } => self.begin(step, *attempt, why, event.at_ms),
            What::StepFinished {
                step,
                end,
                saw,
                millis,
                advice,
                ..
            } => {
                self.current = None;
                self.done = self.place(step);
                self.last_step = Some(step.clone());
                // What did not end well is told whole at the end of all.
                let is_well = matches!(end, StepEnd::Satisfied | StepEnd::Done);
                let note = advice.as_ref().filter(|_| is_well);
                match self.manner {
                    Manner::Chapters => self.chapter_line(step, *end, saw, *millis) + &self.note(note),
                    Manner::Lines => {
                        let saw = match note {
                            Some(note) => format!("{saw}; {}: {}: {}", note.code, note.saw, note.fix),
                            None => saw.clone(),
                        };
                        self.plain_line(step, word(*end), &lasted(*millis), &saw)
                    }
                }
            }
            What::DeploymentFinished { .. } => {
                self.current = None;
                String::new()
            }
            _ => String::new(),
        }
    }

    fn begin(&mut self, step: &StepId, attempt: u32, why: &str, at_ms: i64) -> String {
        let since_ms = match &self.current {
            Some(current) if current.attempt > 0 => current.since_ms,
            _ => at_ms,
        };
        self.current = Some(Current {
            title: self.title(step),
            since_ms,
            attempt,
        });
        match (self.manner, attempt) {
            (Manner::Chapters, _) => self.chapter_heading(step),
            (Manner::Lines, 0) => String::new(),
            (Manner::Lines, 1) => self.plain_line(step, "started", "", why),
            (Manner::Lines, _) => {
                let why = if why.is_empty() {
                    String::new()
                } else {
                    format!(": {why}")
                };
                self.plain_line(step, "again", "", &format!("attempt {attempt}{why}"))
            }
        }
    }

    fn chapter_heading(&mut self, step: &StepId) -> String {
        if step.chapter() == self.chapter {
            return String::new();
        }
        step.chapter().clone_into(&mut self.chapter);
        format!("\n{}\n", heading(&self.chapter, self.page))
    }

    fn chapter_line(&mut self, step: &StepId, end: StepEnd, saw: &str, millis: u64) -> String {
        let mut text = self.chapter_heading(step);
        let titles = self.steps.iter().map(|(_, title)| width(&safe(title)));
        let titles = titles.max().unwrap_or(0).min(WIDEST_TITLE);
        let title = padded(&shortened(&self.title(step), titles), titles);
        let (mark, style) = match end {
            StepEnd::Satisfied => ("✓", Style::Quiet),
            StepEnd::Done => ("✓", Style::Good),
            StepEnd::Blocked | StepEnd::Failed => ("✗", Style::Bad),
            StepEnd::Cancelled => ("–", Style::Attention),
            StepEnd::Unknown => ("?", Style::Attention),
        };
        // What is quick needs no time; what is slow has it even where the page is narrow.
        let took = if millis < WORTH_TELLING {
            String::new()
        } else {
            format!(" · {}", lasted(millis))
        };
        let taken = titles + 6 + width(&took);
        let room = self
            .page
            .width
            .map_or(usize::MAX, |page| page.saturating_sub(taken).max(12));
        let saw = shortened(&safe(saw), room) + &took;
        let saw = self.page.paint(Style::Quiet, &saw);
        let line = format!("  {} {title}  {saw}", self.page.paint(style, mark));
        let _ = writeln!(text, "{}", line.trim_end());
        text
    }

    /// What a person should know of a step although it ended well.
    fn note(&self, note: Option<&Advice>) -> String {
        let Some(note) = note else {
            return String::new();
        };
        let code = self.page.paint(Style::Attention, &safe(&note.code));
        format!("    ! {code}\n{}", advice::body(note, self.page, 6))
    }

    fn plain_line(&self, step: &StepId, word: &str, took: &str, saw: &str) -> String {
        let total = self.steps.len();
        let digits = total.to_string().len();
        let ids = self.steps.iter().map(|(id, _)| width(&safe(&id.0)));
        let ids = ids.max().unwrap_or(0).min(WIDEST_ID);
        let line = format!(
            "[{:>digits$}/{total}] {}  {word:<9}  {took:>7}  {}",
            self.place(step),
            padded(&safe(&step.0), ids),
            safe(saw)
        );
        format!("{}\n", line.trim_end())
    }

    /// The step's number, from one.
    fn place(&self, step: &StepId) -> usize {
        let known = self.steps.iter().position(|(id, _)| id == step);
        known.map_or(self.done, |place| place + 1)
    }

    fn title(&self, step: &StepId) -> String {
        let known = self.steps.iter().find(|(id, _)| id == step);
        safe(known.map_or(&step.0, |(_, title)| title)).into_owned()
    }
}

const fn word(end: StepEnd) -> &'static str {
    match end {
        StepEnd::Satisfied => "satisfied",
        StepEnd::Done => "done",
        StepEnd::Blocked => "blocked",
        StepEnd::Failed => "failed",
        StepEnd::Cancelled => "cancelled",
        StepEnd::Unknown => "ended",
    }
}

/// The time between two moments of a clock that may be set back.
pub(crate) fn between(from_ms: i64, to_ms: i64) -> u64 {
    u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
