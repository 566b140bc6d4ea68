//! What fuzz targets share: input, a gateway around a plugin without sockets, and what must hold after each exchange.

mod backend;
mod check;
mod drive;
mod guest;
mod input;

pub use backend::Script;
pub use check::{check_exchange, check_fields};
pub use drive::{drive, exchange};
pub use guest::Guest;
pub use input::Input;
