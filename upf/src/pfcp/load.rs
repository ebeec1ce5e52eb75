//! Load and overload control: TS 29.244 §6.2.3, §6.2.4.

use std::net::IpAddr;

use tern_pfcp::*;
use tern_types::{Duration, Instant};

use super::Core;
use crate::config::OverloadConfig;

/// How much there is to do, in percent of what can be done. What the core knows by itself is not among it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Bursts of the workers that left no time to wait.
    pub(crate) workers: u8,
    /// Room for events of the workers that is taken.
    pub(crate) events: u8,
}

/// What SMFs are told.
#[derive(Debug)]
pub(super) struct Load {
    config: OverloadConfig,
    figures: Figures,
    metric: u8,
    metric_sequence: u32,
    /// How much less SMFs shall ask for, in percent.
    reduction: u8,
    reduction_sequence: u32,
    /// Until then an SMF may hold on to a reduction that is over.
    told_until: Option<Instant>,
}

impl Load {
    /// Sequence numbers grow from life to life: they begin with the time of the start.
    pub(super) fn new(config: OverloadConfig, start: NtpSeconds) -> Self {
        Self {
            config,
            figures: Figures::default(),
            metric: 0,
            metric_sequence: start.0,
            reduction: 0,
            reduction_sequence: start.0,
            told_until: None,
        }
    }

    fn set(&mut self, now: Instant, metric: u8) {
        if metric != self.metric {
            self.metric = metric;
            self.metric_sequence = self.metric_sequence.wrapping_add(1);
        }
        let reduction = self.config.reduction(metric);
        if reduction != self.reduction {
            let validity = Duration::from_secs(u64::from(self.config.validity_s));
            self.told_until = (reduction == 0).then_some(now + validity);
            self.reduction = reduction;
            self.reduction_sequence = self.reduction_sequence.wrapping_add(1);
        }
    }

    fn load_control(&self) -> LoadControlInformation {
        LoadControlInformation {
            sequence_number: SequenceNumber(self.metric_sequence),
            metric: Metric(self.metric),
            ..Default::default()
        }
    }

    /// Nothing while there is no overload and nobody may believe that there is.
    fn overload_control(&self, now: Instant) -> Option<OverloadControlInformation> {
        let is_told = self.reduction > 0 || self.told_until.is_some_and(|until| now < until);
        is_told.then(|| OverloadControlInformation {
            sequence_number: SequenceNumber(self.reduction_sequence),
            metric: Metric(self.reduction),
            timer: Timer::from_seconds(self.config.validity_s),
            // It is the node that has too much to do (TS 29.244 §8.2.76).
            oci_flags: Some(OciFlags::AOCI),
            ..Default::default()
        })
    }
}

fn percent(part: usize, whole: usize) -> u8 {
    let percent = part.saturating_mul(100).checked_div(whole).unwrap_or(100);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

impl Core {
    /// Takes what the edge knows.
    pub(crate) fn set_figures(&mut self, now: Instant, figures: Figures) {
        self.load.figures = figures;
        self.weigh(now);
    }

    /// Load, and the reduction that is asked for, in percent.
    pub(crate) fn load(&self) -> (u8, u8) {
        (self.load.metric, self.load.reduction)
    }

    fn weigh(&mut self, now: Instant) {
        let sessions = percent(self.sessions.len(), self.config.sessions_max);
        let reports = percent(self.reports.len(), tern_n4::REQUESTS_MAX);
        let Figures { workers, events } = self.load.figures;
        self.load.set(now, sessions.max(reports).max(workers).max(events));
    }

    /// Adds to a message what an SMF wants to know of our load.
    pub(super) fn with_load(&mut self, now: Instant, smf: IpAddr, mut message: Message) -> Message {
        self.weigh(now);
        let features = self.node.association(smf).map(|association| association.cp_function_features);
        let wants = |feature| features.is_some_and(|features| features.contains(feature));
        let load = wants(CpFunctionFeatures::LOAD).then(|| self.load.load_control());
        let overload = wants(CpFunctionFeatures::OVRL).then(|| self.load.overload_control(now)).flatten();
        macro_rules! set {
            ($body:ident) => {{
                $body.load_control_information = load;
                $body.overload_control_information = overload;
            }};
        }
        match &mut message {
            Message::SessionEstablishmentResponse(body) => set!(body),
            Message::SessionModificationResponse(body) => set!(body),
            Message::SessionDeletionResponse(body) => set!(body),
            Message::SessionReportRequest(body) => set!(body),
            _ => {}
        }
        message
    }
}
