//! Associations: who is our peer, since when, and whether it is still there.

use std::net::SocketAddr;

use tern_pfcp::*;
use tern_types::Instant;

use crate::config::{Accept, PEERS_MAX};
use crate::node::{Association, DownReason, Node, Output, Request};
use crate::transaction::Purpose;

/// What a node knows about another.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where requests go.
    pub(crate) address: SocketAddr,
    /// We set up the association, and do it again when it is lost.
    pub(crate) wanted: bool,
    pub(crate) association: Option<Association>,
    /// The recovery time stamp of an association whose sessions the peer may have, also when it is silent.
    pub(crate) recovery_time_stamp: Option<RecoveryTimeStamp>,
    /// When a heartbeat is due, or the next attempt to associate.
    pub(crate) deadline: Option<Instant>,
}

impl Node {
    /// Keeps an association with this node from now on.
    pub fn associate(&mut self, now: Instant, address: SocketAddr) {
        let peer = self.peer_or_new(address);
        peer.wanted = true;
        if peer.association.is_none() && peer.deadline.is_none() {
            self.start_association(now, address);
        }
    }

    /// Goes on with an association that the process before this one had, under the same recovery time stamp. Whether
    /// the peer still has it the heartbeat tells that goes out at once.
    pub fn resume(&mut self, now: Instant, association: Association) {
        let address = association.address;
        let peer = self.peer_or_new(address);
        if peer.association.is_some() {
            return;
        }
        peer.wanted = true;
        peer.recovery_time_stamp = Some(association.recovery_time_stamp);
        peer.association = Some(association.clone());
        self.outputs.push_back(Output::PeerUp { association });
        self.start_heartbeat(now, address);
    }

    /// Ends the association with this node, and does not set it up again.
    pub fn release(&mut self, now: Instant, address: SocketAddr) {
        let Some(peer) = self.peers.get_mut(&address.ip()) else { return };
        peer.wanted = false;
        peer.deadline = None;
        if peer.association.is_some() {
            let request =
                AssociationReleaseRequest { node_id: self.config.node_id.clone(), ..Default::default() };
            self.start(now, address, None, request.into(), Purpose::Release);
        }
    }

    /// The association with the node at this address.
    pub fn association(&self, address: std::net::IpAddr) -> Option<&Association> {
        self.peers.get(&address)?.association.as_ref()
    }

    /// All associations.
    pub fn associations(&self) -> impl Iterator<Item = &Association> {
        self.peers.values().filter_map(|peer| peer.association.as_ref())
    }

    pub(crate) fn start_association(&mut self, now: Instant, address: SocketAddr) {
        let request = AssociationSetupRequest {
            node_id: self.config.node_id.clone(),
            recovery_time_stamp: self.config.recovery_time_stamp,
            up_function_features: self.config.up_function_features,
            cp_function_features: self.config.cp_function_features,
            ..Default::default()
        };
        self.set_peer_deadline(address, None);
        self.start(now, address, None, request.into(), Purpose::Associate);
    }

    pub(crate) fn start_heartbeat(&mut self, now: Instant, address: SocketAddr) {
        let request =
            HeartbeatRequest { recovery_time_stamp: self.config.recovery_time_stamp, ..Default::default() };
        self.set_peer_deadline(address, None);
        self.start(now, address, None, request.into(), Purpose::Heartbeat);
    }

