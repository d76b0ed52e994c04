use serde_json::{Value, json};

use crate::text::{MapNames, NoNames, Path, Templated};

fn names() -> MapNames {
    MapNames::new(json!({
        "run": {"id": "r1", "incident_at": {"$time": "2026-01-01T00:10:00Z"}},
        "inputs": {"max_loss": {"$duration": 300_000}, "count": 3, "ratio": 0.5, "yes": true},
        "values": {"zone": "example.com", "list": [1, "a"], "nothing": null, "braces": "{{ values.zone }}"},
        "steps": {"backup": {"outputs": {"rows": [{"x-y": 1}], "evil": {"$secret": "pw"}}}},
        "item": "web_1",
    }))
}

fn parse(text: &str) -> Templated {
    Templated::parse(&json!(text)).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn texts_are_rendered_with_their_types() {
    for (text, value) in [
        ("plain", json!("plain")),
        ("https://{{ values.zone }}/health", json!("https://example.com/health")),
        ("{{values.zone}}", json!("example.com")),
        ("{{ inputs.count }}", json!(3)),
        ("{{ inputs.max_loss }}", json!({"$duration": 300_000})),
        ("{{ run.incident_at }}", json!({"$time": "2026-01-01T00:10:00Z"})),
        ("{{ values.list }}", json!([1, "a"])),
        ("{{ values.nothing }}", json!(null)),
        (" {{ inputs.count }}", json!(" 3")),
        (
            "{{inputs.ratio}} {{inputs.yes}} {{inputs.max_loss}} {{run.incident_at}}",
            json!("0.5 true 5m0s 2026-01-01T00:10:00Z"),
        ),
        ("{{ steps.backup.outputs.rows[0]['x-y'] }}", json!(1)),
        ("{{ steps.backup.outputs.rows.[0].['x-y'] }}", json!(1)),
        ("{{json values.list}}", json!("[1,\"a\"]")),
        ("x={{ json inputs.max_loss }}", json!("x=\"5m0s\"")),
        ("{{default steps.backup.outputs.size \"none\"}}", json!("none")),
        ("{{default steps.backup.outputs.size 'a }} b'}}", json!("a }} b")),
        ("{{ default values.nothing 7 }}", json!(7)),
        ("{{default steps.none.outputs.x values.zone}}", json!("example.com")),
        ("{{default steps.backup.outputs.rows[3].y inputs.count}}", json!(3)),
        ("{{default values.zone \"none\"}}!", json!("example.com!")),
        ("{{ values.braces }}", json!("{{ values.zone }}")),
        ("a {{ values.braces }}", json!("a {{ values.zone }}")),
        ("\\{{ values.zone }} {{item}}", json!("{{ values.zone }} web_1")),
        ("\\\\{{item}}", json!("\\web_1")),
        ("a }} b", json!("a }} b")),
        ("é{{item}}ü", json!("éweb_1ü")),
    ] {
        assert_eq!(parse(text).render(&names()), Ok(value), "{text}");
    }
}

#[test]
fn values_are_rendered_all_the_way_down() {
    let written =
        json!({"argv": ["x", "{{ item }}"], "n": 1, "deep": {"a": ["{{ inputs.count }}"]}});
    let template = Templated::parse(&written).expect("a template");
    assert_eq!(template.as_value()["argv"][1], json!({"$template": "{{ item }}"}));
    assert_eq!(
        template.render(&names()),
        Ok(json!({"argv": ["x", "web_1"], "n": 1, "deep": {"a": [3]}}))
    );
    let back: Templated =
        serde_json::from_value(serde_json::to_value(&template).expect("JSON")).expect("back");
    assert_eq!(back, template);
    assert!(!template.is_known() && Templated::default().is_known());
}

#[test]
fn secrets_stay_references() {
    for (text, segments, shown) in [
        ("{{ secrets.pw }}", json!([{"$secret": "pw"}]), "***"),
        ("u:{{secrets.pw}}@{{item}}", json!(["u:", {"$secret": "pw"}, "@web_1"]), "u:***@web_1"),
        ("{{secrets.a}}{{secrets.b}}", json!([{"$secret": "a"}, {"$secret": "b"}]), "******"),
    ] {
        let template = parse(text);
        assert_eq!(template.render(&names()), Ok(json!({"$text": segments})), "{text}");
        assert_eq!(template.render_text(&names()).as_deref(), Ok(shown));
    }
    let map = Templated::parse(&json!({"password": "{{ secrets.pw }}"})).expect("a template");
    assert_eq!(map.render_text(&names()).as_deref(), Ok("{\"password\":\"***\"}"));
    let paths: Vec<String> = map.paths().expect("paths").iter().map(Path::to_string).collect();
    assert_eq!(paths, ["secrets.pw"]);
}

#[test]
fn data_is_never_taken_for_anything_else() {
    for text in ["{{ steps.backup.outputs.evil }}", "{{ steps.backup.outputs }}"] {
        let error = parse(text).render(&names()).expect_err(text);
        assert_eq!(error.message, "the data holds a key `$secret`");
    }
    for data in [
        json!({"$secret": "pw"}),
        json!({"$text": [{"$secret": "pw"}]}),
        json!([{"$template": "{{ secrets.pw }}"}]),
        json!({"$literal": 1}),
    ] {
        let literal = Templated::literal(data.clone());
        assert_eq!(literal.paths(), Ok(Vec::new()));
        assert!(literal.render(&names()).is_err(), "{data}");
        assert!(Templated::parse(&data).is_err(), "{data}");
    }
    let literal = Templated::literal(json!(["{{ item }}", {"$time": "2026-01-01T00:00:00Z"}]));
    assert_eq!(literal.render(&NoNames).as_ref(), Ok(literal.as_value()));
}

#[test]
fn a_value_that_held_a_secret_is_shown_and_not_used() {
    let masked = json!({"$masked": {"user": "***"}});
    let names = names().with("steps", json!({"leak": {"outputs": {"o": masked, "p": [1]}}}));
    for text in [
        "{{ steps.leak.outputs.o }}",
        "{{ steps.leak.outputs.o.user }}",
        "{{ steps.leak.outputs }}",
        "a {{json steps.leak.outputs.o }}",
        "{{default steps.leak.outputs.o \"none\"}}",
    ] {
        let error = parse(text).render(&names).expect_err(text);
        assert!(error.masked, "{text}: {error}");
        assert!(error.help.expect("help").contains("--redo leak"), "{text}");
    }
    let shown = parse("{{json steps.leak.outputs.o}}").render_text(&names);
    assert_eq!(shown.as_deref(), Ok(r#"{"user":"***"}"#));
    assert_eq!(parse("{{ steps.leak.outputs.p[0] }}").render(&names), Ok(json!(1)));
}

#[test]
fn what_is_known_is_rendered_and_the_rest_stays() {
    let written = json!({
        "url": "https://{{ values.zone }}",
        "mixed": "{{ values.zone }}/{{ steps.backup.outputs.x }}",
        "auth": "{{ inputs.count }}:{{ secrets.pw }}",
        "late": "{{default steps.backup.outputs.x \"none\"}}",
    });
    let template = Templated::parse(&written).expect("a template");
    let known =
        template.render_known(&names(), &crate::text::known_at_plan_time).expect("a template");
    assert_eq!(
        known.as_value(),
        &json!({
            "url": "https://example.com",
            "mixed": {"$template": "{{ values.zone }}/{{ steps.backup.outputs.x }}"},
            "auth": {"$text": ["3:", {"$secret": "pw"}]},
            "late": {"$template": "{{default steps.backup.outputs.x \"none\"}}"},
        })
    );
    let paths: Vec<String> = known.paths().expect("paths").iter().map(Path::to_string).collect();
    assert_eq!(paths, ["secrets.pw", "steps.backup.outputs.x", "values.zone"]);
    let later = known.render(&names().with("steps", json!({"backup": {"outputs": {"x": 1}}})));
    assert_eq!(later.expect("rendered")["mixed"], json!("example.com/1"));
}

#[test]
fn what_cannot_be_rendered_says_where_and_why() {
    for (text, message, place, help) in [
        (
            "a {{ values.zoen }}",
            "there is no `values.zoen`",
            "{{ values.zoen }}",
            "nothing is known here of `values.zoen`",
        ),
        (
            "{{ steps.backup.outputs.rowz }}",
            "there is no `steps.backup.outputs.rowz`",
            "{{ steps.backup.outputs.rowz }}",
            "did you mean `rows`?",
        ),
        (
            "{{ steps.backup.outputs.rows[1] }}",
            "there is no `steps.backup.outputs.rows[1]`",
            "{{ steps.backup.outputs.rows[1] }}",
            "has one element, `[0]`",
        ),
        (
            "x {{ values.list }}",
            "a list cannot be put into a text",
            "{{ values.list }}",
            "{{json NAME}}",
        ),
        (
            "x {{ values.nothing }}",
            "null cannot be put into a text",
            "{{ values.nothing }}",
            "{{default NAME",
        ),
    ] {
        let error = parse(text).render(&names()).expect_err(text);
        assert_eq!(error.message, message, "{text}");
        assert_eq!(error.span.clone().map(|span| &text[span]), Some(place), "{text}");
        assert!(error.help.as_deref().unwrap_or_default().contains(help), "{error:?}");
    }
    let nested = Templated::parse(&json!({"a/b": ["x", "{{ typo }}"]})).expect("a template");
    assert_eq!(nested.render(&names()).expect_err("unknown").pointer, "/a~1b/1");
    assert_eq!(nested.reads().expect("reads")[0].pointer, "/a~1b/1");
}

#[test]
fn what_is_no_template_is_refused_where_it_is_wrong() {
    for (text, message, place) in [
        ("a {{ x", "`{{` is never closed", "{{"),
        ("{{default x 'a}}", "`{{` is never closed", "{{"),
        ("a {{ }}", "names nothing", "{{ }}"),
        ("{{}}", "names nothing", "{{}}"),
        ("{{{ x }}}", "three braces", "{ x "),
        ("{{#if x}}y{{/if}}", "a block", "#if x"),
        ("{{> x}}", "a partial", "> x"),
        ("{{! x }}", "a comment", "! x"),
        ("{{~ x ~}}", "a mark", "~ x ~"),
        ("{{ x ~}}", "a mark", "x ~"),
        ("{{lookup a b}}", "there is no helper `lookup`", "lookup a b"),
        ("{{defualt a b}}", "there is no helper `defualt`", "defualt a b"),
        ("{{ a + b }}", "there is no helper `a`", "a + b"),
        ("{{ a-b }}", "`a-b` is not a name", "-b"),
        ("é {{ a..b }}", "`a..b` is not a name", ".b"),
        ("{{ ../a }}", "`../a` is not a name", "../a"),
        ("{{ a/b }}", "`a/b` is not a name", "/b"),
        ("{{ @root.a }}", "`@root.a` is not a name", "@root.a"),
        ("{{ size(a) }}", "`size(a)` is not a name", "(a)"),
        ("{{ json }}", "`json` needs a name", "json"),
        ("{{ default a }}", "`default` is not called like this", "default a"),
        ("{{ default a [1] }}", "`default` is not called like this", "default a [1]"),
        ("{{ default a (json b) }}", "`default` is not called like this", "default a (json b)"),
        ("{{ json a b }}", "`json` is not called like this", "json a b"),
        ("{{ json a x=1 }}", "`json` is not called like this", "json a x=1"),
        ("{{ json ../a }}", "`../a` is not a name", "json ../a"),
        ("{{ run.now }}", "`run.now` cannot be used in text", "{{ run.now }}"),
        ("{{ secrets }}", "`secrets` is no secret", "{{ secrets }}"),
        ("{{ secrets.a.b }}", "`secrets.a.b` is no secret", "{{ secrets.a.b }}"),
        (
            "{{ json secrets.a }}",
            "`secrets.a` cannot be handed to a helper",
            "{{ json secrets.a }}",
        ),
        (
            "{{default a secrets.b}}",
            "`secrets.b` cannot be handed to a helper",
            "{{default a secrets.b}}",
        ),
        ("{{else}}", "", "{{else}}"),
    ] {
        if text == "{{else}}" {
            // A name like any other: nothing here is a block.
            assert!(Templated::parse(&json!(text)).is_ok());
            continue;
        }
        let error = Templated::parse(&json!(text)).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error:?}");
        assert_eq!(error.span.clone().map(|span| &text[span]), Some(place), "{text}");
    }
    for written in [json!({"$template": "x"}), json!([{"$x": 1}]), json!({"a {{ b }}": 1})] {
        let error = Templated::parse(&written).expect_err("a key");
        assert!(error.message.starts_with("a key cannot be"), "{written}");
    }
    let foreign = Templated::parse(&json!("docker ps --format {{.Names}}")).expect_err("a name");
    assert_eq!(foreign.help.as_deref(), Some("for the braces themselves, write `\\{{`"));
    let nested = Templated::parse(&json!([{"a": "{{ x"}])).expect_err("not closed");
    assert_eq!(nested.pointer, "/0/a");
}

#[test]
fn text_for_people_shows_everything() {
    for (text, shown) in [
        ("{{ values.list }}", "[1,\"a\"]"),
        ("{{ inputs.max_loss }}", "5m0s"),
        ("lost since {{ run.incident_at }}", "lost since 2026-01-01T00:10:00Z"),
        ("{{ inputs.count }}", "3"),
        ("{{ values.nothing }}", "null"),
    ] {
        assert_eq!(parse(text).render_text(&names()).as_deref(), Ok(shown));
    }
    assert_eq!(Templated::literal(Value::Bool(true)).render_text(&NoNames).as_deref(), Ok("true"));
}
