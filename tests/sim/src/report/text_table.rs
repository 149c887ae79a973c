//! A table for people: aligned columns for the terminal, or Markdown for a file that is kept.
//!
//! Its text is what the program itself has to say; Markdown in a cell is left as it is, but it
//! can't break out of its cell.

/// A heading and rows of text.
///
/// ```
/// use dht_sim::text_table::TextTable;
///
/// let mut table = TextTable::new(["what", "how many"]);
/// table.row(["nodes", "1,000"]);
/// assert_eq!(table.plain(), "what   how many\n─────  ────────\nnodes     1,000\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTable {
    /// What the columns are.
    pub header: Vec<String>,
    /// The rows; what is missing at the end of one is empty.
    pub rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table without rows.
    pub fn new<S: Into<String>>(header: impl IntoIterator<Item = S>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// As lines for a terminal, each with its end: columns two spaces apart, numbers to the right,
    /// a line under the heading, if there is one.
    pub fn plain(&self) -> String {
        let columns = self.columns(one_line);
        let mut out = String::new();
        let mut line = |cell: &dyn Fn(&Column) -> String| {
            let cells: Vec<_> = columns.iter().map(cell).collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        };
        if self.header.iter().any(|title| !title.is_empty()) {
            line(&|column| column.pad(&column.title, ' '));
            line(&|column| "─".repeat(column.width));
        }
        for row in 0..self.rows.len() {
            line(&|column| column.pad(column.cell(row), ' '));
        }
        out
    }

    /// As a Markdown table whose source is aligned as well.
    pub fn markdown(&self) -> String {
        let mut columns = self.columns(markdown_cell);
        // `--:` is the shortest rule.
        columns.iter_mut().for_each(|column| column.width = column.width.max(3));
        let mut out = String::new();
        let mut line = |cell: &dyn Fn(&Column) -> String| {
            let cells: Vec<_> = columns.iter().map(cell).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        };
        line(&|column| column.pad(&column.title, ' '));
        line(&|column| column.pad(if column.numbers { "-:" } else { "-" }, '-'));
        for row in 0..self.rows.len() {
            line(&|column| column.pad(column.cell(row), ' '));
        }
        out
    }

    /// Whether a column, counted from 0, holds nothing but numbers.
    pub fn is_numeric(&self, column: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(column));
        cells().all(|cell| is_number(cell) || is_nothing(cell)) && cells().any(|c| is_number(c))
    }

    fn columns(&self, clean: fn(&str) -> String) -> Vec<Column> {
        let longest = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let columns = (0..self.header.len().max(longest)).map(|index| {
            let clean = |cell: Option<&String>| cell.map(|cell| clean(cell)).unwrap_or_default();
            let title = clean(self.header.get(index));
            let cells: Vec<_> = self.rows.iter().map(|row| clean(row.get(index))).collect();
            let width = cells.iter().chain([&title]).map(|cell| width(cell)).max().unwrap_or(0);
            Column { title, cells, width, numbers: self.is_numeric(index) }
        });
        columns.collect()
    }
}

struct Column {
    title: String,
    cells: Vec<String>,
    width: usize,
    numbers: bool,
}

impl Column {
    fn cell(&self, row: usize) -> &str {
        self.cells.get(row).map(String::as_str).unwrap_or_default()
    }

    fn pad(&self, text: &str, fill: char) -> String {
        let fill: String = (width(text)..self.width).map(|_| fill).collect();
        if self.numbers { fill + text } else { text.to_owned() + &fill }
    }
}

/// Whether this begins like a number: `12`, `-0.5`, `≤ 0.7`, `1,000`, `80 ms`, `±3 %`. An address or a version (with
/// more than one dot) is none, and neither is a text like `3 of the nodes`.
fn is_number(cell: &str) -> bool {
    let digits =
        cell.trim().trim_start_matches(['+', '-', '−', '±', '~', '≈', '<', '>', '≤', '≥', ' ']);
    let end = |c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '_'));
    let (number, unit) = digits.split_at(digits.find(end).unwrap_or(digits.len()));
    let with_unit = number.matches('.').count() <= 1
        && unit.split_whitespace().count() <= 1
        && !unit.contains([':', '-', '_']);
    digits.starts_with(|c: char| c.is_ascii_digit()) && (with_unit || digits.parse::<f64>().is_ok())
}

/// Whether this stands for a number that isn't there.
fn is_nothing(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—" | "n/a")
}

/// How wide it is on a terminal. Wide and combining letters don't come up here.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn one_line(cell: &str) -> String {
    cell.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn markdown_cell(cell: &str) -> String {
    // A backslash would take away the meaning of the one before the bar.
    let cell = one_line(cell).replace('\\', "\\\\").replace('|', "\\|");
    cell.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TextTable {
        let mut table = TextTable::new(["measure", "p50", "p99", "note"]);
        table.row(["hops", "3", "5.25", "≤ log2 N"]);
        table.row(["latency", "412 ms", "1,410 ms"]);
        table.row(["recall", "0.9993", "–", ""]);
        table
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let expected = "\
measure     p50       p99  note
───────  ──────  ────────  ────────
hops          3      5.25  ≤ log2 N
latency  412 ms  1,410 ms
recall   0.9993         –
";
        assert_eq!(example().plain(), expected);
    }

    #[test]
    fn markdown_looks_the_same() {
        let expected = "\
| measure |    p50 |      p99 | note     |
| ------- | -----: | -------: | -------- |
| hops    |      3 |     5.25 | ≤ log2 N |
| latency | 412 ms | 1,410 ms |          |
| recall  | 0.9993 |        – |          |
";
        assert_eq!(example().markdown(), expected);
    }

    #[test]
    fn nothing_breaks_out_of_its_cell() {
        let mut table = TextTable::new(["a|b", "c"]);
        table.row(["x\ny\x1b[31m", r"\|"]);
        table.row(["<script>&", "z", "one too many"]);
        let expected = r"
| a\|b             | c    |              |
| ---------------- | ---- | ------------ |
| x y [31m         | \\\| |              |
| &lt;script>&amp; | z    | one too many |
";
        assert_eq!(table.markdown(), expected.trim_start());
        assert_eq!(table.plain().lines().count(), 4, "{}", table.plain());
        assert!(!table.plain().contains('\x1b'));
    }

    #[test]
    fn what_counts_as_a_number() {
        let numbers = "12|-0.5|−3|+7|1,000|1_000|80 ms|5 %|5%|4.2k|≤ 0.7|± 3 %|1.5e-3|12 /s|0x7";
        for cell in numbers.split('|') {
            assert!(is_number(cell), "{cell}");
        }
        let texts =
            "|-|–|p50|log2 N|11.0.5.1|11.0.5.1:2000|1.87.0|3 of 5 nodes|10-20|2000-01-01|.5|<";
        for cell in texts.split('|') {
            assert!(!is_number(cell), "{cell}");
        }
    }

    #[test]
    fn small_tables() {
        assert_eq!(TextTable::default().plain(), "");
        assert_eq!(TextTable::new(["a"]).plain(), "a\n─\n");
        assert_eq!(TextTable::new(["a"]).markdown(), "| a   |\n| --- |\n");
        let mut pairs = TextTable::default();
        pairs.row(["seed", "7"]);
        pairs.row(["nodes", "10000"]);
        assert_eq!(pairs.plain(), "seed       7\nnodes  10000\n", "no heading, no line under it");
        let mut empty = TextTable::new(["a", "b"]);
        empty.row(["", ""]);
        empty.row(["–", ""]);
        assert!(!empty.is_numeric(0) && !empty.is_numeric(9));
    }
}