    pub(crate) fn on_association_setup_request(
        &mut self,
        now: Instant,
        request: &Request,
        setup: AssociationSetupRequest,
    ) {
        let ip = request.from.ip();
        let allowed = match &self.config.accept {
            Accept::Nobody => self.peers.get(&ip).is_some_and(|peer| peer.wanted),
            Accept::Any => true,
            Accept::Only(addresses) => addresses.contains(&ip),
        };
        if self.peers.len() >= PEERS_MAX {
            self.peers.retain(|_, peer| peer.wanted || peer.association.is_some());
        }
        let room = self.peers.contains_key(&ip) || self.peers.len() < PEERS_MAX;
        let cause = match (allowed, room) {
            (true, true) => Cause::REQUEST_ACCEPTED,
            (true, false) => Cause::NO_RESOURCES_AVAILABLE,
            (false, _) => Cause::REQUEST_REJECTED,
        };
        let response = AssociationSetupResponse {
            node_id: self.config.node_id.clone(),
            cause,
            recovery_time_stamp: self.config.recovery_time_stamp,
            up_function_features: self.config.up_function_features,
            cp_function_features: self.config.cp_function_features,
            ..Default::default()
        };
        if !cause.is_accepted() {
            tracing::warn!(peer = %request.from, node_id = %setup.node_id, %cause, "PFCP association refused");
            self.respond(now, request, None, response.into());
            return;
        }
        let address = SocketAddr::new(ip, self.config.peer_port);
        // A set-up ends the association before it with its sessions (TS 29.244 §6.2.6.2.2).
        let had_one = self.peers.get(&ip).is_some_and(|peer| peer.recovery_time_stamp.is_some());
        if had_one {
            self.responses.forget(ip, request.sequence);
            self.abandon(ip);
            let address = self.peer_or_new(address).address;
            self.outputs.push_back(Output::PeerRestarted { address });
        }
        let association = Association {
            address: self.peer_or_new(address).address,
            node_id: setup.node_id,
            recovery_time_stamp: setup.recovery_time_stamp,
            up_function_features: setup.up_function_features.unwrap_or_default(),
            cp_function_features: setup.cp_function_features.unwrap_or_default(),
        };
        self.respond(now, request, None, response.into());
        self.associated(now, association);
    }

    pub(crate) fn on_association_setup_response(
        &mut self,
        now: Instant,
        to: SocketAddr,
        response: AssociationSetupResponse,
    ) {
        if !response.cause.is_accepted() {
            tracing::warn!(peer = %to, cause = %response.cause, "PFCP association was refused");
            self.set_peer_deadline(to, Some(now + self.config.association_retry));
            return;
        }
        // Whether it has started again or not: a set-up ends what an association before it had
        // (TS 29.244 §6.2.6.2.2).
        if self.peers.get(&to.ip()).is_some_and(|peer| peer.recovery_time_stamp.is_some()) {
            self.outputs.push_back(Output::PeerRestarted { address: to });
        }
        let association = Association {
            address: to,
            node_id: response.node_id,
            recovery_time_stamp: response.recovery_time_stamp,
            up_function_features: response.up_function_features.unwrap_or_default(),
            cp_function_features: response.cp_function_features.unwrap_or_default(),
        };
        self.associated(now, association);
    }

    pub(crate) fn on_association_update(
        &mut self,
        now: Instant,
        request: &Request,
        update: AssociationUpdateRequest,
    ) {
        let ip = request.from.ip();
        let mut cause = Cause::NO_ESTABLISHED_PFCP_ASSOCIATION;
        if let Some(association) = self.peers.get_mut(&ip).and_then(|peer| peer.association.as_mut()) {
            cause = Cause::REQUEST_ACCEPTED;
            if let Some(features) = update.up_function_features {
                association.up_function_features = features;
            }
            if let Some(features) = update.cp_function_features {
                association.cp_function_features = features;
            }
            let sarr = AssociationReleaseRequestFlags::SARR;
            if update.association_release_request.is_some_and(|flags| flags.contains(sarr)) {
                self.outputs.push_back(Output::ReleaseRequested { address: association.address });
            }
        }
        let response = AssociationUpdateResponse {
            node_id: self.config.node_id.clone(),
            cause,
            up_function_features: self.config.up_function_features,
            cp_function_features: self.config.cp_function_features,
            ..Default::default()
        };
        self.respond(now, request, None, response.into());
    }

