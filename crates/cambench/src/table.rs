//! Tables on a terminal.

use comfy_table::{ContentArrangement, Table, presets};
use console::Term;
use serde_json::{Map, Value};

/// All rows have the same keys, which are the heading. On a terminal that is too narrow cells are wrapped; elsewhere a row
/// is a line.
pub(crate) fn print(rows: &[Value]) {
    let terminal = Term::stdout();
    let width = terminal.size_checked().filter(|_| terminal.is_term()).map(|(_, width)| width);
    print!("{}", text(rows, width));
}

fn text(rows: &[Value], width: Option<u16>) -> String {
    let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let Some(first) = rows.first() else { return String::new() };
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(first.keys());
    table.add_rows(rows.iter().map(|row| row.values().map(cell)));
    if let Some(width) = width {
        table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_a_line_unless_the_terminal_is_too_narrow() {
        let rows = [
            json!({ "name": "cam", "n": 3, "summary": "ReLU of the weighted channels" }),
            json!({ "name": "grad_cam", "n": 12, "summary": "" }),
        ];
        let expected = "name      n   summary\n\
                        cam       3   ReLU of the weighted channels\n\
                        grad_cam  12\n";
        assert_eq!(text(&rows, None), expected);
        assert_eq!(text(&rows, Some(80)), expected);
        let expected = "name      n   summary\n\
                        cam       3   ReLU of the\n\
                        \x20             weighted\n\
                        \x20             channels\n\
                        grad_cam  12\n";
        assert_eq!(text(&rows, Some(27)), expected);
        assert_eq!(text(&[], None), "");
    }
}
