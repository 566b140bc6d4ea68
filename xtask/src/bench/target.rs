//! The proxies that are measured: how each is configured, started on its own core and checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{template, weir};
use crate::client::{Connection, Request};
use crate::command;
use crate::service::{Service, free_port};

/// A proxy program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    Nginx,
    Haproxy,
    Envoy,
    Weir,
}

/// One thing to measure: a proxy with a number of header filters.
pub(super) struct Target {
    pub(super) proxy: Proxy,
    pub(super) filters: usize,
    pub(super) address: SocketAddr,
    service: Service,
}

/// What every target shares.
pub(super) struct Bed<'a> {
    pub(super) root: &'a Path,
    /// For written configurations and logs.
    pub(super) folder: PathBuf,
    /// Where the backend listens.
    pub(super) backend: u16,
}

impl Proxy {
    /// The name in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Weir => "Weir",
        }
    }

    /// The version, as the program says it.
    pub(super) fn version(self, binary: &Path) -> String {
        let argument = if matches!(self, Self::Envoy | Self::Weir) {
            "--version"
        } else {
            "-v"
        };
        // nginx says it on stderr.
        let output = Command::new(binary).arg(argument).output();
        let text = output
            .map(|output| [output.stdout, output.stderr].concat())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("version unknown");
        // `envoy` puts the path of its binary before the word.
        let version = line.rsplit("version").next().unwrap_or(line);
        version.trim_start_matches(':').trim().to_owned()
    }
}

impl Target {
    /// The name in tables.
    pub(super) fn name(&self) -> String {
        name(self.proxy, self.filters)
    }

    /// The process to account.
    pub(super) const fn pid(&self) -> u32 {
        self.service.pid()
    }

    /// Configures and starts a proxy on core 0, waits for it and checks that it does what is measured.
    pub(super) fn start(bed: &Bed<'_>, proxy: Proxy, binary: &Path, filters: usize) -> anyhow::Result<Self> {
        let listen = free_port()?;
        let name = name(proxy, filters);
        let arguments = configure(bed, proxy, filters, listen)?;
        let mut command = pinned("0")?;
        command.arg(binary).args(arguments);
        let service = start(bed, &name, &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], listen));
        let mut target = Self {
            proxy,
            filters,
            address,
            service,
        };
        target
            .service
            .wait_for(address, Duration::from_secs(30))
            .with_context(|| see_log(bed, &name))?;
        verify(address, filters).with_context(|| format!("{name} does not do what is measured"))?;
        Ok(target)
    }
}

/// Starts the backend on the core of the load generator.
pub(super) fn start_backend(bed: &Bed<'_>, nginx: &Path, core: &str) -> anyhow::Result<Service> {
    let text = render(bed, "backend.conf", 0, &[])?;
    let file = template::write(&bed.folder, "backend.conf", &text)?;
    let mut command = pinned(core)?;
    command.arg(nginx).arg("-c").arg(file);
    let mut service = start(bed, "backend", &mut command)?;
    service.wait_for(([127, 0, 0, 1], bed.backend).into(), Duration::from_secs(10))?;
    Ok(service)
}

/// Checks that an answer comes from the backend through all filters.
pub(super) fn verify(address: SocketAddr, filters: usize) -> anyhow::Result<()> {
    let request = Request {
        method: "GET".into(),
        path: "/verify".into(),
        ..Request::default()
    };
    let answer = Connection::open(address)?.exchange(&request)?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(
        answer.status == 200,
        "it answers {} {}: {body}",
        answer.status,
        answer.reason
    );
    let has = |line: &str| body.lines().any(|seen| seen.eq_ignore_ascii_case(line));
    // Which address is the proxy's own choice: Envoy names its host's for a client on loopback.
    let forwarded = body
        .lines()
        .any(|line| line.strip_prefix("forwarded=").is_some_and(|by| !by.is_empty()));
    ensure!(
        forwarded,
        "the backend sees no x-forwarded-for:
{body}"
    );
    for number in 1..=filters {
        ensure!(
            has(&format!("x-request-bench-{number}=on")),
            "the backend misses request header {number}:\n{body}"
        );
        let name = format!("x-response-bench-{number}");
        ensure!(
            answer.header(&name).next() == Some("on"),
            "the answer misses header {name}: {:?}",
            answer.headers
        );
    }
    Ok(())
}

fn configure(bed: &Bed<'_>, proxy: Proxy, filters: usize, listen: u16) -> anyhow::Result<Vec<String>> {
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        Ok(template::write(&bed.folder, name, text)?
            .to_string_lossy()
            .into_owned())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Ok(match proxy {
        Proxy::Nginx => {
            let text = render(bed, "nginx.conf", listen, &[])?;
            words(&["-c", &file("nginx.conf", &text)?])
        }
        Proxy::Haproxy => {
            let text = render(bed, "haproxy.cfg", listen, &[])?;
            words(&["-db", "-q", "-f", &file("haproxy.cfg", &text)?])
        }
        Proxy::Envoy => {
            let mutations: Vec<String> = (1..=filters)
                .map(|number| template::read(bed.root, "envoy-filter.yaml", &[("N", &number.to_string())]))
                .collect::<Result<_, _>>()?;
            let mutations = mutations.concat();
            let text = render(bed, "envoy.yaml", listen, &[("FILTERS", mutations.trim_end())])?;
            let file = file(&format!("envoy-{filters}.yaml"), &text)?;
            words(&[
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "-c",
                &file,
            ])
        }
        Proxy::Weir => {
            let folder = weir::manifests(bed, filters, listen)?;
            weir::arguments(1, &folder)
        }
    })
}

/// Fills in a file of `tests/load` with what every configuration may name.
pub(super) fn render(
    bed: &Bed<'_>,
    name: &str,
    listen: u16,
    more: &[(&str, &str)],
) -> anyhow::Result<String> {
    let (listen, backend) = (listen.to_string(), bed.backend.to_string());
    let folder = bed.folder.to_string_lossy();
    let mut places = vec![
        ("LISTEN", listen.as_str()),
        ("BACKEND", backend.as_str()),
        ("DIR", &folder),
    ];
    places.extend(more);
    template::read(bed.root, name, &places)
}

/// A command that runs the program it is given on one core.
fn pinned(core: &str) -> anyhow::Result<Command> {
    ensure!(
        command::find("taskset").is_some(),
        "`taskset` (util-linux) is missing; it pins proxies to cores"
    );
    let mut command = Command::new("taskset");
    command.args(["-c", core]);
    Ok(command)
}

/// Starts a program whose output goes to a log in the bed's folder.
pub(super) fn start(bed: &Bed<'_>, name: &str, command: &mut Command) -> anyhow::Result<Service> {
    let file = log_file(bed, name);
    let log = std::fs::File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Service::start(name, command)
}

fn log_file(bed: &Bed<'_>, name: &str) -> PathBuf {
    bed.folder.join(format!("{}.log", name.replace(' ', "-")))
}

/// What to say when a program did not start.
pub(super) fn see_log(bed: &Bed<'_>, name: &str) -> String {
    let file = log_file(bed, name);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(10)..)
        .unwrap_or_default()
        .join("\n");
    format!("{name} did not start; {} ends with:\n{tail}", file.display())
}

fn name(proxy: Proxy, filters: usize) -> String {
    match filters {
        0 => proxy.name().to_owned(),
        1 => format!("{} + 1 filter", proxy.name()),
        more => format!("{} + {more} filters", proxy.name()),
    }
}
