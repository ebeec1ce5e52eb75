//! `tern subscriber`: through the running UDR, or on its store while it does not run.

mod change;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tern_sbi::common::PatchItem;
use tern_sbi::{Method, PathParams};
use tern_store::{Redb, RedbOptions, StoreError};
use tern_types::{Dnn, Snssai, Supi};
use tern_udr::{ChangeError, Repository, SUBSCRIBER_PATH, SUBSCRIBERS_PATH, Subscriber, SubscriberList};

use crate::client::{Client, ClientError};
use crate::core_config::{CoreConfig, Nf};

/// Subscribers written by one request.
const IMPORT_CHUNK: usize = 1000;
/// Subscribers that one `add` makes.
const COUNT_MAX: u32 = 1_000_000;

#[derive(Args)]
#[command(after_help = "Example:\n  \
    tern subscriber add imsi-001010000000001 --k 465b5ce8b199b49faa5f0a2ee238a6bc \\\n      \
    --opc cd63cb71954a9f4e48a5994e37a02baf\n\n\
    While the UDR runs, it is asked; otherwise its store is opened directly.")]
pub struct Arguments {
    /// The file that `tern up` was given
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// apiRoot of the UDR, if not the one of `tern up`: http://10.0.0.11:8080
    #[arg(long, global = true)]
    udr: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add a subscriber, or several that follow one another
    Add(Box<Add>),
    /// List subscribers, without keys
    List,
    /// Show a subscriber's record
    Show {
        /// imsi-…
        supi: Supi,
        /// Show the keys too
        #[arg(long)]
        keys: bool,
    },
    /// Change a subscriber
    Set(Box<change::Set>),
    /// Bar a subscriber: it is deregistered, and not served until `unbar`
    Bar {
        /// imsi-…
        supi: Supi,
        /// What from
        #[arg(long, value_enum, default_value_t)]
        from: change::BarredFrom,
    },
    /// Let a subscriber that was barred be served again
    Unbar {
        /// imsi-…
        supi: Supi,
    },
    /// Remove a subscriber with all registrations; its UE is deregistered
    Remove {
        /// imsi-…
        supi: Supi,
    },
    /// Add or replace the subscribers of a file: YAML or JSON, a list of records as `show` prints
    /// them; or CSV with the columns supi,k,opc[,algorithm[,method]]
    Import {
        /// The file
        file: PathBuf,
    },
}

#[derive(Args)]
struct Add {
    /// imsi-… of the first subscriber
    supi: Supi,
    /// K: 32 hexadecimal digits; 64 for TUAK with a long key
    #[arg(long)]
    k: String,
    /// OPc, or TOPc with --tuak
    #[arg(long)]
    opc: Option<String>,
    /// OP (or TOP), if OPc is not known
    #[arg(long, conflicts_with = "opc")]
    op: Option<String>,
    /// TUAK instead of MILENAGE
    #[arg(long)]
    tuak: bool,
    /// Authentication method
    #[arg(long, default_value = "5g-aka", value_parser = ["5g-aka", "eap-aka-prime"])]
    method: String,
    /// Authentication management field
    #[arg(long, default_value = "8000")]
    amf: String,
    /// Slices: SST or SST-SD; the first one is used if the UE asks for none
    #[arg(long = "slice", default_value = "1")]
    slices: Vec<Snssai>,
    /// Data networks in each slice; the first is the default one
    #[arg(long = "dnn", default_values = ["internet", "ims"])]
    dnns: Vec<Dnn>,
    /// Types that a PDU session may have, the default one first
    #[arg(long = "session-type", value_parser = ["ipv4", "ipv6", "ipv4v6"])]
    session_types: Vec<String>,
    /// How many subscribers, with SUPIs that follow one another and the same keys
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Replace what is there
    #[arg(long)]
    replace: bool,
}

/// Runs one command.
pub async fn run(arguments: Arguments) -> Result<()> {
    let config = CoreConfig::load(arguments.config.as_deref())?;
    let api_root = arguments.udr.clone().unwrap_or_else(|| config.sbi(Nf::Udr).api_root());
    // A UDR that is named is meant; this machine's store may be another's.
    let store = arguments.udr.is_none().then(|| config.store(Nf::Udr));
    let place = Place { client: Client::new(&config)?, api_root, store };
    match arguments.command {
        Command::Add(add) => {
            let subscribers = add.subscribers()?;
            place.write(&subscribers, !add.replace).await?;
            println!(
                "added {} subscriber{}",
                subscribers.len(),
                if subscribers.len() == 1 { "" } else { "s" }
            );
            Ok(())
        }
        Command::Import { file } => {
            let subscribers = read_file(&file)?;
            place.write(&subscribers, false).await?;
            println!("imported {} subscribers", subscribers.len());
            Ok(())
        }
        Command::List => place.list().await,
        Command::Show { supi, keys } => {
            let record = place.show(&supi, keys).await?;
            crate::print(&format!("{}\n", serde_json::to_string_pretty(&record)?))
        }
        Command::Set(set) => {
            let patch = set.patch(&place.show(&set.supi, false).await?)?;
            place.change(&set.supi, &patch).await?;
            println!("changed {}", set.supi);
            Ok(())
        }
        Command::Bar { supi, from } => {
            place.change(&supi, &change::barred(Some(from))).await?;
            println!("barred {supi}");
            Ok(())
        }
        Command::Unbar { supi } => {
            place.change(&supi, &change::barred(None)).await?;
            println!("unbarred {supi}");
            Ok(())
        }
        Command::Remove { supi } => {
            place.remove(&supi).await?;
            println!("removed {supi}");
            Ok(())
        }
    }
}

