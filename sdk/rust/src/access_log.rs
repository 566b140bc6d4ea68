//! What the author of an access log implements.

use crate::Exchange;

/// One configured use of an access log: it sees the end of each exchange and changes nothing.
///
/// Make it the component's with [`access_log!`](crate::access_log!). A policy that logs beside other work
/// implements [`Policy::on_log`](crate::Policy::on_log) instead.
pub trait AccessLog: Sized + 'static {
    /// Parses and checks one configuration.
    ///
    /// # Errors
    /// With a text for people that names the field at fault; the configuration is then refused.
    fn configure(config: &[u8]) -> Result<Self, String>;

    /// The last byte was sent, or the exchange was given up.
    fn on_log(&self, exchange: &Exchange);
}
