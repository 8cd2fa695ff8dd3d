use contract::v1::{Component, Location, Money, Stage};

use super::*;

const DAY_MS: i64 = 24 * 3_600_000;
const NOW_MS: i64 = 1_769_904_000_000; // 2026-02-01

fn parse(text: &str) -> Result<Query, Refusal> {
    let saved = |name: &str| match name {
        "old" => Ok("end_of_support < now".to_owned()),
        "circle" => Ok("@circle".to_owned()),
        _ => Err(Refusal::not_found("query", name).into()),
    };
    let around = Surroundings {
        now_ms: NOW_MS,
        saved: &saved,
        below: &|group| {
            let within = [group, "line-7"].map(str::to_owned);
            Ok(within
                .into_iter()
                .take(if group == "hall" { 2 } else { 1 })
                .collect())
        },
    };
    Query::parse(text, &around).map_err(|fault| match fault {
        service::Fault::Refused(refusal) => refusal,
        other => panic!("{other}"),
    })
}

fn pump() -> Device {
    let mut device = Device {
        device_id: "pump-7".into(),
        site: "berlin".into(),
        serial_number: "0042".into(),
        firmware_version: "1.10.0".into(),
        groups: vec!["line-7".into(), "night".into()],
        price: Some(Money {
            currency: "EUR".into(),
            cents: 12_950,
        }),
        end_of_support: "2026-01-31".into(),
        reported_at_ms: NOW_MS - 40 * DAY_MS,
        position: Some(Location {
            latitude: 52.52,
            longitude: 13.405,
            ..Location::default()
        }),
        components: vec![Component {
            name: "modem".into(),
            version: "2.9".into(),
        }],
        ..Device::default()
    };
    device.set_stage(Stage::Active);
    device.set_criticality(contract::v1::Criticality::High);
    device.set_restriction(contract::v1::Restriction::None);
    device.tags.insert("line".into(), "7".into());
    device
        .attributes
        .insert("temperature limit".into(), "21.5".into());
    device
}

#[test]
fn devices_fit_or_do_not() {
    let device = pump();
    for (text, fits) in [
        ("", true),
        ("  ", true),
        ("site = berlin", true),
        ("site = 'berlin'", true),
        ("site=\"berlin\"", true),
        ("site != berlin", false),
        ("site = Berlin", false),
        ("site like BER*", true),
        ("site not like ber*", false),
        ("stage = active", true),
        ("stage = STAGE_ACTIVE", true),
        ("stage >= provisioned and stage < retiring", true),
        ("criticality in (high, critical)", true),
        ("criticality > high", false),
        ("restriction = none", true),
        ("group = night", true),
        ("group in (a, 'line-7')", true),
        ("group = 'line'", false),
        ("group = hall", true),
        ("group in (x, hall)", true),
        ("not group = hall", false),
        ("group like 'hall*'", false),
        ("has tags.line", true),
        ("has tags.hall", false),
        ("not has tags.hall", true),
        ("tags.hall != x", false),
        ("not tags.hall = x", true),
        ("tags.line between 6 and 10", true),
        ("tags.line not between 6 and 10", false),
        ("'attributes.temperature limit' > 9", true),
        ("'attributes.temperature limit' < 100", true),
        ("serial_number = 42", false),
        ("serial_number = 0042", true),
        ("firmware > 1.9.3", true),
        ("firmware < 1.9.3", false),
        ("firmware >= 1.10", true),
        ("firmware = 1.10", false),
        ("component.modem < 2.10", true),
        ("price > 100", true),
        ("price between 129.50 and 129.50", true),
        ("end_of_support < now", true),
        ("end_of_support = 2026-01-31", true),
        ("end_of_support < 2026-01-31", false),
        ("reported < now-30d", true),
        ("reported < now-6weeks", false),
        ("reported < now - 30d", true),
        ("reported < now -30d and reported > now- 6weeks", true),
        ("reported between now - 41d and now + 1d", true),
        ("reported in (now - 40d)", true),
        ("warranty_until < now", false),
        ("erased = no", true),
        ("has erased", false),
        ("near(52.5, 13.4, 5)", true),
        ("near(48.1, 11.6, 500)", false),
        ("near(48.1, 11.6, 510)", true),
        ("@old", true),
        ("not @old", false),
        ("site = x or site = y or site = berlin", true),
        ("site = x or site = berlin and stage = planned", false),
        ("(site = x or site = berlin) AND NOT stage = planned", true),
        ("not not site = berlin", true),
        ("not (site = x)", true),
        ("id like pump-?", true),
        ("name = ''", false),
        ("has id and order = 'it''s'", false),
    ] {
        let query = parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(query.matches(&device), fits, "{text}");
    }
}

#[test]
fn what_does_not_parse_says_where_and_what_was_expected() {
    for (text, words) in [
        ("site", "character 5 of the query: a comparison"),
        ("site =", "a value was expected; the query ends there"),
        ("site = berlin and", "a field"),
        ("site = 'berlin", "the closing quote"),
        ("(site = berlin", "`)` was expected; the query ends"),
        ("site = berlin hall", "character 15"),
        ("SITE = berlin", "there is no field `SITE`"),
        ("nonsense = 1", "there is no field `nonsense`"),
        ("stage = asleep", "a word of the list was expected for `stage`"),
        ("price > much", "a number was expected for `price`"),
        ("reported < yesterday", "a date, a time or `now-30d`"),
        ("reported < now-x", "a date"),
        ("reported < now - ", "was expected"),
        ("near(91, 0, 1)", "a latitude"),
        ("near(1, 0)", "character"),
        ("near(1, 0, NaN)", "a distance"),
        ("@nothing", "there is no query `nothing`"),
        ("@circle", "in a circle"),
        ("site in ()", "character"),
        ("and", "a field"),
        ("\u{1f4a5} = 1", "a field"),
        ("site = \u{0}", "a value"),
    ] {
        let refusal = parse(text).expect_err(text);
        assert!(refusal.message.contains(words), "{text}: {}", refusal.message);
    }
}

