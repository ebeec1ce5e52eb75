//! Service requests of the core, each on behalf of a UE, and who awaits their answers.

use tern_nf::Target;
use tern_sbi::{Call, Operation, PRIORITY_OF_NEW_WORK, Reply};
use tracing::debug;

use crate::amf::Amf;
use crate::io::{Awaited, Output, Token};
use crate::record::Sent;
use crate::ue::{UeContext, UeId};

impl Amf {
    /// Sends a service request for a UE; its reply will find the UE.
    pub(crate) fn request<O: Operation>(&mut self, ue: UeId, target: Target, operation: &O) -> Awaited<O> {
        self.call(ue, target, operation, Call::default())
    }

    /// The same for the first request of a procedure: it yields to those of procedures in progress,
    /// but for a UE that comes with priority.
    pub(crate) fn begin<O: Operation>(
        &mut self,
        ue: &UeContext,
        target: Target,
        operation: &O,
    ) -> Awaited<O> {
        let preferred = ue.n2.as_ref().is_some_and(|n2| n2.priority);
        let priority = (!preferred).then_some(PRIORITY_OF_NEW_WORK);
        self.call(ue.id, target, operation, Call { priority, ..Call::default() })
    }

    /// The same for what ends something that would stay otherwise, and cannot come back.
    pub(crate) fn insist<O: Operation>(&mut self, ue: UeId, target: Target, operation: &O) -> Awaited<O> {
        self.call(ue, target, operation, Call { insist: true, ..Call::default() })
    }

    /// The same for what may be repeated if its answer is lost.
    pub(crate) fn repeat<O: Operation>(&mut self, ue: UeId, target: Target, operation: &O) -> Awaited<O> {
        self.call(ue, target, operation, Call { repeatable: true, ..Call::default() })
    }

    fn call<O: Operation>(&mut self, ue: UeId, target: Target, operation: &O, call: Call) -> Awaited<O> {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.tokens.insert(token, ue);
        debug!(operation = O::NAME, ue = ue.0, "request");
        let call = Call { session: Some(ue.0), ..call };
        let request = operation.to_request();
        if let Some(changed) = &mut self.changed {
            let (target, call, request) = (target.clone(), call.clone(), request.clone());
            changed.sent.insert((ue, token), Sent { target, call, request });
            changed.ues.insert(ue);
        }
        self.out.push(Output::Request { token, target, call, request });
        Awaited::new(token)
    }

    /// Sends a service request whose reply changes nothing but a counter.
    pub(crate) fn tell<O: Operation>(&mut self, ue: UeId, target: Target, operation: &O) {
        let _ = self.request(ue, target, operation);
    }

    /// Makes a reply awaited by one context another one's.
    pub(crate) fn readdress(&mut self, from: UeId, to: UeId) {
        for (&token, owner) in self.tokens.iter_mut().filter(|(_, owner)| **owner == from) {
            *owner = to;
            if let Some(changed) = &mut self.changed
                && let Some(sent) = changed.sent.remove(&(from, token))
            {
                changed.sent.insert((to, token), sent);
            }
        }
    }

    pub(crate) fn answer(&mut self, token: Token, reply: Reply) {
        self.out.push(Output::Answer(token, reply));
    }

    /// Who has asked for what is answered now; the answer is awaited no longer.
    pub(crate) fn answered(&mut self, token: Token) -> Option<UeId> {
        let id = self.tokens.remove(&token)?;
        if let Some(changed) = &mut self.changed {
            changed.sent.remove(&(id, token));
            changed.ues.insert(id);
        }
        Some(id)
    }
}
