//! A terminal with the answers written down.

use super::Term;
use chatalot_protocol::secret::Secret;
use std::collections::VecDeque;
use std::io;

/// A person with an answer ready for each question.
pub(crate) struct Script {
    pub(crate) answers: VecDeque<&'static str>,
    pub(crate) heard: Vec<String>,
}

impl Script {
    pub(crate) fn of(answers: &[&'static str]) -> Self {
        Self {
            answers: answers.iter().copied().collect(),
            heard: Vec::new(),
        }
    }
}

impl Term for Script {
    fn say(&mut self, text: &str) -> io::Result<()> {
        self.heard.push(text.to_owned());
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.heard.push(prompt.to_owned());
        Ok(self.answers.pop_front().map(str::to_owned))
    }

    fn ask_secret(&mut self, prompt: &str) -> io::Result<Option<Secret>> {
        self.heard.push(format!("(hidden) {prompt}"));
        Ok(self.answers.pop_front().map(Secret::new))
    }
}
