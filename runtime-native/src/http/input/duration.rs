//! Durations as ISO 8601 writes them: `PT1H30M`, `P7D`, `P2W`, `PT0.5S`. Without years and months, which have no length.

/// Milliseconds of a duration; [`None`] if the text is none, or too long to be counted.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    const UNITS: [(char, bool, u64); 5] = [
        ('W', false, 604_800_000),
        ('D', false, 86_400_000),
        ('H', true, 3_600_000),
        ('M', true, 60_000),
        ('S', true, 1_000),
    ];
    let (mut rest, mut of_day, mut last, mut sum) = (text.strip_prefix('P')?, false, None, 0_u64);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T').filter(|time| !of_day && !time.is_empty()) {
            (rest, of_day) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = (&rest[..end], rest[end..].chars().next()?);
        let place = UNITS.iter().position(|&(name, time, _)| (name, time) == (unit, of_day))?;
        if last.is_some_and(|last| last >= place) {
            return None;
        }
        sum = sum.checked_add(times(number, UNITS[place].2, unit == 'S')?)?;
        (last, rest) = (Some(place), &rest[end + 1..]);
    }
    last.map(|_| sum)
}

/// So many times a unit; only seconds may have a fraction, to the millisecond.
fn times(number: &str, unit: u64, may_be_part: bool) -> Option<u64> {
    let (whole, part) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    match part {
        None => Some(whole),
        Some(part) if may_be_part && (1..=3).contains(&part.len()) => {
            let thousandths: u64 = format!("{part:0<3}").parse().ok()?;
            whole.checked_add(thousandths)
        }
        Some(_) => None,
    }
}

/// A duration in as few words as it takes.
pub(crate) fn iso_8601(ms: u64) -> String {
    let (days, hours, minutes, rest) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60, ms % 60_000);
    let unit = |count: u64, name: char| if count > 0 { format!("{count}{name}") } else { String::new() };
    let seconds = match (rest / 1_000, rest % 1_000) {
        (0, 0) => String::new(),
        (whole, 0) => format!("{whole}S"),
        (whole, part) => format!("{whole}.{part:03}S"),
    };
    let time = unit(hours, 'H') + &unit(minutes, 'M') + &seconds;
    match (days, time.as_str()) {
        (0, "") => "PT0S".to_owned(),
        (_, "") => format!("P{days}D"),
        (_, time) => format!("P{}T{time}", unit(days, 'D')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in
            [("PT1H", 3_600_000), ("P1DT2H3M4.005S", 93_784_005), ("P7D", 604_800_000), ("PT0S", 0), ("PT0.500S", 500)]
        {
            assert_eq!((milliseconds(text), iso_8601(ms).as_str()), (Some(ms), text));
        }
        assert_eq!(milliseconds("P2W"), Some(1_209_600_000));
        assert_eq!(milliseconds("PT90M"), Some(5_400_000));
        assert_eq!(milliseconds("PT0.5S"), Some(500));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "1H",
            "PT1",
            "PTH",
            "P1H",
            "PT1D",
            "P1Y",
            "P1M",
            "PT1M1H",
            "PT1H1H",
            "PT1.5H",
            "PT1.S",
            "PT1.2345S",
            "PT-1H",
            "P1DT",
            "PTT1H",
            "PT99999999999999999999H",
            "P999999999999999W",
            "PT1h",
            "PT1é",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
