use serde_json::{Value, json};

use crate::text::{Expr, MapNames, Names, Path};

fn names() -> MapNames {
    MapNames::new(json!({
        "run": {
            "mode": "live",
            "incident_at": {"$time": "2026-01-01T00:10:00Z"},
            "now": {"$time": "2026-01-01T00:20:00.5Z"},
        },
        "inputs": {"max_loss": {"$duration": 300_000}, "count": 3, "ratio": 0.5, "names": ["b", "a"]},
        "values": {"zone": "shop.example.com", "empty": []},
        "outputs": {"last_commit": {"$time": "2026-01-01T00:06:00Z"}, "nothing": null},
        "result": {
            "status": 200,
            "rows": [{"standby": false, "lag": 4}, {"standby": true, "lag": 7}],
            "headers": {"content-type": "text/html"},
            "stdout": "one\ntwo\r\n\nsize: 42 MB\n",
        },
        "steps": {
            "backup": {"status": "succeeded", "outputs": {"size": 12, "at": "2026-01-01 00:00:00"}},
            "fence": {"status": "warned", "outputs": {}},
        },
        "hosts": {
            "web_2": {"address": "10.0.0.2", "labels": {"role": "web"}},
            "db": {"address": "10.0.0.3"},
            "web_1": {"address": "10.0.0.1", "labels": {"role": "web", "tier": 1}},
        },
        "item": "db",
        "error": {"class": "transient", "code": "timeout", "message": "no answer"},
    }))
}

fn evaluate(source: &str) -> Result<Value, String> {
    Expr::parse(source)
        .and_then(|expression| expression.evaluate(&names()))
        .map_err(|error| error.message)
}

#[test]
fn nothing_is_decided_over_a_value_that_held_a_secret() {
    let outputs = json!({"o": {"$masked": "user:***"}, "p": {"q": [{"$masked": "***"}, 2]}});
    let names = MapNames::new(json!({"steps": {"leak": {"outputs": outputs}}}));
    for source in [
        "steps.leak.outputs.o == 'user:***'",
        "has(steps.leak.outputs.o)",
        "steps['leak'].outputs.o",
        "steps.leak.outputs.p.q[0]",
        "size(steps.leak.outputs.p.q)",
        "true || steps.leak.outputs.o == ''",
    ] {
        let error = Expr::parse(source).expect(source).evaluate(&names).expect_err(source);
        assert!(error.masked && error.message.contains("held a secret"), "{source}: {error}");
    }
    let other = Expr::parse("steps.leak.outputs.p.q[1]").expect("an expression");
    assert_eq!(other.evaluate(&names), Ok(json!(2)));
}

#[test]
fn values_are_computed() {
    for (source, value) in [
        ("result.status == 200", json!(true)),
        ("result.rows[0].standby == false", json!(true)),
        ("result.rows[1]", json!({"lag": 7, "standby": true})),
        ("result.headers['content-type']", json!("text/html")),
        ("result.rows.all(r, r.lag < inputs.count + 5)", json!(true)),
        ("result.rows.map(r, r.lag)", json!([4, 7])),
        ("result.rows.filter(r, r.standby).size()", json!(1)),
        ("size(result.rows)", json!(2)),
        ("inputs.count - 5", json!(-2)),
        ("inputs.count * 2 - 10 < 0", json!(true)),
        ("inputs.ratio * 2.0", json!(1.0)),
        ("double(inputs.count) / 2.0", json!(1.5)),
        ("int('42') + 1", json!(43)),
        ("steps.fence.status in ['warned', 'failed']", json!(true)),
        ("has(steps.fence.outputs.size) ? steps.fence.outputs.size : -1", json!(-1)),
        ("has(steps.backup.outputs.size) && steps.backup.outputs.size > 10", json!(true)),
        ("hosts[item].address", json!("10.0.0.3")),
        ("{'a': [1, null], 'b': {'c': 1.5}}", json!({"a": [1, null], "b": {"c": 1.5}})),
        ("outputs.nothing == null", json!(true)),
        ("error.class == 'transient' && error.code.startsWith('time')", json!(true)),
        ("values.zone.split('.')[0].upperAscii()", json!("SHOP")),
        ("'%s is %d'.format([run.mode, inputs.count])", json!("live is 3")),
        ("type(inputs.count) == int && type(run.now) == type(run.incident_at)", json!(true)),
    ] {
        assert_eq!(evaluate(source), Ok(value), "{source}");
    }
}

