use dr_plugin::CallError;
use serde_json::{Map, Value};
use tokio_postgres::Column;

use crate::decode::decode;

/// Most rows that a result may have.
const MAX_ROWS: usize = 10_000;
/// Most text that a result may have, column names included.
const MAX_BYTES: usize = 1024 * 1024;

/// Collects rows given as text, up to the limits of a result.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    columns: &'a [Column],
    read: Vec<Map<String, Value>>,
    bytes: usize,
}

impl<'a> Rows<'a> {
    /// An empty result with these columns.
    ///
    /// # Errors
    /// A permanent `duplicate_column`: a row is a map, and the second would replace the first.
    pub(crate) fn new(columns: &'a [Column]) -> Result<Self, CallError> {
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|earlier| earlier.name() == column.name()) {
                return Err(CallError::permanent(
                    "duplicate_column",
                    format!("two columns of the result are named `{}`", column.name()),
                )
                .with_help("give each column a name of its own with `as`"));
            }
        }
        Ok(Self { columns, read: Vec::new(), bytes: 0 })
    }

    /// Adds one row; `text` gives the text of a column, none for null.
    ///
    /// # Errors
    /// A permanent `result_too_large` beyond 10,000 rows or 1 MiB.
    pub(crate) fn push<'t>(
        &mut self,
        text: impl Fn(usize) -> Option<&'t str>,
    ) -> Result<(), CallError> {
        if self.read.len() == MAX_ROWS {
            return Err(too_large("10,000 rows"));
        }
        let mut row = Map::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let text = text(index);
            self.bytes += column.name().len() + text.map_or(0, str::len);
            if self.bytes > MAX_BYTES {
                return Err(too_large("1 MiB"));
            }
            let value = text.map_or(Value::Null, |text| decode(column.type_(), text));
            row.insert(column.name().to_owned(), value);
        }
        self.read.push(row);
        Ok(())
    }

    /// The rows collected.
    pub(crate) fn into_rows(self) -> Vec<Map<String, Value>> {
        self.read
    }
}

fn too_large(limit: &str) -> CallError {
    CallError::permanent("result_too_large", format!("the result has more than {limit}"))
        .with_help("let the server count, sum or `limit`: results are kept in the journal")
}
