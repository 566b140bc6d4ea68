//! The loop under a paused clock and with loaded dice.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::Digest;

fn artifact(text: &'static str) -> Artifact {
    Artifact {
        bytes: Bytes::from_static(text.as_bytes()),
        digest: Digest::of(text.as_bytes()),
        resolved: "r.example/a@1".into(),
    }
}

fn status(status: u16, retry_after: Option<u64>) -> FetchError {
    FetchError::Status {
        url: "https://r.example/".into(),
        status,
        code: None,
        retry_after: retry_after.map(Duration::from_secs),
    }
}

/// What a run did: when each attempt started, and the state after it all.
struct Ran {
    at: Vec<Duration>,
    state: State,
}

/// Plays the outcomes in order and then stops. The dice always show `dice`.
async fn play(outcomes: Vec<Result<Artifact, FetchError>>, schedule: &Schedule, dice: f64) -> Ran {
    let start = Instant::now();
    let at = RefCell::new(Vec::new());
    let outcomes = RefCell::new(VecDeque::from(outcomes));
    let (states, receiver) = watch::channel(State::new());
    let attempt = || {
        let outcome = outcomes.borrow_mut().pop_front();
        if outcome.is_some() {
            at.borrow_mut().push(start.elapsed());
        }
        async move {
            match outcome {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }
    };
    let once = schedule.interval.is_none();
    let run = run(attempt, schedule, once, || dice, &states);
    // Only the script ends it: the clock jumps as long as anything waits.
    let _ended = tokio::time::timeout(Duration::from_hours(1000), run).await;
    let state = receiver.borrow().clone();
    Ran { at: at.take(), state }
}

fn seconds(at: &[Duration]) -> Vec<f64> {
    at.iter().map(Duration::as_secs_f64).collect()
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_with_doubling_waits_up_to_the_cap() {
    let outcomes = (0..10).map(|_| Err(status(503, None))).collect();
    let ran = play(outcomes, &Schedule::default(), 1.0).await;
    assert_eq!(
        seconds(&ran.at),
        [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5]
    );
    assert!(matches!(
        ran.state,
        State::Pending {
            attempts: 10,
            error: Some(_)
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn jitter_takes_from_the_whole_wait() {
    let outcomes = (0..4).map(|_| Err(status(503, None))).collect();
    let ran = play(outcomes, &Schedule::default(), 0.5).await;
    assert_eq!(seconds(&ran.at), [0.0, 0.25, 0.75, 1.75]);
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_cure_is_retried_at_the_cap() {
    let outcomes = (0..3).map(|_| Err(status(404, None))).collect();
    let ran = play(outcomes, &Schedule::default(), 0.0).await;
    assert_eq!(seconds(&ran.at), [0.0, 30.0, 60.0]);
}

#[tokio::test(start_paused = true)]
async fn a_servers_wish_is_honoured_within_reason() {
    let outcomes = vec![
        Err(status(429, Some(90))),
        Err(status(429, Some(1_000_000))),
        Err(status(429, None)),
    ];
    let ran = play(outcomes, &Schedule::default(), 0.0).await;
    assert_eq!(seconds(&ran.at), [0.0, 90.0, 690.0]);
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_a_success_ends_it() {
    let outcomes = vec![Err(status(500, None)), Ok(artifact("a")), Ok(artifact("b"))];
    let ran = play(outcomes, &Schedule::default(), 1.0).await;
    assert_eq!(seconds(&ran.at), [0.0, 0.5]);
    assert_eq!(ran.state.artifact(), Some(&artifact("a")));
}

#[tokio::test(start_paused = true)]
async fn the_last_good_one_stays_while_the_source_fails() {
    let schedule = Schedule {
        interval: Some(Duration::from_secs(100)),
        ..Schedule::default()
    };
    let outcomes = vec![Ok(artifact("a")), Err(status(500, None)), Err(status(404, None))];
    let ran = play(outcomes, &schedule, 0.5).await;
    let State::Stale {
        artifact: kept,
        error,
        attempts,
        ..
    } = ran.state
    else {
        panic!("not stale: {:?}", ran.state);
    };
    assert_eq!(kept, artifact("a"));
    assert_eq!(attempts, 2);
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_replaces_a_stale_one() {
    let schedule = Schedule {
        interval: Some(Duration::from_secs(100)),
        ..Schedule::default()
    };
    let outcomes = vec![
        Ok(artifact("a")),
        Err(status(500, None)),
        Ok(artifact("b")),
        Ok(artifact("b")),
    ];
    let ran = play(outcomes, &schedule, 0.5).await;
    assert_eq!(seconds(&ran.at), [0.0, 100.0, 100.25, 200.25]);
    assert!(matches!(&ran.state, State::Ready { artifact: ready } if *ready == artifact("b")));
}

#[test]
fn listeners_hear_of_an_artifact_once() {
    let mut state = State::new();
    assert!(state.succeeded(artifact("a")));
    assert!(!state.succeeded(artifact("a")));
    assert!(state.succeeded(artifact("b")));
    state.failed(status(500, None), SystemTime::UNIX_EPOCH);
    assert!(state.succeeded(artifact("b")), "being good again is news");
}

#[test]
fn being_stale_starts_with_the_first_failure() {
    let mut state = State::new();
    assert!(state.succeeded(artifact("a")));
    let first = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    state.failed(status(500, None), first);
    state.failed(status(500, None), first + Duration::from_secs(9));
    assert!(matches!(state, State::Stale { since, attempts: 2, .. } if since == first));
}
