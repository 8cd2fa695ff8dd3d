//! `muster cert claim` and `claims`, `muster claim show`

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use client::Client;
use contract::{
    Id, IdPattern,
    id::ServiceName,
    v1::{self, Admission, Authorities, ClaimMade, ClaimsListed, GetAuthorities, ListClaims, PutClaim},
};

use super::{
    super::{
        Global, global,
        list::{Limit, Page},
        print, whole,
        words::{self, say},
    },
    FORMS, When,
    home::Home,
};
use crate::exit::{Exit, Failure};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Provisioning, "claims");

#[derive(clap::Args)]
pub(in crate::cli) struct Claim {
    /// The batch's name
    batch: Id,
    /// How many certificates may be issued under it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// When it ends, a year from now at most
    #[arg(long, default_value = "30d", value_name = FORMS)]
    expires: When,
    /// Only devices whose id begins with this may use it [default: any registered device]
    #[arg(long)]
    prefix: Option<Id>,
    /// Only devices whose id is like this: `*` stands for any characters, `?` for one
    #[arg(long, value_name = "PATTERN", conflicts_with = "prefix")]
    ids: Option<IdPattern>,
    /// Only devices of this type; may be given several times [default: of any]
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<Id>,
    /// What a device needs besides the claim: nothing, its one-time secret (`muster cert secret`), an
    /// operator's word about its key (`muster cert admissions`), the word of whoever --approver names, or
    /// the key whose fingerprint was registered with it (`announced`)
    #[arg(long, default_value = "automatic", value_parser = words::parser::<Admission>())]
    admission: Admission,
    /// Who answers for each device, with --admission hook: integrator/NAME or operator/NAME
    #[arg(long, value_name = "WHO", value_parser = approver)]
    approver: Option<String>,
    /// How long that answer is waited for [default: 60s]
    #[arg(long, value_name = "TIME", requires = "approver", value_parser = humantime::parse_duration)]
    answer_within: Option<Duration>,
    /// Certificates a minute [default: 3000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_minute: Option<u32>,
    /// Where the claim is written [default: FOLDER/claims/BATCH]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Claims {
    #[command(flatten)]
    limit: Limit,
}

#[derive(clap::Args)]
pub(in crate::cli) struct Show {
    /// The batch's name
    batch: Id,
}

/// People write one, topics say many.
fn approver(text: &str) -> Result<String, String> {
    let wrong = || "give integrator/NAME or operator/NAME".to_owned();
    let (kind, id) = text.split_once('/').ok_or_else(wrong)?;
    let kind = match kind {
        "integrator" | "integrators" => "integrators",
        "operator" | "operators" => "operators",
        _ => return Err(wrong()),
    };
    let id: Id = id.parse().map_err(|_| wrong())?;
    Ok(format!("{kind}/{id}"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Claim {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let default = || global.folder().path().join("claims").join(self.batch.as_str());
        let home = Home::at(self.out.clone().unwrap_or_else(default));
        if home.is_taken() {
            let message = format!(
                "{} holds a claim already; give another --out",
                home.path().display()
            );
            return Err(Failure::new(Exit::Conflict, message).into());
        }
        let made = global.block_on(async {
            let (client, _inbox) = global.connect().await?;
            let made = self.make(&client, &home).await;
            client.disconnect().await;
            made
        })?;
        self.say(global, &home, &made)
    }

    async fn make(&self, client: &Client, home: &Home) -> Result<ClaimMade> {
        // First, so that nothing can go wrong between the certificate and its place on disk.
        let ask = GetAuthorities::default();
        let authorities: Authorities =
            global::ask(client, ServiceName::Provisioning, "authorities", &ask).await?;
        let key = home.stage_key()?;
        let request = PutClaim {
            request_id: String::new(),
            batch: self.batch.to_string(),
            csr: key.csr(self.batch.as_str())?,
            uses: self.uses,
            expires_ms: self.expires.ms(),
            id_pattern: self.pattern(),
            admission: self.admission.into(),
            per_minute: self.per_minute.unwrap_or_default(),
            approver: self.approver.clone().unwrap_or_default(),
            answer_within_ms: self.answer_within.map(milliseconds).unwrap_or_default(),
            types: self.types.iter().map(Id::to_string).collect(),
        };
        let made: ClaimMade = home.certify(client, ("put-claim", &request), &key).await?;
        home.fill(&key, &made.certificate, &authorities.roots)?;
        Ok(made)
    }

    /// The ids that it is for.
    fn pattern(&self) -> String {
        let beginning = self.prefix.as_ref().map(|prefix| format!("{prefix}*"));
        beginning
            .or_else(|| self.ids.as_ref().map(IdPattern::to_string))
            .unwrap_or_default()
    }

    fn say(&self, global: &Global, home: &Home, made: &ClaimMade) -> Result<()> {
        let expires_ms = self.expires.ms();
        if global.json {
            return print::json(&serde_json::json!({
                "batch": made.batch, "serial": made.serial, "uses": self.uses,
                "admission": say(self.admission),
                "expires_ms": expires_ms.to_string(), "folder": home.path(),
            }));
        }
        print::fields(&[
            ("batch", made.batch.clone()),
            ("serial", made.serial.clone()),
            ("uses", self.uses.to_string()),
            ("admission", say(self.admission)),
            ("expires", print::time(expires_ms)),
            ("folder", home.path().display().to_string()),
        ])
    }
}

fn page(page: Page) -> ListClaims {
    ListClaims {
        page_size: page.size,
        page: page.token,
        ..ListClaims::default()
    }
}

fn taken(reply: ClaimsListed) -> (Vec<v1::Claim>, String) {
    (reply.claims, reply.next_page)
}

impl Show {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let called = ("claim", self.batch.as_str());
        let claim = whole::one(global, called, ALL, page, taken, |one| &one.batch)?;
        if global.json {
            return print::json(&claim);
        }
        let pace = Some(claim.per_minute).filter(|pace| *pace > 0);
        let within = Some(claim.answer_within_ms).filter(|within| *within > 0);
        print::fields(&[
            ("batch", claim.batch.clone()),
            ("version", claim.version.to_string()),
            ("serial", claim.serial.clone()),
            ("revoked", print::yes(claim.revoked)),
            ("expires", print::time(claim.expires_ms)),
            ("used", format!("{} of {}", claim.used, claim.uses)),
            ("a minute", pace.map(|pace| pace.to_string()).unwrap_or_default()),
            ("ids", claim.id_pattern.clone()),
            ("types", claim.types.join(", ")),
            ("admission", say(claim.admission())),
            ("approver", claim.approver.clone()),
            (
                "answer within",
                within
                    .map(Duration::from_millis)
                    .map(print::duration)
                    .unwrap_or_default(),
            ),
        ])
    }
}

impl Claims {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
        listed.print(
            global,
            &[
                "batch",
                "used",
                "of",
                "expires",
                "ids",
                "types",
                "admission",
                "revoked",
                "serial",
            ],
            row,
        )
    }
}

fn row(claim: &v1::Claim) -> Vec<String> {
    vec![
        claim.batch.clone(),
        claim.used.to_string(),
        claim.uses.to_string(),
        print::time(claim.expires_ms),
        claim.id_pattern.clone(),
        claim.types.join(", "),
        say(claim.admission()),
        print::yes(claim.revoked),
        claim.serial.clone(),
    ]
}
