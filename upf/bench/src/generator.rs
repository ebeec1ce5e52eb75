//! The other end of a UPF in another process: sends frames on ports of DPDK, and counts what comes back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use tern_dpdk::{BURST, Eal, Memory, Options, Port, Queue};
use tern_figures::place::Pinned;

use crate::child::say;
use crate::frames::{Frames, SHORT, frame_octets};
use crate::scene::{End, Shape};
use crate::source::{Direction, Trace};

/// How long is counted for one figure.
const WINDOW: Duration = Duration::from_millis(200);
/// Until frames must have come back.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const BUFFERS: u32 = 16_383;
const MEMORY_MIB: u32 = 128;
const FRAME_MAX: u16 = 2_048;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Devices to N3 and N6.
    pub devices: [String; 2],
    /// Sessions of the packets.
    pub ends: Vec<End>,
    /// Figures of each arm.
    pub rounds: usize,
    /// Its processor.
    pub core: usize,
}

/// Million frames a second that came back, of uplink frames, of downlink frames, of both at once.
pub type Found = [Vec<f64>; 3];

/// Both ports and what is sent on them.
struct Ends {
    queues: [Queue; 2],
    frames: [Frames; 2],
}

impl Ends {
    /// Sends a burst in these directions; the frames that came meanwhile, in both.
    fn turn(&mut self, directions: &[Direction], burst: usize) -> u64 {
        let mut came = 0;
        for direction in Direction::ALL {
            let (queue, frames) =
                (&mut self.queues[direction as usize], &mut self.frames[direction as usize]);
            if directions.contains(&direction) {
                for _ in 0..burst {
                    let Some(octets) = queue.frame(frame_octets(direction, SHORT)) else { break };
                    frames.write(octets);
                }
                queue.flush();
            }
            came += queue.discard(BURST) as u64;
        }
        came
    }
}

/// Says when frames come back, and then what was found.
pub fn measure(ask: &Ask) -> Result<Found> {
    let options = Options {
        devices: ask.devices.to_vec(),
        memory: Memory::Auto,
        memory_mib: MEMORY_MIB,
        buffers: BUFFERS,
        frame_max: FRAME_MAX,
        cpu: 0,
    };
    let eal = Eal::start(&options)?;
    let open = |device: &String| Port::start(eal, device, 1, 1_500)?.into_iter().next().context("no queue");
    let shape = Shape::new(ask.ends.len(), 8);
    let frames = Direction::ALL
        .map(|direction| Frames::new(Trace::new(&ask.ends, &shape, direction).hits(), direction, SHORT));
    let mut ends = Ends { queues: [open(&ask.devices[0])?, open(&ask.devices[1])?], frames };
    let _pinned = Pinned::to(ask.core)?;
    connect(&mut ends)?;
    say(&"connected")?;
    let arms: [&[Direction]; 3] = [&[Direction::Uplink], &[Direction::Downlink], &Direction::ALL];
    let mut found = Found::default();
    for round in 0..=ask.rounds {
        for (directions, rates) in arms.iter().zip(&mut found) {
            let (begun, mut came) = (Instant::now(), 0);
            while begun.elapsed() < WINDOW {
                (0..16).for_each(|_| came += ends.turn(directions, BURST));
            }
            if round > 0 {
                rates.push(came as f64 / begun.elapsed().as_secs_f64() / 1e6);
            }
        }
    }
    Ok(found)
}

/// Sends a little until it comes back: devices may take a while to find each other, and a UPF has to learn whose
/// the addresses are.
fn connect(ends: &mut Ends) -> Result<()> {
    let begun = Instant::now();
    for direction in Direction::ALL {
        let mut came = 0;
        while came < 1_000 {
            ensure!(begun.elapsed() < CONNECT_MAX, "{} frames do not come back", direction.name());
            // The other side says only who it is.
            ends.frames.iter_mut().for_each(Frames::announce);
            ends.turn(&Direction::ALL, 1);
            came += ends.turn(&[direction], BURST / 2);
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    Ok(())
}
