//! What the author of background work implements.

use std::time::Duration;

/// Work on its own time, such as refreshing keys: once per gateway, off the workers.
///
/// Make it the component's with [`background!`](crate::background!), or beside a policy with
/// `policy!(P, background = B)`. It shares what it finds with the filters of its plugin through [`kv`](crate::kv).
pub trait Background: Sized + 'static {
    /// Parses and checks one configuration: beside a policy, the same that the policy gets.
    ///
    /// # Errors
    /// With a text for people that names the field at fault; the configuration is then refused.
    fn configure(config: &[u8]) -> Result<Self, String>;

    /// Called once at the start, before the plugin's filters go live; then again after the time that it
    /// answered, which is whole milliseconds and at least one. `None` ends it.
    fn on_timer(&self) -> Option<Duration>;
}
