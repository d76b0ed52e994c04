use crate::text::{Expr, Path, Place, Templated, Vocabulary, is_reserved_name, known_at_plan_time};

fn set(names: &[&str]) -> std::collections::BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn vocabulary() -> Vocabulary {
    Vocabulary {
        values: set(&["zone"]),
        inputs: set(&["max_loss", "target"]),
        hosts: set(&["db", "web"]),
        secrets: set(&["password"]),
        steps: set(&["backup", "fence"]),
        items: set(&["item"]),
        outputs: set(&["last_commit"]),
    }
}

#[test]
fn names_are_checked_against_what_there_is() {
    for (place, source, message, help) in [
        (Place::When, "run.mode == 'live' && values.zone != ''", "", ""),
        (Place::When, "steps.fence.status == 'warned' && item == 'a'", "", ""),
        (
            Place::When,
            "result.status == 200",
            "`result` is not known in `when`",
            "known there: `host`",
        ),
        (Place::When, "secrets.password == ''", "`secrets` is not known in `when`", ""),
        (Place::When, "values.zoen == ''", "there is no value `zoen`", "did you mean `zone`?"),
        (Place::When, "value.zone == ''", "there is no `value`", "did you mean `values`?"),
        (Place::When, "zone == ''", "there is no `zone`", "did you mean `values.zone`?"),
        (Place::When, "quux == ''", "there is no `quux`", "names begin with `host`"),
        (
            Place::When,
            "steps.fense.status == ''",
            "there is no step `fense`",
            "did you mean `fence`?",
        ),
        (
            Place::When,
            "steps.fence.state == ''",
            "there is no `state` in `steps.fence`",
            "`status`",
        ),
        (Place::When, "run.modus == ''", "there is no `modus` in `run`", ""),
        (Place::When, "run.now > run.declared_at", "", ""),
        (Place::Outputs, "result.rows[0].x + outputs.last_commit", "", ""),
        (Place::Outputs, "outputs.last_comit", "there is no output `last_comit`", "did you mean"),
        (Place::Outputs, "outputs.last-commit", "there is no output `last`", ""),
        (Place::Error, "error.class == 'transient'", "", ""),
        (Place::Error, "error.klass == 'transient'", "there is no `klass` in `error`", "`class`"),
        (Place::Error, "result.x == 1", "`result` is not known in a condition over an error", ""),
        (Place::Until, "iteration > 2 && previous.x == result.x", "", ""),
        (Place::ForEach, "labelled('role', values.zone)", "", ""),
        (Place::ForEach, "hosts[0]", "`hosts` is no list", ""),
    ] {
        let expression = Expr::parse(source).expect(source);
        let errors = vocabulary().check(expression.reads().expect(source), place);
        match errors.first() {
            None => assert_eq!(message, "", "{source}"),
            Some(error) => {
                assert_eq!(error.message, message, "{source}");
                assert!(error.help.as_deref().unwrap_or_default().contains(help), "{error:?}");
                assert!(error.span.is_some(), "{source}");
            }
        }
    }
    for (place, text, message) in [
        (Place::With, "{{ secrets.password }} {{ item }} {{ hosts.db.address }}", ""),
        (Place::With, "{{ secrets.pasword }}", "there is no secret `pasword`"),
        (
            Place::GateMessage,
            "{{ secrets.password }}",
            "`secrets` is not known in the message of a gate",
        ),
        (Place::PluginSetting, "{{ secrets.password }} {{ values.zone }}", ""),
        (
            Place::PluginSetting,
            "{{ hosts.db.address }}",
            "`hosts` is not known in the settings of a plugin",
        ),
        (Place::HostSetting, "{{ inputs.target }}", ""),
        (Place::StepHost, "{{ item }}", ""),
        (Place::ExpectMessage, "{{ outputs.last_commit }} {{ result.x }}", ""),
    ] {
        let template = Templated::parse(&serde_json::json!(text)).expect(text);
        let errors = vocabulary().check(&template.reads().expect(text), place);
        let found = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
        assert_eq!(found, message, "{text}");
    }
    let outside = Vocabulary { items: set(&[]), ..vocabulary() };
    let item = Path::parse("item").expect("a path");
    assert!(outside.check_path(&item, Place::With).is_err());
}

#[test]
fn every_place_takes_known_roots() {
    for place in [
        Place::HostSetting,
        Place::PluginSetting,
        Place::StepHost,
        Place::With,
        Place::IncludedInputs,
        Place::ForEach,
        Place::When,
        Place::Outputs,
        Place::Expect,
        Place::ExpectMessage,
        Place::Until,
        Place::Error,
        Place::Check,
        Place::GateMessage,
    ] {
        assert!(place.roots().is_sorted(), "{place:?}");
        assert!(place.roots().contains(&"values") && place.roots().contains(&"inputs"));
        assert!(place.is_text() || !place.roots().contains(&"secrets"), "{place:?}");
        assert!(!place.name().is_empty());
    }
}

#[test]
fn the_plan_knows_what_does_not_depend_on_the_run() {
    for (path, known) in [
        ("values.zone", true),
        ("inputs.x", true),
        ("hosts.db.address", true),
        ("host.address", true),
        ("run.mode", true),
        ("run.style", true),
        ("run.environment", true),
        ("run.id", false),
        ("run.now", false),
        ("run", false),
        ("steps.a.status", false),
        ("item", false),
        ("result.x", false),
        ("secrets.x", false),
    ] {
        assert_eq!(known_at_plan_time(&Path::parse(path).expect(path)), known, "{path}");
    }
}

#[test]
fn loop_variables_hide_no_other_name() {
    for (name, reserved) in [
        ("item", false),
        ("server", false),
        ("host", true),
        ("type", true),
        ("for", true),
        ("in", true),
    ] {
        assert_eq!(is_reserved_name(name), reserved, "{name}");
    }
}
