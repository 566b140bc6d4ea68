//! The exports of the world `l4`.

use super::{Store, call, keep};
use crate::{Connection, ConnectionFilter};

pub use crate::bindings::l4::exports::weir::policy::connection_filter::{
    ConnectionAction, ConnectionEvents, Guest,
};

/// Makes the filter of a slot.
///
/// # Errors
/// What the filter says about its configuration.
pub fn configure<F: ConnectionFilter>(
    store: &'static Store<F>,
    slot: u32,
    config: &[u8],
) -> Result<ConnectionEvents, String> {
    let filter = F::configure(config)?;
    let events = filter.events();
    keep(store, slot, filter);
    Ok(events)
}

/// Tells the filter of an event.
#[inline]
pub fn event<F: ConnectionFilter, A>(
    store: &'static Store<F>,
    slot: u32,
    run: impl FnOnce(&F, &mut Connection) -> A,
) -> A {
    call(store, slot, |filter| run(filter, &mut Connection::current()))
}

/// Compiles for connection filters only; natively, all that is left of the macro.
pub const fn is_connection_filter<F: ConnectionFilter>() {}

/// Makes a [`ConnectionFilter`](crate::ConnectionFilter) the filter of this component: once per crate, at its
/// root.
#[macro_export]
macro_rules! connection_filter {
    ($filter:ty $(,)?) => {
        const _: () = $crate::guest::connection_filter::is_connection_filter::<$filter>();

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of a component have fixed names")]
        const _: () = {
            use ::core::result::Result;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::ConnectionFilter;
            use $crate::guest::chunk;
            use $crate::guest::connection_filter::{
                ConnectionAction, ConnectionEvents, Guest, configure, event,
            };

            ::std::thread_local! {
                static FILTERS: $crate::guest::Values<$filter> = const { $crate::guest::values() };
            }

            struct Component;

            impl Guest for Component {
                fn configure(slot: u32, config: Vec<u8>) -> Result<ConnectionEvents, String> {
                    configure(&FILTERS, slot, &config)
                }
                fn forget(slot: u32) {
                    $crate::guest::forget(&FILTERS, slot);
                }
                fn on_connection(slot: u32) -> ConnectionAction {
                    event(&FILTERS, slot, ConnectionFilter::on_connection)
                }
                fn on_downstream_data(slot: u32, bytes: Vec<u8>, end: bool) -> ConnectionAction {
                    event(&FILTERS, slot, |filter, connection| {
                        ConnectionFilter::on_downstream_data(filter, connection, chunk(bytes, end))
                    })
                }
                fn on_upstream_data(slot: u32, bytes: Vec<u8>, end: bool) -> ConnectionAction {
                    event(&FILTERS, slot, |filter, connection| {
                        ConnectionFilter::on_upstream_data(filter, connection, chunk(bytes, end))
                    })
                }
                fn on_close(slot: u32) {
                    event(&FILTERS, slot, |filter, connection| {
                        ConnectionFilter::on_close(filter, connection)
                    });
                }
            }

            $crate::bindings::l4::export! { Component with_types_in $crate::bindings::l4 }
        };
    };
}
