//! Tables on a terminal.

use serde_json::{Map, Value};

/// Columns as wide as their widest cell; all rows have the same keys.
pub(crate) fn print(rows: &[Value]) {
    let rows: Vec<&Map<String, Value>> = rows.iter().filter_map(Value::as_object).collect();
    let Some(first) = rows.first() else { return };
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut lines: Vec<String> = vec![String::new(); rows.len() + 1];
    for key in first.keys() {
        let cells: Vec<String> =
            std::iter::once(key.clone()).chain(rows.iter().map(|row| text(row.get(key)))).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
    }
    for line in lines {
        println!("{}", line.trim_end());
    }
}