    pub(crate) fn on_association_release(&mut self, now: Instant, request: &Request) {
        let ip = request.from.ip();
        let known = self.association(ip).is_some();
        let cause = if known { Cause::REQUEST_ACCEPTED } else { Cause::NO_ESTABLISHED_PFCP_ASSOCIATION };
        let node_id = self.config.node_id.clone();
        let response = AssociationReleaseResponse { node_id, cause, ..Default::default() };
        self.respond(now, request, None, response.into());
        if known {
            self.peer_down(now, request.from, DownReason::Released);
        }
    }

    /// A message came from an associated peer: it lives.
    pub(crate) fn heard_of(&mut self, now: Instant, from: SocketAddr) {
        let due = now + self.config.heartbeat_interval;
        if let Some(peer) = self.peers.get_mut(&from.ip())
            && peer.association.is_some()
            && let Some(before) = peer.deadline
        {
            self.deadlines.remove(&(before, crate::node::Due::Peer(from.ip())));
            peer.deadline = Some(due);
            self.deadlines.insert((due, crate::node::Due::Peer(from.ip())));
        }
    }

    /// A recovery time stamp that differs says that the peer started again (TS 23.527 §4.2).
    pub(crate) fn check_recovery(&mut self, now: Instant, from: SocketAddr, stamp: RecoveryTimeStamp) {
        let Some(peer) = self.peers.get_mut(&from.ip()) else { return };
        if peer.association.is_none() || peer.recovery_time_stamp == Some(stamp) {
            return;
        }
        let address = peer.address;
        tracing::warn!(peer = %address, "PFCP peer restarted");
        self.outputs.push_back(Output::PeerRestarted { address });
        self.peer_down(now, address, DownReason::Restarted);
    }

    /// A peer says that there is no association: it has started again, perhaps within the second
    /// that its recovery time stamp counts in.
    pub(crate) fn forgotten(&mut self, now: Instant, from: SocketAddr) {
        let Some(association) = self.association(from.ip()) else { return };
        let address = association.address;
        tracing::warn!(peer = %address, "PFCP peer has forgotten the association");
        self.outputs.push_back(Output::PeerRestarted { address });
        self.peer_down(now, address, DownReason::Restarted);
    }

    pub(crate) fn peer_down(&mut self, now: Instant, address: SocketAddr, reason: DownReason) {
        let Some(peer) = self.peers.get_mut(&address.ip()) else { return };
        let Some(association) = peer.association.take() else { return };
        // Of whoever is merely silent, the next association tells that its sessions are gone.
        if reason != DownReason::Unreachable {
            peer.recovery_time_stamp = None;
        }
        let (address, wanted) = (peer.address, peer.wanted);
        self.abandon(address.ip());
        tracing::warn!(peer = %address, node_id = %association.node_id, ?reason, "PFCP association ended");
        self.outputs.push_back(Output::PeerDown { association, reason });
        // Who has started again is there.
        let retry = match reason {
            DownReason::Restarted => now,
            DownReason::Released | DownReason::Unreachable => now + self.config.association_retry,
        };
        let retry = wanted.then_some(retry);
        self.set_peer_deadline(address, retry);
        if !wanted && reason == DownReason::Released {
            self.peers.remove(&address.ip());
        }
    }

    fn associated(&mut self, now: Instant, association: Association) {
        let due = now + self.config.heartbeat_interval;
        let address = association.address;
        let peer = self.peer_or_new(address);
        peer.recovery_time_stamp = Some(association.recovery_time_stamp);
        peer.association = Some(association.clone());
        self.set_peer_deadline(address, Some(due));
        tracing::info!(peer = %address, node_id = %association.node_id, "PFCP association set up");
        self.outputs.push_back(Output::PeerUp { association });
    }

    fn peer_or_new(&mut self, address: SocketAddr) -> &mut Peer {
        self.peers.entry(address.ip()).or_insert(Peer {
            address,
            wanted: false,
            association: None,
            recovery_time_stamp: None,
            deadline: None,
        })
    }
}
