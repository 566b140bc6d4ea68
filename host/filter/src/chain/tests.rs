//! Chain order and failure modes, with native filters.