#[test]
fn queries_are_bounded() {
    let deep = format!("{}has id{}", "(".repeat(15), ")".repeat(15));
    assert!(parse(&deep).is_ok());
    let deeper = format!("{}has id{}", "(".repeat(500), ")".repeat(500));
    assert!(parse(&deeper).unwrap_err().message.contains("nested less deeply"));
    assert!(parse(&format!("{}has id", "not ".repeat(500))).is_ok());
    let long = ["has id"; 200].join(" or ");
    assert!(parse(&long).unwrap_err().message.contains("128 tests"));
    let values = ["x"; 200].join(",");
    assert!(parse(&format!("site in ({values})")).is_err());
    assert_eq!(parse(&"x".repeat(2_049)).unwrap_err().code, Code::TooLarge);
}

#[test]
fn a_dynamic_group_rests_on_the_record_alone() {
    for bad in ["", "group = x", "has group", "@old", "site ="] {
        assert!(Query::parse_lasting(bad).is_err(), "{bad}");
    }
    let query = Query::parse_lasting("end_of_support < 2026-02-01 and site = berlin").unwrap();
    assert!(query.matches(&pump()));
}

#[test]
fn it_is_known_when_time_alone_moves_a_device() {
    let device = pump();
    // 40 days before now; `end_of_support` is a day before it.
    let reported = device.reported_at_ms;
    let (support, after) = (NOW_MS - DAY_MS, |days: i64| reported + days * DAY_MS);
    for (text, turns) in [
        ("reported < now - 30d", vec![after(30) + 1]),
        ("reported >= now - 30d", vec![after(30) + 1]),
        ("reported <= now - 30d", vec![after(30)]),
        ("reported > now - 30d", vec![after(30)]),
        ("reported = now", vec![reported, reported + 1]),
        (
            "not reported in (now - 1d, now - 2d)",
            vec![after(1), after(1) + 1, after(2), after(2) + 1],
        ),
        (
            "reported between now - 9d and now - 5d",
            vec![after(5), after(9) + 1],
        ),
        (
            "end_of_support < now + 90d and reported < now - 50d or site = berlin",
            vec![support - 90 * DAY_MS + 1, after(50) + 1],
        ),
        ("reported < 2026-02-01", vec![]),
        ("warranty_until < now", vec![]),
    ] {
        let query = Query::parse_lasting(text).unwrap();
        assert_eq!(query.is_timed(), text.contains("now"), "{text}");
        let (mut found, mut now_ms) = (Vec::new(), 0);
        while let Some(turn) = query.turns(&device, now_ms) {
            // In between, nothing turns.
            let fits = query.matches_at(&device, now_ms);
            assert_eq!(query.matches_at(&device, (now_ms + turn) / 2), fits, "{text}");
            assert_eq!(query.matches_at(&device, turn - 1), fits, "{text}");
            found.push(turn);
            now_ms = turn;
        }
        assert_eq!(found, turns, "{text}");
    }
    let query = Query::parse_lasting("reported < now - 30d").unwrap();
    assert!(!query.matches_at(&device, after(30)) && query.matches_at(&device, after(30) + 1));
}

#[test]
fn a_query_that_names_what_is_indexed_is_found_by_it() {
    let ways = |text: &str| plan::ways(&parse(text).unwrap()).len();
    for (text, expected) in [
        ("", 0),
        ("site = berlin", 1),
        ("site = berlin and stage = active and owner = x", 2),
        ("site = berlin or stage = active", 1),
        ("site = berlin or owner = x", 0),
        ("not site = berlin", 0),
        ("site in (a, b)", 1),
        ("tags.line = 7 and group = g and id like pu*", 3),
        ("restriction = none", 0),
        ("restriction = quarantined", 1),
        ("site != berlin", 0),
        ("near(52.5, 13.4, 5)", 1),
        ("near(52.5, 13.4, 5) and site = berlin", 2),
        ("near(52.5, 13.4, 5) or near(0, 180, 5)", 1),
        ("not near(52.5, 13.4, 5)", 0),
    ] {
        assert_eq!(ways(text), expected, "{text}");
    }
}

/// Pieces of queries, put together at random.
fn soup() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let pieces = [
        "site",
        "stage",
        "price",
        "tags.x",
        "'tags.a b'",
        "=",
        "!=",
        "<",
        ">=",
        "and",
        "or",
        "not",
        "(",
        ")",
        "in",
        "like",
        "between",
        "has",
        "near",
        "@old",
        "@",
        ",",
        "'",
        "\"",
        "now",
        "now-1d",
        "7",
        "-1e308",
        "active",
        "*",
        "é",
        "\u{1f4a5}",
        "\u{0}",
        " ",
        "\n",
    ];
    let piece = proptest::sample::select(pieces.to_vec());
    let piece = prop_oneof![8 => piece.prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 2_000, ..Default::default() })]

    #[test]
    fn whatever_is_asked_is_answered_or_refused_in_words(text in soup()) {
        match parse(&text) {
            Ok(query) => {
                let device = pump();
                proptest::prop_assert_eq!(query.matches(&device), query.matches(&device));
                drop(plan::ways(&query));
            }
            Err(refusal) => {
                proptest::prop_assert!(!refusal.message.is_empty() && refusal.message.len() < 8_192);
                let printable = !refusal.message.contains('\0');
                proptest::prop_assert!(printable);
            }
        }
    }
}
