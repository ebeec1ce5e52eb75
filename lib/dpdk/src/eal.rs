//! DPDK's environment: one in a process.
#![expect(unsafe_code, reason = "DPDK is a C library")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::DpdkError;
use crate::ffi;

/// Where huge pages of 2 MiB are counted.
const HUGE_PAGES_FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
/// Frames on their way in each direction of a cable's queue; a power of two, one more than that.
const CABLE_FRAMES: u32 = 1_024;
/// Huge pages in a mebibyte, inverted.
const MIB_PER_HUGE_PAGE: u32 = 2;

/// What buffers are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Huge pages where enough of them are free, ordinary ones otherwise.
    Auto,
    /// Huge pages, or an error.
    Huge,
    /// Ordinary pages: some 15 cycles a packet dearer.
    Ordinary,
}

/// How the environment is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Devices: a PCI address (`0000:01:00.0`), or a virtual device as DPDK writes it
    /// (`net_af_packet0,iface=eth1`).
    pub devices: Vec<String>,
    /// What buffers are made of.
    pub memory: Memory,
    /// Mebibytes of memory for all buffers.
    pub memory_mib: u32,
    /// Buffers in all, each for one frame.
    pub buffers: u32,
    /// Octets of a frame that fit into a buffer.
    pub frame_max: u16,
    /// The CPU of DPDK's own thread.
    pub cpu: u32,
}

/// The environment, and the pool of its buffers. It lives as long as the process.
#[derive(Debug, Clone, Copy)]
pub struct Eal {
    pub(crate) pool: *mut c_void,
    huge: bool,
}

// SAFETY: the pool is DPDK's, made for any number of threads, and never freed.
unsafe impl Send for Eal {}
// SAFETY: as above.
unsafe impl Sync for Eal {}

impl Eal {
    /// Starts DPDK, once in a process, on a thread of its own: DPDK binds the one that starts it to a CPU.
    pub fn start(options: &Options) -> Result<Self, DpdkError> {
        static STARTED: AtomicBool = AtomicBool::new(false);
        if STARTED.swap(true, Ordering::SeqCst) {
            return Err(DpdkError::Started);
        }
        let options = options.clone();
        let thread = std::thread::spawn(move || start(&options));
        thread.join().unwrap_or_else(|_| {
            let why = "its thread ended early".to_owned();
            Err(DpdkError::Refused { what: "start".to_owned(), why })
        })
    }

    /// Whether buffers are in huge pages.
    pub fn has_huge_pages(&self) -> bool {
        self.huge
    }

    /// Makes two ports in memory, each the other's other end, with so many queues: a queue of one leads to
    /// the queue of the same number of the other. Their names, for [`Port::start`](crate::Port::start).
    pub fn cable(&self, one: &str, other: &str, queues: u16) -> Result<[String; 2], DpdkError> {
        let text = |name: &str| CString::new(name).map_err(|_| DpdkError::Nul(name.to_owned()));
        let ends = [text(one)?, text(other)?];
        // SAFETY: DPDK runs; two strings with a NUL, which are copied.
        let code = unsafe { ffi::tern_cable(ends[0].as_ptr(), ends[1].as_ptr(), queues, CABLE_FRAMES) };
        DpdkError::check(code, || format!("lay a cable between {one} and {other}"))?;
        Ok([one, other].map(|name| format!("net_ring_{name}")))
    }

    /// Cycles of the processor's time stamp counter in a second.
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: no argument; DPDK runs, and has measured it.
        unsafe { ffi::tern_tsc_hz() }
    }
}

fn start(options: &Options) -> Result<Eal, DpdkError> {
    let huge = match options.memory {
        Memory::Huge => true,
        Memory::Ordinary => false,
        Memory::Auto => huge_pages_free() * MIB_PER_HUGE_PAGE >= options.memory_mib,
    };
    let arguments = arguments(options, huge);
    let strings = arguments
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| DpdkError::Nul(text.clone())))
        .collect::<Result<Vec<_>, _>>()?;
    // It keeps pointers into its arguments, and may change them.
    let mut pointers: Vec<*mut c_char> = strings.into_iter().map(CString::into_raw).collect();
    let count = c_int::try_from(pointers.len()).expect("invariant: few arguments");
    // SAFETY: so many pointers to strings with a NUL that are never freed; called once.
    let code = unsafe { ffi::tern_eal_init(count, pointers.as_mut_ptr()) };
    DpdkError::check(code, || format!("start with {}", arguments[1..].join(" ")))?;
    let mut pool = std::ptr::null_mut();
    // SAFETY: DPDK runs; the name has a NUL and is copied.
    let code =
        unsafe { ffi::tern_pool_create(c"tern".as_ptr(), options.buffers, options.frame_max, &raw mut pool) };
    DpdkError::check(code, || format!("{} buffers in {} MiB", options.buffers, options.memory_mib))?;
    Ok(Eal { pool, huge })
}

