use std::fmt;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// What is wrong; none if it is as it should be.
    pub wrong: Option<String>,
}

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.findings.iter().all(|finding| finding.wrong.is_none())
    }

    pub(super) fn add(&mut self, check: impl Into<String>, result: Result<(), String>) {
        self.findings.push(Finding { check: check.into(), wrong: result.err() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            match &finding.wrong {
                None => writeln!(f, "ok      {}", finding.check)?,
                Some(wrong) => writeln!(f, "FAILED  {}: {wrong}", finding.check)?,
            }
        }
        let failed = self.findings.iter().filter(|finding| finding.wrong.is_some()).count();
        write!(f, "{} checks, {failed} failed", self.findings.len())
    }
}
