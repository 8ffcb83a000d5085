use super::*;
use crate::render::testing::story;

fn told(manner: Manner) -> (String, Progress) {
    let mut progress = Progress::new(manner, Page::PLAIN);
    let text = story().iter().map(|event| progress.take(event)).collect();
    (text, progress)
}

#[test]
fn piped_each_step_is_one_line_complete_by_itself() {
    assert_eq!(
        told(Manner::Lines).0,
        "Deploying chat.example.com · 3 steps · plan 0b0b0b0b0b0b\n\
         [1/3] preflight.os     satisfied     0.0s  Debian 13\n\
         [2/3] packages.docker  started\n\
         Resumed: agent restarted\n\
         [2/3] packages.docker  again               attempt 2\n\
         [2/3] packages.docker  done         48.2s  Docker 26.1\n\
         [3/3] install.run      started\n\
         [3/3] install.run      failed      2m 05s  exit 2\n"
    );
}

#[test]
fn watched_the_chapters_are_headings_and_the_steps_have_titles() {
    assert_eq!(
        told(Manner::Chapters).0,
        "Deploying chat.example.com · 3 steps · plan 0b0b0b0b0b0b\n\
         \n\
         Preflight\n\
         \x20 ✓ Operating system       Debian 13\n\
         \n\
         Packages\n\
         Resumed: agent restarted\n\
         \x20 ✓ Docker is installed    Docker 26.1 · 48.2s\n\
         \n\
         Install\n\
         \x20 ✗ Chatalot is installed  exit 2 · 2m 05s\n"
    );
}

#[test]
fn what_a_person_should_know_of_a_good_step_is_told_below_it() {
    let told = |manner| {
        let mut event = story().remove(1);
        let What::StepFinished { advice, .. } = &mut event.what else {
            panic!("{event:?}");
        };
        *advice = Some(Advice::new("X_PUBLIC", "TCP 8080", "shut", "shut it"));
        Progress::new(manner, Page::PLAIN).take(&event)
    };
    let text = told(Manner::Chapters);
    let lines = "    ! X_PUBLIC\n      saw     TCP 8080\n      wanted  shut\n      fix     shut it\n";
    assert!(text.ends_with(lines), "{text}");
    let line = told(Manner::Lines);
    assert!(line.ends_with("; X_PUBLIC: TCP 8080: shut it\n"), "{line}");
}

#[test]
fn the_summary_says_where_it_ended_and_after_how_long() {
    let (_, progress) = told(Manner::Lines);
    assert_eq!(progress.summary(false), ", at install.run after 2m 53s");
    assert_eq!(progress.summary(true), ", 3 steps in 2m 53s");
    assert_eq!(progress.counts(), (3, 3));
}

#[test]
fn the_step_at_work_is_known_with_the_time_of_its_first_attempt() {
    let mut progress = Progress::new(Manner::Chapters, Page::PLAIN);
    for event in story().iter().take(6) {
        progress.take(event);
    }
    let current = progress.current().unwrap();
    assert_eq!(current.title, "Docker is installed");
    assert_eq!((current.attempt, current.since_ms), (2, 1_100));
}
