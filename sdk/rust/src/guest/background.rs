//! The exports of the world `background-task`.

use super::{Store, call, keep};
use crate::Background;
use crate::capability::milliseconds;

pub use crate::bindings::background::exports::weir::policy::background::Guest;

/// Makes the work of a slot.
///
/// # Errors
/// What the work says about its configuration.
pub fn configure<B: Background>(store: &'static Store<B>, slot: u32, config: &[u8]) -> Result<(), String> {
    keep(store, slot, B::configure(config)?);
    Ok(())
}

/// Runs the work; answers the milliseconds until it runs again.
pub fn timer<B: Background>(store: &'static Store<B>, slot: u32) -> Option<u64> {
    call(store, slot, Background::on_timer).map(milliseconds)
}

/// Compiles for background work only; natively, all that is left of the macro.
pub const fn is_background<B: Background>() {}

/// Makes a [`Background`](crate::Background) the work of this component: once per crate, at its root. For a
/// component that is a policy too, use [`policy!`](crate::policy!) for both.
#[macro_export]
macro_rules! background {
    ($work:ty $(,)?) => {
        const _: () = $crate::guest::background::is_background::<$work>();

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of a component have fixed names")]
        const _: () = {
            use ::core::option::Option;
            use ::core::result::Result;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::guest::background::{Guest, configure, timer};

            ::std::thread_local! {
                static WORK: $crate::guest::Values<$work> = const { $crate::guest::values() };
            }

            struct Component;

            impl Guest for Component {
                fn configure(slot: u32, config: Vec<u8>) -> Result<(), String> {
                    configure(&WORK, slot, &config)
                }
                fn forget(slot: u32) {
                    $crate::guest::forget(&WORK, slot);
                }
                fn on_timer(slot: u32) -> Option<u64> {
                    timer(&WORK, slot)
                }
            }

            $crate::bindings::background::export! { Component with_types_in $crate::bindings::background }
        };
    };
}
