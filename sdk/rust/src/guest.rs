//! Carries the exports of the component to a [`Policy`]; used by [`policy!`](crate::policy) only.

use std::cell::RefCell;
use std::thread::LocalKey;

use crate::{Chunk, Exchange, Policy};

pub use crate::bindings::exports::weir::policy::filter::{BodyAction, Guest, HeadAction, Manifest};
pub use crate::slot::Slots;

/// Where a guest keeps its configured policies. A guest has one thread, so this is a plain static there.
pub type Store<P> = LocalKey<RefCell<Slots<P>>>;

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
    store.with_borrow_mut(|slots| slots.set(slot, policy));
    Ok(manifest)
}

/// Drops the policy of a slot.
pub fn forget<P: Policy>(store: &'static Store<P>, slot: u32) {
    store.with_borrow_mut(|slots| slots.remove(slot));
}

/// Runs one phase. A slot that was never configured is the host's error and a trap.
#[inline]
pub fn phase<P: Policy, A>(
    store: &'static Store<P>,
    slot: u32,
    run: impl FnOnce(&P, &mut Exchange) -> A,
) -> A {
    store.with_borrow(|slots| match slots.get(slot) {
        Some(policy) => run(policy, &mut Exchange::current()),
        // Without a message: formatting one would weigh more than a small policy.
        None => std::process::abort(),
    })
}

/// A chunk as it came.
pub fn chunk(bytes: Vec<u8>, end: bool) -> Chunk {
    Chunk { bytes, end }
}

/// Compiles for policies only; natively, all that is left of the macro.
pub const fn is_policy<P: Policy>() {}

/// Makes a [`Policy`](crate::Policy) the policy of this component: once per crate, at its root.
///
/// Only on Wasm does it export anything, so that the policy can be tested natively.
#[macro_export]
macro_rules! policy {
    ($policy:ty) => {
        const _: () = $crate::guest::is_policy::<$policy>();

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of a component have fixed names")]
        const _: () = {
            use ::core::result::Result;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::guest::{BodyAction, HeadAction, Manifest, Slots};

            ::std::thread_local! {
                static POLICIES: ::std::cell::RefCell<Slots<$policy>> =
                    const { ::std::cell::RefCell::new(Slots::new()) };
            }

            struct Component;

            impl $crate::guest::Guest for Component {
                fn configure(slot: u32, config: Vec<u8>) -> Result<Manifest, String> {
                    $crate::guest::configure(&POLICIES, slot, &config)
                }
                fn forget(slot: u32) {
                    $crate::guest::forget(&POLICIES, slot);
                }
                fn on_request_head(slot: u32) -> HeadAction {
                    $crate::guest::phase(&POLICIES, slot, $crate::Policy::on_request_head)
                }
                fn on_request_body(slot: u32, chunk: Vec<u8>, end: bool) -> BodyAction {
                    let chunk = $crate::guest::chunk(chunk, end);
                    $crate::guest::phase(&POLICIES, slot, |policy, exchange| {
                        $crate::Policy::on_request_body(policy, exchange, chunk)
                    })
                }
                fn on_request_trailers(slot: u32) -> BodyAction {
                    $crate::guest::phase(&POLICIES, slot, $crate::Policy::on_request_trailers)
                }
                fn on_response_head(slot: u32) -> HeadAction {
                    $crate::guest::phase(&POLICIES, slot, $crate::Policy::on_response_head)
                }
                fn on_response_body(slot: u32, chunk: Vec<u8>, end: bool) -> BodyAction {
                    let chunk = $crate::guest::chunk(chunk, end);
                    $crate::guest::phase(&POLICIES, slot, |policy, exchange| {
                        $crate::Policy::on_response_body(policy, exchange, chunk)
                    })
                }
                fn on_response_trailers(slot: u32) -> BodyAction {
                    $crate::guest::phase(&POLICIES, slot, $crate::Policy::on_response_trailers)
                }
                fn on_log(slot: u32) {
                    $crate::guest::phase(&POLICIES, slot, |policy, exchange| {
                        $crate::Policy::on_log(policy, exchange)
                    });
                }
            }

            $crate::bindings::export! { Component with_types_in $crate::bindings }
        };
    };
}
