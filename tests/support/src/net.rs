use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{LazyLock, Mutex};

static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// Loopback address number `n` (below 4) of this process. Tests that run at the same time in other
/// processes have others, so that they cannot take each other's ports.
pub fn address(n: u8) -> Ipv4Addr {
    let own = (std::process::id() % (1 << 20)) << 2 | u32::from(n % 4);
    Ipv4Addr::from(0x7f40_0000 | own)
}

/// A port on `address` that nobody listens on and that was not given out before.
pub fn free_port(address: Ipv4Addr) -> u16 {
    loop {
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}
