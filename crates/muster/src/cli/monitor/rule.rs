//! `muster monitor rule`

use anyhow::Result;
use contract::{
    Id,
    id::ServiceName,
    v1::{self, Changed, Comparison, Done, ListRules, PutRule, RemoveRule, Response, RulesListed, Severity},
};

use super::super::{
    Global,
    confirm::{Confirm, Consent},
    list::{Limit, Page},
    print, whole,
    words::{self, say},
};

/// Where the list comes from.
const ALL: (ServiceName, &str) = (ServiceName::Monitoring, "rules");

/// Rules that raise alerts
#[derive(clap::Subcommand)]
pub(crate) enum Rule {
    /// Make a rule, or replace one
    ///
    /// A rule looks at one metric of all devices' heartbeats, or at `security.violations`: what a device tried that
    /// it may not, in the last minute. A rule that exists keeps its metric.
    #[command(after_help = "Examples:
  muster monitor rule put hot temperature above 80 --points 3 --severity high
  muster monitor rule put cold temperature below -20.5
  muster monitor rule put intruder security.violations above 20 --response quarantine")]
    Put(Put),
    /// Remove a rule and clear its alerts
    #[command(after_help = "Examples:\n  muster monitor rule remove hot --yes")]
    Remove(Remove),
    /// Show one rule
    #[command(after_help = "Examples:\n  muster monitor rule show hot")]
    Show(Show),
    /// List rules
    #[command(after_help = "Examples:\n  muster monitor rule list")]
    List(List),
}

#[derive(clap::Args)]
pub(crate) struct Put {
    /// The rule
    id: Id,
    /// The metric it looks at
    metric: String,
    /// On which side of the threshold it is wrong
    #[arg(value_parser = words::parser::<Comparison>())]
    comparison: Comparison,
    /// The threshold
    #[arg(allow_negative_numbers = true)]
    threshold: f64,
    /// How many values in a row raise the alert
    #[arg(long, default_value_t = 1, value_name = "N")]
    points: u32,
    /// How many in a row clear it
    #[arg(long, default_value_t = 1, value_name = "N")]
    clear_points: u32,
    /// How bad it is
    #[arg(long, default_value = "medium", value_parser = words::parser::<Severity>())]
    severity: Severity,
    /// What is done about it
    #[arg(long, default_value = "none", value_parser = words::parser::<Response>())]
    response: Response,
    /// Only if the rule has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
}

#[derive(clap::Args)]
pub(crate) struct Remove {
    /// The rule
    id: Id,
    /// Only if the rule has this version
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "VERSION")]
    expected_version: u64,
    #[command(flatten)]
    confirm: Confirm,
}

#[derive(clap::Args)]
pub(crate) struct Show {
    /// The rule
    id: Id,
}

#[derive(clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    limit: Limit,
}

impl Rule {
    pub(super) fn run(self, global: &Global) -> Result<()> {
        match self {
            Rule::Put(command) => command.run(global),
            Rule::Remove(command) => command.run(global),
            Rule::Show(command) => command.run(global),
            Rule::List(command) => command.run(global),
        }
    }
}

impl Put {
    fn run(self, global: &Global) -> Result<()> {
        let changed: Changed = global.ask(ServiceName::Monitoring, "put-rule", &self.request())?;
        print::changed(global.json, &changed)
    }

    fn request(self) -> PutRule {
        let rule = v1::Rule {
            rule_id: self.id.to_string(),
            version: 0,
            metric: self.metric,
            comparison: self.comparison.into(),
            threshold: self.threshold,
            points_to_raise: self.points,
            points_to_clear: self.clear_points,
            severity: self.severity.into(),
            response: self.response.into(),
        };
        PutRule {
            request_id: String::new(),
            rule: Some(rule),
            expected_version: self.expected_version,
        }
    }
}

impl Remove {
    fn run(self, global: &Global) -> Result<()> {
        let Consent::Given = self.confirm.ask(
            global,
            &format!("remove the rule {} and clear its alerts", self.id),
        )?
        else {
            return Ok(());
        };
        let request = RemoveRule {
            rule_id: self.id.to_string(),
            expected_version: self.expected_version,
            ..RemoveRule::default()
        };
        let done: Done = global.ask(ServiceName::Monitoring, "remove-rule", &request)?;
        print::done(global.json, &done, &format!("{} is removed", self.id))
    }
}

fn page(page: Page) -> ListRules {
    ListRules {
        page_size: page.size,
        page: page.token,
        ..ListRules::default()
    }
}

fn taken(reply: RulesListed) -> (Vec<v1::Rule>, String) {
    (reply.rules, reply.next_page)
}

impl Show {
    fn run(self, global: &Global) -> Result<()> {
        let called = ("rule", self.id.as_str());
        let rule = whole::one(global, called, ALL, page, taken, |one| &one.rule_id)?;
        if global.json {
            return print::json(&rule);
        }
        print::fields(&[
            ("rule", rule.rule_id.clone()),
            ("version", rule.version.to_string()),
            ("raises", condition(&rule)),
            ("clears after", rule.points_to_clear.to_string()),
            ("severity", say(rule.severity())),
            ("response", say(rule.response())),
        ])
    }
}

impl List {
    fn run(self, global: &Global) -> Result<()> {
        let listed = self.limit.collect(global, ALL, page, taken)?;
        listed.print(
            global,
            &[
                "rule",
                "raises",
                "clears after",
                "severity",
                "response",
                "version",
            ],
            row,
        )
    }
}

fn row(rule: &v1::Rule) -> Vec<String> {
    vec![
        rule.rule_id.clone(),
        condition(rule),
        rule.points_to_clear.to_string(),
        say(rule.severity()),
        say(rule.response()),
        rule.version.to_string(),
    ]
}

fn condition(rule: &v1::Rule) -> String {
    let condition = format!("{} {} {}", rule.metric, say(rule.comparison()), rule.threshold);
    if rule.points_to_raise > 1 {
        format!("{condition}, {} times", rule.points_to_raise)
    } else {
        condition
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parse(line: &str) -> Result<v1::Rule, clap::Error> {
        let words = ["put"].into_iter().chain(line.split(' '));
        let matches = Put::augment_args(Command::new("put")).try_get_matches_from(words)?;
        Ok(Put::from_arg_matches(&matches)?.request().rule.unwrap())
    }

    #[test]
    fn a_rule_is_written_as_it_is_said() {
        let cold = parse("cold temperature below -20.5 --points 3 --severity high").unwrap();
        assert_eq!(
            (cold.comparison(), cold.threshold, cold.points_to_raise),
            (Comparison::Below, -20.5, 3)
        );
        assert_eq!(
            (cold.severity(), cold.response()),
            (Severity::High, Response::None)
        );
        assert_eq!(condition(&cold), "temperature below -20.5, 3 times");
        let hot = parse("hot temperature above 80").unwrap();
        assert_eq!(
            (condition(&hot), hot.severity()),
            ("temperature above 80".into(), Severity::Medium)
        );
        for bad in [
            "x m",
            "x m beside 1",
            "x m above",
            "x m above hot",
            "-x m above 1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
