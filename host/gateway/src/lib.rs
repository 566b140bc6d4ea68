//! Wiring of a running gateway: snapshot to plan, workers, hot load, drain
