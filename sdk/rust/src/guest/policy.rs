//! The exports of the worlds `policy` and `policy-with-background`.

use super::{Store, call, keep};
use crate::{Exchange, Policy};

pub use crate::bindings::policy::exports::weir::policy::filter::{BodyAction, Guest, HeadAction, Manifest};

/// Makes the policy of a slot.
///
/// # Errors
/// What the policy says about its configuration.
pub fn configure<P: Policy>(store: &'static Store<P>, slot: u32, config: &[u8]) -> Result<Manifest, String> {
    let policy = P::configure(config)?;
    let manifest = Manifest {
        phases: policy.phases(),
        affinity: policy.affinity(),
    };
    keep(store, slot, policy);
    Ok(manifest)
}

/// Runs one phase.
#[inline]
pub fn phase<P: Policy, A>(
    store: &'static Store<P>,
    slot: u32,
    run: impl FnOnce(&P, &mut Exchange) -> A,
) -> A {
    call(store, slot, |policy| run(policy, &mut Exchange::current()))
}

/// Compiles for policies only; natively, all that is left of the macro.
pub const fn is_policy<P: Policy>() {}

/// Makes a [`Policy`](crate::Policy) the policy of this component: once per crate, at its root. With
/// `background = B`, the component has the work of the [`Background`](crate::Background) `B` beside it.
///
/// Only on Wasm does it export anything, so that the policy can be tested natively.
#[macro_export]
macro_rules! policy {
    ($policy:ty, background = $background:ty $(,)?) => {
        // The component's type is the union of what each macro says of itself: `policy-with-background`.
        $crate::policy!($policy);
        $crate::background!($background);
    };
    ($policy:ty $(,)?) => {
        const _: () = $crate::guest::policy::is_policy::<$policy>();

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of a component have fixed names")]
        const _: () = {
            use ::core::result::Result;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::Policy;
            use $crate::guest::policy::{BodyAction, Guest, HeadAction, Manifest, configure, phase};
            use $crate::guest::{Values, chunk};

            ::std::thread_local! {
                static POLICIES: Values<$policy> = const { $crate::guest::values() };
            }

            struct Component;

            impl Guest for Component {
                fn configure(slot: u32, config: Vec<u8>) -> Result<Manifest, String> {
                    configure(&POLICIES, slot, &config)
                }
                fn forget(slot: u32) {
                    $crate::guest::forget(&POLICIES, slot);
                }
                fn on_request_head(slot: u32) -> HeadAction {
                    phase(&POLICIES, slot, Policy::on_request_head)
                }
                fn on_request_body(slot: u32, bytes: Vec<u8>, end: bool) -> BodyAction {
                    phase(&POLICIES, slot, |policy, exchange| {
                        Policy::on_request_body(policy, exchange, chunk(bytes, end))
                    })
                }
                fn on_request_trailers(slot: u32) -> BodyAction {
                    phase(&POLICIES, slot, Policy::on_request_trailers)
                }
                fn on_response_head(slot: u32) -> HeadAction {
                    phase(&POLICIES, slot, Policy::on_response_head)
                }
                fn on_response_body(slot: u32, bytes: Vec<u8>, end: bool) -> BodyAction {
                    phase(&POLICIES, slot, |policy, exchange| {
                        Policy::on_response_body(policy, exchange, chunk(bytes, end))
                    })
                }
                fn on_response_trailers(slot: u32) -> BodyAction {
                    phase(&POLICIES, slot, Policy::on_response_trailers)
                }
                fn on_log(slot: u32) {
                    phase(&POLICIES, slot, |policy, exchange| {
                        Policy::on_log(policy, exchange)
                    });
                }
            }

            $crate::bindings::policy::export! { Component with_types_in $crate::bindings::policy }
        };
    };
}
