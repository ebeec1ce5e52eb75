//! What `up` is measured against: the same network, made one thing after the other.

use std::os::fd::AsFd as _;

use nix::sched::{CloneFlags, unshare};

use crate::declared::{self, Declared, End};
use crate::found::Found;
use crate::namespace::Names;
use crate::netlink::{Request, Socket};
use crate::plan::{Pair, Plan};
use crate::{NetError, apply, message, namespace, observe, workers};

/// Where a pair is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each end in its namespace at once.
    InPlace,
    /// Both in one namespace, from where each is moved to its own. The two have other names, so not a cable.
    Moved,
}

/// Makes a network of which nothing is there: one thread, and one message after the other has been
/// answered.
pub fn make(declared: &Declared, way: Way) -> Result<(), NetError> {
    let plan = Plan::of(declared, &Found::new());
    let names = Names::begin(&declared::prefix(&declared.name))?;
    // One item is one thread of its own, which ends in another namespace than it began in.
    workers::each([&plan], |plan| all(&names, plan, declared, way)).map(drop)
}

fn all(names: &Names, plan: &Plan, declared: &Declared, way: Way) -> Result<(), NetError> {
    // Where pairs that are moved begin: nobody else's interfaces are there.
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| NetError::io("a namespace")(error.into()))?;
    let here = Socket::open()?;
    for name in &plan.make_namespaces {
        namespace::make(names, name, declared.endpoints.values().all(|place| place.namespace != *name))?;
    }
    apply::switches(plan)?;
    for (name, pairs) in &plan.make_pairs {
        namespace::enter(name)?;
        let socket = Socket::open()?;
        let bridges = observe::indices(&socket)?;
        for pair in pairs {
            let near = End { namespace: name.clone(), link: pair.link.clone() };
            let bridge = pair.bridge.as_ref().and_then(|bridge| bridges.get(bridge)).copied();
            let inside = namespace::open(&pair.far.namespace)?;
            match way {
                Way::InPlace => socket.run(vec![message::pair(&near, pair, bridge, inside.as_fd())])?,
                Way::Moved => moved(&near, pair, bridge, &here, &socket)?,
            }
        }
    }
    let has_ipv6 = apply::has_ipv6();
    for (name, settings) in &plan.settings {
        namespace::enter(name)?;
        apply::set(&Socket::open()?, settings, has_ipv6)?;
    }
    Ok(())
}

/// Makes a pair here, moves its ends, and makes the near one a port.
fn moved(
    near: &End,
    pair: &Pair,
    bridge: Option<u32>,
    here: &Socket,
    there: &Socket,
) -> Result<(), NetError> {
    here.run(vec![message::pair_here(near, pair)])?;
    let near_inside = namespace::open(&near.namespace)?;
    let far_inside = namespace::open(&pair.far.namespace)?;
    here.run(vec![message::moved(&pair.link, near_inside.as_fd())])?;
    here.run(vec![message::moved(&pair.far.link, far_inside.as_fd())])?;
    let Some(bridge) = bridge else { return Ok(()) };
    let steps: [Request; 2] = [message::port_by_name(&pair.link, bridge), message::up_by_name(&pair.link)];
    steps.into_iter().try_for_each(|step| there.run(vec![step]))
}