impl Add {
    fn subscribers(&self) -> Result<Vec<Subscriber>> {
        ensure!((1..=COUNT_MAX).contains(&self.count), "--count: expected 1 to {COUNT_MAX}");
        let digits = self.supi.imsi();
        let first: u64 = digits.parse()?;
        let types: Vec<String> = self.session_types.iter().map(|one| one.to_uppercase()).collect();
        let dnn = |dnn| match types.is_empty() {
            true => json!({ "dnn": dnn }),
            false => json!({ "dnn": dnn, "session_types": types }),
        };
        let dnns: Vec<Value> = self.dnns.iter().map(dnn).collect();
        let slices: Vec<Value> = self
            .slices
            .iter()
            .enumerate()
            .map(|(index, slice)| json!({ "snssai": slice.to_string(), "default": index == 0, "dnns": dnns }))
            .collect();
        let mut authentication = json!({
            "method": self.method,
            "algorithm": if self.tuak { "tuak" } else { "milenage" }, "k": self.k, "amf": self.amf,
        });
        for (name, value) in [("opc", &self.opc), ("op", &self.op)] {
            if let Some(value) = value {
                authentication[name] = json!(value);
            }
        }
        (0..u64::from(self.count))
            .map(|index| {
                let imsi = format!("{:0width$}", first + index, width = digits.len());
                let supi = Supi::from_imsi(&imsi)?;
                let record = json!({ "supi": supi, "authentication": authentication, "slices": slices });
                let subscriber: Subscriber = serde_json::from_value(record)?;
                subscriber.check()?;
                Ok(subscriber)
            })
            .collect()
    }
}

/// Where subscribers are: the UDR, and its store, if it is on this machine, for when it does not run.
struct Place {
    client: Client,
    api_root: String,
    store: Option<PathBuf>,
}

impl Place {
    /// Opens the store if `error` says that no UDR runs and there is a store.
    fn offline(&self, error: &ClientError) -> Result<Option<Repository>> {
        let store = self.store.as_ref().filter(|store| store.exists());
        let (ClientError::Unreachable(_), Some(path)) = (error, store) else { return Ok(None) };
        let options = RedbOptions { path: path.clone(), durability: tern_store::Durability::Machine };
        let store = Redb::open(&options)?;
        eprintln!("no UDR at {}; using its store {}", self.api_root, path.display());
        Ok(Some(Repository::new(Arc::new(store), self.api_root.clone())))
    }

    async fn write(&self, subscribers: &[Subscriber], only_new: bool) -> Result<()> {
        let query: &[_] = if only_new { &[("new", "true")] } else { &[] };
        for chunk in subscribers.chunks(IMPORT_CHUNK) {
            let content = serde_json::to_vec(chunk)?;
            let sent =
                self.client.send(&self.api_root, Method::Post, SUBSCRIBERS_PATH, query, Some(content)).await;
            if let Err(error) = sent {
                match self.offline(&error)? {
                    Some(repository) => put_offline(&repository, chunk, only_new).await?,
                    None => return Err(self.explained(error)),
                }
            }
        }
        Ok(())
    }

