//! What an update costs, alone and while another thread updates the same series.
//!
//! Prints nanoseconds per update: the best of several rounds, as anything slower is the machine's doing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_telemetry::{GuestMetrics, PluginFamilies, Registry};

const ROUNDS: usize = 10;
const UPDATES: u32 = 200_000;

fn main() {
    let registry = Registry::new();
    let counter = registry
        .counter("c_total", "A counter.", [])
        .map(|it| it.with([]));
    let telemetry = PluginFamilies::new(&registry).map(|it| it.plugin("p"));
    let (Ok(counter), Ok(telemetry)) = (counter, telemetry) else {
        return eprintln!("a name is taken");
    };
    let guest = GuestMetrics::for_plugin(&registry, "p", 1000);
    for number in 0..900 {
        let _ = guest.add("many", &[("number", &number.to_string())], 1);
    }
    measure("counter", || counter.add(black_box(1)));
    measure("a plugin's call: counter by phase and histogram", || {
        telemetry.called("response_head", Duration::from_micros(black_box(3)));
    });
    measure("a guest's counter without labels", || {
        let _ = guest.add(black_box("hits"), &[], 1);
    });
    measure("a guest's counter with two labels", || {
        let _ = guest.add(black_box("requests"), &[("method", "GET"), ("country", "ch")], 1);
    });
    measure("a guest's histogram with one label", || {
        let _ = guest.observe(black_box("lookup_seconds"), &[("table", "a")], 0.003);
    });
    measure("one of 900 series of a guest", || {
        let _ = guest.add(black_box("many"), &[("number", "512")], 1);
    });
    let start = Instant::now();
    let page = registry.render();
    println!(
        "{:>10.0} us  the page of {} lines",
        start.elapsed().as_secs_f64() * 1e6,
        page.lines().count()
    );
}

fn measure(what: &str, update: impl Fn() + Sync) {
    let alone = best(&update);
    let together = std::thread::scope(|scope| {
        let other = scope.spawn(|| best(&update));
        best(&update).max(other.join().unwrap_or(f64::NAN))
    });
    println!("{alone:>6.1} ns alone, {together:>6.1} ns on two threads  {what}");
}

fn best(update: &(impl Fn() + Sync)) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..UPDATES).for_each(|_| update());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(UPDATES)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}
