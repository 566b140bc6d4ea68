//! Guests that misbehave cost their own request, and nothing else.

use weir_harness::Origin;

use crate::harness::{DEADLINE, Folder, Weir, free_port, gateway, policy, route};

#[test]
fn a_trap_a_loop_and_a_memory_bomb_each_cost_exactly_their_own_request() {
    let origin = Origin::echo("a");
    let port = free_port();
    let mut manifests = gateway(port) + &route("fine", "/", origin.address);
    let guests = ["trap", "spin", "memory_bomb"];
    for guest in guests {
        for (mode, name) in [("Closed", "closed"), ("Open", "open")] {
            let name = format!("{}-{name}", guest.replace('_', "-"));
            manifests += &route(&name, &format!("/{name}"), origin.address);
            let policy = policy(&name, "request-head", &format!("failureMode: {mode}"));
            let deadline = if guest == "spin" { "50ms" } else { DEADLINE };
            manifests += &policy.replace(DEADLINE, deadline);
        }
    }
    let folder = Folder::new(&manifests);
    for guest in guests {
        for name in ["closed", "open"] {
            folder.plugin(&format!("{}-{name}.wasm", guest.replace('_', "-")), guest);
        }
    }
    let weir = Weir::start(&folder, port);
    let mut client = weir.client();
    for round in 0..3 {
        for guest in guests.map(|guest| guest.replace('_', "-")) {
            let closed = client.get(&format!("/{guest}-closed"), "");
            assert_eq!(closed.status(), 500, "{guest} fails closed, round {round}");
            assert!(
                !closed.text().contains("wasm"),
                "a client learns nothing of the inside: {}",
                closed.text()
            );
            assert_eq!(
                client.get(&format!("/{guest}-open"), "").status(),
                200,
                "{guest} fails open, round {round}"
            );
            assert_eq!(
                client.get("/", "").status(),
                200,
                "others go on after {guest}, round {round}"
            );
        }
    }
    let log = weir.stderr();
    for reason in ["filter_trap", "filter_deadline", "filter_memory"] {
        assert!(log.contains(reason), "{reason} is in the log");
    }
}

#[test]
fn a_guest_that_traps_in_later_phases_follows_its_failure_mode_there() {
    let origin = Origin::echo("a");
    let port = free_port();
    let mut manifests = gateway(port);
    let phases = [("response-head", 500), ("request-body", 500), ("log", 200)];
    for (phase, _) in phases {
        manifests += &route(phase, &format!("/{phase}"), origin.address);
        manifests += &policy(phase, phase, "");
    }
    let folder = Folder::new(&manifests);
    for (phase, _) in phases {
        folder.plugin(&format!("{phase}.wasm"), "trap");
    }
    let weir = Weir::start(&folder, port);
    for (phase, status) in phases {
        assert_eq!(
            weir.client().post(&format!("/{phase}"), "", "body").status(),
            status,
            "{phase}"
        );
    }
}

#[test]
fn a_trap_in_the_middle_of_a_response_breaks_it_off() {
    let origin = Origin::echo("a");
    let port = free_port();
    let folder =
        Folder::new(&(gateway(port) + &route("p", "/", origin.address) + &policy("p", "response-body", "")));
    folder.plugin("p.wasm", "trap");
    let weir = Weir::start(&folder, port);
    let mut client = weir.client();
    client.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert!(
        client.read(false).is_err(),
        "the head was sent: only a broken body can tell the client"
    );
}