    async fn list(&self) -> Result<()> {
        let mut after = None::<Supi>;
        let mut out = std::io::stdout().lock();
        loop {
            let text = after.as_ref().map(ToString::to_string);
            let query: Vec<_> = text.iter().map(|text| ("after", text.as_str())).collect();
            let sent = self.client.send(&self.api_root, Method::Get, SUBSCRIBERS_PATH, &query, None).await;
            let page: SubscriberList = match sent {
                Ok(reply) => {
                    serde_json::from_slice(&reply.body.json().context("an answer without content")?)?
                }
                Err(error) => match self.offline(&error)? {
                    Some(repository) => return list_offline(&repository).await,
                    None => return Err(self.explained(error)),
                },
            };
            for subscriber in &page.subscribers {
                let slices: Vec<String> = subscriber
                    .slices
                    .iter()
                    .map(|(slice, dnns)| format!("{slice}: {}", dnns.join(" ")))
                    .collect();
                writeln!(out, "{}  {}", subscriber.supi, slices.join("; "))?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn show(&self, supi: &Supi, keys: bool) -> Result<Value> {
        let path = PathParams::fill(SUBSCRIBER_PATH, &[&supi.to_string()]);
        let query: &[_] = if keys { &[("keys", "true")] } else { &[] };
        match self.client.send(&self.api_root, Method::Get, &path, query, None).await {
            Ok(reply) => {
                Ok(serde_json::from_slice(&reply.body.json().context("an answer without content")?)?)
            }
            Err(error) => match self.offline(&error)? {
                None => Err(self.explained(error)),
                Some(repository) => {
                    let found = repository.subscriber(supi).await?.with_context(|| format!("no {supi}"))?;
                    Ok(if keys { serde_json::to_value(found)? } else { tern_udr::masked(&found) })
                }
            },
        }
    }

    async fn change(&self, supi: &Supi, patch: &[PatchItem]) -> Result<()> {
        let path = PathParams::fill(SUBSCRIBER_PATH, &[&supi.to_string()]);
        let content = serde_json::to_vec(patch)?;
        match self.client.send(&self.api_root, Method::Patch, &path, &[], Some(content)).await {
            Ok(_) => Ok(()),
            Err(error) => match self.offline(&error)? {
                None => Err(self.explained(error)),
                Some(repository) => match repository.change(supi, patch).await {
                    Err(ChangeError::Unknown) => bail!("no {supi}"),
                    changed => Ok(changed?),
                },
            },
        }
    }

    async fn remove(&self, supi: &Supi) -> Result<()> {
        let path = PathParams::fill(SUBSCRIBER_PATH, &[&supi.to_string()]);
        match self.client.send(&self.api_root, Method::Delete, &path, &[], None).await {
            Ok(_) => Ok(()),
            Err(error) => match self.offline(&error)? {
                None => Err(self.explained(error)),
                Some(repository) => {
                    ensure!(repository.remove(supi).await?, "no {supi}");
                    Ok(())
                }
            },
        }
    }

    fn explained(&self, error: ClientError) -> anyhow::Error {
        let hint = match (&error, &self.store) {
            (ClientError::Unreachable(_), Some(store)) => {
                format!("no UDR at {} and no store at {} (is the core up?)", self.api_root, store.display())
            }
            (ClientError::Unreachable(_), None) => format!("no UDR at {}", self.api_root),
            (ClientError::Refused(problem), _) if problem.status == Some(404) => {
                return anyhow::anyhow!("no such subscriber");
            }
            (ClientError::Refused(_), _) => "the UDR refuses".to_owned(),
        };
        anyhow::Error::from(error).context(hint)
    }
}

async fn put_offline(repository: &Repository, chunk: &[Subscriber], only_new: bool) -> Result<()> {
    repository.put(chunk, only_new).await.map_err(|error| match error {
        StoreError::Conflict { key, .. } => {
            anyhow::anyhow!("{} is there already", key.rsplit('/').next().unwrap_or_default())
        }
        error => error.into(),
    })
}

async fn list_offline(repository: &Repository) -> Result<()> {
    let mut after = None;
    loop {
        let page = repository.page(after.as_ref(), IMPORT_CHUNK).await?;
        for subscriber in &page {
            crate::print(&format!("{}\n", subscriber.supi))?;
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.supi),
            None => return Ok(()),
        }
    }
}

/// Reads records; every fault names the file and where in it.
fn read_file(file: &Path) -> Result<Vec<Subscriber>> {
    let subscribers = if file.extension().is_some_and(|extension| extension == "csv") {
        read_csv(file)?
    } else {
        tern_config::load::<Vec<Subscriber>>(file)?
    };
    for (index, subscriber) in subscribers.iter().enumerate() {
        subscriber.check().with_context(|| format!("{}: [{index}] {}", file.display(), subscriber.supi))?;
    }
    Ok(subscribers)
}

fn read_csv(file: &Path) -> Result<Vec<Subscriber>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut subscribers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if line.trim().is_empty() || line.starts_with('#') || fields[0] == "supi" {
            continue;
        }
        let (supi, k, opc, algorithm, method) = match fields[..] {
            [supi, k, opc] => (supi, k, opc, "milenage", "5g-aka"),
            [supi, k, opc, algorithm] => (supi, k, opc, algorithm, "5g-aka"),
            [supi, k, opc, algorithm, method] => (supi, k, opc, algorithm, method),
            _ => bail!("{}:{number}: expected supi,k,opc[,algorithm[,method]]", file.display()),
        };
        let authentication = json!({ "method": method, "algorithm": algorithm, "k": k, "opc": opc });
        let record = json!({ "supi": supi, "authentication": authentication });
        subscribers
            .push(serde_json::from_value(record).with_context(|| format!("{}:{number}", file.display()))?);
    }
    Ok(subscribers)
}
