//! Integration tests of the whole gateway in one process, on real sockets
