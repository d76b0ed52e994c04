use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

/// A connection that the test itself uses, independent of `dr` and its plugins. Blocking.
#[derive(Debug)]
pub struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    /// Connects and logs in.
    ///
    /// # Errors
    /// What hinders it.
    pub fn connect(config: &Config) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) =
                config.clone().connect_timeout(Duration::from_secs(5)).connect(NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, Error>(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Runs one or more statements.
    ///
    /// # Errors
    /// What the server or the connection says.
    pub fn try_run(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let messages = self.runtime.block_on(self.client.simple_query(sql))?;
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// Runs one or more statements that must succeed, and gives the rows as text.
    pub fn run(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.try_run(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}: {:?}", error.as_db_error()))
    }

    /// The one value of a query that must succeed; null is `None`.
    pub fn value(&self, sql: &str) -> Option<String> {
        self.run(sql).into_iter().next().and_then(|row| row.into_iter().next()).flatten()
    }
}
