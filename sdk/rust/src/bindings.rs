//! The generated bindings, one module for each world that a component can have. The types and imports of all
//! of them are those of [`policy`], so that a field or an error is the same type everywhere.

pub mod access_log;
pub mod background;
pub mod l4;
pub mod policy;

pub use policy::weir;
