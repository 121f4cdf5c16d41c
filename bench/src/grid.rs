//! Tables of text: aligned for terminals, or as Markdown.

/// A head and rows of as many cells; the first column names the rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Grid {
    /// Columns that are as wide as their widest cell, two blanks between them.
    pub(crate) fn text(&self) -> String {
        let lines = || [&self.head].into_iter().chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(move |line| line.get(column)).map(|cell| cell.chars().count())
        };
        let widths: Vec<usize> =
            (0..self.head.len()).map(|column| width(column).max().unwrap_or(0)).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        lines().map(line).collect()
    }

    /// A table of Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells = cells.iter().map(|cell| escaped(cell));
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule: Vec<String> = self.head.iter().map(|_| "---".to_owned()).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{}{rows}", line(&self.head), line(&rule))
    }
}

/// Text that means nothing to Markdown.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |character| {
        let special = matches!(character, '|' | '<' | '*' | '_' | '`' | '[' | '\\');
        special.then_some('\\').into_iter().chain([character])
    };
    text.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_line_and_bars_are_escaped() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let grid = Grid { head: row(["", "a", "b"]), rows: vec![row(["p99, µs", "1|2", ""])] };
        assert_eq!(grid.text(), "         a    b\np99, µs  1|2\n");
        let markdown = "|  | a | b |\n| --- | --- | --- |\n| p99, µs | 1\\|2 |  |\n";
        assert_eq!(grid.markdown(), markdown);
    }
}
