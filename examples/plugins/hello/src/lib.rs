//! The example policy of the quickstart
