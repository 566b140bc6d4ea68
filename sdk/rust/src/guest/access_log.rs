//! The exports of the world `access-log`.

use super::{Store, call, keep};
use crate::{AccessLog, Exchange};

pub use crate::bindings::access_log::exports::weir::policy::logger::Guest;

/// Makes the logger of a slot.
///
/// # Errors
/// What the logger says about its configuration.
pub fn configure<L: AccessLog>(store: &'static Store<L>, slot: u32, config: &[u8]) -> Result<(), String> {
    keep(store, slot, L::configure(config)?);
    Ok(())
}

/// Tells the logger of the end of an exchange.
pub fn log<L: AccessLog>(store: &'static Store<L>, slot: u32) {
    call(store, slot, |logger| logger.on_log(&Exchange::current()));
}

/// Compiles for loggers only; natively, all that is left of the macro.
pub const fn is_access_log<L: AccessLog>() {}

/// Makes an [`AccessLog`](crate::AccessLog) the logger of this component: once per crate, at its root.
#[macro_export]
macro_rules! access_log {
    ($logger:ty $(,)?) => {
        const _: () = $crate::guest::access_log::is_access_log::<$logger>();

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of a component have fixed names")]
        const _: () = {
            use ::core::result::Result;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::guest::access_log::{Guest, configure, log};

            ::std::thread_local! {
                static LOGGERS: $crate::guest::Values<$logger> = const { $crate::guest::values() };
            }

            struct Component;

            impl Guest for Component {
                fn configure(slot: u32, config: Vec<u8>) -> Result<(), String> {
                    configure(&LOGGERS, slot, &config)
                }
                fn forget(slot: u32) {
                    $crate::guest::forget(&LOGGERS, slot);
                }
                fn on_log(slot: u32) {
                    log(&LOGGERS, slot);
                }
            }

            $crate::bindings::access_log::export! { Component with_types_in $crate::bindings::access_log }
        };
    };
}
