//! How much a plugin may use.

use std::fmt;
use std::time::Duration;

/// What a plugin may use. Of one call unless a field says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Linear memory of one instance, in bytes.
    pub memory: u64,
    /// Elements of one table of an instance.
    pub table_elements: u32,
    /// Time on the CPU of one call, host waits left out. Looked at with every epoch tick, so a call may use up to
    /// one tick more.
    pub deadline: Duration,
    /// Time of one call by the clock, host waits included.
    pub timeout: Duration,
    /// Largest body held back for a `whole` body plan, in bytes.
    pub body: u64,
    /// Instances kept or running on one worker.
    pub instances: u32,
    /// Callouts of one filter in one exchange.
    pub callouts: u32,
    /// Log lines per second; more are dropped and counted.
    pub log_lines: u32,
    /// Keys and values in the plugin's namespace of the key-value store, in bytes. All uses of a plugin
    /// share the namespace, so a use cannot narrow it.
    pub kv_bytes: u64,
}

impl Limits {
    /// The limits of a plugin that names none.
    pub const DEFAULT: Self = Self {
        memory: 32 << 20,
        table_elements: 20_000,
        deadline: Duration::from_millis(50),
        timeout: Duration::from_secs(10),
        body: 1 << 20,
        instances: 256,
        callouts: 16,
        log_lines: 100,
        kv_bytes: 16 << 20,
    };
}

/// As people read them, in the words of the manifests.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory {}, tableElements {}, deadline {:?}, timeout {:?}, body {}, instances {}, callouts {}, logLines {}, kv {}",
            Bytes(self.memory),
            self.table_elements,
            self.deadline,
            self.timeout,
            Bytes(self.body),
            self.instances,
            self.callouts,
            self.log_lines,
            Bytes(self.kv_bytes),
        )
    }
}

/// A number of bytes, as a quantity of Kubernetes.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
        let whole = |(size, _): &(u64, &str)| self.0 > 0 && self.0.is_multiple_of(*size);
        match units.into_iter().find(whole) {
            Some((size, unit)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_like_manifests() {
        let limits = Limits {
            body: 1500,
            callouts: 0,
            ..Limits::DEFAULT
        };
        assert_eq!(
            limits.to_string(),
            "memory 32Mi, tableElements 20000, deadline 50ms, timeout 10s, body 1500, instances 256, callouts 0, \
             logLines 100, kv 16Mi"
        );
    }
}
