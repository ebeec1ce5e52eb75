//! Tables, which are Markdown and readable as they are.

use std::fmt::Write as _;

use crate::{Bound, Row};

/// The goals table: each figure, its spread, and whether it is what it should be and what it must be.
pub fn goals_table(rows: &[Row]) -> String {
    let head = ["what", "ours", "min–max", "goal", "", "must", "", "behind it"].map(str::to_owned);
    let cell = |bound: Option<Bound>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let mut lines = vec![head.to_vec()];
    for row in rows {
        lines.push(vec![
            row.what.clone(),
            format!("{} {}", digits(row.figure.p50), row.unit),
            format!("{}–{}", digits(row.figure.min), digits(row.figure.max)),
            cell(row.goal),
            row.verdict(row.goal).to_owned(),
            cell(row.must),
            row.verdict(row.must).to_owned(),
            row.note.clone(),
        ]);
    }
    markdown(&lines)
}

/// A figure with as many decimals as its size needs.
pub fn digits(figure: f64) -> String {
    match figure.abs() {
        0.1.. => format!("{figure:.2}"),
        0.01..0.1 => format!("{figure:.3}"),
        _ => format!("{figure:.4}"),
    }
}

/// A table, its first line the head.
pub fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        // The last one is not filled up.
        if column + 1 == columns { 3 } else { cells.map(|cell| cell.chars().count()).max().unwrap_or(0) }
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width.max(3))).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_figures_keep_their_digits() {
        for (figure, text) in [(0.0041, "0.0041"), (0.052, "0.052"), (0.35, "0.35"), (12.0, "12.00")] {
            assert_eq!(digits(figure), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a", "b"], ["long", "c"]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(markdown(&lines), "| a    | b   |\n| ---- | --- |\n| long | c   |\n");
    }
}
