//! What machine this is, and what else runs on it.

use anyhow::Result;

/// Processor, number of cores, memory and kernel.
pub fn describe() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gib = kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / f64::from(1 << 20);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let model = model.unwrap_or("unknown processor");
    Ok(format!("{model}, {cores} cores, {gib:.0} GiB, Linux {}", kernel.trim()))
}

/// Processes that wanted to run over the last minute: above the number of cores, or well above
/// what the measurement itself causes, the figures are disturbed.
pub fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
