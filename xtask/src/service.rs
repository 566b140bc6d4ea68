//! A program that runs beside us: started, waited for, and stopped with us whatever happens.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// A running program. Dropping it stops it.
pub(crate) struct Service {
    name: String,
    pid: u32,
    exit: Receiver<ExitStatus>,
    exited: Option<ExitStatus>,
}

impl Service {
    /// Starts a program. A thread waits for its end, so that its end can be waited for with a deadline.
    pub(crate) fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let (sender, exit) = sync_channel(1);
        let pid = child.id();
        std::thread::spawn(move || {
            if let Ok(status) = child.wait() {
                // Nobody may be interested any more.
                let _ = sender.send(status);
            }
        });
        Ok(Self {
            name: name.to_owned(),
            pid,
            exit,
            exited: None,
        })
    }

    /// The process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits up to `time` for the program's end.
    pub(crate) fn exited_within(&mut self, time: Duration) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = match self.exit.recv_timeout(time) {
                Ok(status) => Some(status),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(ExitStatus::default()),
            };
        }
        self.exited
    }

    /// Waits until the program accepts connections; fails early when it ends instead.
    pub(crate) fn wait_for(&mut self, address: SocketAddr, deadline: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.exited_within(Duration::from_millis(20)) {
                bail!("{} ended before it listened on {address}: {status}", self.name);
            }
            if start.elapsed() > deadline {
                bail!(
                    "{} does not listen on {address} after {} s",
                    self.name,
                    deadline.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Asks the program to end, and makes it end when it does not.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        if self.exited_within(GRACE).is_none() {
            eprintln!(
                "{} did not end within {} s of SIGTERM; killing it",
                self.name,
                GRACE.as_secs()
            );
            self.signal(Signal::KILL);
            self.exited_within(GRACE);
        }
    }

    fn signal(&mut self, signal: Signal) {
        if self.exited_within(Duration::ZERO).is_some() {
            return;
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, signal)) {
            eprintln!("cannot signal {} (process {}): {error}", self.name, self.pid);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Fails with a way out when something already listens on `address`.
pub(crate) fn require_free(address: SocketAddr, what: &str) -> anyhow::Result<()> {
    TcpListener::bind(address)
        .map(drop)
        .with_context(|| busy(address, what))
}

/// What to say when `address` cannot be bound.
pub(crate) fn busy(address: SocketAddr, what: &str) -> String {
    format!(
        "{what} needs {address}, which is not free: stop what uses it (`ss -ltnp 'sport = :{}'` names it)",
        address.port()
    )
}

/// A loopback port that was free a moment ago, for programs that cannot choose one themselves.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}