#[test]
fn times_and_durations_keep_their_type() {
    for (source, value) in [
        ("run.incident_at - outputs.last_commit < inputs.max_loss", json!(true)),
        ("run.incident_at - outputs.last_commit", json!({"$duration": 240_000})),
        ("outputs.last_commit - run.incident_at", json!({"$duration": -240_000})),
        ("run.now - run.incident_at > duration('10m')", json!(true)),
        ("run.now", json!({"$time": "2026-01-01T00:20:00.5Z"})),
        ("run.now + inputs.max_loss", json!({"$time": "2026-01-01T00:25:00.5Z"})),
        ("run.now - inputs.max_loss", json!({"$time": "2026-01-01T00:15:00.5Z"})),
        ("inputs.max_loss + seconds(1)", json!({"$duration": 301_000})),
        ("seconds(0.25)", json!({"$duration": 250})),
        ("seconds(-2)", json!({"$duration": -2_000})),
        ("duration('1h30m')", json!({"$duration": 5_400_000})),
        ("timestamp('2026-01-01T01:00:00+01:00')", json!({"$time": "2026-01-01T00:00:00Z"})),
        ("timestamp(run.incident_at) == run.incident_at", json!(true)),
        (
            "time(steps.backup.outputs.at, '%Y-%m-%d %H:%M:%S')",
            json!({"$time": "2026-01-01T00:00:00Z"}),
        ),
        (
            "time('2026-01-01 02:00 +0200', '%Y-%m-%d %H:%M %z')",
            json!({"$time": "2026-01-01T00:00:00Z"}),
        ),
        ("time('2026-02-03', '%Y-%m-%d')", json!({"$time": "2026-02-03T00:00:00Z"})),
        ("time('1767225600', '%s')", json!({"$time": "2026-01-01T00:00:00Z"})),
        ("int(run.incident_at)", json!(1_767_226_200)),
        ("string(inputs.max_loss)", json!("300s")),
        ("string(run.incident_at)", json!("2026-01-01T00:10:00Z")),
        ("run.now.getHours()", json!(0)),
        (
            "[run.now, run.incident_at].map(t, t - run.incident_at)",
            json!([{"$duration": 600_500}, {"$duration": 0}]),
        ),
        ("{'at': run.incident_at}", json!({"at": {"$time": "2026-01-01T00:10:00Z"}})),
    ] {
        assert_eq!(evaluate(source), Ok(value), "{source}");
    }
}

#[test]
fn functions_do_what_they_say() {
    for (source, value) in [
        ("json('{\"a\": [1, 2.5, \"x\"]}').a[0]", json!(1)),
        ("json('18')", json!(18)),
        ("lines(result.stdout)", json!(["one", "two", "", "size: 42 MB"])),
        ("lines('')", json!([])),
        ("split('a,b,,c', ',')", json!(["a", "b", "", "c"])),
        ("'a-b'.split('-')", json!(["a", "b"])),
        ("extract(result.stdout, 'size: ([0-9]+)')", json!("42")),
        ("int(extract(result.stdout, 'size: ([0-9]+)')) + 1", json!(43)),
        ("extract(result.stdout, 't[a-z]o')", json!("two")),
        ("extract('abc', 'x')", json!(null)),
        ("extract('ab', '(x)?b')", json!(null)),
        ("max([3, 1, 2])", json!(3)),
        ("min([3, 1.5, 2])", json!(1.5)),
        ("max(['b', 'a'])", json!("b")),
        ("max([run.now, run.incident_at]) == run.now", json!(true)),
        ("min([inputs.max_loss, seconds(7)])", json!({"$duration": 7_000})),
        ("max(1, inputs.count)", json!(3)),
        ("min(run.now, run.incident_at) == run.incident_at", json!(true)),
        ("sort(inputs.names)", json!(["a", "b"])),
        ("sort([3, 1, 2.5])", json!([1, 2.5, 3])),
        ("sort([])", json!([])),
        ("sort([run.now, run.incident_at])[0] == run.incident_at", json!(true)),
        ("distinct([1, 2, 1, 1.0, 'a', 'a'])", json!([1, 2, "a"])),
        ("distinct([run.now, run.now]).size()", json!(1)),
        ("labelled('role', 'web')", json!(["web_2", "web_1"])),
        ("labelled('tier', 1)", json!(["web_1"])),
        ("labelled('role', 'none')", json!([])),
    ] {
        assert_eq!(evaluate(source), Ok(value), "{source}");
    }
}

