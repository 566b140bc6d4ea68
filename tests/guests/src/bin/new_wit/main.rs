//! A component of a later version of the contract, which this gateway must refuse by name.

#[rustfmt::skip]
#[allow(
    missing_docs, unsafe_code, unreachable_pub, unused_qualifications, unused_imports, clippy::all,
    clippy::allow_attributes_without_reason, clippy::use_self,
    reason = "generated"
)]
mod bindings;

struct Later;

impl bindings::exports::weir::policy::filter::Guest for Later {
    fn configure(_: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "exports of a component have fixed names"
)]
const _: () = {
    bindings::export!(Later with_types_in bindings);
};