/// Nothing is probed that is not named, nothing is shared with other processes, and nothing stays behind.
fn arguments(options: &Options, huge: bool) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["tern", "--no-telemetry", "--log-level=warning"].map(str::to_owned).into();
    arguments.extend(["-l".to_owned(), options.cpu.to_string()]);
    arguments.extend(["-m".to_owned(), options.memory_mib.to_string()]);
    arguments.push("--iova-mode=va".to_owned());
    let backing: &[&str] = if huge { &["--in-memory"] } else { &["--no-huge", "--no-shconf"] };
    arguments.extend(backing.iter().map(|text| (*text).to_owned()));
    let (pci, virtual_ones): (Vec<&String>, Vec<&String>) =
        options.devices.iter().partition(|device| is_pci(device));
    if pci.is_empty() {
        arguments.push("--no-pci".to_owned());
    }
    for (option, devices) in [("-a", pci), ("--vdev", virtual_ones)] {
        arguments.extend(devices.into_iter().flat_map(|device| [option.to_owned(), device.clone()]));
    }
    arguments
}

/// Whether a device is a PCI address, `0000:01:00.0` or `01:00.0`, perhaps with arguments behind a comma; it
/// is a virtual device otherwise.
pub fn is_pci(device: &str) -> bool {
    let address = device.split(',').next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    address.contains('.')
        && (2..=3).contains(&address.split(':').count())
        && address.split([':', '.']).all(is_number)
}

/// A device as DPDK names its port: without arguments, and a PCI address with its domain.
pub fn port_name(device: &str) -> String {
    let name = device.split(',').next().unwrap_or_default();
    if is_pci(name) && name.split(':').count() == 2 { format!("0000:{name}") } else { name.to_owned() }
}

fn huge_pages_free() -> u32 {
    let text = std::fs::read_to_string(HUGE_PAGES_FREE).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Has DPDK know the calling thread, until it ends: it then has buffers of its own at hand. A thread that
/// DPDK has no place for works too, only slower.
pub(crate) fn register_thread() {
    struct Registered;

    impl Drop for Registered {
        fn drop(&mut self) {
            // SAFETY: no argument; for a thread that is not registered it does nothing.
            unsafe { ffi::tern_thread_unregister() };
        }
    }

    thread_local! {
        static REGISTERED: Registered = {
            // SAFETY: no argument; DPDK runs, since there is a queue.
            let _ = unsafe { ffi::tern_thread_register() };
            Registered
        };
    }
    REGISTERED.with(|_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_told_from_virtual_devices() {
        for device in ["0000:01:00.0", "01:00.1", "0000:5e:00.0,queues=4"] {
            assert!(is_pci(device), "{device}");
        }
        for device in ["net_af_packet0,iface=eth1", "net_null0", "net_pcap0,rx_pcap=a.b:c", "", "1.2"] {
            assert!(!is_pci(device), "{device}");
        }
    }

    #[test]
    fn a_port_is_named_without_arguments_and_with_its_domain() {
        for (device, name) in [
            ("01:00.1", "0000:01:00.1"),
            ("0000:5e:00.0,queues=4", "0000:5e:00.0"),
            ("net_af_packet0,iface=eth1", "net_af_packet0"),
        ] {
            assert_eq!(port_name(device), name);
        }
    }

    #[test]
    fn nothing_is_probed_that_is_not_named() {
        let mut options = Options {
            devices: vec!["net_null0".to_owned()],
            memory: Memory::Ordinary,
            memory_mib: 64,
            buffers: 1024,
            frame_max: 2048,
            cpu: 0,
        };
        let said = arguments(&options, false);
        assert!(said.contains(&"--no-pci".to_owned()) && said.contains(&"--no-huge".to_owned()));
        options.devices.push("0000:01:00.0".to_owned());
        let said = arguments(&options, true);
        assert!(!said.contains(&"--no-pci".to_owned()) && said.contains(&"--in-memory".to_owned()));
        assert!(said.windows(2).any(|pair| pair == ["-a", "0000:01:00.0"]));
    }
}
