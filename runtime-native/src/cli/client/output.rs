//! How answers are printed: as a table for people, as JSON for programs, or plainly, a line for each thing with tabs
//! between its values and no heading, for `cut` and `awk`.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::failure::Failure;

#[derive(Debug, Args)]
pub(in crate::cli) struct OutputOptions {
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub(in crate::cli) output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// Columns with headings
    Table,
    /// One JSON value
    Json,
    /// Values with tabs between them, and no headings
    Plain,
}

/// Things as a table has them.
pub(in crate::cli) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Output {
    /// Prints either of the two.
    pub(in crate::cli) fn print(self, json: &impl Serialize, table: &Table) -> Result<(), Failure> {
        let text = match self {
            Self::Json => serde_json::to_string_pretty(json).map_err(io::Error::from)? + "\n",
            Self::Table => table.aligned(),
            Self::Plain => table.plain(),
        };
        print(&text)
    }
}

/// Writes to stdout, all of it.
pub(in crate::cli) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

impl Table {
    pub(in crate::cli) fn new<const COLUMNS: usize>(headings: [&'static str; COLUMNS]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// A row has as many values as the table has headings.
    pub(in crate::cli) fn row(&mut self, values: impl IntoIterator<Item = String>) {
        self.rows.push(values.into_iter().collect());
    }

    /// Columns as wide as their widest value, numbers to the right.
    fn aligned(&self) -> String {
        let headings: Vec<String> = self.headings.iter().map(|heading| heading.to_uppercase()).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&headings]).map(|row| console::measure_text_width(&row[column]));
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        let mut text = String::new();
        for row in [&headings].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - console::measure_text_width(cell));
                let is_number = self.rows.iter().all(|row| row[column] == "-" || row[column].parse::<f64>().is_ok());
                let (before, after) = if is_number { (&*padding, "") } else { ("", &*padding) };
                line.extend([if column == 0 { "" } else { "  " }, before, cell, after]);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    pub(in crate::cli) fn plain(&self) -> String {
        self.rows.iter().map(|row| row.join("\t") + "\n").collect()
    }
}

/// A dash where there is nothing.
pub(in crate::cli) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(["topic", "lag"]);
        table.row(["orders".to_owned(), "7".to_owned()]);
        table.row(["x".to_owned(), "-".to_owned()]);
        table.row(["y".to_owned(), "1234".to_owned()]);
        assert_eq!(table.aligned(), "TOPIC    LAG\norders     7\nx          -\ny       1234\n");
        assert_eq!(table.plain(), "orders\t7\nx\t-\ny\t1234\n");
    }
}
