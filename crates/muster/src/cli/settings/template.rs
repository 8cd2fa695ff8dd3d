//! `muster config template`

use anyhow::Result;
use contract::{
    Id, document,
    id::ServiceName,
    v1::{
        Changed, ConfigMode, ConfigScope, ConfigTemplate, ConfigTemplatesListed, Done, ListConfigTemplates,
        PutConfigTemplate, RemoveConfigTemplate,
    },
};

use super::{
    super::{
        Global,
        confirm::{Confirm, Consent},
        list::{Limit, Page},
        print, whole, words,
    },
    change::{self, Expected, Given},
};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Registry, "config-templates");

/// Settings for all devices of a type or of a group.
#[derive(clap::Subcommand)]
pub(crate) enum Template {
    /// Set settings, one by one
    #[command(after_help = "Examples:
  muster config template set type pump heartbeat=60s
  muster config template set group line-7 net.mtu=1400 --priority 10")]
    Set(Set),
    /// Take settings away
    #[command(after_help = "Examples:\n  muster config template unset group line-7 net.mtu")]
    Unset(Unset),
    /// Put a JSON document in place of what is there
    #[command(after_help = "Examples:\n  muster config template replace type pump --file pump.json")]
    Replace(Replace),
    /// Remove a template; what lies below it counts again
    #[command(after_help = "Examples:\n  muster config template remove group line-7 --yes")]
    Remove(Remove),
    /// Show one template
    #[command(after_help = "Examples:\n  muster config template show type pump")]
    Show(Show),
    /// List templates
    #[command(after_help = "Examples:\n  muster config template list")]
    List(List),
}

/// For whom a template is.
#[derive(clap::Args)]
struct Whose {
    /// What sort of template
    #[arg(value_parser = words::parser::<ConfigScope>())]
    scope: ConfigScope,
    /// The type or the group
    id: Id,
}

#[derive(clap::Args)]
pub(crate) struct Set {
    #[command(flatten)]
    whose: Whose,
    /// Settings: keys joined by `.`, and JSON, or else a text
    #[arg(value_name = "KEY=VALUE", required_unless_present = "priority")]
    settings: Vec<String>,
    /// Among a device's groups the higher one wins [default: 0, or as it was]
    #[arg(long)]
    priority: Option<u32>,
    #[command(flatten)]
    version: Expected,
}

#[derive(clap::Args)]
pub(crate) struct Unset {
    #[command(flatten)]
    whose: Whose,
    /// Keys joined by `.`
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    version: Expected,
}

#[derive(clap::Args)]
pub(crate) struct Replace {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    document: Given,
    #[command(flatten)]
    version: Expected,
}

#[derive(clap::Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    whose: Whose,
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Template {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Template::Set(command) => command.run(global),
            Template::Unset(command) => command.run(global),
            Template::Replace(command) => command.run(global),
            Template::Remove(command) => command.run(global),
            Template::Show(command) => command.run(global),
            Template::List(command) => command.run(global),
        }
    }
}

impl Whose {
    /// A change of it.
    fn put(&self, mode: ConfigMode, document: String, version: &Expected) -> PutConfigTemplate {
        PutConfigTemplate {
            scope: self.scope.into(),
            id: self.id.to_string(),
            mode: mode.into(),
            document,
            expected_version: version.expected_version,
            ..PutConfigTemplate::default()
        }
    }
}

fn send(global: &Global, request: &PutConfigTemplate) -> Result<()> {
    let changed: Changed = global.ask(ServiceName::Registry, "put-config-template", request)?;
    print::changed(global.json, &changed)
}

impl Set {
    fn run(self, global: &Global) -> Result<()> {
        let patch = document::to_text(&change::assignments(&self.settings)?);
        let request = PutConfigTemplate {
            priority: self.priority,
            ..self.whose.put(ConfigMode::Merge, patch, &self.version)
        };
        send(global, &request)
    }
}

impl Unset {
    fn run(self, global: &Global) -> Result<()> {
        let patch = document::to_text(&change::removals(&self.keys)?);
        send(global, &self.whose.put(ConfigMode::Merge, patch, &self.version))
    }
}

impl Replace {
    fn run(self, global: &Global) -> Result<()> {
        let document = self.document.read()?;
        send(
            global,
            &self.whose.put(ConfigMode::Replace, document, &self.version),
        )
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let what = format!(
            "the template of {} {}",
            words::say(self.whose.scope),
            self.whose.id
        );
        let Consent::Given = self.confirm.ask(global, &format!("remove {what}"))? else {
            return Ok(());
        };
        let request = RemoveConfigTemplate {
            scope: self.whose.scope.into(),
            id: self.whose.id.to_string(),
            ..RemoveConfigTemplate::default()
        };
        let done: Done = global.ask(ServiceName::Registry, "remove-config-template", &request)?;
        print::done(global.json, &done, &format!("{what} is removed"))
    }
}

fn page(page: Page) -> ListConfigTemplates {
    ListConfigTemplates {
        page_size: page.size,
        page: page.token,
        ..ListConfigTemplates::default()
    }
}

fn taken(reply: ConfigTemplatesListed) -> (Vec<ConfigTemplate>, String) {
    (reply.templates, reply.next_page)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let scope = self.whose.scope;
        let what = format!("template of a {}", words::say(scope));
        let of_scope = |reply| {
            let (mut templates, next) = taken(reply);
            templates.retain(|template| template.scope() == scope);
            (templates, next)
        };
        let called = (what.as_str(), self.whose.id.as_str());
        let template = whole::one(global, called, ALL, page, of_scope, |one| &one.id)?;
        if global.json {
            return print::json(&template);
        }
        print::fields(&[
            ("for", words::say(scope)),
            ("id", template.id.clone()),
            ("version", template.version.to_string()),
            ("priority", priority(&template)),
            ("document", template.document.clone()),
            ("settling", print::yes(template.settling)),
        ])
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
        listed.print(
            global,
            &["for", "id", "priority", "document", "version", "settling"],
            row,
        )
    }
}

/// Only groups are told apart by it.
fn priority(template: &ConfigTemplate) -> String {
    match template.scope() {
        ConfigScope::Group => template.priority.to_string(),
        _ => String::new(),
    }
}

fn row(template: &ConfigTemplate) -> Vec<String> {
    vec![
        words::say(template.scope()),
        template.id.clone(),
        priority(template),
        template.document.clone(),
        template.version.to_string(),
        print::yes(template.settling),
    ]
}
