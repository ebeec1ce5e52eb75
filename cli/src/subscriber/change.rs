//! `tern subscriber set`, `bar` and `unbar`: what a record becomes.

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tern_sbi::common::{PatchItem, PatchOperation};
use tern_types::{Ambr, BitRate, Dnn, Snssai, Supi, Tac};

/// What `tern subscriber set` changes. What is not named stays as it is.
#[derive(Args)]
#[command(after_help = "Example:\n  \
    tern subscriber set imsi-001010000000001 --ue-ambr '100 Mbps/500 Mbps' --category gold\n\n\
    What changes takes effect at once, for a UE that is registered too.")]
pub struct Set {
    /// imsi-…
    pub supi: Supi,
    /// Bound of all sessions without a guaranteed rate together: UPLINK/DOWNLINK
    #[arg(long, value_parser = ambr)]
    ue_ambr: Option<Ambr>,
    /// Index to RAT/frequency selection priority, 1 to 256
    #[arg(long, conflicts_with = "no_rfsp")]
    rfsp: Option<u16>,
    /// No such index any more
    #[arg(long)]
    no_rfsp: bool,
    /// Slice to add, with the data networks of the first slice
    #[arg(long)]
    add_slice: Vec<Snssai>,
    /// Slice to take away
    #[arg(long)]
    remove_slice: Vec<Snssai>,
    /// Data network to add to each slice
    #[arg(long)]
    add_dnn: Vec<Dnn>,
    /// Data network to take away from each slice
    #[arg(long)]
    remove_dnn: Vec<Dnn>,
    /// Bound of one session's flows without a guaranteed rate: UPLINK/DOWNLINK
    #[arg(long, value_parser = ambr)]
    session_ambr: Option<Ambr>,
    /// 5QI of the default QoS flow
    #[arg(long)]
    five_qi: Option<u8>,
    /// The data network that --session-ambr, --five-qi and --category are about; without it the first two
    /// are about each, and categories are the subscriber's own
    #[arg(long)]
    dnn: Option<Dnn>,
    /// Category by which the PCF's policies choose; all of them, in place of those there are
    #[arg(long, conflicts_with = "no_category")]
    category: Vec<String>,
    /// No category any more
    #[arg(long)]
    no_category: bool,
    /// Where there is service: allowed:TAC,TAC…, not-allowed:TAC,TAC… or everywhere
    #[arg(long, value_parser = service_area)]
    service_area: Option<Area>,
}

/// Service area restriction, or none.
#[derive(Clone)]
struct Area(Option<Value>);

/// What a subscriber is barred from.
#[derive(Clone, Copy, Default, ValueEnum)]
pub enum BarredFrom {
    /// All packet oriented services
    #[default]
    Services,
    /// The 5G core
    #[value(name = "5gc")]
    FiveGc,
}

/// The patch that bars a subscriber, or lets it be served again.
pub fn barred(from: Option<BarredFrom>) -> Vec<PatchItem> {
    let from = from.map(|from| match from {
        BarredFrom::Services => "services",
        BarredFrom::FiveGc => "5gc",
    });
    vec![PatchItem::replace("/barred", json!(from))]
}

impl Set {
    /// The patch of a record as `show` has it.
    pub fn patch(&self, record: &Value) -> Result<Vec<PatchItem>> {
        let mut patch = Vec::new();
        if let Some(ambr) = self.ue_ambr {
            patch.push(PatchItem::replace("/ue_ambr", json!(ambr)));
        }
        if self.rfsp.is_some() || self.no_rfsp {
            patch.push(PatchItem::replace("/rfsp", json!(self.rfsp)));
        }
        if let Some(Area(area)) = &self.service_area {
            patch.push(PatchItem::replace("/service_area", json!(area)));
        }
        let categories = (self.no_category || !self.category.is_empty()).then(|| json!(self.category));
        if let (Some(categories), None) = (&categories, &self.dnn) {
            patch.push(PatchItem::replace("/categories", categories.clone()));
        }
        let before = record.get("slices").context("a record without slices")?;
        let mut slices: Vec<Value> = serde_json::from_value(before.clone())?;
        self.change_slices(&mut slices)?;
        self.change_dnns(&mut slices, categories.filter(|_| self.dnn.is_some()))?;
        if json!(slices) != *before {
            // Nobody else has changed them meanwhile.
            let test = PatchItem::new(PatchOperation::Test, "/slices".to_owned());
            patch.push(PatchItem { value: Some(before.clone()), ..test });
            patch.push(PatchItem::replace("/slices", json!(slices)));
        }
        ensure!(!patch.is_empty(), "nothing to change");
        Ok(patch)
    }

    fn change_slices(&self, slices: &mut Vec<Value>) -> Result<()> {
        for gone in &self.remove_slice {
            let count = slices.len();
            slices.retain(|slice| slice["snssai"] != json!(gone.to_string()));
            ensure!(slices.len() < count, "--remove-slice {gone}: not subscribed");
        }
        let dnns = slices.first().map(|slice| slice["dnns"].clone()).unwrap_or_default();
        for added in &self.add_slice {
            slices.push(json!({ "snssai": added.to_string(), "default": false, "dnns": dnns }));
        }
        Ok(())
    }