#[test]
fn what_cannot_be_computed_says_why() {
    for (source, message) in [
        ("steps.backup.outputs.sise > 1", "there is no `steps.backup.outputs.sise`"),
        ("steps.bakcup.status == 'x'", "there is no `steps.bakcup.status`"),
        ("result.rows[2].lag", "there is no `result.rows[2].lag`"),
        ("previous.lag", "there is no `previous.lag`"),
        ("run.now - values.zone", "`-` cannot be applied to a time and a text"),
        ("run.now < 5", "`<` cannot be applied to a time and an integer"),
        ("outputs.nothing + 1", "`+` cannot be applied to null and an integer"),
        ("inputs.count / 0", "division by zero"),
        ("9223372036854775807 + 1", "the result of `+` is out of range"),
        ("max([])", "`max`: the list is empty"),
        ("max([1, 'a'])", "`max`: a text cannot be compared with an integer"),
        ("sort([1, 'a'])", "`sort`: an integer cannot be compared with a text"),
        ("split('a', '')", "`split`: the separator is empty"),
        ("seconds(1e300)", "`seconds`: out of range"),
        ("b'abc'", "the result is bytes, which cannot be kept"),
        ("{1: 2}", "the key 1 of a map is no text"),
        ("0.0 / 0.0", "the result NaN is not a number that can be kept"),
        ("hosts[values.zone].address", "there is no `shop.example.com`"),
        ("timestamp(outputs.nothing)", "`timestamp` cannot be applied to null"),
    ] {
        let error = evaluate(source).err().unwrap_or_default();
        assert_eq!(error, message, "{source}");
    }
    for (source, begins) in [
        ("json('{')", "`json`: not JSON"),
        ("extract('a', '(')", "`extract`: regex parse error"),
        ("time('x', '%Y')", "`time`: "),
        ("timestamp('yesterday')", "`timestamp`: "),
        ("duration('5 minutes')", "`duration`: "),
    ] {
        let error = evaluate(source).expect_err(source);
        assert!(error.starts_with(begins), "{source}: {error}");
    }
}

#[test]
fn only_true_and_false_decide() {
    let decide = |source: &str| {
        Expr::parse(source)
            .and_then(|expression| expression.decide(&names()))
            .map_err(|error| error.message)
    };
    assert_eq!(decide("run.mode == 'live'"), Ok(true));
    assert_eq!(decide("run.mode == 'drill'"), Ok(false));
    assert_eq!(
        decide("outputs.nothing"),
        Err("`outputs.nothing` is null, neither true nor false".to_owned())
    );
    assert_eq!(
        decide("inputs.count"),
        Err("`inputs.count` is a number, neither true nor false".to_owned())
    );
    assert_eq!(
        decide("labelled('role', 'web')"),
        Err("`labelled('role', 'web')` is a list, neither true nor false".to_owned())
    );
}

#[test]
fn what_is_no_expression_is_refused_where_it_is_wrong() {
    for (source, message, place, help) in [
        ("", "an expression is empty", "", ""),
        ("1 +", "mismatched input the end expecting expression", "", ""),
        ("run.mode = 'live'", "mismatched input '=' expecting the end", "=", "equality is `==`"),
        ("{{ run.mode }} == 'live'", "", "", "without `{{ }}`"),
        ("for > 1", "reserved identifier: for", "f", "choose another name"),
        ("a.?b", "unsupported syntax '.?'", ".", ""),
        ("nosuch(1)", "there is no function `nosuch`", "", "there are `all`"),
        ("Size(a)", "there is no function `Size`", "", "did you mean `size`?"),
        (
            "x.starts_with('a')",
            "there is no function `starts_with`",
            "",
            "did you mean `startsWith`?",
        ),
        ("text.json()", "`json` is no method", "", "write `json(x)`"),
        ("contains(a, 'b')", "`contains` is a method", "", "write `x.contains(…)`"),
        ("extract(a)", "`extract` does not take 1 argument", "", "it takes 2"),
        ("size()", "`size` does not take 0 arguments", "", "it takes 1"),
        ("has(a)", "invalid argument to has() macro", "", ""),
        ("rows.all(1)", "`all` is not written like this", "", "x.all(e, e > 0)"),
        ("Message{a: 1}", "there is no message type `Message`", "", "{'name': value}"),
        ("'open", "unterminated string literal", "'", ""),
        ("\"é\" @", "unexpected character", "@", ""),
    ] {
        let error = Expr::parse(source).expect_err(source);
        assert!(error.message.contains(message), "{source}: {error:?}");
        if !place.is_empty() {
            assert_eq!(error.span.clone().map(|span| &source[span]), Some(place), "{source}");
        }
        assert!(error.help.as_deref().unwrap_or_default().contains(help), "{source}: {error:?}");
    }
}

