//! Steps with a name and a duration: what runs now, for how long already, and where the time went.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How often a running step says that it still runs.
const TICK: Duration = Duration::from_secs(15);

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it is for.
    Done,
    /// It could not be done here; the text says why. Not a failure, but never quiet.
    Skipped(String),
}

/// The steps of one command.
pub(crate) struct Stages {
    total: usize,
    finished: Vec<(String, Duration, String)>,
}

impl Stages {
    /// For a command of `total` steps.
    pub(crate) const fn new(total: usize) -> Self {
        Self {
            total,
            finished: Vec::new(),
        }
    }

    /// Runs one step, with its name before and its time after.
    pub(crate) fn run(
        &mut self,
        name: &str,
        what: &str,
        step: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        eprintln!(
            "{} [{}/{}] {name}: {what}",
            mark("==>"),
            self.finished.len() + 1,
            self.total
        );
        let start = Instant::now();
        let result = ticking(name, step);
        let took = start.elapsed();
        let verdict = match &result {
            Ok(Outcome::Done) => "ok".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("SKIPPED: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        eprintln!("    {name}: {verdict} ({})", seconds(took));
        self.finished.push((name.to_owned(), took, verdict));
        result.map(drop)
    }

    /// A table of the steps that ran.
    pub(crate) fn table(&self) -> String {
        let width = self
            .finished
            .iter()
            .map(|(name, ..)| name.len())
            .max()
            .unwrap_or(0)
            .max(5);
        let all: Duration = self.finished.iter().map(|(_, took, _)| *took).sum();
        let mut rows: Vec<String> = self
            .finished
            .iter()
            .map(|(name, took, verdict)| format!("  {name:width$}  {:>9}  {verdict}", seconds(*took)))
            .collect();
        rows.push(format!("  {:width$}  {:>9}", "total", seconds(all)));
        rows.join("\n")
    }
}

/// Runs `step` and says every now and then that it still runs.
fn ticking<T>(name: &str, step: impl FnOnce() -> T) -> T {
    let (end, ended) = sync_channel::<()>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let start = Instant::now();
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                eprintln!("    ... {name}, {} so far", seconds(start.elapsed()));
            }
        });
        let result = step();
        drop(end);
        result
    })
}

/// A duration as people read it.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// Bold on a terminal.
pub(crate) fn mark(text: &str) -> String {
    if std::io::stderr().is_terminal() {
        format!("\x1b[1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_in_the_table_and_its_error_comes_back() {
        let mut stages = Stages::new(3);
        stages.run("first", "works", || Ok(Outcome::Done)).unwrap();
        stages
            .run("second", "is left out", || Ok(Outcome::Skipped("no tool".into())))
            .unwrap();
        let error = stages
            .run("third", "fails", || anyhow::bail!("because"))
            .unwrap_err();
        assert_eq!(error.to_string(), "because");
        let table = stages.table();
        for part in ["first", "ok", "SKIPPED: no tool", "third", "FAILED", "total"] {
            assert!(table.contains(part), "{part} is missing in\n{table}");
        }
    }

    #[test]
    fn durations_read_as_seconds_and_then_as_minutes() {
        assert_eq!(seconds(Duration::from_millis(1_260)), "1.3 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