    fn change_dnns(&self, slices: &mut [Value], categories: Option<Value>) -> Result<()> {
        let mut meant = false;
        for slice in slices {
            let Some(dnns) = slice["dnns"].as_array_mut() else { bail!("a slice without data networks") };
            for gone in &self.remove_dnn {
                dnns.retain(|own| own["dnn"] != json!(gone));
            }
            dnns.extend(self.add_dnn.iter().map(|added| json!({ "dnn": added })));
            for own in dnns.iter_mut() {
                if self.dnn.as_ref().is_some_and(|dnn| own["dnn"] != json!(dnn)) {
                    continue;
                }
                meant = true;
                if let Some(ambr) = self.session_ambr {
                    own["session_ambr"] = json!(ambr);
                }
                if let Some(five_qi) = self.five_qi {
                    own["five_qi"] = json!(five_qi);
                }
                if let Some(categories) = &categories {
                    own["categories"] = categories.clone();
                }
            }
        }
        match &self.dnn {
            Some(dnn) if !meant => bail!("--dnn {dnn}: not subscribed"),
            _ => Ok(()),
        }
    }
}

fn ambr(text: &str) -> Result<Ambr, String> {
    let (uplink, downlink) = text.split_once('/').ok_or("expected UPLINK/DOWNLINK, such as 1 Mbps/2 Mbps")?;
    let rate = |text: &str| text.trim().parse::<BitRate>().map_err(|error| error.to_string());
    Ok(Ambr { uplink: rate(uplink)?, downlink: rate(downlink)? })
}

fn service_area(text: &str) -> Result<Area, String> {
    if text == "everywhere" {
        return Ok(Area(None));
    }
    let restriction = match text.split_once(':') {
        Some(("allowed", _)) => "ALLOWED_AREAS",
        Some(("not-allowed", _)) => "NOT_ALLOWED_AREAS",
        _ => return Err("expected allowed:TAC…, not-allowed:TAC… or everywhere".to_owned()),
    };
    let tacs = text.split_once(':').map_or("", |(_, tacs)| tacs).split(',').filter(|tac| !tac.is_empty());
    let tacs = tacs.map(|tac| tac.trim().parse::<Tac>().map_err(|error| error.to_string()));
    let tacs = tacs.collect::<Result<Vec<_>, _>>()?;
    Ok(Area(Some(json!({ "restriction": restriction, "tacs": tacs }))))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    fn patched(arguments: &[&str]) -> Result<Value> {
        let line = [&["set", "imsi-001010000000001"], arguments].concat();
        let mut record = json!({ "ue_ambr": {}, "slices": [
            { "snssai": "1", "default": true, "dnns": [{ "dnn": "internet" }, { "dnn": "ims" }] },
        ]});
        let patch = Line::try_parse_from(line)?.set.patch(&record)?;
        tern_nf::patch::apply(&mut record, &patch).map_err(|problem| anyhow::anyhow!("{problem}"))?;
        Ok(record)
    }

    #[test]
    fn what_is_named_changes_and_nothing_else() {
        let record = patched(&["--ue-ambr", "1 Mbps/2 Mbps", "--category", "gold"]).unwrap();
        assert_eq!(record["ue_ambr"], json!({ "uplink": "1 Mbps", "downlink": "2 Mbps" }));
        assert_eq!(record["categories"], json!(["gold"]));
        assert_eq!(record["slices"][0]["dnns"], json!([{ "dnn": "internet" }, { "dnn": "ims" }]));
        let record = patched(&["--dnn", "ims", "--five-qi", "5", "--category", "voice"]).unwrap();
        assert_eq!(record["slices"][0]["dnns"][0], json!({ "dnn": "internet" }));
        assert_eq!(record["slices"][0]["dnns"][1]["five_qi"], 5);
        assert_eq!(record["slices"][0]["dnns"][1]["categories"], json!(["voice"]));
        assert!(record.get("categories").is_none());
        assert_eq!(patched(&["--rfsp", "7"]).unwrap()["rfsp"], 7);
        assert_eq!(patched(&["--no-rfsp"]).unwrap()["rfsp"], Value::Null);
    }

    #[test]
    fn slices_and_data_networks_come_and_go() {
        let record = patched(&["--add-slice", "2-010203", "--remove-dnn", "ims"]).unwrap();
        assert_eq!(record["slices"][1]["snssai"], "2-010203");
        assert_eq!(record["slices"][1]["dnns"], json!([{ "dnn": "internet" }]));
        assert!(patched(&["--remove-slice", "3"]).is_err());
        assert!(patched(&["--dnn", "nowhere", "--five-qi", "5"]).is_err());
        assert!(patched(&[]).is_err());
    }

    #[test]
    fn a_service_area_is_set_and_lifted() {
        let record = patched(&["--service-area", "not-allowed:000001,000002"]).unwrap();
        assert_eq!(record["service_area"]["restriction"], "NOT_ALLOWED_AREAS");
        assert_eq!(record["service_area"]["tacs"], json!(["000001", "000002"]));
        assert_eq!(patched(&["--service-area", "everywhere"]).unwrap()["service_area"], Value::Null);
        assert!(patched(&["--service-area", "here"]).is_err());
    }
}