#[test]
fn every_name_is_found_with_its_place() {
    for (source, reads) in [
        ("result.status == 200", vec![("result.status", "result.status", false)]),
        ("'result.status' + item", vec![("item", "item", false)]),
        (
            "result.rows.all(r, r.lag < inputs.limit && item != r)",
            vec![
                ("result.rows", "result.rows", false),
                ("inputs.limit", "inputs.limit", false),
                ("item", "item", false),
            ],
        ),
        (
            "hosts[steps.a.outputs.name].address",
            vec![
                ("hosts[…]", "hosts", false),
                ("steps.a.outputs.name", "steps.a.outputs.name", false),
            ],
        ),
        ("a [ 0 ] . b['c-d'].e", vec![("a[0].b['c-d'].e", "a [ 0 ] . b['c-d'].e", false)]),
        (
            "has(steps.a.outputs.x) ? steps.a.outputs.x : steps.b.outputs.x",
            vec![
                ("steps.a.outputs.x", "steps.a.outputs.x", true),
                ("steps.a.outputs.x", "steps.a.outputs.x", true),
                ("steps.b.outputs.x", "steps.b.outputs.x", false),
            ],
        ),
        (
            "has(a.b) && a.b.c > a.d",
            vec![("a.b", "a.b", true), ("a.b.c", "a.b.c", true), ("a.d", "a.d", false)],
        ),
        ("!has(a.b) || a.b > 1", vec![("a.b", "a.b", true), ("a.b", "a.b", true)]),
        ("has(a.b) || a.b > 1", vec![("a.b", "a.b", true), ("a.b", "a.b", false)]),
        ("type(a) == int", vec![("a", "a", false)]),
        (
            "json(a.b).c == [x, {'k': y}][0]",
            vec![("a.b", "a.b", false), ("x", "x", false), ("y", "y", false)],
        ),
        ("[1].map(item, item + 1)", vec![]),
    ] {
        let expression = Expr::parse(source).expect(source);
        let mut found: Vec<(String, String, bool)> = expression
            .reads()
            .expect(source)
            .iter()
            .map(|read| {
                let span = read.span.clone().expect("a place");
                (read.path.to_string(), source[span].to_owned(), read.guarded)
            })
            .collect();
        found.sort_by_key(|read| source.find(&read.1));
        let expected: Vec<(String, String, bool)> = reads
            .iter()
            .map(|(path, text, guarded)| ((*path).to_owned(), (*text).to_owned(), *guarded))
            .collect();
        assert_eq!(found, expected, "{source}");
    }
    let labels = Expr::parse("labelled('role', values.role)").expect("an expression");
    let paths: Vec<String> = labels.paths().expect("paths").iter().map(Path::to_string).collect();
    assert_eq!(paths, ["hosts", "values.role"]);
    let guards = Expr::parse("has(steps.a.outputs.x) && !has(item.y)").expect("an expression");
    let guards: Vec<String> =
        guards.guarded_paths().expect("guards").iter().map(Path::to_string).collect();
    assert_eq!(guards, ["steps.a.outputs.x", "item.y"]);
}

#[test]
fn a_dash_in_a_name_is_explained() {
    let expression = Expr::parse("outputs.last-commit > 1").expect("a subtraction");
    let error = expression.evaluate(&names()).expect_err("no such names");
    assert_eq!(error.message, "there is no `outputs.last`");
    let reads = expression.reads().expect("reads");
    let commit = reads.iter().find(|read| read.path.root() == "commit").expect("commit");
    assert!(commit.dashed.as_deref().expect("advice").contains("['last-commit']"));
    let spaced = Expr::parse("outputs.last - commit").expect("a subtraction");
    assert!(spaced.reads().expect("reads").iter().all(|read| read.dashed.is_none()));
}

#[test]
fn only_what_is_read_is_asked_for() {
    struct Asked(std::cell::RefCell<Vec<String>>);
    impl Names for Asked {
        fn get(&self, root: &str, member: Option<&str>) -> Option<Value> {
            self.0.borrow_mut().push(format!("{root}.{}", member.unwrap_or("*")));
            Some(json!({"status": "x", "outputs": {"b": 1}}))
        }
    }
    for (source, asked) in [
        ("steps.a.status == 'x' || steps.b.status == 'x'", vec!["steps.a", "steps.b"]),
        ("result.status == 'x'", vec!["result.*"]),
        ("hosts[item]", vec!["hosts.*", "item.*"]),
        ("1 + 1", vec![]),
    ] {
        let names = Asked(std::cell::RefCell::default());
        let _ = Expr::parse(source).expect(source).evaluate(&names);
        let mut all = names.0.into_inner();
        all.sort();
        all.dedup();
        assert_eq!(all, asked, "{source}");
    }
}

#[test]
fn an_expression_is_its_source() {
    let expression = Expr::parse("a == 1").expect("an expression");
    let json = serde_json::to_string(&expression).expect("JSON");
    assert_eq!(json, "\"a == 1\"");
    assert_eq!(serde_json::from_str::<Expr>(&json).expect("back"), expression);
    let broken: Expr = serde_json::from_str("\"a ==\"").expect("any text");
    assert!(broken.paths().is_err() && broken.decide(&names()).is_err());
}
