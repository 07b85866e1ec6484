//! The forms that figures are written in.

use super::Figure;
use crate::failure::{Failure, Naming};

/// Returns figures as a JSON array.
///
/// # Errors
/// None that is known; serialisation has a way to say so.
pub fn json(figures: &[Figure]) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(figures).naming("figures")?;
    text.push('\n');
    Ok(text)
}

/// Returns figures as comma-separated values under a line of names.
#[must_use]
pub fn csv(figures: &[Figure]) -> String {
    let mut text = String::from("bench,case,metric,unit,value,switches\n");
    for figure in figures {
        text.push_str(&row(figure).map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

fn row(figure: &Figure) -> [String; 6] {
    let Figure { bench, case, metric, unit, value, switches } = figure;
    let text = |field: &String| field.clone();
    let switches = switches.join(" ");
    [text(bench), text(case), text(metric), text(unit), value.to_string(), switches]
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

/// Returns figures as aligned columns: case and metric to the left, values to the right.
#[must_use]
pub fn table(figures: &[Figure]) -> String {
    let cells: Vec<_> = figures.iter().map(row).collect();
    let width = |column: usize| cells.iter().map(|cell| cell[column].len()).max().unwrap_or(0);
    let [bench, case, metric, value] = [0, 1, 2, 4].map(width);
    let line = |cell: &[String; 6]| {
        let [b, c, m, unit, v, _] = cell;
        format!("{b:bench$}  {c:case$}  {m:metric$}  {v:>value$} {unit}\n")
    };
    cells.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{csv, json, table};
    use crate::figures::parse;

    const OUTPUT: &str = "@figure bench=b case=short metric=m unit=bytes value=4096\n\
                          @figure bench=b case=much_longer metric=m unit=bytes value=1.5\n";

    #[test]
    fn every_form_holds_every_field() {
        let figures = parse(OUTPUT, &["mops".into(), "a,b".into()]).unwrap();
        assert!(csv(&figures).contains("\nb,short,m,bytes,4096,\"mops a,b\"\n"));
        let read: serde_json::Value = serde_json::from_str(&json(&figures).unwrap()).unwrap();
        assert_eq!(read[1]["value"], 1.5);
        assert_eq!(read[0]["value"], 4096);
        assert_eq!(read[0]["switches"][0], "mops");
    }

    #[test]
    fn columns_are_aligned() {
        let table = table(&parse(OUTPUT, &[]).unwrap());
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines, ["b  short        m  4096 bytes", "b  much_longer  m   1.5 bytes"]);
    }
}
