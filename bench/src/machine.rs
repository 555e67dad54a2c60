//! What the machine is and does, from `/proc`.

use std::{fs, io};

use crate::Failure;

/// Which machine it is, in a line.
pub(crate) fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cpus} x {model}, {memory} of memory, Linux {}", kernel.trim())
}

/// What a process's memory takes, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the process has no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// CPU time that a process has used in all its threads that still run, in nanoseconds.
pub(crate) fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let schedstat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        total += schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(total)
}

/// CPU time that a process has used, ended threads included, in ticks.
fn cpu_ticks(pid: u32) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in brackets, with whatever is in it; utime is the 14th, stime the 15th.
    let (_, after_name) = stat.rsplit_once(')').ok_or("a process has no name")?;
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| Ok(ticks.parse::<u64>()?)).sum()
}

/// CPU time of the machine and of some processes, to learn what others used meanwhile.
#[derive(Debug)]
pub(crate) struct Usage {
    pids: Vec<u32>,
    /// Of all CPUs, idle or not.
    all: u64,
    busy: u64,
    ours: u64,
}

impl Usage {
    pub(crate) fn begin(pids: Vec<u32>) -> Result<Self, Failure> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().ok_or("/proc/stat is empty")?;
        let ticks: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // Guest times follow, which are in user already.
        let [user, nice, system, idle, iowait, irq, softirq, steal] =
            ticks.first_chunk().copied().ok_or("/proc/stat is too short")?;
        let busy = user + nice + system + irq + softirq + steal;
        let ours = pids.iter().map(|pid| cpu_ticks(*pid)).sum::<Result<u64, Failure>>()?;
        Ok(Self { pids, all: busy + idle + iowait, busy, ours })
    }

    /// Which share of all CPUs others took since then, in percent.
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    pub(crate) fn others_percent(self) -> Result<f64, Failure> {
        let now = Self::begin(self.pids)?;
        let others = (now.busy - self.busy).saturating_sub(now.ours - self.ours);
        Ok(100.0 * others as f64 / (now.all - self.all).max(1) as f64)
    }
}
