use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::account::is_root;
use crate::process::{Daemon, DeathSignal};
use crate::{Account, Folder, HttpReply, HttpRequest, eventually, free_port};

/// An emulator of AWS's APIs (moto) on loopback. `tests/install` brings it.
#[derive(Debug)]
pub struct Emulator {
    at: SocketAddr,
    _daemon: Daemon,
}

impl Emulator {
    /// Starts it on a free port of `address`.
    pub fn start(folder: &Folder, address: Ipv4Addr) -> Self {
        let port = free_port(address);
        // It lies in the home of whoever runs the tests, and has no use for privileges.
        let account = Account {
            name: if is_root() { "root".to_owned() } else { Account::for_servers().name },
            ..Account::for_servers()
        };
        let (host, number) = (address.to_string(), port.to_string());
        let daemon = Daemon::start(
            &account,
            DeathSignal::Term,
            &program(),
            &["-H", &host, "-p", &number],
            &folder.join("emulator.log"),
        );
        let at = SocketAddr::from((address, port));
        eventually("the emulator listens", || TcpStream::connect(at).ok());
        Self { at, _daemon: daemon }
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Forgets everything.
    pub fn reset(&self) {
        self.send(&request("POST", "/moto-api/reset", "ec2", ""));
    }

    /// Calls EC2: `Action=…&…`. Gives the answer's text.
    pub fn ec2(&self, query: &str) -> String {
        let body = format!("{query}&Version=2016-11-15");
        self.text(&request("POST", "/", "ec2", &body))
    }

    /// Calls Route 53. Gives the answer's text.
    pub fn route53(&self, method: &str, path: &str, body: &str) -> String {
        self.text(&request(method, &format!("/2013-04-01/{path}"), "route53", body))
    }

    fn text(&self, request: &HttpRequest) -> String {
        match self.send(request) {
            HttpReply::Answer { status: 200..=299, body, .. } => {
                String::from_utf8_lossy(&body).into_owned()
            }
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// Passes a request on.
    pub fn send(&self, request: &HttpRequest) -> HttpReply {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        for (name, value) in &request.headers {
            if !matches!(name.as_str(), "connection" | "content-length" | "expect") {
                head.push_str(name);
                head.push_str(": ");
                head.push_str(value);
                head.push_str("\r\n");
            }
        }
        let length = request.body.len();
        head.push_str("connection: close\r\ncontent-length: ");
        head.push_str(&length.to_string());
        head.push_str("\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&request.body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse(&answer)
    }
}

/// The text between `<name>` and `</name>`, each time it occurs.
pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned()))
        .collect()
}

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let program = cache.unwrap_or_else(home).join("dr/aws-emulator/bin/moto_server");
    assert!(program.exists(), "{} is missing: run tests/install", program.display());
    program
}

fn request(method: &str, target: &str, service: &str, body: &str) -> HttpRequest {
    let kind = match service {
        "ec2" => "application/x-www-form-urlencoded",
        _ => "application/xml",
    };
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=none"
    );
    HttpRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![
            ("host".to_owned(), "localhost".to_owned()),
            ("content-type".to_owned(), kind.to_owned()),
            ("authorization".to_owned(), authorization),
        ],
        body: body.as_bytes().to_vec(),
    }
}

fn parse(answer: &[u8]) -> HttpReply {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split_whitespace().nth(1).and_then(|it| it.parse().ok()).unwrap();
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    HttpReply::Answer { status, headers, body: answer[end + 4..].to_vec(), delay: Duration::ZERO }
}
